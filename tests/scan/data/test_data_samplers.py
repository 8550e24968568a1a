"""Balanced sampling draws both classes equally often and the unknown never."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from petct_ext.errors import InputDataError
from petct_ext.scan.data.samplers import balanced_sampler


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


def test_ratio_can_be_set() -> None:
    drawn = list(
        balanced_sampler(labels(1, 0, 0, np.nan), num_samples=4000, seed=0, positive_fraction=0.7)
    )
    assert drawn.count(0) / 4000 == pytest.approx(0.7, abs=0.03)


def test_chosen_output_is_balanced_and_its_unknown_never_drawn() -> None:
    both = [np.array(pair) for pair in ((0, 1), (0, 0), (0, 0), (1, np.nan))]
    options: Any = {"tasks": ["a", "b"], "num_samples": 4000, "seed": 0}
    drawn = list(balanced_sampler(both, balance_on="b", **options))
    assert drawn.count(0) / 4000 == pytest.approx(0.5, abs=0.03)
    assert 3 not in drawn
    assert list(balanced_sampler(both, **options)).count(3) / 4000 == pytest.approx(0.5, abs=0.03)


def test_output_that_does_not_exist_is_told_with_the_nearest_name() -> None:
    with pytest.raises(InputDataError, match=r"it has dead, alive\. Did you mean 'dead'"):
        balanced_sampler(
            labels(0, 1), num_samples=4, seed=0, tasks=["dead", "alive"], balance_on="deed"
        )


def test_lacking_class_is_told_with_the_name_of_the_output() -> None:
    with pytest.raises(InputDataError, match=r"2 negative of 'liver', 1 have no label"):
        balanced_sampler(labels(0, 0, np.nan), num_samples=4, seed=0, tasks=["liver"])


@pytest.mark.parametrize("share", [0.0, 1.0, -1.0])
def test_share_that_is_none_is_refused(share: float) -> None:
    with pytest.raises(InputDataError, match="positive_fraction is"):
        balanced_sampler(labels(0, 1), num_samples=4, seed=0, positive_fraction=share)
