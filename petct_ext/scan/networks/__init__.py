"""Networks of the scan model: encoders, heads, classifiers, public weights, export."""
