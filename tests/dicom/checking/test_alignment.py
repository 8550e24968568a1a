"""PET and CT that do not lie on each other are found, good ones are not."""

from __future__ import annotations

from functools import cache

import numpy as np
import pytest

from petct_ext.arrays import FloatArray
from petct_ext.dicom.checking.alignment import has_itk, measure_alignment
from petct_ext.dicom.checking.check import CheckState
from petct_ext.dicom.files.decoding import AIR_HU
from petct_ext.dicom.volumes.exam_reading import GridChoice, Preparation, read_exam
from tests.conftest import shared_data

SPACING = (8.0, 8.0, 8.0)
needs_itk = pytest.mark.skipif(not has_itk(), reason="itk is not installed (the extra itk)")


def body() -> tuple[FloatArray, FloatArray]:
    """A trunk of 300 x 200 x 700 mm with lungs, liver, spine and noise; PET and CT in 8 mm."""
    rng = np.random.default_rng(0)
    ct = np.full((64, 64, 90), -1000.0, np.float32)
    pet = np.zeros_like(ct)
    parts = (
        ((12, 50), (20, 46), (0, 90), -60.0, 0.6),
        ((16, 29), (24, 42), (45, 70), -800.0, 0.3),
        ((34, 47), (24, 42), (45, 70), -800.0, 0.3),
        ((32, 47), (24, 42), (30, 45), 60.0, 2.2),
        ((29, 34), (21, 26), (0, 90), 250.0, 1.2),
    )
    for x, y, z, hu, suv in parts:
        place = slice(*x), slice(*y), slice(*z)
        ct[place], pet[place] = hu, suv
    ct += rng.normal(0, 10, ct.shape).astype(np.float32)
    pet *= rng.normal(1, 0.1, pet.shape).astype(np.float32)
    return np.maximum(pet, 0), ct


@needs_itk
def test_pet_on_its_ct_is_fine() -> None:
    found = measure_alignment(*body(), SPACING)
    assert found.state is CheckState.FINE
    assert found.shift_mm == (0.0, 0.0, 0.0)
    assert found.to_check().value == 0.0


@needs_itk
@pytest.mark.parametrize("axis", [0, 1, 2])
@pytest.mark.parametrize("way", [5, -5])
def test_shift_of_40_mm_is_found_with_its_axis_and_direction(axis: int, way: int) -> None:
    pet, ct = body()
    found = measure_alignment(np.roll(pet, way, axis=axis), ct, SPACING)
    assert found.state is CheckState.NOT_FINE
    assert found.shift_mm == tuple(8.0 * way if a == axis else 0.0 for a in range(3))
    words = (("right", "left"), ("front", "back"), ("head", "feet"))[axis][way < 0]
    assert f"40 mm to the {words}" in found.text
    assert found.gain > 0.1


@needs_itk
def test_noise_has_no_place_where_it_fits() -> None:
    _, ct = body()
    noise = np.random.default_rng(1).random(ct.shape, dtype=np.float32)
    assert measure_alignment(noise, ct, SPACING).state is CheckState.NOT_MEASURED


def test_little_that_both_share_is_not_measured() -> None:
    pet, ct = body()
    found = measure_alignment(pet[:, :, :5], ct[:, :, :5], SPACING)
    assert found.state is CheckState.NOT_MEASURED
    assert "share too little" in found.text
    assert found.to_check().value is None
    ct[:, :, :45], pet[:, :, 45:] = AIR_HU, 0.0
    assert measure_alignment(pet, ct, SPACING).text == "PET and CT share no part of the body"


@cache
def real_pair(name: str) -> tuple[FloatArray, FloatArray, tuple[float, ...]]:
    folder = shared_data("petct_ge_sts_cropped", name)
    pet, ct = (sorted((folder / kind / "image").glob("*.dcm")) for kind in ("PET", "CT"))
    exam = read_exam(pet, ct, how=Preparation(GridChoice()))
    return exam.pet, exam.ct, tuple(exam.facts["spacing_mm"])


@needs_itk
@pytest.mark.shared
@pytest.mark.slow
@pytest.mark.parametrize("name", ["STS_001", "STS_008", "STS_019"])
def test_real_pairs_are_fine_and_found_if_shifted_by_40_mm(name: str) -> None:
    pet, ct, spacing = real_pair(name)
    assert measure_alignment(pet, ct, spacing).state is CheckState.FINE
    for axis in range(3):
        for mm in (40, -40):
            moved = np.roll(pet, round(mm / spacing[axis]), axis=axis)
            assert measure_alignment(moved, ct, spacing).state is CheckState.NOT_FINE, (axis, mm)
