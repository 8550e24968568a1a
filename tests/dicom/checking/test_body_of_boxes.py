"""What went wrong is found on a body made of boxes, whose numbers are known."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from petct_ext.dicom.checking.anatomy import ExamVolumes
from petct_ext.dicom.checking.check import Check, CheckState
from petct_ext.dicom.checking.volume_checks import VolumeFindings, check_volumes

SPACING = (4.0, 4.0, 4.0)
GRID = {"shape": [80, 80, 160], "affine": np.diag([4.0, 4.0, 4.0, 1.0]).tolist()}
GRIDS = {"pet": GRID, "ct": GRID}


def body(*, liver_suv: float = 2.0) -> ExamVolumes:
    """A trunk with lungs, spine and, on the right below the lung, a liver; X to the right."""
    ct = np.full((80, 80, 160), -1000.0, dtype=np.float32)
    pet = np.zeros_like(ct)
    ct[15:65, 20:60], pet[15:65, 20:60] = -80.0, 0.5  # fat
    ct[36:44, 22:30] = 400.0  # spine, at the back
    for x in (slice(18, 34), slice(46, 62)):
        ct[x, 30:52, 90:130] = -800.0
    ct[42:62, 28:54, 70:90], pet[42:62, 28:54, 70:90] = 60.0, liver_suv
    pet[15:65] *= np.linspace(0.99, 1.01, 50, dtype=np.float32)[:, None, None]  # no slice is flat
    return ExamVolumes(pet, ct, SPACING)


def look_at(exam: ExamVolumes, **known: Any) -> VolumeFindings:
    return check_volumes(exam, **{"original_grids": GRIDS} | known)


def by_name(found: VolumeFindings) -> dict[str, Check]:
    return {check.name: check for check in found.checks}


def test_liver_of_a_body_is_found_on_the_right_below_the_lung() -> None:
    found = look_at(body())
    assert found.measurements["liver_suv"] == pytest.approx(2.0, rel=0.02)
    assert found.measurements["bone_behind_mm"] > 10
    assert found.measurements["overlap"] == 1.0
    assert found.measurements["activity_in_body"] == pytest.approx(1.0, abs=1e-3)
    assert not [c.text for c in found.checks if c.state is CheckState.NOT_FINE]


def test_liver_of_a_mirrored_body_is_found_on_the_other_side() -> None:
    whole = body()
    mirrored = replace(whole, pet=whole.pet[::-1], ct=whole.ct[::-1])
    found = look_at(mirrored)
    assert found.measurements["liver_suv"] == pytest.approx(2.0, rel=0.02)
    assert by_name(found)["left_right"].state is CheckState.NOT_FINE


@pytest.mark.parametrize(
    ("change", "name", "message"),
    [
        ("hot", "liver_suv", "20"),
        ("back to front", "front_back", "in front of"),
        ("shifted", "activity_in_body", "%"),
        ("short CT", "ct_covers_pet", "50%"),
        ("short", "scan_length", "320 mm along the body; whole-body exams have 500 to 2200"),
    ],
)
def test_what_went_wrong_is_told(change: str, name: str, message: str) -> None:
    exam, known = body(liver_suv=20.0 if change == "hot" else 2.0), {}
    if change == "back to front":
        exam = replace(exam, ct=exam.ct[:, ::-1])
    if change == "shifted":
        exam = replace(exam, pet=np.roll(exam.pet, 40, axis=0))
    if change == "short CT":
        short = {"shape": [80, 80, 80], "affine": GRID["affine"]}
        known = {"original_grids": {"pet": GRID, "ct": short}}
    if change == "short":
        exam = ExamVolumes(exam.pet[..., 60:140], exam.ct[..., 60:140], SPACING)
    check = by_name(look_at(exam, **known))[name]
    assert check.state is CheckState.NOT_FINE
    assert message in check.text
