"""Artificial patients as images and DICOM files."""
