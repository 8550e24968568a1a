"""Facts about discrimination and accuracy at a horizon."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from petct_ext.statistics.bootstrap import auroc, draw_weights
from petct_ext.survival.discrimination import (
    brier_at,
    censoring_survival,
    time_dependent_auroc,
    time_dependent_auroc_draws,
)
from petct_ext.survival.outcomes import status_at

PATIENTS = st.lists(
    st.tuples(st.integers(0, 8), st.integers(0, 1), st.integers(0, 4)), min_size=1, max_size=25
)


def _by_hand(times: np.ndarray, events: np.ndarray, risk: np.ndarray, horizon: float) -> float:
    """Pairs of a death within the horizon and a survivor, a death weighing 1 / G(t-)."""
    won = pairs = 0.0
    for i in np.flatnonzero((events == 1) & (times <= horizon)):
        uncensored = 1.0
        for day in np.unique(times[times < times[i]]):
            left = ((times == day) & (events == 0)).sum()
            at_risk = (times > day).sum() + left
            uncensored *= 1 - left / at_risk
        for j in np.flatnonzero((times > horizon) | ((times == horizon) & (events == 0))):
            won += ((risk[i] > risk[j]) + 0.5 * (risk[i] == risk[j])) / uncensored
            pairs += 1 / uncensored
    return won / pairs if pairs else float("nan")


@given(PATIENTS, st.integers(1, 8))
def test_area_is_that_of_weighted_pairs(rows: list[tuple[int, int, int]], horizon: int) -> None:
    times, events, risk = (np.array(v, dtype=float) for v in zip(*rows, strict=True))
    found = time_dependent_auroc(times, events, risk, horizon_days=horizon)

    assert found == pytest.approx(_by_hand(times, events, risk, horizon), nan_ok=True)


@given(PATIENTS, st.integers(1, 8))
def test_area_without_early_censoring_is_the_usual_one(
    rows: list[tuple[int, int, int]], horizon: int
) -> None:
    times, events, risk = (np.array(v, dtype=float) for v in zip(*rows, strict=True))
    times = np.where(events == 0, 9.0, times)
    expected = auroc(risk, status_at(times, events, horizon_days=horizon))

    found = time_dependent_auroc(times, events, risk, horizon_days=horizon)
    assert found == pytest.approx(expected, nan_ok=True)


@given(PATIENTS, st.integers(1, 8))
def test_area_depends_on_the_order_of_risks_only(
    rows: list[tuple[int, int, int]], horizon: int
) -> None:
    times, events, risk = (np.array(v, dtype=float) for v in zip(*rows, strict=True))
    first, second = (
        time_dependent_auroc(times, events, score, horizon_days=horizon)
        for score in (risk, np.exp(3 * risk) - 7)
    )

    assert first == pytest.approx(second, nan_ok=True)


@settings(max_examples=30)
@given(PATIENTS, st.integers(1, 8), st.integers(0, 1000))
def test_draw_equals_the_area_of_the_resampled_patients(
    rows: list[tuple[int, int, int]], horizon: int, seed: int
) -> None:
    times, events, risk = (np.array(v, dtype=float) for v in zip(*rows, strict=True))
    weights = draw_weights(range(len(rows)), num_draws=4, generator=np.random.default_rng(seed))
    draws = time_dependent_auroc_draws(times, events, risk, horizon_days=horizon, weights=weights)
    for draw, found in zip(weights.T.astype(int), draws, strict=True):
        again = (np.repeat(values, draw) for values in (times, events, risk))
        expected = time_dependent_auroc(*again, horizon_days=horizon)
        assert found == pytest.approx(expected, nan_ok=True)


def test_censoring_is_a_kaplan_meier_estimate_after_the_deaths_of_the_day() -> None:
    times, events = [1, 2, 2, 3, 4], [0, 1, 0, 0, 1]
    # Day 1: 1 of 5 leaves; day 2: the death leaves first, then 1 of 3; day 3: 1 of 2.
    expected = [1.0, 0.8, 0.8, 0.8 * 2 / 3, 0.8 * 2 / 3 / 2]

    np.testing.assert_allclose(censoring_survival(times, events)[:, 0], expected)


def _cohort(size: int, *, seed: int = 0) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    generator = np.random.default_rng(seed)
    risk = generator.normal(size=size)
    death = generator.exponential(300 * np.exp(-risk))
    censoring = generator.exponential(300, size)
    return risk, death, np.minimum(death, censoring), (death <= censoring).astype(float)


def test_area_with_censoring_estimates_that_without() -> None:
    risk, death, times, events = _cohort(20_000)
    everybody = np.ones(len(death))
    true = time_dependent_auroc(death, everybody, risk, horizon_days=365)
    found = time_dependent_auroc(times, events, risk, horizon_days=365)

    assert found == pytest.approx(true, abs=0.01)


def test_interval_covers_the_area_of_a_large_population() -> None:
    risk, death, *_ = _cohort(50_000, seed=99)
    true = time_dependent_auroc(death, np.ones(len(death)), risk, horizon_days=180)
    covered = []
    for seed in range(60):
        risk, _, times, events = _cohort(200, seed=seed)
        weights = draw_weights(range(200), num_draws=300, generator=np.random.default_rng(seed))
        draws = time_dependent_auroc_draws(times, events, risk, horizon_days=180, weights=weights)
        low, high = np.quantile(draws, [0.025, 0.975])
        covered.append(low <= true <= high)

    assert np.mean(covered) >= 0.85


def test_brier_score_with_censoring_estimates_that_without() -> None:
    risk, death, times, events = _cohort(20_000)
    prob = 1 - np.exp(-180 / 300 * np.exp(risk))
    true = np.mean((prob - (death <= 180)) ** 2)

    assert brier_at(times, events, prob, horizon_days=180) == pytest.approx(true, abs=0.005)


def test_follow_up_that_ends_before_the_horizon_gives_no_number() -> None:
    assert np.isnan(time_dependent_auroc([10, 20], [1, 0], [1, 0], horizon_days=365))
    assert np.isnan(brier_at([10, 20], [1, 0], [0.5, 0.5], horizon_days=365))


@pytest.mark.parametrize(
    ("risk", "message"), [([1.0], "must have N rows"), ([np.nan, 1.0], "must not hold NaN")]
)
def test_unusable_risk_is_refused(risk: list[float], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        time_dependent_auroc([1, 2], [1, 0], risk, horizon_days=5)
