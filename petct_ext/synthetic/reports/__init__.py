"""Reports on artificial patients, with every mention known."""
