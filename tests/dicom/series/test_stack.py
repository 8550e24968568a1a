"""A stack is regular only where its slices are; otherwise it says where they lie, or refuses."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from petct_ext.dicom.series.stack import Stack, fit_stack, plane_normal
from petct_ext.errors import InputDataError


def fit(heights: list[float] | np.ndarray) -> Stack:
    positions = np.zeros((len(heights), 3))
    positions[:, 2] = heights
    return fit_stack(positions, np.array([0.0, 0.0, 1.0]), pixel_mm=2.0, thickness_mm=None)


@settings(max_examples=60, deadline=None)
@given(
    gaps=st.lists(st.floats(0.75, 1.45), min_size=2, max_size=40),
    spacing=st.floats(0.5, 5.0),
)
def test_no_slice_is_moved_by_more_than_a_tenth(gaps: list[float], spacing: float) -> None:
    heights = np.concatenate([[0.0], np.cumsum(gaps)]) * spacing
    if np.max(gaps) > 1.5 * np.sort(gaps)[(len(gaps) - 1) // 2]:
        return
    stack = fit(heights)
    if stack.places is None:
        along = stack.origin_mm[2] + stack.step_mm[2] * np.arange(len(heights))
        assert np.abs(along - heights).max() <= 0.1 * 1.45 * spacing + 1e-9
    else:
        along = stack.origin_mm[2] + stack.step_mm[2] * np.arange(len(stack.places))
        read = np.interp(stack.places, np.arange(len(heights)), heights)
        np.testing.assert_allclose(along, read, atol=2e-3 * spacing)
        assert heights[-1] - along[-1] < stack.step_mm[2]
        assert "interpolated" in stack.warnings[0]


@settings(max_examples=60, deadline=None)
@given(count=st.integers(4, 60), spacing=st.floats(0.5, 5.0), data=st.data())
def test_any_missing_slice_is_named(count: int, spacing: float, data: st.DataObject) -> None:
    heights = np.arange(count) * spacing
    missing = data.draw(st.integers(1, count - 2))
    with pytest.raises(InputDataError, match=r"\(1 missing\)") as caught:
        fit(np.delete(heights, missing))
    assert f"after the slice at {heights[missing - 1]:.2f} mm" in str(caught.value)


def test_many_gaps_are_counted_and_three_are_shown() -> None:
    kept = [h for h in np.arange(40.0) if h not in (3, 4, 10, 17, 25, 33)]
    with pytest.raises(InputDataError, match=r"\(2 missing\).* and 2 more gaps"):
        fit(kept)


def test_two_slices_are_a_stack() -> None:
    assert fit([1.0, 4.0]).step_mm.tolist() == [0.0, 0.0, 3.0]


@pytest.mark.parametrize("orientation", [[2, 0, 0, 0, 1, 0], [1, 0, 0, 0.7, 0.7, 0], [0] * 6])
def test_plane_without_normal_is_refused(orientation: list[float]) -> None:
    with pytest.raises(InputDataError, match="not perpendicular"):
        plane_normal(np.array(orientation, dtype=np.float64))
