"""What volumes say about themselves: a right exam passes, a spoiled one fails where it should."""

from __future__ import annotations

import re
from dataclasses import replace
from functools import cache
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from petct_ext.dicom.checking.anatomy import ExamVolumes, find_anatomy
from petct_ext.dicom.checking.anatomy_checks import liver_of
from petct_ext.dicom.checking.body_shift import find_body_shift
from petct_ext.dicom.checking.check import Check, CheckState
from petct_ext.dicom.checking.volume_checks import VOLUME_CHECKS, check_volumes, weight_in_audit
from tests.dicom.volumes.trunks import SPOILED, WEIGHT_KG, grids, trunk

right = cache(trunk)


def checked(volumes: ExamVolumes, **known: Any) -> dict[str, Check]:
    arguments = {"original_grids": grids(volumes), "weight_kg": WEIGHT_KG, **known}
    return {check.name: check for check in check_volumes(volumes, **arguments).checks}


def not_fine(checks: dict[str, Check]) -> set[str]:
    return {name for name, check in checks.items() if check.state is CheckState.NOT_FINE}


def test_right_exam_is_fine_in_every_check() -> None:
    volumes = right()
    affine = np.diag([*volumes.spacing_mm, 1.0])
    checks = checked(volumes, pet_series=(volumes.pet, affine))
    assert tuple(checks) == VOLUME_CHECKS
    assert {c.name: c.text for c in checks.values() if c.state is not CheckState.FINE} == {}


@pytest.mark.parametrize(
    ("how", "name", "words", "is_hard"),
    [
        ("CT +1000 HU", "ct_scale", r"about \+1000 HU off", True),
        ("CT -1000 HU", "ct_scale", "about -1000 HU off", True),
        ("CT cut to a window", "ct_scale", "air has -1000 HU", True),
        ("both mirrored", "left_right", "liver on the patient's left", False),
        ("PET mirrored", "left_right", "one of them may be mirrored", False),
        ("both upside down", "upside_down", "liver above the lungs", False),
        ("both turned head to feet", "upside_down", "liver above the lungs", False),
        ("both back to front", "front_back", "in front of the middle", False),
        ("three empty PET slices", "empty_slices", r"3 PET slices \(18 mm\)", False),
        ("a bed without PET", "empty_slices", r"25 PET slices \(150 mm\).*bed position", True),
        ("PET 42 mm up", "pet_on_ct", r"4\d mm up", False),
        ("PET 42 mm down", "pet_on_ct", r"4\d mm down", False),
        ("PET 42 mm to the right", "pet_on_ct", r"4\d mm to the right", False),
        ("PET 42 mm backward", "pet_on_ct", r"(3[6-9]|4\d) mm backward", False),
        ("dose tenfold", "body_suv", r"mean SUV of the body is 0\.\d+ over", True),
    ],
)
def test_spoiled_exam_is_found(how: str, name: str, words: str, is_hard: bool) -> None:
    check = checked(SPOILED[how](right()))[name]
    assert check.state is CheckState.NOT_FINE
    assert re.search(words, check.text), check.text
    assert check.is_hard is is_hard


@pytest.mark.parametrize(
    ("weight_kg", "state", "words", "is_hard"),
    [
        (9.0, CheckState.NOT_FINE, "is 9 kg, but the CT shows", True),
        (WEIGHT_KG * 2.2046, CheckState.NOT_FINE, "may be in pounds", False),
        (WEIGHT_KG, CheckState.FINE, "is 75 kg", False),
        (None, CheckState.NOT_MEASURED, "no weight", False),
    ],
)
def test_weight_is_held_against_the_mass_in_the_ct(
    weight_kg: float | None, state: CheckState, words: str, is_hard: bool
) -> None:
    check = checked(right(), weight_kg=weight_kg)["weight_against_ct"]
    assert (check.state, check.is_hard) == (state, is_hard)
    assert words in check.text


def test_short_exam_is_not_judged_by_what_it_does_not_show() -> None:
    whole = right()
    short = replace(whole, pet=whole.pet[:, :, :45] / np.float32(10), ct=whole.ct[:, :, :45])
    checks = checked(short)
    for name in ("body_suv", "lungs", "liver_suv", "left_right", "upside_down", "front_back"):
        assert checks[name].state is CheckState.NOT_MEASURED, checks[name].text
    assert "270 mm of trunk" in checks["lungs"].text


def test_long_exam_without_lung_or_liver_is_looked_at() -> None:
    whole = right()
    solid = replace(whole, ct=np.where(whole.ct > -900, -90.0, whole.ct).astype(np.float32))
    solid.ct[23:57, 26:48, 76:112] = -90.0
    checks = checked(solid)
    assert {"lungs", "liver_suv"} <= not_fine(checks)
    assert "no lung found in 8" in checks["lungs"].text


def test_tiny_field_and_lost_units_are_said() -> None:
    tiny = ExamVolumes(*(np.ones((9, 9, 9), np.float32),) * 2, (5.0, 5.0, 5.0))
    checks = checked(tiny)
    assert checks.pop("scan_length").state is CheckState.NOT_FINE
    assert {check.state for check in checks.values()} == {CheckState.NOT_MEASURED}
    counts = checked(right(), is_suv=False)
    assert counts["body_suv"].state is CheckState.NOT_MEASURED
    assert counts["liver_suv"].state is CheckState.NOT_MEASURED


def test_slice_that_is_empty_in_the_series_only_is_found() -> None:
    volumes = right()
    series = np.repeat(volumes.pet, 2, axis=2)
    series[:, :, 120:123] = 0.0
    affine = np.diag([6.0, 6.0, 3.0, 1.0])
    check = checked(volumes, pet_series=(series, affine))["empty_slices"]
    assert "3 PET slices (9 mm)" in check.text


def test_arms_beside_a_narrow_ct_are_found() -> None:
    volumes = right()
    narrow = grids(volumes)["ct"] | {"shape": [40, 70, 150]}
    narrow["affine"] = [[6.0, 0, 0, 120.0], [0, 6.0, 0, 0], [0, 0, 6.0, 0], [0, 0, 0, 1]]
    ct = volumes.ct.copy()
    ct[:20] = ct[60:] = -1024.0
    series = (volumes.pet, np.diag([6.0, 6.0, 6.0, 1.0]))
    for width, state in ((20, CheckState.FINE), (26, CheckState.NOT_FINE)):
        narrow["affine"][0][3], narrow["shape"][0] = 6.0 * width, 80 - 2 * width
        found = checked(
            replace(volumes, ct=ct), original_grids=grids(volumes, ct=narrow), pet_series=series
        )
        assert found["cut_arms"].state is state, found["cut_arms"].text


@settings(max_examples=12, deadline=None)
@given(st.sampled_from([(0,), (2,), (0, 2)]), st.floats(0.7, 1.4))
def test_side_and_end_of_the_liver_follow_the_axes(axes: tuple[int, ...], factor: float) -> None:
    volumes = right()
    turned = replace(
        volumes, pet=np.flip(volumes.pet, axes) * np.float32(factor), ct=np.flip(volumes.ct, axes)
    )
    found = liver_of(find_anatomy(turned))
    assert found is not None
    assert found[:2] == ("above" if 2 in axes else "below", "left" if 0 in axes else "right")


@settings(max_examples=12, deadline=None)
@given(st.integers(-4, 4), st.integers(-4, 4), st.integers(-7, 7))
def test_shift_of_the_pet_is_measured(x: int, y: int, z: int) -> None:
    volumes = right()
    moved = np.roll(volumes.pet, (x, y, z), axis=(0, 1, 2))
    shift = find_body_shift(find_anatomy(replace(volumes, pet=moved)))
    assert shift is not None
    np.testing.assert_allclose(shift.shift_mm, np.array([x, y, z]) * 6.0, atol=7.0)


def test_weight_comes_from_the_audit() -> None:
    assert weight_in_audit([{"keyword": "PatientWeight", "value": 71.5}]) == 71.5
    assert weight_in_audit([{"step": "start of scan", "value": "x"}]) is None
