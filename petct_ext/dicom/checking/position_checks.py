"""Whether PET and CT lie on each other."""

from __future__ import annotations

from typing import Any

import numpy as np
from scipy import ndimage

from petct_ext.dicom.checking.anatomy import Anatomy
from petct_ext.dicom.checking.anatomy_checks import fine, not_fine, not_measured
from petct_ext.dicom.checking.body_shift import BodyShift, find_body_shift
from petct_ext.dicom.checking.check import Check

__all__ = ["check_position"]

# Breathing moves the diaphragm by 10 to 20 mm, a patient shifts by a few; voxels are up to 13 mm.
_MOST_ACROSS_MM, _MOST_ALONG_MM = 20.0, 25.0
_LEAST_SIMILARITY = 0.6  # 0.88 to 0.94 in phantoms
_LEAST_GAIN = 0.01  # of similarity: a flat peak tells no place; 40 mm along Z gain 0.05 to 0.1
_LEAST_BODY_MM = 300.0
_ACTIVE_SHARE = 0.25  # of the median SUV within the body: what counts as activity
_LEAST_SHARED = 0.8
_IN_PLANE = np.zeros((3, 3, 3), dtype=np.bool_)
_IN_PLANE[:, 1, 1] = _IN_PLANE[1, :, 1] = True


def check_position(anatomy: Anatomy, *, overlap: float) -> tuple[list[Check], dict[str, Any]]:
    """Checks that PET and CT lie on each other.

    Args:
        anatomy: what was found in the exam.
        overlap: share of the PET's length that the CT covers.

    Returns:
        Checks ``pet_on_ct``, ``activity_in_body`` and ``ct_covers_pet``; and measurements
        ``pet_shift_mm`` (X, Y, Z), ``pet_ct_similarity`` and ``activity_in_body``.
    """
    shift = find_body_shift(anatomy)
    inside = _activity_in_body(anatomy)
    checks = [_check_shift(anatomy, shift), _check_activity(inside), _check_overlap(overlap)]
    return checks, {
        "pet_shift_mm": [round(mm, 1) for mm in shift.shift_mm] if shift else None,
        "pet_ct_similarity": shift.similarity if shift else None,
        "activity_in_body": inside,
    }


def _check_shift(anatomy: Anatomy, shift: BodyShift | None) -> Check:
    name = "pet_on_ct"
    if shift is None:
        return not_measured(name, "no body or no uptake to compare the place of PET and CT by")
    if anatomy.length_mm < _LEAST_BODY_MM:
        text = f"{anatomy.length_mm:.0f} mm of body are too little to compare PET and CT"
        return not_measured(name, text)
    if shift.similarity < _LEAST_SIMILARITY or shift.at_reach:
        text = f"outlines of PET and CT are too unlike to compare (at best {shift.similarity:.2f})"
        return not_measured(name, text, shift.similarity)
    x, y, z = shift.shift_mm
    most = max((x, y, z), key=abs)
    sides = ((x, "to the right", "to the left"), (y, "forward", "backward"), (z, "up", "down"))
    limits = (_MOST_ACROSS_MM, _MOST_ACROSS_MM, _MOST_ALONG_MM)
    far = [
        f"{abs(mm):.0f} mm {more if mm > 0 else less}"
        for (mm, more, less), limit in zip(sides, limits, strict=True)
        if abs(mm) > limit
    ]
    if not far:
        return fine(name, f"PET lies on the CT to {abs(most):.0f} mm", most, "mm")
    if shift.similarity - shift.similarity_before < _LEAST_GAIN:
        text = f"whether the PET lies {' and '.join(far)} of the CT is not clear"
        return not_measured(name, text, most, "mm")
    return not_fine(name, f"the PET lies {' and '.join(far)} of where the CT is", most, "mm")


def _check_activity(inside: float | None) -> Check:
    name = "activity_in_body"
    if inside is None:
        return not_measured(name, "no body or no uptake to compare")
    text = f"{inside:.0%} of the PET's activity lies within the body that the CT shows"
    return (fine if inside >= _LEAST_SHARED else not_fine)(name, text, inside)


def _check_overlap(overlap: float) -> Check:
    text = f"the CT covers {overlap:.0%} of the PET's length"
    return (fine if overlap >= _LEAST_SHARED else not_fine)("ct_covers_pet", text, overlap)


def _activity_in_body(anatomy: Anatomy) -> float | None:
    body, pet = anatomy.body, anatomy.volumes.pet
    if not body.any():
        return None
    # of every other slice: a share needs no more, and this would be a third of all the time
    body, pet = body[:, :, ::2], pet[:, :, ::2]
    active = pet > _ACTIVE_SHARE * float(np.median(pet[body])) if body.any() else pet > 0
    total = float(pet[active].sum(dtype=np.float64))
    near = ndimage.binary_dilation(body, _IN_PLANE)
    return float(pet[active & near].sum(dtype=np.float64)) / total if total > 0 else None
