"""Exams with hot points at known places of the patient, written in any orientation."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pydicom
from pydicom.sequence import Sequence as DicomSequence
from pydicom.uid import UID

from tests.dicom.slices import write_slices

# LPS+ mm; far enough apart and from the faces to be told apart
POINTS_MM = np.array(
    [[30.0, -25.0, 40.0], [-35.0, 20.0, 10.0], [10.0, 30.0, -35.0], [-20.0, -30.0, -15.0]]
)
WIDTH_MM = 6.0

ORIENTATIONS = {
    "HFS": [1, 0, 0, 0, 1, 0],
    "FFS": [-1, 0, 0, 0, 1, 0],
    "HFP": [-1, 0, 0, 0, -1, 0],
    "FFP": [1, 0, 0, 0, -1, 0],
    "coronal": [1, 0, 0, 0, 0, -1],
    "oblique": [
        *(np.array([[0.9848, 0.1736, 0], [-0.1677, 0.9513, 0.2588]]).ravel().tolist()),
    ],
}


def lattice(
    orientation: list[float], *, spacing_mm: tuple[float, float, float], size: tuple[int, int, int]
) -> np.ndarray:
    """The LPS affine (4, 4) of a volume (X, Y, Z) around the origin."""
    row, column = (
        np.array(v, float) / np.linalg.norm(v) for v in np.split(np.array(orientation), 2)
    )
    affine = np.eye(4)
    affine[:3, 0], affine[:3, 1] = row * spacing_mm[0], column * spacing_mm[1]
    affine[:3, 2] = np.cross(row, column) * spacing_mm[2]
    affine[:3, 3] = -affine[:3, :3] @ ((np.array(size) - 1) / 2)
    return affine


def hot_points(affine: np.ndarray, size: tuple[int, int, int]) -> np.ndarray:
    """Values 0 to 1000 (X, Y, Z): a Gaussian at each point."""
    index = np.stack(np.meshgrid(*map(np.arange, size), indexing="ij"), axis=-1)
    world = index @ affine[:3, :3].T + affine[:3, 3]
    squares = ((world[..., None, :] - POINTS_MM) ** 2).sum(-1)
    values: np.ndarray = 1000 * np.exp(-squares / (2 * WIDTH_MM**2)).sum(-1)
    return values


def found_points(values: np.ndarray, ras_affine: np.ndarray) -> np.ndarray:
    """The centers of gravity (LPS+ mm) around each point."""
    index = np.stack(np.meshgrid(*map(np.arange, values.shape), indexing="ij"), axis=-1)
    world = (index @ ras_affine[:3, :3].T + ras_affine[:3, 3]) * [-1, -1, 1]
    centers = []
    for point in POINTS_MM:
        near = ((world - point) ** 2).sum(-1) < (3 * WIDTH_MM) ** 2
        weights = np.clip(values[near], 0, None)
        centers.append((world[near] * weights[:, None]).sum(0) / weights.sum())
    return np.array(centers)


def write_phantom(
    folder: Path, affine: np.ndarray, size: tuple[int, int, int], *, modality: str, series: str
) -> list[Path]:
    """Writes the hot points as one file per slice, in shuffled order of position."""
    stored = np.round(hot_points(affine, size)).astype(np.int16)
    spacing = np.linalg.norm(affine[:3, :3], axis=0)
    row, column = affine[:3, 0] / spacing[0], affine[:3, 1] / spacing[1]
    rng = np.random.default_rng(0)
    places = rng.permutation(size[2])
    files = write_slices(
        folder,
        modality=modality,
        heights_mm=places.tolist(),
        values=np.zeros((size[2], size[1], size[0])),
        series=series,
        Rows=size[1],
        Columns=size[0],
        PixelSpacing=[float(spacing[1]), float(spacing[0])],
        ImageOrientationPatient=np.round([*row, *column], 9).tolist(),
        RescaleIntercept=-1000.0 if modality == "CT" else 0.0,
    )
    for path, z in zip(files, places, strict=True):
        dataset = pydicom.dcmread(path)
        place = affine[:3, 3] + z * affine[:3, 2]
        dataset.ImagePositionPatient = np.round(place, 6).tolist()
        dataset.PixelData = stored[:, :, z].T.tobytes()
        dataset.save_as(path)
    return files


def enhanced_pet(folder: Path, **changes: object) -> Path:
    """Writes an enhanced PET of 3 frames of 4 x 5 pixels, in falling order of height."""
    source = pydicom.dcmread(write_slices(folder, modality="PT", heights_mm=[0.0])[0])
    for keyword in ("ImagePositionPatient", "ImageOrientationPatient", "PixelSpacing", "Units"):
        delattr(source, keyword)
    for keyword in ("RescaleSlope", "RescaleIntercept", "DecayCorrection", "CorrectedImage"):
        delattr(source, keyword)
    for keyword in ("SeriesTime", "AcquisitionTime", "AcquisitionDate"):
        delattr(source, keyword)
    source.SOPClassUID = source.file_meta.MediaStorageSOPClassUID = UID(
        "1.2.840.10008.5.1.4.1.1.130"
    )
    source.AttenuationCorrected = source.DecayCorrected = "YES"
    source.DecayCorrectionDateTime = "20200102110000.000"
    tracer = source.RadiopharmaceuticalInformationSequence[0]
    del tracer.RadiopharmaceuticalStartTime
    tracer.RadiopharmaceuticalStartDateTime = "20200102100000.000"
    source.SharedFunctionalGroupsSequence = [
        _item(
            PixelMeasuresSequence=_item(PixelSpacing=[2.0, 4.0], SliceThickness=3.0),
            PlaneOrientationSequence=_item(ImageOrientationPatient=[1, 0, 0, 0, 1, 0]),
        )
    ]
    source.NumberOfFrames = 3
    source.PerFrameFunctionalGroupsSequence = [_frame(number) for number in range(3)]
    source.PixelData = np.repeat(np.arange(3, dtype=np.int16), 20).tobytes()
    for keyword, value in changes.items():
        setattr(source, keyword, value)
    path = folder / "enhanced.dcm"
    source.save_as(path)
    return path


def _frame(number: int) -> pydicom.Dataset:
    units = _item(CodeValue="Bq/ml", CodingSchemeDesignator="UCUM", CodeMeaning="Bq/ml")
    return _item(
        PlanePositionSequence=_item(ImagePositionPatient=[-10.0, -20.0, 6.0 - 3.0 * number]),
        FrameContentSequence=_item(
            FrameAcquisitionDateTime=f"20200102110{number}00.000",
            FrameAcquisitionDuration=60000.0,
            FrameReferenceDateTime=f"20200102110{number}30.000",
            TemporalPositionIndex=1,
        ),
        PixelValueTransformationSequence=_item(RescaleSlope=7.0, RescaleIntercept=0.0),
        RealWorldValueMappingSequence=_item(
            RealWorldValueSlope=2.0 + number,
            RealWorldValueIntercept=0.0,
            MeasurementUnitsCodeSequence=units,
        ),
    )


def _item(**elements: Any) -> pydicom.Dataset:
    item = pydicom.Dataset()
    for keyword, value in elements.items():
        setattr(item, keyword, DicomSequence([value]) if keyword.endswith("Sequence") else value)
    return item
