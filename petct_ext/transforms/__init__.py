"""MONAI transforms: DICOM, NIfTI and report text to what the networks read."""
