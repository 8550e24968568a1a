"""What is cut off a volume is counted, and said above a limit."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from petct_ext.dicom.checking.check import CheckState
from petct_ext.dicom.volumes.clipping import ClippedPlanes, negative_uptake_check
from petct_ext.dicom.volumes.exam_reading import GridChoice, Preparation, read_exam
from tests.dicom.exams import write_exam

HOW = Preparation(GridChoice(in_plane=8, field_of_view_mm=40.0))


@pytest.mark.parametrize(("metal", "state"), [(2, "fine"), (40, "not fine")])
def test_metal_is_clipped_and_more_than_metal_is_said(metal: int, state: str) -> None:
    planes = np.full((2, 50, 40), 40.0, np.float32)
    planes[0].ravel()[:metal] = 9000.0
    clipped = ClippedPlanes(planes.copy(), (-1024.0, 3071.0))
    found = np.stack(list(clipped))
    np.testing.assert_array_equal(found, planes.clip(-1024, 3071))
    check = clipped.check()
    assert (check.name, check.state) == ("ct_above_range", state)
    assert check.value == pytest.approx(metal / 4000)


@pytest.mark.parametrize(("below", "state"), [(-0.02, "fine"), (-0.2, "not fine")])
def test_activity_lost_by_cutting_off_what_is_negative(below: float, state: str) -> None:
    uptake = np.ones((4, 4, 4), np.float32)
    uptake[:, :, :2] = below
    check = negative_uptake_check(uptake)
    assert (check.name, check.state) == ("pet_negative", state)
    assert check.value == pytest.approx(-below)


def test_pet_without_activity_is_not_measured() -> None:
    check = negative_uptake_check(np.zeros((2, 2, 2), np.float32))
    assert check.state is CheckState.NOT_MEASURED


def test_findings_about_pixels_go_into_the_record_of_the_exam(tmp_path: Path) -> None:
    values = np.arange(20)[:, None, None] * np.ones((4, 5)) * 100 - 600
    pet, ct = write_exam(tmp_path / "dicom", "1.2", values=values)
    facts = read_exam(pet, ct, how=HOW).facts
    states = {check["name"]: check["state"] for check in facts["checks"]}
    assert states["pet_negative"] == "not fine"
    assert {"pet_stored_sign", "pet_saturated", "ct_below_air", "ct_above_range"} <= set(states)
    assert any("PET values below 0 add up to" in warning for warning in facts["warnings"])
