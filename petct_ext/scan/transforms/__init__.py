"""MONAI transforms: DICOM, NIfTI and prepared volumes to what the network reads."""
