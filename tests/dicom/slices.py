"""Small DICOM series for tests: a few voxels, valid geometry, faults on request."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pydicom
from pydicom.dataset import FileMetaDataset
from pydicom.uid import (
    CTImageStorage,
    ExplicitVRLittleEndian,
    PositronEmissionTomographyImageStorage,
)

FDG = {
    "RadiopharmaceuticalStartTime": "100000",
    "RadionuclideTotalDose": 350e6,
    "RadionuclideHalfLife": 6586.2,
}


def write_slices(
    folder: Path,
    *,
    modality: str = "CT",
    heights_mm: Sequence[float] = (0.0, 3.0, 6.0, 9.0),
    values: np.ndarray | None = None,
    slopes: Sequence[float] | None = None,
    series: str = "1",
    **elements: Any,
) -> list[Path]:
    """Writes one file per height, 5 columns x 4 rows; returns the paths in the order given.

    Args:
        folder: where to write.
        modality: ``CT`` or ``PT``.
        heights_mm: positions along z.
        values: stored values (Z, rows, columns).
        slopes: rescale slope of each slice.
        series: last part of the series UID.
        **elements: further elements of every slice; None removes one.
    """
    folder.mkdir(parents=True, exist_ok=True)
    paths = []
    for number, height in enumerate(heights_mm):
        dataset = _dataset(modality, series)
        dataset.SOPInstanceUID = f"1.2.3.{series}.{number + 1}"
        dataset.ImagePositionPatient = [-10.0, -20.0, float(height)]
        dataset.InstanceNumber = len(heights_mm) - number  # reversed: it must not matter
        dataset.RescaleSlope = 1.0 if slopes is None else slopes[number]
        stored = np.full((4, 5), number) if values is None else values[number]
        dataset.PixelData = np.asarray(stored, dtype=np.int16).tobytes()
        for keyword, value in elements.items():
            if value is None:
                delattr(dataset, keyword)
            else:
                setattr(dataset, keyword, value)
        paths.append(folder / f"{series}_{number:03d}.dcm")
        dataset.file_meta.MediaStorageSOPInstanceUID = dataset.SOPInstanceUID
        dataset.save_as(paths[-1], enforce_file_format=True)
    return paths


def _dataset(modality: str, series: str) -> pydicom.Dataset:
    is_pet = modality == "PT"
    dataset = pydicom.Dataset()
    dataset.file_meta = FileMetaDataset()
    dataset.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    dataset.SOPClassUID = PositronEmissionTomographyImageStorage if is_pet else CTImageStorage
    dataset.file_meta.MediaStorageSOPClassUID = dataset.SOPClassUID
    dataset.Modality = modality
    dataset.PatientID = "SECRET-4711"
    dataset.PatientName = "Doe^Jane"
    dataset.PatientBirthDate = "19500102"
    dataset.PatientSex, dataset.PatientAge = "F", "061Y"
    dataset.PatientWeight, dataset.PatientSize = 70.0, 1.7
    dataset.StudyInstanceUID, dataset.SeriesInstanceUID = "1.2.3", f"1.2.3.{series}"
    dataset.FrameOfReferenceUID = "1.2.9"
    dataset.StudyDate = dataset.SeriesDate = dataset.AcquisitionDate = "20200102"
    dataset.SeriesTime = dataset.AcquisitionTime = "110000"
    dataset.ImageType = ["ORIGINAL", "PRIMARY", "AXIAL"]
    dataset.ImageOrientationPatient = [1, 0, 0, 0, 1, 0]
    dataset.PixelSpacing = [2.0, 4.0]  # rows 2 mm apart, columns 4 mm apart
    dataset.Rows, dataset.Columns = 4, 5
    dataset.SamplesPerPixel, dataset.PhotometricInterpretation = 1, "MONOCHROME2"
    dataset.BitsAllocated = dataset.BitsStored = 16
    dataset.HighBit, dataset.PixelRepresentation = 15, 1
    dataset.RescaleIntercept = 0.0
    if is_pet:
        dataset.Units, dataset.DecayCorrection = "BQML", "START"
        dataset.CorrectedImage = ["ATTN", "DECY"]
        item = pydicom.Dataset()
        for keyword, value in FDG.items():
            setattr(item, keyword, value)
        dataset.RadiopharmaceuticalInformationSequence = [item]
    return dataset
