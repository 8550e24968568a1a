"""One exam on disk to a PET volume in SUVbw and a CT volume in HU on one grid."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Any, Final, Literal, TypeAlias

import nibabel as nib
import numpy as np
import numpy.typing as npt
from nibabel.affines import voxel_sizes

from petct_ext import __version__
from petct_ext.arrays import FloatArray
from petct_ext.dicom.checks import Check, find_problems, require_acceptable
from petct_ext.dicom.files.decoding import AIR_HU
from petct_ext.dicom.series.reader import SeriesVolume, read_series
from petct_ext.dicom.suv.factors import SuvFactors, suv_bw_factors
from petct_ext.dicom.suv.overrides import SuvOverrides
from petct_ext.dicom.volumes.blanking import find_blanked
from petct_ext.dicom.volumes.exam_record import RECORD, RECORD_FORMAT, source_fingerprint
from petct_ext.dicom.volumes.nifti_pairs import (
    is_volume_file,
    manifest_suv_factors,
    read_pair_ct,
    read_pair_pet,
)
from petct_ext.dicom.volumes.pair_units import check_pair_units
from petct_ext.dicom.volumes.resampling import Grid, common_grid, resample
from petct_ext.errors import InputDataError
from petct_ext.files import atomic_path, write_json

__all__ = [
    "HU_RANGE",
    "SUV_BW",
    "AlignedExam",
    "GridChoice",
    "Preparation",
    "SuvMode",
    "convert_exam",
    "read_exam",
    "read_pet_suv",
]

SuvMode: TypeAlias = Literal["required", "optional"]

SUV_BW: Final = "SUVbw"
"""What ``pet_units`` says if the PET is in SUV by body weight (g/mL)."""

HU_RANGE: Final = (AIR_HU, 3071.0)
"""Limits of a CT before it is sampled: air, and the largest value of 12 bits."""

# An exam whose hottest voxel is outside these is in another unit than its header says.
_PLAUSIBLE_LARGEST_SUV = (0.1, 2000.0)
_NO_OVERRIDES = SuvOverrides()


@dataclass(frozen=True, slots=True)
class GridChoice:
    """How volumes are sampled; see :func:`petct_ext.dicom.volumes.resampling.common_grid`.

    Raises:
        InputDataError: if a size is not positive.
    """

    in_plane: int = 224
    field_of_view_mm: float = 500.0
    slice_mm: float | None = None

    def __post_init__(self) -> None:
        slice_mm = 1.0 if self.slice_mm is None else self.slice_mm
        if not min(self.in_plane, self.field_of_view_mm, slice_mm) > 0:
            raise InputDataError(
                f"in-plane size, field of view and slice distance must be positive, got "
                f"{self.in_plane}, {self.field_of_view_mm} mm and {self.slice_mm} mm."
            )


@dataclass(frozen=True, slots=True)
class Preparation:
    """All that a group may choose about the volumes of one exam.

    Attributes:
        grid: how to sample.
        suv: ``required`` refuses a PET whose SUV cannot be computed; ``optional`` keeps it in its
            own units and says so.
        overrides: values to use instead of the header's.
        accepted: names of checks whose hard findings a person has accepted for this exam.
    """

    grid: GridChoice
    suv: SuvMode = "required"
    overrides: SuvOverrides = field(default=_NO_OVERRIDES)
    accepted: tuple[str, ...] = ()

    def parameters(self) -> dict[str, Any]:
        """Returns what the voxels of a volume depend on, JSON-ready."""
        return {
            "format": RECORD_FORMAT,
            **asdict(self.grid),
            "hu_range": list(HU_RANGE),
            "overrides": self.overrides.given(),
            "accepted": sorted(self.accepted),
        }


@dataclass(frozen=True, slots=True)
class AlignedExam:
    """PET and CT of one exam on one grid.

    Attributes:
        pet: SUVbw in g/mL (or in ``facts["pet_units"]``), at least 0, float32 (X, Y, Z).
        ct: HU, same shape.
        grid: where the voxels lie, RAS+ mm.
        facts: what ``exam.json`` says about them.
    """

    pet: FloatArray
    ct: FloatArray
    grid: Grid
    facts: dict[str, Any]


@dataclass(frozen=True, slots=True)
class _Pet:
    """A PET volume with its units and how they came about."""

    volume: SeriesVolume
    units: str
    suv: SuvFactors
    problem: str = ""  # why there is no SUV
    checks: tuple[Check, ...] = ()  # of what the header, or the manifest, says
    said: Mapping[str, Any] | None = None  # what the manifest says of a volume file


def read_pet_suv(
    files: Sequence[Path], *, overrides: SuvOverrides = _NO_OVERRIDES
) -> tuple[SeriesVolume, SuvFactors]:
    """Reads a PET series in SUVbw.

    Args:
        files: the files of the series, in any order; or a volume file and what is said of it, see
            :mod:`petct_ext.dicom.volumes.nifti_pairs`.
        overrides: values to use instead of the header's.

    Returns:
        The volume in g/mL and the factors, one per slice, that were applied to the rescaled values.

    Raises:
        InputDataError: see :func:`~petct_ext.dicom.series.reader.read_series` and
            :func:`~petct_ext.dicom.suv.factors.suv_bw_factors`.
    """
    pet = _read_pet(files, overrides=overrides)
    return pet.volume, pet.suv


def _read_pet(
    files: Sequence[Path], *, suv: SuvMode = "required", overrides: SuvOverrides = _NO_OVERRIDES
) -> _Pet:
    """Reads a PET series in SUVbw or, if that is optional and impossible, in its own units.

    Raises:
        InputDataError: as :func:`read_pet_suv`; for want of a SUV only if it is required.
    """
    if is_volume_file(files):
        volume, said = read_pair_pet(files)
        num_slices, units = volume.array.shape[2], str(said["pet_units"])
        find = partial(manifest_suv_factors, said, num_slices=num_slices, overrides=overrides)
        audit: list[dict[str, Any]] = []
    else:
        said = None
        volume = read_series(files)
        num_slices, units = volume.array.shape[2], str(volume.datasets[0].get("Units") or "unknown")
        audit = overrides.apply(volume.datasets)
        find = partial(suv_bw_factors, volume.datasets)
    try:
        found = find()
    except InputDataError as error:
        if suv == "required":
            raise
        return _Pet(volume, units, SuvFactors(np.ones(num_slices), audit, []), str(error))
    factors = found.factors.astype(np.float32)  # slices lie along the last axis
    array = np.multiply(volume.array, factors, out=_reusable(volume.array))
    suv_found = SuvFactors(found.factors, audit + found.audit, found.warnings)
    return _Pet(replace(volume, array=array), SUV_BW, suv_found, said=said)


def _reusable(array: FloatArray) -> FloatArray | None:
    """Returns an array that may hold a result, None if it is a view of a file's bytes."""
    return array if array.flags.writeable else None


def convert_exam(
    pet_files: Sequence[Path], ct_files: Sequence[Path], folder: Path, *, how: Preparation
) -> dict[str, Any]:
    """Writes ``pet.nii``, ``ct.nii`` and, last, ``exam.json`` for one exam.

    The NIfTI files are uncompressed 16-bit integers with a scale factor (SUV is resolved to 1/32767
    of its maximum), so that training can map them into memory. Headers carry no identity.

    Args:
        pet_files: slices of the PET series, or a volume file and what is said of it.
        ct_files: slices of the CT series, or a volume file.
        folder: where to write; an earlier ``exam.json`` is removed first, and a new one exists only
            if all is complete.
        how: grid, SUV and overrides.

    Returns:
        What ``exam.json`` holds: ``parameters``; ``source``, the fingerprint of the DICOM files;
        ``volumes`` with bytes and SHA-256 of each file; ``num_slices`` and ``spacing_mm``;
        ``pet_units``, and ``no_suv_because`` if these are not SUVbw; ``suv_bw_factor`` (the median,
        should slices differ) with its ``suv_audit``; ``largest_value`` of the PET; ``warnings``;
        ``checks``, see :class:`~petct_ext.dicom.checks.Check`; ``blanked``, parts such as ``head``
        (:mod:`petct_ext.dicom.volumes.blanking`); and ``original_grids``, shape and
        RAS+ affine of both series.

    Raises:
        InputDataError: if the exam cannot be read, or its values are implausible.
        OutputError: if the folder cannot be written to, or the disk is full.
    """
    (folder / RECORD).unlink(missing_ok=True)
    source = source_fingerprint([*pet_files, *ct_files])
    exam = read_exam(pet_files, ct_files, how=how)
    steps = {
        "pet.nii": (exam.pet, float(exam.facts["largest_value"]) / 32767),
        "ct.nii": (exam.ct, 1.0),
    }
    volumes = {
        name: _write_volume(folder / name, array, exam.grid, step=step)
        for name, (array, step) in steps.items()
    }
    record = {
        "made_by": f"petct_ext {__version__}",
        "parameters": how.parameters(),
        "source": source,
        "volumes": volumes,
        **exam.facts,
    }
    write_json(folder / RECORD, record)
    return record


def read_exam(
    pet_files: Sequence[Path], ct_files: Sequence[Path], *, how: Preparation
) -> AlignedExam:
    """Reads both series and samples them on their common grid.

    Raises:
        InputDataError: if one cannot be read, they do not overlap, there is no SUV although it is
            required, or values are not finite, constant or implausible.
    """
    pet = _read_pet(pet_files, suv=how.suv, overrides=how.overrides)
    ct = read_pair_ct(ct_files) if is_volume_file(ct_files) else read_series(ct_files)
    target = common_grid(
        (pet.volume.array.shape, pet.volume.affine),
        (ct.array.shape, ct.affine),
        in_plane=how.grid.in_plane,
        field_of_view_mm=how.grid.field_of_view_mm,
        slice_mm=how.grid.slice_mm,
    )
    originals = {"pet": _grid_of(pet.volume), "ct": _grid_of(ct)}
    warnings = [f"PET: {w}" for w in (*pet.volume.warnings, *pet.suv.warnings)]
    warnings += [f"CT: {w}" for w in ct.warnings]
    # before they are averaged: metal must not spread
    clipped = np.clip(ct.array, *HU_RANGE, out=_reusable(ct.array))
    hu = resample(clipped, ct.affine, target, outside=AIR_HU)
    del ct, clipped  # by far the largest array
    uptake = resample(pet.volume.array, pet.volume.affine, target, outside=0.0)
    largest = _require_plausible(uptake, hu, is_suv=not pet.problem)
    np.maximum(uptake, 0.0, out=uptake)
    spacing_mm = [float(s) for s in voxel_sizes(target.affine)]
    blanking = find_blanked(uptake, hu, spacing_mm)
    checks = [*pet.checks, *_unit_checks(pet, uptake, hu, spacing_mm), blanking.check]
    require_acceptable(checks, how.accepted)
    facts = {
        "num_slices": target.shape[2],
        "spacing_mm": spacing_mm,
        "pet_units": pet.units,
        "no_suv_because": pet.problem,
        "suv_bw_factor": None if pet.problem else float(np.median(pet.suv.factors)),
        "suv_audit": pet.suv.audit,
        "largest_value": largest,
        "warnings": warnings + find_problems(checks),
        "checks": [check.to_json() for check in checks],
        "blanked": list(blanking.parts),
        "original_grids": originals,
    }
    return AlignedExam(uptake, hu, target, facts)


def _unit_checks(
    pet: _Pet, uptake: FloatArray, hu: FloatArray, spacing_mm: Sequence[float]
) -> list[Check]:
    if pet.said is None or pet.problem:  # DICOM says its units; without SUV nothing can be judged
        return []
    return [check_pair_units(uptake, hu, spacing_mm, said=pet.said)]


def _grid_of(volume: SeriesVolume) -> dict[str, Any]:
    return {"shape": list(volume.array.shape), "affine": volume.affine.tolist()}


def _require_plausible(uptake: FloatArray, hu: FloatArray, *, is_suv: bool) -> float:
    """Returns the largest PET value of a pair of volumes that hold something."""
    largest = 0.0
    for name, volume in (("CT", hu), ("PET", uptake)):
        smallest, largest = float(volume.min()), float(volume.max())
        if not np.isfinite(smallest + largest):  # NaN passes through minimum and maximum
            raise InputDataError(f"the {name} holds values that are not finite.")
        if smallest == largest:
            raise InputDataError(f"the {name} is constant ({largest:g}); it is empty.")
    if largest <= 0:
        raise InputDataError(f"the largest value of the PET is {largest:g}; it holds no activity.")
    low, high = _PLAUSIBLE_LARGEST_SUV
    if is_suv and not low <= largest <= high:
        raise InputDataError(
            f"the largest SUV is {largest:.2g}, outside {low:g} to {high:g}; Units (0054,1001), "
            "dose or weight must be wrong."
        )
    return largest


def _write_volume(path: Path, array: FloatArray, grid: Grid, *, step: float) -> dict[str, Any]:
    """Writes ``array`` in units of ``step``, slice by slice; returns size and checksum."""
    header = nib.Nifti1Header()
    header.set_data_dtype(np.int16)
    header.set_data_shape(array.shape)
    header.set_xyzt_units("mm")
    header.set_slope_inter(step, 0.0)
    affine = np.round(grid.affine, 5)
    header.set_sform(affine, code="aligned")
    header.set_qform(affine, code="unknown")
    header["vox_offset"] = header.single_vox_offset
    start = header.binaryblock.ljust(header.single_vox_offset, b"\0")
    digest, size = hashlib.sha256(start), len(start)
    with atomic_path(path) as partial, partial.open("wb") as file:
        file.write(start)
        for z in range(array.shape[2]):
            stored = _stored(array[:, :, z], step)
            digest.update(stored.data)
            file.write(stored.data)
            size += stored.nbytes
    return {"bytes": size, "sha256": digest.hexdigest()}


def _stored(plane: FloatArray, step: float) -> npt.NDArray[np.int16]:
    """Returns a plane (X, Y) as rows of X, the order in a NIfTI file."""
    scaled = plane.T / np.float32(step)
    return np.ascontiguousarray(np.rint(scaled, out=scaled).astype("<i2"))
