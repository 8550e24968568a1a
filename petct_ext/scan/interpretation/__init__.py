"""Where the scan model looks, in patient space."""
