"""Bytes and headers of DICOM files: walk, element scan, decoding, archive, pseudonyms."""
