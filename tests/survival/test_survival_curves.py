"""Facts about Kaplan-Meier curves, log-rank tests and calibration."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from petct_ext.errors import InputDataError
from petct_ext.survival.calibration import calibration_at, calibration_slope
from petct_ext.survival.survival_curves import (
    compare_groups,
    log_rank,
    split_at,
    survival_at,
    survival_curve,
)

PATIENTS = st.lists(st.tuples(st.integers(0, 9), st.integers(0, 1)), min_size=1, max_size=30)


@given(PATIENTS)
def test_curve_falls_from_one_and_stays_inside_its_band(rows: list[tuple[int, int]]) -> None:
    times, events = zip(*rows, strict=True)
    curve = survival_curve(times, events)
    inside = curve.dropna()

    assert curve["time_days"].iloc[0] == 0
    assert (curve["survival"].diff().dropna() <= 1e-12).all()
    assert curve["survival"].between(0, 1).all()
    assert (inside["ci_low"] <= inside["survival"] + 1e-12).all()
    assert (inside["ci_high"] >= inside["survival"] - 1e-12).all()


@given(PATIENTS)
def test_numbers_at_risk_are_those_not_yet_dead_or_lost(rows: list[tuple[int, int]]) -> None:
    times, events = (np.array(v) for v in zip(*rows, strict=True))
    curve = survival_curve(times, events)

    expected = [(times >= day).sum() for day in curve["time_days"]]
    assert curve["at_risk"].tolist() == expected
    assert curve["deaths"].sum() == events.sum()


@given(PATIENTS, st.integers(1, 9))
def test_curve_without_censoring_is_the_fraction_alive(
    rows: list[tuple[int, int]], horizon: int
) -> None:
    times = np.array([time for time, _ in rows])
    alive, *_ = survival_at(times, np.ones(len(times)), horizon_days=horizon)

    assert alive == pytest.approx((times > horizon).mean())


def test_survival_beyond_the_follow_up_is_unknown_unless_all_have_died() -> None:
    assert np.isnan(survival_at([5, 10], [1, 0], horizon_days=11)[0])
    assert survival_at([5, 10], [1, 0], horizon_days=10)[0] == 0.5
    assert survival_at([5, 10], [1, 1], horizon_days=11)[0] == 0


def test_limits_are_unknown_where_nobody_has_died() -> None:
    alive, low, high = survival_at([5, 10, 20], [0, 0, 1], horizon_days=10)

    assert alive == 1
    assert np.isnan(low)
    assert np.isnan(high)


def test_nobody_has_an_empty_curve() -> None:
    assert survival_curve([], []).empty


def test_split_names_its_groups_and_refuses_one_sided_cuts() -> None:
    rows = pd.DataFrame({"risk": [0.1, 0.2, 0.3], "time_days": [9, 5, 1], "event": [0, 1, 1]})
    high, low = split_at(rows, "risk", 0.2, what="prediction")

    assert (high.name, low.name) == ("prediction above 0.2", "prediction up to 0.2")
    assert compare_groups(rows, high, low)["deaths_high"] == 1
    with pytest.raises(InputDataError, match=r"all 3 patients lie on one side of 0\.5"):
        split_at(rows, "risk", 0.5)
    with pytest.raises(InputDataError, match="same risk"):
        split_at(rows.assign(risk=1.0), "risk", 1.0)


def test_log_rank_without_deaths_or_groups_says_so() -> None:
    assert np.isnan(log_rank([1, 2], [0, 0], ["a", "b"])[1])
    with pytest.raises(InputDataError, match="at least two groups"):
        log_rank([1, 2], [1, 1], ["a", "a"])


def _predicted(size: int = 4000) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    generator = np.random.default_rng(0)
    risk = generator.normal(size=size)
    death = generator.exponential(500 * np.exp(-risk))
    contact = generator.exponential(600, size)
    prob = 1 - np.exp(-180 / 500 * np.exp(risk))
    return np.minimum(death, contact), (death <= contact).astype(float), prob


def test_true_probabilities_are_calibrated_in_every_group() -> None:
    times, events, prob = _predicted()
    found = calibration_at(times, events, prob, horizon_days=180)
    groups = found.groups

    assert len(groups) == 5
    assert found.ratio == pytest.approx(1, abs=0.05)
    assert (
        (groups["ci_low"] < groups["predicted"]) & (groups["predicted"] < groups["ci_high"])
    ).sum() >= 4
    assert 0 < found.brier_scaled < 1


def test_doubled_probabilities_show() -> None:
    times, events, prob = _predicted()
    found = calibration_at(times, events, np.clip(2 * prob, 0, 1), horizon_days=180)

    assert found.ratio < 0.7


def test_few_deaths_make_one_group_and_none_beyond_the_follow_up() -> None:
    found = calibration_at([5, 10, 20], [1, 0, 0], [0.5, 0.2, 0.1], horizon_days=10)
    assert len(found.groups) == 1
    assert found.observed == pytest.approx(1 / 3)

    late = calibration_at([5, 10, 20], [1, 0, 0], [0.5, 0.2, 0.1], horizon_days=100)
    assert np.isnan(late.observed)
    assert np.isnan(late.brier_scaled)


def test_slope_is_one_for_the_true_predictor_and_less_for_an_exaggerated_one() -> None:
    times, events, prob = _predicted()
    risk = np.log(-np.log1p(-prob))

    assert calibration_slope(times, events, risk)[0] == pytest.approx(1, abs=0.06)
    assert calibration_slope(times, events, 2 * risk)[0] == pytest.approx(0.5, abs=0.03)
    assert np.isnan(calibration_slope(times, events, np.ones(len(times)))[0])


def test_probabilities_outside_of_zero_to_one_are_refused() -> None:
    with pytest.raises(InputDataError, match=r"must lie in \[0, 1\]"):
        calibration_at([1, 2], [1, 0], [0.5, 1.5], horizon_days=5)
