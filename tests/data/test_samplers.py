"""Balanced sampling draws both classes equally often and the unknown never."""

from __future__ import annotations

import numpy as np
import pytest

from petct_ext.data.samplers import balanced_sampler
from petct_ext.errors import InputDataError


def labels(*values: float) -> list[np.ndarray]:
    return [np.array([value], dtype=np.float32) for value in values]


def test_classes_are_drawn_equally_and_unknown_never() -> None:
    drawn = list(balanced_sampler(labels(1, 0, 0, 0, np.nan), num_samples=4000, seed=0))
    assert drawn.count(0) / 4000 == pytest.approx(0.5, abs=0.03)
    assert 4 not in drawn


def test_equal_seeds_draw_equally() -> None:
    one, two = (list(balanced_sampler(labels(1, 0, 1), num_samples=20, seed=3)) for _ in range(2))
    assert one == two


def test_one_class_alone_is_refused() -> None:
    with pytest.raises(InputDataError, match="0 are positive and 2 negative"):
        balanced_sampler(labels(0, 0, np.nan), num_samples=4, seed=0)
