"""MONAI components for whole-body FDG-PET/CT: region labels from reports, scan model, mortality."""

__version__ = "0.2.0"
