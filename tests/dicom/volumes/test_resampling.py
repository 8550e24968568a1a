"""PET and CT of different grids show the same place at the same voxel."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.spatial.transform import Rotation

from petct_ext.dicom.volumes import resampling as resample_module
from petct_ext.dicom.volumes.exam_reading import GridChoice
from petct_ext.dicom.volumes.resampling import Grid, common_grid, grid_to_series, resample
from petct_ext.errors import InputDataError


def affine(spacing: tuple[float, float, float], origin: tuple[float, float, float]) -> np.ndarray:
    matrix = np.diag([*spacing, 1.0])
    matrix[:3, 3] = origin
    return matrix


def ramp(shape: tuple[int, ...], matrix: np.ndarray) -> np.ndarray:
    """A volume whose value is a linear function of the place in mm."""
    index = np.stack(np.meshgrid(*map(np.arange, shape), indexing="ij"), axis=-1)
    world = index @ matrix[:3, :3].T + matrix[:3, 3]
    values: np.ndarray = (world @ np.array([1.0, 0.1, 0.01])).astype(np.float32)
    return values


@settings(deadline=None, max_examples=40)
@given(
    spacing=st.tuples(*[st.floats(0.8, 6.0)] * 3),
    flips=st.tuples(*[st.sampled_from([-1.0, 1.0])] * 3),
)
def test_linear_function_of_place_survives_any_grid(
    spacing: tuple[float, ...], flips: tuple[float, ...]
) -> None:
    shape = tuple(int(np.ceil(120 / s)) for s in spacing)
    steps = np.array(spacing) * flips
    matrix = affine(tuple(steps), tuple(-steps * (np.array(shape) - 1) / 2))
    grid = Grid((10, 11, 9), affine((4.0, 4.0, 5.0), (-18.0, -20.0, -20.0)))
    sampled = resample(ramp(shape, matrix), matrix, grid, outside=0.0)
    np.testing.assert_allclose(sampled, ramp(grid.shape, grid.affine), atol=2e-3)


@settings(deadline=None, max_examples=40)
@given(
    rotation=st.tuples(*[st.floats(-0.6, 0.6)] * 3),
    spacing=st.tuples(*[st.floats(1.2, 4.5)] * 3),
    shear=st.floats(-0.3, 0.3),
)
def test_linear_function_of_place_survives_turned_and_sheared_volumes(
    rotation: tuple[float, ...], spacing: tuple[float, ...], shear: float
) -> None:
    matrix = np.eye(4)
    matrix[:3, :3] = Rotation.from_rotvec(rotation).as_matrix() @ np.diag(spacing)
    matrix[:3, 2] += shear * matrix[:3, 1]
    shape = tuple(int(np.ceil(110 / s)) for s in spacing)
    matrix[:3, 3] = -matrix[:3, :3] @ ((np.array(shape) - 1) / 2)
    grid = Grid((6, 7, 5), affine((4.0, 4.0, 5.0), (-10.0, -12.0, -10.0)))
    sampled = resample(ramp(shape, matrix), matrix, grid, outside=0.0)
    np.testing.assert_allclose(sampled, ramp(grid.shape, grid.affine), atol=2e-3)


@settings(deadline=None, max_examples=40)
@given(
    axes=st.permutations([0, 1, 2]),
    flips=st.tuples(*[st.sampled_from([-1.0, 1.0])] * 3),
    spacing=st.tuples(*[st.floats(0.7, 6.0)] * 3),
    shift=st.tuples(*[st.floats(-15.0, 15.0)] * 3),
)
def test_parallel_grids_are_sampled_as_scipy_does(
    axes: list[int], flips: tuple[float, ...], spacing: tuple[float, ...], shift: tuple[float, ...]
) -> None:
    matrix = np.eye(4)
    matrix[:3, :3] = (np.diag(flips) @ np.diag(spacing))[:, axes]
    matrix[:3, 3] = -matrix[:3, :3] @ [7.0, 8.0, 6.0] + shift
    volume = np.random.default_rng(0).normal(size=(15, 17, 13)).astype(np.float32)
    grid = Grid((9, 8, 10), affine((3.1, 2.9, 4.0), (-12.0, -10.0, -17.0)))
    to_voxel = np.linalg.inv(matrix) @ grid.affine
    assert resample_module._parallel_axes(to_voxel, grid.shape) is not None
    found = resample(volume, matrix, grid, outside=-5.0)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(resample_module, "_parallel_axes", lambda *_: None)
        expected = resample(volume, matrix, grid, outside=-5.0)
    np.testing.assert_allclose(found, expected, atol=1e-5)


def test_map_returns_to_the_series_it_came_from() -> None:
    series = Grid((40, 44, 30), affine((-1.0, -1.0, 2.0), (20.0, 22.0, -30.0)))
    grid = Grid((24, 24, 20), affine((2.0, 2.0, 3.0), (-23.0, -23.0, -29.0)))
    back = grid_to_series(ramp(grid.shape, grid.affine), grid, series=series)
    inside = (slice(2, -2), slice(2, -2), slice(1, -1))
    expected = ramp(series.shape, series.affine)
    np.testing.assert_allclose(back[inside], expected[inside], atol=1e-3)
    with pytest.raises(InputDataError, match=r"the map has shape \(24, 24, 19\), its grid"):
        grid_to_series(np.zeros((24, 24, 19), np.float32), grid, series=series)


def test_voxels_left_over_by_blocks_are_still_inside() -> None:
    grid = Grid((4, 1, 1), affine((2.0, 1.0, 1.0), (0.5, 0.0, 0.0)))
    sampled = resample(np.ones((7, 1, 1), np.float32), np.eye(4), grid, outside=-1.0)
    assert sampled[:, 0, 0].tolist() == [1.0, 1.0, 1.0, 1.0]  # the last lies at 6.5, on the face


@pytest.mark.parametrize("matrix", [np.diag([1.0, 0.0, 1.0, 1.0]), np.full((4, 4), np.nan)])
def test_affine_without_places_is_refused(matrix: np.ndarray) -> None:
    with pytest.raises(InputDataError, match="singular or not finite"):
        resample(np.ones((2, 2, 2), np.float32), matrix, Grid((1, 1, 1), np.eye(4)), outside=0.0)


def test_volume_of_four_axes_is_refused() -> None:
    volume = np.ones((2, 2, 2, 2), np.float32)
    with pytest.raises(InputDataError, match="three axes are needed"):
        resample(volume, np.eye(4), Grid((1, 1, 1), np.eye(4)), outside=0.0)


def test_grid_keeps_the_slice_positions_of_the_pet_within_the_overlap() -> None:
    pet = ((20, 20, 50), affine((5.0, 5.0, 3.0), (-50.0, -50.0, 100.0)))
    ct = ((100, 100, 90), affine((1.0, 1.0, 1.0), (-50.0, -50.0, 130.5)))
    grid = common_grid(pet, ct, in_plane=32, field_of_view_mm=160.0)
    heights = grid.affine[2, 3] + np.arange(grid.shape[2]) * grid.affine[2, 2]
    assert ((heights - 100.0) % 3.0).tolist() == pytest.approx([0.0] * len(heights))
    assert heights[0] == pytest.approx(130.0)
    assert heights[-1] == pytest.approx(220.0)
    assert grid.affine[0, 0] * 32 == pytest.approx(160.0)


def test_field_of_view_is_centered_on_the_overlap() -> None:
    pet = ((20, 20, 10), affine((5.0, 5.0, 3.0), (0.0, 0.0, 0.0)))
    ct = ((100, 100, 30), affine((1.0, 1.0, 1.0), (0.0, 0.0, 0.0)))
    grid = common_grid(pet, ct, in_plane=10, field_of_view_mm=50.0)
    center = grid.affine[:2, :2] @ [4.5, 4.5] + grid.affine[:2, 3]
    # the overlap runs from -0.5 to 97.5 mm (faces of the voxels)
    assert center.tolist() == pytest.approx([48.5, 48.5], abs=0.6)


def test_outside_of_the_scan_there_is_the_given_value() -> None:
    matrix = affine((2.0, 2.0, 2.0), (0.0, 0.0, 0.0))
    grid = Grid((4, 4, 4), affine((2.0, 2.0, 2.0), (100.0, 0.0, 0.0)))
    assert np.unique(resample(np.ones((5, 5, 5), np.float32), matrix, grid, outside=-1024.0)) == [
        -1024.0
    ]


def test_hot_voxel_between_coarse_samples_is_averaged_not_lost() -> None:
    volume = np.zeros((40, 40, 40), np.float32)
    volume[21, 21, 21] = 64.0
    grid = Grid((10, 10, 10), affine((4.0, 4.0, 4.0), (1.5, 1.5, 1.5)))
    sampled = resample(volume, np.eye(4), grid, outside=0.0)
    assert sampled.sum() == pytest.approx(1.0)  # the mean over 4 x 4 x 4 voxels


def test_scans_of_two_places_are_refused() -> None:
    pet = ((10, 10, 10), affine((1.0, 1.0, 1.0), (0.0, 0.0, 0.0)))
    ct = ((10, 10, 10), affine((1.0, 1.0, 1.0), (0.0, 0.0, 500.0)))
    with pytest.raises(InputDataError, match="do not overlap"):
        common_grid(pet, ct)


@pytest.mark.parametrize("choice", [(0, 500.0, None), (224, -1.0, None), (224, 500.0, 0.0)])
def test_grid_without_extent_is_refused(choice: tuple[int, float, float | None]) -> None:
    with pytest.raises(InputDataError, match="must be positive, got"):
        GridChoice(*choice)
