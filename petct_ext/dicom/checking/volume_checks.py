"""What the aligned PET and CT of an exam say about themselves, without any label.

Everything is measured on every so many voxels, some 6 mm apart, so that preparation stays quick.
What a field of view is too small for is not measured, and says so.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

import numpy as np
from nibabel.affines import voxel_sizes

from petct_ext.arrays import Affine, FloatArray
from petct_ext.dicom.checking.anatomy import Anatomy, ExamVolumes, find_anatomy
from petct_ext.dicom.checking.anatomy_checks import (
    LONG_TRUNK_MM,
    check_anatomy,
    fine,
    not_fine,
    not_measured,
)
from petct_ext.dicom.checking.check import Check, CheckState
from petct_ext.dicom.checking.field_checks import ScanFields, check_cut, check_empty_slices
from petct_ext.dicom.checking.position_checks import check_position

__all__ = ["VOLUME_CHECKS", "VolumeFindings", "check_volumes", "weight_in_audit"]

VOLUME_CHECKS: Final = (
    "ct_scale",
    "empty_slices",
    "body_suv",
    "weight_against_ct",
    "lungs",
    "liver_suv",
    "left_right",
    "upside_down",
    "front_back",
    "pet_on_ct",
    "activity_in_body",
    "ct_covers_pet",
    "cut_arms",
    "scan_length",
)
"""Names of all checks, in their order."""

_LEAST_FIELD_MM = 100.0  # along every axis; below, nothing tells a body from a test object
# Activity is conserved: over the whole body the mean SUV is 1 less what was passed, 0.8 to 1.
# With f of the mass in view it is at most 1 / f; head to thighs hold some 0.7, with most of the
# activity. Held-back limits allow for paravenous injection and for tiny errors of density.
_BODY_SUV_HARD = (0.3, 3.0)
_BODY_SUV_SOFT = (0.5, 2.0)
_SCALE_PERCENTILE = 95.0
_ACTIVE_SHARE, _COLD_SHARE = 0.15, 0.01  # of that percentile of the PET
_LEAST_SHARE = 0.02  # of the voxels, to take a median of
# If the CT has this much dense tissue, or air, in its own field of view, its scale is not what is
# wrong: a PET that lies elsewhere shows body where there is none.
_DENSE_HU, _LEAST_DENSE = -300.0, 0.05
_AIR_HU, _LEAST_AIR = (-1020.0, -700.0), 0.02  # lowest values are filling
_TISSUE_HU = (-300.0, 300.0)  # median of what takes up FDG: fat is -100, muscle 50
_AIR_BELOW_HU = -500.0  # median of what takes up nothing, outside of the body
# The mass that a CT shows is a lower bound of the weight; a table, a blanket, and voxels that are
# partly bone add to it.
_MASS_HARD, _MASS_SOFT = 0.7, 0.9
# Trunk, head and parts of the limbs are 0.6 to 0.8 of the mass (0.59-0.79 in 233 phantoms; trunk
# alone 0.5: Dempster, WADC TR 55-159, 1955), so a true weight is at most about twice what is seen.
_MOST_PER_MASS, _MOST_PER_CUT_MASS = 2.5, 2.7
_POUNDS = 2.2046
# From the base of the skull to the thighs of a small adult, to the whole of a tall one.
_WHOLE_BODY_MM = (500.0, 2200.0)


@dataclass(frozen=True, slots=True)
class VolumeFindings:
    """What was found out about an exam.

    Attributes:
        checks: one for each of ``VOLUME_CHECKS``, in that order.
        measurements: numbers for ``exam.json``; None where nothing could be measured.
    """

    checks: tuple[Check, ...]
    measurements: dict[str, Any] = field(default_factory=dict)


def weight_in_audit(audit: Sequence[Mapping[str, Any]]) -> float | None:
    """Returns the weight in kg that an SUV was computed with, None if with none."""
    found = [line["value"] for line in audit if line.get("keyword") == "PatientWeight"]
    try:
        return float(found[-1]) if found else None
    except (TypeError, ValueError):
        return None


def check_volumes(
    volumes: ExamVolumes,
    *,
    original_grids: Mapping[str, Any],
    pet_series: tuple[FloatArray, Affine] | None = None,
    is_suv: bool = True,
    weight_kg: float | None = None,
) -> VolumeFindings:
    """Checks the volumes of one exam.

    Args:
        volumes: aligned PET and CT, (X, Y, Z), RAS+.
        original_grids: ``shape`` and ``affine`` of ``pet`` and ``ct`` as they were read.
        pet_series: values (in the units of the PET) and RAS+ affine of the PET as it was read,
            thinned within its slices; without it single empty slices and what lies beside the
            grid are not seen.
        is_suv: whether the PET is in SUVbw.
        weight_kg: weight of the patient that the SUV was computed with.

    Returns:
        The checks and the measurements.
    """
    extent = [n * mm for n, mm in zip(volumes.pet.shape, volumes.spacing_mm, strict=True)]
    known = _grid_measurements(original_grids)
    if min(extent) < _LEAST_FIELD_MM:
        x, y, z = extent
        text = f"a field of view of {x:.0f} x {y:.0f} x {z:.0f} mm is too small to check this in"
        unknown = [not_measured(name, text) for name in VOLUME_CHECKS[:-1]]
        return VolumeFindings((*unknown, _check_length(z)), known)
    anatomy = find_anatomy(volumes.coarse())
    fields = ScanFields(volumes, original_grids, pet_series)
    scale = _check_ct_scale(anatomy.volumes, fields)
    cut, cut_measured = check_cut(anatomy, fields)
    lies, lies_measured = check_anatomy(
        anatomy, is_suv=is_suv, original_mm=max(volumes.spacing_mm[:2])
    )
    placed, placed_measured = check_position(anatomy, overlap=known["overlap"])
    checks = [
        scale,
        check_empty_slices(anatomy, fields),
        _check_body_suv(anatomy, is_suv=is_suv),
        _check_weight(anatomy, weight_kg, scale=scale, is_whole=not cut_measured["cut_mm"]),
        *lies,
        *placed,
        cut,
        _check_length(extent[2]),
    ]
    body = _body_measurements(anatomy, is_suv=is_suv)
    measured = {**body, **lies_measured, **placed_measured, **cut_measured, **known}
    return VolumeFindings(tuple(checks), measured)


def _body_measurements(anatomy: Anatomy, *, is_suv: bool) -> dict[str, Any]:
    return {
        "body_suv": anatomy.mean_uptake if is_suv else None,
        "mass_in_view_kg": anatomy.mass_kg,
        "trunk_mm": anatomy.trunk_mm,
        "body_mm": anatomy.length_mm,
    }


def _check_ct_scale(coarse: ExamVolumes, fields: ScanFields) -> Check:
    """Asks the PET where body and air are, and the CT whether it agrees."""
    name = "ct_scale"
    chosen = fields.inside_both(coarse)
    pet, ct = coarse.pet[chosen], coarse.ct[chosen]
    scale = float(np.percentile(pet[::2, ::2], _SCALE_PERCENTILE)) if pet.size else 0.0
    active = ct[pet > _ACTIVE_SHARE * scale] if scale > 0 else ct[:0].ravel()
    if active.size <= _LEAST_SHARE * ct.size:
        return not_measured(name, "too little uptake to tell where body and air should be")
    has_air = np.mean((ct > _AIR_HU[0]) & (ct < _AIR_HU[1])) >= _LEAST_AIR
    has_tissue = np.mean(ct > _DENSE_HU) >= _LEAST_DENSE
    tissue, (low, high) = float(np.median(active)), _TISSUE_HU
    if not low <= tissue <= high:
        text = f"where the PET shows body, the CT has {tissue:.0f} HU at the median"
        if has_air if tissue > high else has_tissue:
            return not_measured(name, f"{text}, but it does show body and air", tissue, "HU")
        return _wrong_scale(text, tissue, "soft tissue has -100 to 100 HU")
    cold = ct[pet <= _COLD_SHARE * scale]
    if cold.size <= _LEAST_SHARE * ct.size:
        return fine(name, f"soft tissue {tissue:.0f} HU; no air in view", tissue, "HU")
    air = float(np.median(cold))
    if air > _AIR_BELOW_HU and not has_air:
        text = f"where the PET shows air, the CT has {air:.0f} HU at the median"
        return _wrong_scale(text, air, "air has -1000 HU")
    return fine(name, f"soft tissue {tissue:.0f} HU, air {air:.0f} HU", tissue, "HU")


def _wrong_scale(text: str, value: float, expected: str) -> Check:
    off = round(value / 1000) * 1000 if "soft" in expected else 0
    hint = f"about {off:+d} HU off" if off else "cut off, or not in HU"
    said = f"{text}, {expected}; the CT seems to be {hint} (Rescale Intercept (0028,1052))"
    return not_fine("ct_scale", said, value, "HU", is_hard=True)


def _check_body_suv(anatomy: Anatomy, *, is_suv: bool) -> Check:
    name, mean = "body_suv", anatomy.mean_uptake
    if not is_suv:
        return not_measured(name, "the PET is not in SUV")
    if mean is None:
        return not_measured(name, "no body found in the CT")
    if anatomy.trunk_mm < LONG_TRUNK_MM or anatomy.lungs is None:
        seen = f"{anatomy.trunk_mm:.0f} mm of trunk" if anatomy.lungs else "no lung"
        return not_measured(
            name,
            f"mean SUV of the body in view is {mean:.2g}; it says little with {seen} in view",
            mean,
            "g/mL",
        )
    text = f"mean SUV of the body is {mean:.2g} over {anatomy.trunk_mm:.0f} mm of trunk"
    for (low, high), is_hard in ((_BODY_SUV_HARD, True), (_BODY_SUV_SOFT, False)):
        if not low <= mean <= high:
            why = f"{text}, outside {low:g} to {high:g}; it is near 1 if dose, weight and times"
            return not_fine(name, f"{why} are right", mean, "g/mL", is_hard=is_hard)
    return fine(name, text, mean, "g/mL")


def _check_weight(
    anatomy: Anatomy, weight_kg: float | None, *, scale: Check, is_whole: bool
) -> Check:
    name, mass = "weight_against_ct", anatomy.mass_kg
    if weight_kg is None:
        return not_measured(name, "no weight of the patient is known")
    if scale.state is not CheckState.FINE or mass <= 0:
        return not_measured(name, "the CT does not tell the mass of the body")
    said = f"Patient's Weight (0010,1030) is {weight_kg:g} kg"
    for share, is_hard in ((_MASS_HARD, True), (_MASS_SOFT, False)):
        if weight_kg < share * mass:
            text = f"{said}, but the CT shows {mass:.0f} kg of body"
            return not_fine(name, text, weight_kg / mass, is_hard=is_hard)
    if anatomy.lungs is None or anatomy.trunk_mm < LONG_TRUNK_MM:
        text = f"{said}; the {mass:.0f} kg in view are no more than that, and too little to compare"
        return not_measured(name, text, weight_kg / mass)
    most = _MOST_PER_MASS if is_whole else _MOST_PER_CUT_MASS
    if weight_kg <= most * mass:
        return fine(name, f"{said}, the CT shows {mass:.0f} kg of it", weight_kg / mass)
    text = f"{said}, {weight_kg / mass:.1f} times the {mass:.0f} kg that the CT shows"
    pounds = weight_kg / _POUNDS
    if mass <= pounds <= _MOST_PER_MASS * mass:
        text += f"; it may be in pounds ({pounds:.0f} kg)"
    return not_fine(name, text, weight_kg / mass)


def _check_length(length_mm: float) -> Check:
    name, (low, high) = "scan_length", _WHOLE_BODY_MM
    text = f"PET and CT share {length_mm:.0f} mm along the body"
    if low <= length_mm <= high:
        return fine(name, text, length_mm, "mm")
    return not_fine(name, f"{text}; whole-body exams have {low:g} to {high:g}", length_mm, "mm")


def _grid_measurements(grids: Mapping[str, Any]) -> dict[str, Any]:
    """Returns the share of the PET's length that the CT covers, and the grids of both series."""
    row: dict[str, Any] = {"overlap": _covered(grids)}
    for name, grid in grids.items():
        sizes = voxel_sizes(np.array(grid["affine"]))
        row |= {
            f"{name}_slices": grid["shape"][2],
            f"{name}_slice_mm": float(sizes[2]),
            f"{name}_pixel_mm": float(sizes[0]),
        }
    return row


def _covered(grids: Mapping[str, Any]) -> float:
    """Returns the share of the PET's extent along the body within that of the CT."""
    spans = []
    for name in ("pet", "ct"):
        affine, shape = np.array(grids[name]["affine"]), grids[name]["shape"]
        corners = np.array(np.meshgrid(*[(-0.5, n - 0.5) for n in shape])).reshape(3, -1)
        heights = affine[2, :3] @ corners + affine[2, 3]
        spans.append((float(heights.min()), float(heights.max())))
    (pet_low, pet_high), (ct_low, ct_high) = spans
    return max(0.0, min(pet_high, ct_high) - max(pet_low, ct_low)) / (pet_high - pet_low)
