"""Slices of one series to an array with an affine, checked rather than averaged.

Axes of arrays are (X, Y, Z) in the order column, row, slice; the affine maps voxel centers to RAS+
patient coordinates in mm (nibabel's convention), where DICOM's own are LPS+.
"""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pydicom

from petct_ext.errors import InputDataError

__all__ = ["SeriesVolume", "read_series"]

FloatArray = npt.NDArray[np.float32]
Affine = npt.NDArray[np.float64]

_LPS_TO_RAS = np.diag([-1.0, -1.0, 1.0, 1.0])
# A bed join may shift a slice by a few percent of the spacing; a missing slice shifts it by 100 %.
_SPACING_TOLERANCE = 0.2
_TILT_TOLERANCE_MM = 0.5


@dataclass(frozen=True, slots=True)
class SeriesVolume:
    """One series as a volume.

    Attributes:
        array: shape (X, Y, Z), float32, after rescale slope and intercept of each slice.
        affine: (4, 4), voxel center to RAS+ mm.
        datasets: headers of the slices in the order of Z, without pixels.
    """

    array: FloatArray
    affine: Affine
    datasets: list[pydicom.Dataset]


def read_series(files: Sequence[Path]) -> SeriesVolume:
    """Reads the slices of one series.

    Slices are ordered by their position along the normal of the image plane, Image Position
    (0020,0032) and Image Orientation (0020,0037), never by file name or instance number. Rescale
    Slope (0028,1053) and Intercept (0028,1052) are applied slice by slice.

    Args:
        files: the files of one series, in any order.

    Returns:
        The volume.

    Raises:
        InputDataError: if a file is unreadable or cut, slices differ in size, spacing or
            orientation, a position repeats, a slice is missing, or the gantry is tilted. The
            message gives positions in mm and file names without folders.
    """
    if not files:
        raise InputDataError("the series has no files.")
    slices = [_read_slice(path) for path in files]
    _require_equal(slices)
    orientation = np.array(slices[0].ImageOrientationPatient, dtype=np.float64)
    row, column = orientation[:3], orientation[3:]
    normal = np.cross(row, column)
    positions = np.array([s.ImagePositionPatient for s in slices], dtype=np.float64)
    order = np.argsort(positions @ normal, kind="stable")
    slices, positions = [slices[i] for i in order], positions[order]
    _require_regular(positions, normal)
    step = (positions[-1] - positions[0]) / max(len(slices) - 1, 1)
    if len(slices) == 1:
        step = normal * float(slices[0].get("SliceThickness") or 1.0)
    spacing_rows, spacing_columns = map(float, slices[0].PixelSpacing)
    lps = np.eye(4)
    lps[:3, 0] = row * spacing_columns  # moving along a row changes the column index
    lps[:3, 1] = column * spacing_rows
    lps[:3, 2] = step
    lps[:3, 3] = positions[0]
    array = np.empty((slices[0].Columns, slices[0].Rows, len(slices)), dtype=np.float32)
    for z, dataset in enumerate(slices):
        array[..., z] = _rescaled(dataset).T
        del dataset.PixelData
    return SeriesVolume(array, _LPS_TO_RAS @ lps, slices)


def _read_slice(path: Path) -> pydicom.Dataset:
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # they may quote values of the header
            dataset = pydicom.dcmread(path)
            dataset.pixel_array  # noqa: B018 - decodes here, where the file's name is known
    except Exception as error:
        raise InputDataError(
            f"slice file {path.name} cannot be read ({type(error).__name__}: {error}); it may be "
            "cut or compressed in an unsupported way. Export the series again."
        ) from None
    for keyword in ("ImagePositionPatient", "ImageOrientationPatient", "PixelSpacing"):
        if dataset.get(keyword) is None:
            raise InputDataError(f"slice file {path.name} has no {keyword}; its place is unknown.")
    return dataset


def _rescaled(dataset: pydicom.Dataset) -> FloatArray:
    slope = np.float32(dataset.get("RescaleSlope", 1.0))
    intercept = np.float32(dataset.get("RescaleIntercept", 0.0))
    scaled: FloatArray = dataset.pixel_array.astype(np.float32) * slope + intercept
    return scaled


def _require_equal(slices: list[pydicom.Dataset]) -> None:
    for keyword in ("Rows", "Columns", "PixelSpacing", "ImageOrientationPatient"):
        values = np.array([np.atleast_1d(s[keyword].value) for s in slices], dtype=np.float64)
        if np.abs(values - values[0]).max() > 1e-3:
            found = sorted({str(s[keyword].value) for s in slices})
            raise InputDataError(
                f"the slices differ in {keyword} ({', '.join(found[:3])}); the series holds "
                "several volumes. Split it or choose another series."
            )


def _require_regular(positions: Affine, normal: Affine) -> None:
    """Refuses repeated positions, gaps and shear."""
    if len(positions) < 2:
        return
    heights = positions @ normal
    steps = np.diff(heights)
    expected = float(np.median(steps))
    if steps.min() < 1e-3:
        where = heights[int(steps.argmin())]
        raise InputDataError(
            f"two slices lie at the same position ({where:.2f} mm along the normal); the series "
            "holds duplicates or several time points."
        )
    worst = int(np.abs(steps - expected).argmax())
    if abs(steps[worst] - expected) > _SPACING_TOLERANCE * expected:
        raise InputDataError(
            f"gap of {steps[worst]:.2f} mm after the slice at {heights[worst]:.2f} mm, expected "
            f"{expected:.2f} mm; a slice is missing or the spacing is irregular."
        )
    shift = positions - positions[0]
    shear = np.linalg.norm(shift - np.outer(shift @ normal, normal), axis=1).max()
    if shear > _TILT_TOLERANCE_MM:
        raise InputDataError(
            f"the slices are shifted by up to {shear:.1f} mm against each other (gantry tilt); "
            "such a sheared volume is not supported."
        )
