"""A PET of the wrong sign is held back, a right one never is; what is cut off is counted."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pydicom
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import ndimage

from petct_ext.dicom.checking.check import Check, CheckState
from petct_ext.dicom.series.pixel_checks import PixelCounts
from petct_ext.dicom.series.reader import open_series, read_series
from petct_ext.errors import InputDataError
from tests.conftest import SHARED
from tests.dicom.slices import write_slices

SIDE = 48


def pet(*, noise: float = 0.0, seed: int = 0) -> np.ndarray:
    """A warm body with two hot lesions and noise (12, rows, columns), blurred as a PET is."""
    rng = np.random.default_rng(seed)
    activity = np.zeros((12, SIDE, SIDE))
    activity[:, 10:38, 8:40] = 1.0
    activity[3:6, 20:24, 20:24] = 30.0
    activity[8:9, 30:32, 14:16] = 15.0
    speckled = activity + noise * rng.normal(size=activity.shape)
    return np.asarray(ndimage.gaussian_filter(speckled, 1.0))


def judged(activity: np.ndarray, *, largest: int, kind: str, **elements: Any) -> dict[str, Check]:
    """Checks of a PET whose slices were scaled to ``largest`` and stored as ``kind``."""
    counts = PixelCounts("PT")
    for number, plane in enumerate(activity):
        header = pydicom.Dataset()
        header.RescaleSlope = float(f"{np.abs(plane).max() / largest:.6g}")
        header.BitsStored = 16
        for keyword, value in elements.items():
            setattr(header, keyword, value)
        stored = np.rint(plane / np.abs(plane).max() * largest).astype(np.int64)
        counts.add(number, stored.astype(np.uint16).view(kind), header)
    return {check.name: check for check in counts.checks()}


def test_unsigned_values_marked_signed_are_held_back() -> None:
    check = judged(pet(), largest=65535, kind="<i2")["pet_stored_sign"]
    assert (check.state, check.is_hard) == (CheckState.NOT_FINE, True)
    assert "Pixel Representation (0028,0103) is 1" in check.text


def test_single_hottest_voxel_of_the_wrong_sign_is_found() -> None:
    activity = pet() / pet().max() * 0.45
    z, y, x = np.unravel_index(activity.argmax(), activity.shape)
    activity[z, y, x] = 0.99
    activity[:, 0, 0] = 1.0  # one scale for all slices
    activity[z, 0, 0] = 0.0
    check = judged(activity, largest=65535, kind="<i2")["pet_stored_sign"]
    assert check.state is CheckState.NOT_FINE


def test_signed_noise_marked_unsigned_is_held_back() -> None:
    activity = pet(noise=0.5)
    check = judged(activity, largest=32767, kind="<u2")["pet_stored_sign"]
    assert (check.state, check.is_hard) == (CheckState.NOT_FINE, True)
    assert "(0028,0103) is 0, and the values look signed" in check.text


@settings(deadline=None, max_examples=30)
@given(noise=st.floats(0.0, 3.0), seed=st.integers(0, 1000), is_signed=st.booleans())
def test_right_sign_is_never_held_back(noise: float, seed: int, is_signed: bool) -> None:
    activity = pet(noise=noise, seed=seed)
    if is_signed:
        found = judged(activity, largest=32767, kind="<i2")
    else:
        found = judged(np.maximum(activity, 0.0), largest=65535, kind="<u2")
    assert {check.state for check in found.values()} == {CheckState.FINE}


def test_slices_of_noise_alone_may_go_far_below_zero() -> None:
    activity = pet()
    rng = np.random.default_rng(0)
    activity[[0, -1]] = ndimage.gaussian_filter(rng.normal(size=(2, SIDE, SIDE)), 0.5) / 10
    check = judged(activity, largest=32767, kind="<i2")["pet_stored_sign"]
    assert check.state is CheckState.FINE


def test_largest_value_that_holds_for_unsigned_ones_only_is_quoted() -> None:
    plane = np.zeros((1, SIDE, SIDE))
    plane[0, 0, :2] = 1.0, 0.1  # too few to be judged by their neighbors
    found = judged(plane, largest=40000, kind="<i2", LargestImagePixelValue=40000)
    check = found["pet_stored_sign"]
    assert "Largest Image Pixel Value (0028,0107) of the PET is 40000" in check.text


def test_plateau_at_the_largest_stored_value_is_said() -> None:
    saturated = np.minimum(pet(), 5.0)
    check = judged(saturated[3:6], largest=32767, kind="<i2")["pet_saturated"]
    assert (check.state, check.is_hard) == (CheckState.NOT_FINE, False)
    assert "SUVmax is too low" in check.text


def test_series_of_the_wrong_sign_is_not_loaded(tmp_path: Path) -> None:
    stored = np.rint(pet() / pet().max() * 60_000).astype(np.uint16).view(np.int16)
    heights = tuple(np.arange(12) * 3.0)
    files = write_slices(
        tmp_path, modality="PT", heights_mm=heights, values=stored, Rows=SIDE, Columns=SIDE
    )
    with pytest.raises(InputDataError, match=r"PET lie among its hottest; .*\(0028,0103\) is 1"):
        read_series(files)


@pytest.mark.shared
def test_real_pet_of_the_wrong_sign_is_held_back_and_of_the_right_one_is_not() -> None:
    folder = SHARED / "data/pet_ge_sts001_wholebody/image"
    if not folder.is_dir():
        pytest.skip("../shared/data is not here")
    series = open_series(sorted(folder.iterdir())[100:140])
    planes = [plane.T for plane in series.planes()]
    assert {check.state for check in series.checks} == {CheckState.FINE}
    wrong = judged(np.stack(planes), largest=65535, kind="<i2")
    assert wrong["pet_stored_sign"].state is CheckState.NOT_FINE
    assert judged(np.stack(planes), largest=65535, kind="<u2")["pet_stored_sign"].state == "fine"


@pytest.mark.parametrize(("offset", "state"), [(0.0, "fine"), (-1000.0, "not fine")])
def test_ct_with_a_wrong_intercept_lies_below_air(
    tmp_path: Path, offset: float, state: str
) -> None:
    values = np.random.default_rng(0).normal(-1000, 40, (4, 40, 50))
    series = open_series(
        write_slices(tmp_path, values=values, Rows=40, Columns=50, RescaleIntercept=offset)
    )
    list(series.planes())
    (check,) = series.checks
    assert (check.name, check.state) == ("ct_below_air", state)


def test_filling_outside_the_circle_is_not_below_air(tmp_path: Path) -> None:
    values = np.full((4, 4, 5), -3024)
    values[:, 1:3, 1:4] = 40
    series = open_series(write_slices(tmp_path, values=values))
    list(series.planes())
    assert series.checks[0].state is CheckState.FINE


def test_tops_that_were_cut_below_the_largest_storable_value_are_found() -> None:
    stored = np.rint(pet(noise=0.05) / pet().max() * 30000).astype(np.int16)
    for limit, state in ((8000, CheckState.NOT_FINE), (32767, CheckState.FINE)):
        counts = PixelCounts("PT")
        header = pydicom.Dataset()
        header.RescaleSlope, header.BitsStored = 1.0, 16
        for number, plane in enumerate(stored):
            counts.add(number, np.minimum(plane, limit).astype(np.int16), header)
        (check,) = (c for c in counts.checks() if c.name == "pet_saturated")
        assert check.state is state, check.text


def test_uniform_hot_part_of_a_test_object_is_not_a_plateau() -> None:
    stored = np.zeros((20, 20), np.int16)
    stored[2:18, 2:18], stored[6:12, 6:12] = 1000, 4000
    header = pydicom.Dataset()
    header.RescaleSlope, header.BitsStored = 1.0, 16
    counts = PixelCounts("PT")
    counts.add(0, stored, header)
    assert all(check.state is CheckState.FINE for check in counts.checks())
