"""Follow-up after the last exam: survival times, Cox models, curves, calibration."""
