"""PET and CT of one exam, from wherever they come, on one grid and checked."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Final

import numpy as np
from nibabel.affines import voxel_sizes

from petct_ext.arrays import FloatArray
from petct_ext.dicom.checking.anatomy import ExamVolumes
from petct_ext.dicom.checking.blanking import find_blanked
from petct_ext.dicom.checking.check import Check, find_problems, require_acceptable
from petct_ext.dicom.checking.registration import Registration, registration_check
from petct_ext.dicom.checking.volume_checks import check_volumes, weight_in_audit
from petct_ext.dicom.files.decoding import AIR_HU
from petct_ext.dicom.series.reader import OpenSeries, SeriesVolume, open_series
from petct_ext.dicom.suv.overrides import SuvOverrides
from petct_ext.dicom.volumes.clipping import ClippedPlanes, negative_uptake_check
from petct_ext.dicom.volumes.exam_record import RECORD_FORMAT
from petct_ext.dicom.volumes.nifti_pairs import is_volume_file, read_pair_ct
from petct_ext.dicom.volumes.pair_units import check_pair_units
from petct_ext.dicom.volumes.pet_suv import Pet, SuvMode, open_pet
from petct_ext.dicom.volumes.resampling import Grid, common_grid, resample_planes
from petct_ext.dicom.volumes.thinning import ThinnedPlanes
from petct_ext.errors import InputDataError

__all__ = ["HU_RANGE", "AlignedExam", "GridChoice", "Preparation", "read_exam"]

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
        accepted: ``name=value`` of checks whose hard findings a person has accepted for this exam.
        registration: whether PET and CT are said to lie on each other: ``stated`` by the scanner
            (one frame of reference) or the manifest, ``assumed`` by a person, or ``unknown``, so
            that it has to be measured.
    """

    grid: GridChoice
    suv: SuvMode = "required"
    overrides: SuvOverrides = field(default=_NO_OVERRIDES)
    accepted: tuple[str, ...] = ()
    registration: Registration = "stated"

    def parameters(self) -> dict[str, Any]:
        """Returns what the voxels of a volume depend on, JSON-ready."""
        return {
            "format": RECORD_FORMAT,
            **asdict(self.grid),
            "hu_range": list(HU_RANGE),
            "overrides": self.overrides.given(),
            "accepted": sorted(self.accepted),
            "registration": self.registration,
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


def read_exam(
    pet_files: Sequence[Path], ct_files: Sequence[Path], *, how: Preparation
) -> AlignedExam:
    """Reads both series and samples them on their common grid.

    Raises:
        InputDataError: if one cannot be read, they do not overlap, there is no SUV although it is
            required, or values are not finite, constant or implausible.
    """
    pet = open_pet(pet_files, suv=how.suv, overrides=how.overrides)
    ct = read_pair_ct(ct_files) if is_volume_file(ct_files) else open_series(ct_files)
    target = _grid_for(pet, ct, how.grid)
    originals = {"pet": _grid_of(pet.series), "ct": _grid_of(ct)}
    thinned = ThinnedPlanes(pet.planes(), pet.series.affine)
    uptake = resample_planes(thinned, pet.series.shape, pet.series.affine, target, outside=0.0)
    clipped = ClippedPlanes(ct.planes(), HU_RANGE)
    hu = resample_planes(clipped, ct.shape, ct.affine, target, outside=AIR_HU)
    checks = [*pet.own_checks(), *ct.checks, clipped.check(), negative_uptake_check(uptake)]
    largest = _require_plausible(uptake, hu, is_suv=not pet.problem)
    np.maximum(uptake, 0.0, out=uptake)
    volumes = ExamVolumes(uptake, hu, *_place(target))
    found = check_volumes(
        volumes,
        original_grids=originals,
        pet_series=thinned.series(),
        is_suv=not pet.problem,
        # a weight that decided nothing is not held against the exam
        weight_kg=None if how.overrides.suv_bw_factor else weight_in_audit(pet.suv.audit),
    )
    blanking = find_blanked(uptake, hu, volumes.spacing_mm)
    checks += [*found.checks, blanking.check, *_pair_checks(volumes, pet, how.registration)]
    require_acceptable(checks, how.accepted)
    facts = {
        "num_slices": target.shape[2],
        "spacing_mm": list(volumes.spacing_mm),
        **_pet_facts(pet, largest),
        "warnings": _reading_warnings(pet, ct) + find_problems(checks),
        "checks": [check.to_json() for check in checks],
        "measurements": found.measurements,
        "blanked": list(blanking.parts),
        "original_grids": originals,
    }
    return AlignedExam(uptake, hu, target, facts)


def _pair_checks(volumes: ExamVolumes, pet: Pet, registration: Registration) -> list[Check]:
    """Returns what can be told by PET and CT together alone: units and registration."""
    pair = volumes.pet, volumes.ct, volumes.spacing_mm
    checks = [registration_check(*pair, registration)]
    if pet.said is not None and not pet.problem:  # without SUV nothing can be judged
        checks.append(check_pair_units(*pair, said=pet.said))
    return checks


def _grid_for(pet: Pet, ct: OpenSeries | SeriesVolume, choice: GridChoice) -> Grid:
    return common_grid(
        (pet.series.shape, pet.series.affine),
        (ct.shape, ct.affine),
        in_plane=choice.in_plane,
        field_of_view_mm=choice.field_of_view_mm,
        slice_mm=choice.slice_mm,
    )


def _pet_facts(pet: Pet, largest: float) -> dict[str, Any]:
    return {
        "pet_units": pet.units,
        "no_suv_because": pet.problem,
        "suv_bw_factor": None if pet.problem else float(np.median(pet.suv.factors)),
        "suv_audit": pet.suv.audit,
        "largest_value": largest,
    }


def _reading_warnings(pet: Pet, ct: OpenSeries | SeriesVolume) -> list[str]:
    warnings = [f"PET: {w}" for w in pet.series.warnings]
    return warnings + [f"CT: {w}" for w in ct.warnings]


def _place(grid: Grid) -> tuple[tuple[float, float, float], tuple[float, float, float]]:
    """Returns distance of voxels and center of the first one, mm."""
    x, y, z = map(float, voxel_sizes(grid.affine))
    left, back, bottom = map(float, grid.affine[:3, 3])
    return (x, y, z), (left, back, bottom)


def _grid_of(series: OpenSeries | SeriesVolume) -> dict[str, Any]:
    return {"shape": list(series.shape), "affine": series.affine.tolist()}


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
