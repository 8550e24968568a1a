"""Whether the PET of a pair of volume files is in SUV, judged by the body that its CT shows.

Activity is conserved: over a whole body the mean SUV is 1 less what was voided. Over a trunk it is
0.5 to 1.6. In kBq/mL it is 2 to 5 for the usual 3 to 6 MBq/kg an hour after injection, so that the
two can be told apart by a trunk, and by weight and dose where a table gives them.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from petct_ext.arrays import FloatArray
from petct_ext.dicom.checking.check import Check, CheckState
from petct_ext.dicom.volumes.value_ranges import VolumeUnits

__all__ = ["check_pair_units"]

_NAME = "pair_units"
_BODY_HU = -300.0
_COARSE_MM = 4.0
_LEAST_SLICE_CM2 = 150.0
_TRUNK_MM = 600.0
_HARD_MEAN, _SOFT_MEAN = (0.3, 3.0), (0.5, 1.6)
# Of any part of a body, a hot brain and cold legs included.
_ANY_MEAN = (0.03, 30.0)
_LEFT_AFTER_AN_HOUR = 0.68  # of F-18
_FITS = (0.6, 1.6)  # mean over what is expected, as for SUV


def check_pair_units(
    suv: FloatArray, ct: FloatArray, spacing_mm: Sequence[float], *, said: Mapping[str, Any]
) -> Check:
    """Judges the mean SUV over the body.

    Args:
        suv: what is taken for SUVbw in g/mL, (X, Y, Z).
        ct: HU, same shape.
        spacing_mm: along X, Y and Z.
        said: what the manifest says: ``pet_units`` and, if known, ``weight_kg`` and
            ``injected_dose_bq``.

    Returns:
        A check; hard where the values cannot be SUV, "not measured" where too little of the body
        is in view to tell.
    """
    steps = [max(1, round(_COARSE_MM / spacing)) for spacing in spacing_mm]
    coarse = tuple(slice(None, None, step) for step in steps)
    body = ct[coarse] > _BODY_HU
    if not body.any():
        return Check(_NAME, CheckState.NOT_MEASURED, "units of the PET: the CT shows no body")
    mean = float(suv[coarse][body].mean(dtype=np.float64))
    pixel_cm2 = spacing_mm[0] * steps[0] * spacing_mm[1] * steps[1] / 100
    slices = int((body.sum(axis=(0, 1)) * pixel_cm2 >= _LEAST_SLICE_CM2).sum())
    length_mm = slices * steps[2] * spacing_mm[2]
    state, is_hard, text = _judge(mean, length_mm, said)
    return Check(_NAME, state, text, is_hard, mean, "g/mL")


def _judge(mean: float, length_mm: float, said: Mapping[str, Any]) -> tuple[CheckState, bool, str]:
    units = said["pet_units"]
    found = f"mean over the body is {mean:.3g} as SUV (pet_units {units})"
    if not _ANY_MEAN[0] <= mean <= _ANY_MEAN[1]:
        return CheckState.NOT_FINE, True, f"{found}; {_looks_like(mean, units)}"
    if length_mm < _TRUNK_MM:
        text = (
            f"{found}; SUV and kBq/mL could not be told apart by {length_mm:.0f} mm of body "
            f"({_TRUNK_MM:.0f} mm are needed)"
        )
        return CheckState.NOT_MEASURED, False, text
    if not _HARD_MEAN[0] <= mean <= _HARD_MEAN[1]:
        return CheckState.NOT_FINE, True, f"{found}; {_looks_like(mean, units)}"
    if _SOFT_MEAN[0] <= mean <= _SOFT_MEAN[1]:
        return CheckState.FINE, False, found
    expected = _expected_kbqml(said)
    if mean > _SOFT_MEAN[1] and units == VolumeUnits.SUVBW:
        if expected is None:
            text = f"{found}; SUV or kBq/mL: give weight_kg and injected_dose_bq to tell"
            return CheckState.NOT_FINE, False, text
        if _FITS[0] <= mean / expected <= _FITS[1]:
            text = (
                f"{found}; it fits kBq/mL, of which weight and dose let expect {expected:.2g}. "
                "Convert to Bq/mL and set pet_units to BQML"
            )
            return CheckState.NOT_FINE, True, text
    text = f"{found}; a body has {_SOFT_MEAN[0]:g} to {_SOFT_MEAN[1]:g}"
    return CheckState.NOT_FINE, False, text


def _expected_kbqml(said: Mapping[str, Any]) -> float | None:
    """Returns the mean of a body in kBq/mL an hour after injection."""
    weight_kg, dose_bq = said.get("weight_kg"), said.get("injected_dose_bq")
    if not weight_kg or not dose_bq:
        return None
    dose_kbq = float(dose_bq) / 1000 if float(dose_bq) > 1e5 else float(dose_bq) * 1000  # MBq
    return dose_kbq * _LEFT_AFTER_AN_HOUR / (float(weight_kg) * 1000)


def _looks_like(mean: float, units: str) -> str:
    if units == VolumeUnits.BQML:
        return "the values are no Bq/mL (counts or kBq/mL?), or weight, dose or times are wrong"
    if mean > _ANY_MEAN[1]:
        return "it looks like counts or Bq/mL. Set pet_units to BQML and give weight, dose, times"
    if mean > _HARD_MEAN[1]:
        return "it looks like kBq/mL or counts. Convert to Bq/mL and set pet_units to BQML"
    return "it looks scaled or normalized. Give SUVbw"
