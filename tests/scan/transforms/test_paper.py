"""The authors' volume is theirs: each slice stretched, paired by counting, standardized."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from monai.bundle import ConfigParser
from monai.data import MetaTensor

from petct_ext.errors import InputDataError
from petct_ext.keys import CT, IMAGE, PET
from petct_ext.scan.transforms.paper import PaperVolume, PaperVolumed
from petct_ext.scan.transforms.reader import STORED, UNITS


def scan(values: np.ndarray, *, flip_z: bool = False, units: str = "SUVbw") -> MetaTensor:
    """An upright volume (X, Y, Z); ``flip_z`` stores it from the head."""
    affine = np.diag([4.0, 4.0, 3.0, 1.0])
    if flip_z:
        values = values[..., ::-1].copy()
        affine[2, 2], affine[2, 3] = -3.0, 3.0 * (values.shape[2] - 1)
    return MetaTensor(
        torch.from_numpy(values.astype(np.float32))[None],
        affine=torch.from_numpy(affine),
        meta={UNITS: units},
    )


def edge_at_the_right(*, pixels: int, pixel_mm: float) -> np.ndarray:
    """An edge 100 mm to the right of the center."""
    x_mm = (np.arange(pixels) - (pixels - 1) / 2) * pixel_mm
    values: np.ndarray = np.tile((x_mm > 100).astype(np.float64)[:, None, None], (1, pixels, 3))
    return values


def opencv_linear(plane: np.ndarray, size: int) -> np.ndarray:
    """Bilinear resize by the formula that OpenCV documents for INTER_LINEAR.

    Source position ``(i + 0.5) * n / size - 0.5``, edges repeated, two neighbors per axis.
    """
    for axis in (0, 1):
        n = plane.shape[axis]
        at = np.clip((np.arange(size) + 0.5) * n / size - 0.5, 0, n - 1)
        low = np.floor(at).astype(int)
        high = np.minimum(low + 1, n - 1)
        share = (at - low).reshape([-1, 1] if axis == 0 else [1, -1])
        plane = plane.take(low, axis) * (1 - share) + plane.take(high, axis) * share
    return plane


def reference(values: np.ndarray, size: int, *, keep: int, rounded: bool = False) -> np.ndarray:
    stack = np.stack(
        [opencv_linear(values[..., z].astype(np.float64), size) for z in range(values.shape[2])],
        axis=-1,
    )
    stack = np.rint(stack) if rounded else stack
    standardized: np.ndarray = (stack - stack.mean()) / stack.std()
    return standardized[..., :keep]


@settings(deadline=None, max_examples=20)
@given(
    pet_size=st.integers(2, 17),
    ct_size=st.integers(2, 40),
    slices=st.tuples(st.integers(2, 6), st.integers(2, 6)),
    size=st.integers(1, 24),
)
def test_volume_equals_a_loop_over_slices(
    pet_size: int, ct_size: int, slices: tuple[int, int], size: int
) -> None:
    rng = np.random.default_rng(0)
    pet = rng.normal(size=(pet_size, pet_size, slices[0]))
    ct = rng.normal(size=(ct_size, ct_size, slices[1]))
    volume = PaperVolume(in_plane=size)((scan(pet), scan(ct)))
    assert volume.shape == (2, size, size, min(slices))
    for channel, values in zip(volume, (pet, ct), strict=True):
        expected = reference(values, size, keep=min(slices))
        np.testing.assert_allclose(channel, expected, atol=2e-5 * max(1, np.abs(expected).max()))


@pytest.mark.parametrize(
    ("row", "size", "expected"),
    [
        # worked by hand: halving takes the mean of pairs, doubling weights of 1/4 and 3/4
        ([0.0, 8.0, 2.0, 4.0], 2, [4.0, 3.0]),
        ([0.0, 4.0], 4, [0.0, 1.0, 3.0, 4.0]),
        # a third: the middle pixel alone, without smoothing
        ([1.0, 5.0, 9.0, 2.0, 0.0, 4.0], 2, [5.0, 0.0]),
    ],
)
def test_resize_has_pixel_centers_at_halves_and_no_smoothing(
    row: list[float], size: int, expected: list[float]
) -> None:
    values = np.tile(np.array(row)[:, None, None], (1, len(row), 2))
    volume = PaperVolume(in_plane=size)((scan(values), scan(values)))
    profile = np.array(expected)
    standardized = (profile - profile.mean()) / profile.std()
    np.testing.assert_allclose(volume[0, :, 0, 0], standardized, atol=1e-6)


@pytest.mark.parametrize("flip_z", [False, True])
def test_longer_stack_is_cut_at_the_head_after_it_was_standardized(flip_z: bool) -> None:
    rng = np.random.default_rng(1)
    pet, ct = rng.normal(size=(6, 6, 5)), rng.normal(size=(6, 6, 9))
    volume = PaperVolume(in_plane=6)((scan(pet), scan(ct, flip_z=flip_z)))
    np.testing.assert_allclose(volume[1], ((ct - ct.mean()) / ct.std())[..., :5], atol=1e-5)
    assert abs(float(volume[0].mean())) < 1e-6
    assert float(volume[0].std(correction=0)) == pytest.approx(1.0)


def test_stored_values_are_rounded_as_16_bit_slices_are() -> None:
    values = np.random.default_rng(2).integers(0, 6, (9, 9, 4)).astype(np.float64)
    stored = scan(values, units=STORED)
    volume = PaperVolume(in_plane=5)((stored, scan(values, units="HU")))
    np.testing.assert_allclose(volume[0], reference(values, 5, keep=4, rounded=True), atol=1e-5)
    np.testing.assert_allclose(volume[1], reference(values, 5, keep=4), atol=1e-5)


def test_channels_do_not_show_the_same_place() -> None:
    """The reason for the warning: what lies 100 mm from the center moves between the channels."""
    ct = edge_at_the_right(pixels=250, pixel_mm=2.0)
    places = []
    for pet in (
        edge_at_the_right(pixels=125, pixel_mm=4.0),  # 500 mm, as the CT
        edge_at_the_right(pixels=175, pixel_mm=4.0),  # 700 mm
    ):
        volume = PaperVolume(in_plane=50)((scan(pet), scan(ct)))
        edges = [int((channel[:, 25, 0] > 0).float().argmax()) for channel in volume]
        places.append(edges)
    assert places[0] == [35, 35]
    assert places[1] == [32, 35]


def test_affine_is_that_of_the_resized_pet() -> None:
    pet = scan(np.random.default_rng(3).normal(size=(8, 8, 4)))
    volume = PaperVolume(in_plane=4)((pet, pet))
    assert torch.diag(volume.affine).tolist() == [8.0, 8.0, 3.0, 1.0]
    assert volume.affine[:3, 3].tolist() == [2.0, 2.0, 0.0]  # mean of the first two pixels


def test_bundle_config_makes_the_image() -> None:
    config = {"_target_": "petct_ext.scan.transforms.paper.PaperVolumed", "in_plane": 5}
    transform = ConfigParser({"t": config}).get_parsed_content("t")
    values = np.random.default_rng(4).normal(size=(8, 8, 4))
    data = transform({PET: scan(values), CT: scan(values[..., :3]), "exam_id": "E1"})
    assert data[IMAGE].shape == (2, 5, 5, 3)
    assert data["exam_id"] == "E1"


@pytest.mark.parametrize(
    ("build", "message"),
    [
        (lambda good: (good, good * 0 + 3), "the CT has a standard deviation of 0"),
        (lambda good: (good * torch.nan, good), "the PET has a standard deviation of nan"),
        (lambda good: (good[0], good), r"the PET has shape \(8, 8, 4\)"),
    ],
)
def test_unusable_image_is_refused(build: Callable[[Any], Any], message: str) -> None:
    good = scan(np.random.default_rng(5).normal(size=(8, 8, 4)))
    with pytest.raises(InputDataError, match=message):
        PaperVolume(in_plane=4)(build(good))


def test_wrong_option_is_refused() -> None:
    with pytest.raises(InputDataError, match="in_plane is 0"):
        PaperVolume(in_plane=0)
    with pytest.raises(InputDataError, match="the PET's and the CT's are needed"):
        PaperVolumed(keys=[PET])
