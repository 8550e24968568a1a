"""The scan model: from prepared volumes to one logit per region."""
