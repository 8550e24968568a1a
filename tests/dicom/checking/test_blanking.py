"""A blanked head is found, and the end of a field of view is not taken for one."""

from __future__ import annotations

import numpy as np
import pytest

from petct_ext.dicom.checking.blanking import Blanking, find_blanked
from petct_ext.dicom.checking.check import CheckState
from petct_ext.dicom.volumes.exam_reading import GridChoice, Preparation, read_exam
from tests.conftest import shared_data
from tests.dicom.checking.drawn_exams import SPACING, drawn_exam, head_box, slice_below

PATIENTS = [(3, "M", 1.76, 75.0), (4, "F", 1.55, 48.0), (5, "M", 1.95, 120.0)]


def look(pet: np.ndarray, ct: np.ndarray) -> Blanking:
    return find_blanked(pet, ct, SPACING)


def blanked_exam(
    place: tuple[slice, ...], *, pet_value: float | None, ct_value: float | None
) -> Blanking:
    pet, ct = (volume.copy() for volume in drawn_exam())
    if pet_value is not None:
        pet[place] = pet_value
    if ct_value is not None:
        ct[place] = ct_value
    return look(pet, ct)


@pytest.mark.parametrize("patient", PATIENTS)
def test_whole_exam_is_not_flagged(patient: tuple[int, str, float, float]) -> None:
    found = look(*drawn_exam(*patient))
    assert found.parts == ()
    assert found.check.state is CheckState.FINE


@pytest.mark.parametrize("patient", PATIENTS)
@pytest.mark.parametrize("below_mm", [40, 80, 120, 180, 230, 260])
def test_exam_that_begins_within_the_head_is_not_flagged(
    patient: tuple[int, str, float, float], below_mm: float
) -> None:
    pet, ct = drawn_exam(*patient)
    end = slice_below(below_mm)
    assert look(pet[..., :end], ct[..., :end]).parts == ()


@pytest.mark.parametrize("below_mm", [120, 240])
@pytest.mark.parametrize(
    ("pet_value", "ct_value", "where"),
    [
        (0.0, -1024.0, "CT and PET"),
        (0.0, -1000.0, "CT and PET"),
        (0.0, 0.0, "CT and PET"),
        (None, -1000.0, "CT constant"),
        (0.0, None, "PET constant"),
    ],
)
@pytest.mark.parametrize("is_box", [True, False])
def test_blanked_head_is_found(
    below_mm: float, pet_value: float | None, ct_value: float | None, where: str, is_box: bool
) -> None:
    box = head_box(below_mm)
    place = box if is_box else (slice(None), slice(None), box[2])
    found = blanked_exam(place, pet_value=pet_value, ct_value=ct_value)
    assert found.parts == ("head",)
    assert found.check.state is CheckState.NOT_FINE
    assert not found.check.is_hard
    assert where in found.check.text


@pytest.mark.parametrize("depth_mm", [40, 60])
@pytest.mark.parametrize(
    ("pet_value", "ct_value"), [(0.0, -1024.0), (0.0, 0.0), (None, -1000.0), (0.0, None)]
)
def test_blanked_face_is_found(
    depth_mm: float, pet_value: float | None, ct_value: float | None
) -> None:
    zone = slice(slice_below(230), slice_below(40))
    body = drawn_exam()[1][60:100, :, zone] > -300
    front = int(np.flatnonzero(body.any(axis=(0, 2)))[-1]) - round(depth_mm / SPACING[1])
    place = (slice(48, 112), slice(front, None), zone)
    assert blanked_exam(place, pet_value=pet_value, ct_value=ct_value).parts == ("face",)


def test_what_cannot_be_told_is_not_measured() -> None:
    pet, ct = drawn_exam()
    head_only = look(pet[..., slice_below(200) :], ct[..., slice_below(200) :])
    without_noise = look(pet, np.where(ct > -300, 40.0, -1000.0).astype(np.float32))
    for found in (head_only, without_noise):
        assert found.parts == ()
        assert found.check.state is CheckState.NOT_MEASURED


@pytest.mark.shared
@pytest.mark.parametrize("name", ["STS_001", "STS_008", "STS_019"])
def test_real_exam_is_not_flagged(name: str) -> None:
    root = shared_data("petct_ge_sts_cropped", name)
    pet, ct = (sorted((root / kind / "image").iterdir()) for kind in ("PET", "CT"))
    exam = read_exam(pet, ct, how=Preparation(GridChoice()))
    assert exam.facts["blanked"] == []
