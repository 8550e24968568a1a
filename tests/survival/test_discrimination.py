"""Facts about Harrell's concordance index."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from lifelines.utils import concordance_index

from petct_ext.statistics.bootstrap import draw_weights
from petct_ext.survival.discrimination import concordance, concordance_draws

PATIENTS = st.lists(
    st.tuples(st.integers(0, 8), st.integers(0, 1), st.integers(0, 4)), min_size=2, max_size=30
)


@given(PATIENTS)
def test_index_equals_that_of_lifelines(rows: list[tuple[int, int, int]]) -> None:
    times, events, risk = map(np.array, zip(*rows, strict=True))
    found = concordance(times, events, risk)
    try:
        expected = concordance_index(times, -risk, events)
    except ZeroDivisionError:
        assert np.isnan(found)
    else:
        assert found == pytest.approx(expected)


@settings(max_examples=30)
@given(PATIENTS, st.integers(0, 1000))
def test_draw_equals_the_index_of_the_resampled_patients(
    rows: list[tuple[int, int, int]], seed: int
) -> None:
    times, events, risk = map(np.array, zip(*rows, strict=True))
    weights = draw_weights(range(len(rows)), num_draws=4, generator=np.random.default_rng(seed))
    draws = concordance_draws(times, events, risk, weights=weights)

    for draw, found in zip(weights.T.astype(int), draws, strict=True):
        expected = concordance(*(np.repeat(v, draw) for v in (times, events, risk)))
        assert found == pytest.approx(expected, nan_ok=True)


def test_opposite_risk_gives_the_complement() -> None:
    times, events, risk = [1, 2, 3, 4], [1, 1, 0, 1], np.array([4, 1, 2, 3])

    assert concordance(times, events, -risk) == pytest.approx(1 - concordance(times, events, risk))


@pytest.mark.parametrize(
    ("risk", "message"), [([1.0], r"must have shape \(N,\)"), ([np.nan, 1.0], "must not hold NaN")]
)
def test_unusable_risk_is_refused(risk: list[float], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        concordance([1, 2], [1, 0], risk)
