"""PET and CT volumes as NIfTI files, checked before anything is believed of them; and maps written.

A NIfTI file has no units, no identity and no history: nothing in it tells SUV from Bq/mL or HU
from stored values, so a manifest says what it holds and the values must look like it. Voxel axes
are (X, Y, Z) as stored; the affine maps voxel centers to RAS+ mm, as NIfTI defines it.

Source: NIfTI-1.1 header, fields ``xyzt_units``, ``qform_code``, ``sform_code``.
"""

from __future__ import annotations

import gzip
import zlib
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
from petct_ext.dicom.volumes.affine_checks import (
    require_affine,
    require_three_axes,
    shear_degrees,
)
from petct_ext.dicom.volumes.resampling import Grid
from petct_ext.dicom.volumes.value_ranges import VolumeUnits, require_units
from petct_ext.errors import InputDataError
from petct_ext.files import atomic_path

__all__ = ["nifti_grid", "read_nifti", "unpacked_nifti", "write_nifti"]

_Image: TypeAlias = "nib.Nifti1Image | nib.Nifti2Image"

_UNIT_NAMES = {0: "unknown", 1: "meter", 2: "mm", 3: "micron"}
_NIFTI2_HEADER_BYTES = 540
_LONGEST_HEADER_BYTES = 544  # and the four bytes of the extension flag
# Where the header does not say mm, these say it: a person, or a part of one, in mm.
_PERSON_MM = (100.0, 2500.0)


def nifti_grid(path: str | Path, *, of_person: bool = False) -> Grid:
    """Reads the header of a NIfTI file and checks what can be checked without its voxels.

    Args:
        path: a ``.nii`` or ``.nii.gz`` file.
        of_person: refuse a header without a unit of length if the volume in mm is not as large as
            a person or a part of one.

    Returns:
        Shape and RAS+ affine in mm.

    Raises:
        InputDataError: if the file is missing, unreadable or no NIfTI, has not three axes, no
            affine, one that is singular, sheared or contradicts itself, or is not in mm. The
            message gives the file's name without its folder.
    """
    path = Path(path)
    # Only the first bytes are there, which is all that a header needs.
    image = _image(_read_bytes(path, _LONGEST_HEADER_BYTES), path)
    grid = _checked_grid(image, path)
    if of_person:
        _require_person(image, grid, path)
    return grid


def unpacked_nifti(path: str | Path) -> nib.Nifti1Image | nib.Nifti2Image:
    """Reads a whole file into memory, which proves the checksum of a ``.gz``.

    Args:
        path: a ``.nii`` or ``.nii.gz`` file, whose header :func:`nifti_grid` has checked.

    Raises:
        InputDataError: if the file is missing, cannot be unpacked, or has no valid header.
    """
    path = Path(path)
    return _image(_read_bytes(path), path)


def read_nifti(path: str | Path, units: VolumeUnits | str) -> SeriesVolume:
    """Reads a volume whose values are said to be in ``units``.

    Args:
        path: a ``.nii`` or ``.nii.gz`` file; a fourth axis of length 1 is dropped.
        units: what its values are; they are not converted.

    Returns:
        Array (X, Y, Z), float32, affine to RAS+ mm, no datasets, and a warning if the header
        has no unit of length and mm are taken, since the volume then is as large as a person.

    Raises:
        InputDataError: as :func:`nifti_grid`, and if the file is cut or damaged, holds NaN or
            infinite values or a single one, or values that cannot be in ``units``.
    """
    path, units = Path(path), VolumeUnits(units)
    image = _image(_read_bytes(path), path)
    grid = _checked_grid(image, path)
    _require_person(image, grid, path)
    try:
        array = np.asarray(image.dataobj, dtype=np.float32).reshape(grid.shape, order="F")
    except (OSError, ValueError, EOFError) as error:
        raise InputDataError(
            f"{path.name} is shorter than its header says ({_first_line(error)}); it is cut off. "
            "Copy or download it again."
        ) from None
    require_units(array, units, path.name)
    return SeriesVolume(array, grid.affine, [], _unit_warnings(image))


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
    if shear_degrees(affine) < 1e-3:  # a qform cannot hold a shear
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
    shape = require_three_axes(image.shape, path.name)
    kind = image.header.get_data_dtype()
    if kind.kind not in "iuf":
        raise InputDataError(f"{path.name} holds values of type {kind}; it is a picture, no scan.")
    unit = int(image.header["xyzt_units"]) & 7
    if unit not in (0, 2):
        raise InputDataError(
            f"{path.name} measures lengths in {_UNIT_NAMES.get(unit, f'code {unit}')} "
            "(xyzt_units); mm are needed. Convert it again."
        )
    affine = _checked_affine(image, shape, path)
    return Grid(shape, affine)


def _require_person(image: _Image, grid: Grid, path: Path) -> None:
    """Refuses lengths without a unit that are no mm, such as cm: too small for a person."""
    if not _unit_warnings(image):
        return
    extents = voxel_sizes(grid.affine) * grid.shape
    if sorted(extents)[1] < _PERSON_MM[0] or max(extents) > _PERSON_MM[1]:
        raise InputDataError(
            f"{path.name} says no unit of length (xyzt_units is 0) and measures "
            f"{' x '.join(f'{e:.4g}' for e in extents)}, which is no person in mm. Convert it "
            "again with xyzt_units."
        )


def _unit_warnings(image: _Image) -> tuple[str, ...]:
    if int(image.header["xyzt_units"]) & 7:
        return ()
    return ("NIfTI header without a unit of length (xyzt_units is 0); taken as mm by its extent",)


def _checked_affine(image: _Image, shape: tuple[int, ...], path: Path) -> Affine:
    sform, qform = int(image.header["sform_code"]), int(image.header["qform_code"])
    if not (sform or qform):
        raise InputDataError(
            f"{path.name} has no affine (sform_code and qform_code are 0); its place and its left "
            "and right are unknown. Convert it again with orientation."
        )
    affine: Affine = np.asarray(image.affine, dtype=np.float64)
    require_affine(affine, path.name)
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


def _require_one_place(sform: Affine, qform: Affine, shape: tuple[int, ...], path: Path) -> None:
    """Refuses a file whose two affines put a voxel at different places: programs would differ."""
    corners = np.array(np.meshgrid(*[(0, n - 1) for n in shape])).reshape(3, -1).T
    apart = np.linalg.norm(apply_affine(sform, corners) - apply_affine(qform, corners), axis=1)
    if apart.max() > voxel_sizes(sform).min() / 2:
        raise InputDataError(
            f"{path.name} has two affines (sform, qform) that are up to {apart.max():.1f} mm "
            "apart; which of them is right is unknown. Convert it again."
        )


def _first_line(error: BaseException) -> str:
    return (str(error) or type(error).__name__).splitlines()[0][:120]
