"""PET and CT volumes as NIfTI files, checked before anything is believed of them; and maps written.

A NIfTI file has no units, no identity and no history: nothing in it tells SUV from Bq/mL or HU
from stored values, so a manifest says what it holds and the values must look like it. Voxel axes
are (X, Y, Z) as stored; the affine maps voxel centers to RAS+ mm, as NIfTI defines it.

Source: NIfTI-1.1 header, fields ``xyzt_units``, ``qform_code``, ``sform_code``.
"""

from __future__ import annotations

import gzip
import zlib
from enum import StrEnum
from pathlib import Path
from typing import TypeAlias

import nibabel as nib
import numpy as np
from nibabel.affines import apply_affine, voxel_sizes
from nibabel.filebasedimages import ImageFileError
from nibabel.spatialimages import HeaderDataError
from nibabel.wrapstruct import WrapStructError

from petct_ext.arrays import Affine, FloatArray
from petct_ext.dicom.series.reader import SeriesVolume
from petct_ext.dicom.volumes.resampling import Grid
from petct_ext.errors import InputDataError
from petct_ext.files import atomic_path

__all__ = ["NiftiUnits", "nifti_grid", "read_nifti", "unpacked_nifti", "write_nifti"]

_Image: TypeAlias = "nib.Nifti1Image | nib.Nifti2Image"

_UNIT_NAMES = {0: "unknown", 1: "meter", 2: "mm", 3: "micron"}
_VOXEL_MM = (0.1, 20.0)
_NIFTI2_HEADER_BYTES = 540
_LONGEST_HEADER_BYTES = 544  # and the four bytes of the extension flag
# A bed join or rounding turns an axis by hundredths of a degree, a gantry tilt by ten and more.
_LARGEST_SHEAR_DEGREES = 1.0
# Noise and the ringing of a reconstruction are a few percent of the hottest voxel.
_LARGEST_UNDERSHOOT = 0.1
_LARGEST_SUV = 2000.0
_SMALLEST_PEAK_BQML = 200.0


class NiftiUnits(StrEnum):
    """What the values of a file are."""

    SUVBW = "SUVbw"
    """PET, standardized uptake value by body weight, g/mL."""

    BQML = "BQML"
    """PET, activity concentration in Bq/mL."""

    HU = "HU"
    """CT, Hounsfield units."""


def nifti_grid(path: str | Path) -> Grid:
    """Reads the header of a NIfTI file and checks what can be checked without its voxels.

    Args:
        path: a ``.nii`` or ``.nii.gz`` file.

    Returns:
        Shape and RAS+ affine in mm.

    Raises:
        InputDataError: if the file is missing, unreadable or no NIfTI, has not three axes, no
            affine, one that is singular, sheared or contradicts itself, or is not in mm. The
            message gives the file's name without its folder.
    """
    path = Path(path)
    # Only the first bytes are there, which is all that a header needs.
    return _checked_grid(_image(_read_bytes(path, _LONGEST_HEADER_BYTES), path), path)


def unpacked_nifti(path: str | Path) -> nib.Nifti1Image | nib.Nifti2Image:
    """Reads a whole file into memory, which proves the checksum of a ``.gz``.

    Args:
        path: a ``.nii`` or ``.nii.gz`` file, whose header :func:`nifti_grid` has checked.

    Raises:
        InputDataError: if the file is missing, cannot be unpacked, or has no valid header.
    """
    path = Path(path)
    return _image(_read_bytes(path), path)


def read_nifti(path: str | Path, units: NiftiUnits | str) -> SeriesVolume:
    """Reads a volume whose values are said to be in ``units``.

    Args:
        path: a ``.nii`` or ``.nii.gz`` file; a fourth axis of length 1 is dropped.
        units: what its values are; they are not converted.

    Returns:
        Array (X, Y, Z), float32, affine to RAS+ mm, and no datasets.

    Raises:
        InputDataError: as :func:`nifti_grid`, and if the file is cut or damaged, holds NaN or
            infinite values or a single one, or values that cannot be in ``units``.
    """
    path, units = Path(path), NiftiUnits(units)
    image = _image(_read_bytes(path), path)
    grid = _checked_grid(image, path)
    try:
        array = np.asarray(image.dataobj, dtype=np.float32).reshape(grid.shape, order="F")
    except (OSError, ValueError, EOFError) as error:
        raise InputDataError(
            f"{path.name} is shorter than its header says ({_first_line(error)}); it is cut off. "
            "Copy or download it again."
        ) from None
    _require_values(array, units, path)
    return SeriesVolume(array, grid.affine, [])


def write_nifti(path: str | Path, array: FloatArray, affine: Affine) -> Path:
    """Writes a volume or map as float32 NIfTI, atomically; the header names nobody.

    Args:
        path: ends in ``.nii`` or ``.nii.gz``.
        array: shape (X, Y, Z).
        affine: (4, 4), voxel center to RAS+ mm; stored as sform, and as qform unless sheared.

    Returns:
        The path.

    Raises:
        OutputError: if it cannot be written.
    """
    image = nib.Nifti1Image(np.asarray(array, dtype=np.float32), affine)
    image.header.set_xyzt_units("mm")
    image.set_sform(affine, code="scanner")
    if _shear_degrees(affine) < 1e-3:  # a qform cannot hold a shear
        image.set_qform(affine, code="scanner")
    with atomic_path(path) as partial:
        nib.save(image, partial)
    return Path(path)


def _read_bytes(path: Path, size: int = -1) -> bytes:
    """Reads and unpacks; reading to the end also proves the checksum of a ``.gz``."""
    if not path.name.endswith((".nii", ".nii.gz")):
        raise InputDataError(f"{path.name} is no .nii or .nii.gz file; convert it to NIfTI.")
    try:
        if path.suffix == ".gz":
            with gzip.open(path) as packed:
                return packed.read(size)
        with path.open("rb") as file:
            return file.read(size)
    except FileNotFoundError:
        raise InputDataError(f"{path.name} does not exist; check its path.") from None
    except (EOFError, zlib.error, gzip.BadGzipFile) as error:
        raise InputDataError(
            f"{path.name} cannot be unpacked ({_first_line(error)}); it is cut off or damaged. "
            "Copy or download it again."
        ) from None
    except OSError as error:
        raise InputDataError(f"{path.name} cannot be read: {error.strerror or error}.") from None


def _image(raw: bytes, path: Path) -> _Image:
    sizes = int.from_bytes(raw[:4], "little"), int.from_bytes(raw[:4], "big")
    kind = nib.Nifti2Image if _NIFTI2_HEADER_BYTES in sizes else nib.Nifti1Image
    try:
        return kind.from_bytes(raw)
    except (ImageFileError, HeaderDataError, WrapStructError, ValueError, KeyError) as error:
        raise InputDataError(
            f"{path.name} has no valid NIfTI header ({_first_line(error)}); convert the exam again."
        ) from None


def _checked_grid(image: _Image, path: Path) -> Grid:
    shape = tuple(int(n) for n in image.shape)
    while len(shape) > 3 and shape[-1] == 1:
        shape = shape[:-1]
    if len(shape) != 3:
        raise InputDataError(
            f"{path.name} has shape {shape}; one volume of three axes is needed. Extract the time "
            "point or channel first."
        )
    if min(shape) < 2:
        raise InputDataError(f"{path.name} has shape {shape}; it is a single slice, no volume.")
    kind = image.header.get_data_dtype()
    if kind.kind not in "iuf":
        raise InputDataError(f"{path.name} holds values of type {kind}; it is a picture, no scan.")
    unit = int(image.header["xyzt_units"]) & 7
    if unit not in (0, 2):
        raise InputDataError(
            f"{path.name} measures lengths in {_UNIT_NAMES.get(unit, f'code {unit}')} "
            "(xyzt_units); mm are needed. Convert it again."
        )
    return Grid((shape[0], shape[1], shape[2]), _checked_affine(image, shape, path))


def _checked_affine(image: _Image, shape: tuple[int, ...], path: Path) -> Affine:
    sform, qform = int(image.header["sform_code"]), int(image.header["qform_code"])
    if not (sform or qform):
        raise InputDataError(
            f"{path.name} has no affine (sform_code and qform_code are 0); its place and its left "
            "and right are unknown. Convert it again with orientation."
        )
    affine: Affine = np.asarray(image.affine, dtype=np.float64)
    if not np.isfinite(affine).all() or abs(np.linalg.det(affine[:3, :3])) < 1e-9:
        raise InputDataError(
            f"{path.name} has a singular affine {np.round(affine[:3], 4).tolist()}; voxels have no "
            "place. Convert it again."
        )
    spacing = voxel_sizes(affine)
    if spacing.min() < _VOXEL_MM[0] or spacing.max() > _VOXEL_MM[1]:
        raise InputDataError(
            f"{path.name} has voxels of {' x '.join(f'{s:.4g}' for s in spacing)}, outside "
            f"{_VOXEL_MM[0]:g} to {_VOXEL_MM[1]:g} mm; its lengths may not be in mm."
        )
    if (shear := _shear_degrees(affine)) > _LARGEST_SHEAR_DEGREES:
        raise InputDataError(
            f"{path.name} has axes {90 - shear:.1f} degrees apart instead of 90 (gantry tilt?); "
            "convert it again with the tilt corrected."
        )
    if sform and qform:
        _require_one_place(affine, _quaternion_affine(image, path), shape, path)
    return affine


def _quaternion_affine(image: _Image, path: Path) -> Affine:
    try:
        affine: Affine = image.header.get_qform()
    except (HeaderDataError, ValueError) as error:
        raise InputDataError(
            f"{path.name} has a malformed qform ({_first_line(error)}); convert it again."
        ) from None
    return affine


def _shear_degrees(affine: Affine) -> float:
    """Returns how far the angles between axes are from 90 degrees at most."""
    axes = affine[:3, :3] / voxel_sizes(affine)
    cosines = np.abs(axes.T @ axes - np.eye(3)).max()
    return float(np.degrees(np.arcsin(min(float(cosines), 1.0))))


def _require_one_place(sform: Affine, qform: Affine, shape: tuple[int, ...], path: Path) -> None:
    """Refuses a file whose two affines put a voxel at different places: programs would differ."""
    corners = np.array(np.meshgrid(*[(0, n - 1) for n in shape])).reshape(3, -1).T
    apart = np.linalg.norm(apply_affine(sform, corners) - apply_affine(qform, corners), axis=1)
    if apart.max() > voxel_sizes(sform).min() / 2:
        raise InputDataError(
            f"{path.name} has two affines (sform, qform) that are up to {apart.max():.1f} mm "
            "apart; which of them is right is unknown. Convert it again."
        )


def _require_values(array: FloatArray, units: NiftiUnits, path: Path) -> None:
    finite = np.isfinite(array)
    if not finite.all():
        raise InputDataError(
            f"{path.name} holds {int((~finite).sum())} values that are not finite (NaN or inf) of "
            f"{array.size}; they have no meaning in a scan. Convert it again."
        )
    low, high = float(array.min()), float(array.max())
    if low == high:
        raise InputDataError(f"{path.name} is constant ({low:g} everywhere); it is empty.")
    problem = _hu_problem(low, high) if units is NiftiUnits.HU else _pet_problem(low, high, units)
    if problem:
        raise InputDataError(f"{path.name}, said to be {units}, {problem}")


def _hu_problem(low: float, high: float) -> str:
    if low >= 0:
        return (
            f"has no value below 0 (from {low:.4g} to {high:.4g}), where air is -1000 HU; it was "
            "stored without rescale or is no CT. Subtract the intercept or check the paths."
        )
    if high <= 1:
        return f"has no value above 1 (from {low:.4g}); it looks normalized. Give HU."
    return ""


def _pet_problem(low: float, high: float, units: NiftiUnits) -> str:
    if low < -_LARGEST_UNDERSHOOT * max(high, 0.0):
        return (
            f"goes down to {low:.4g} (largest {high:.4g}), beyond what noise does; it may be a CT "
            "or be normalized. Check the paths."
        )
    if units is NiftiUnits.SUVBW and high > _LARGEST_SUV:
        return (
            f"has values up to {high:.4g}, more than {_LARGEST_SUV:.0f}; it looks like Bq/mL. Set "
            "pet_units to BQML and give weight, dose and times."
        )
    if units is NiftiUnits.SUVBW and high <= 1:
        return f"has no value above 1 (largest {high:.4g}); it looks normalized. Give SUVbw."
    if units is NiftiUnits.BQML and high < _SMALLEST_PEAK_BQML:
        return (
            f"has no value above {high:.4g}; it looks like SUV or kBq/mL. Set pet_units to SUVbw "
            "or convert to Bq/mL."
        )
    return ""


def _first_line(error: BaseException) -> str:
    return (str(error) or type(error).__name__).splitlines()[0][:120]
