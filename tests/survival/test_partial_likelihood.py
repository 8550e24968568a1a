"""Facts about the partial likelihood, against sums written out death by death."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from statsmodels.duration.hazard_regression import PHReg

from petct_ext.errors import InputDataError
from petct_ext.survival.cox import fit_cox
from petct_ext.survival.partial_likelihood import (
    Ties,
    baseline_hazard,
    death_terms,
    maximize,
)

COHORTS = st.lists(
    st.tuples(st.integers(0, 6), st.integers(0, 1), st.integers(-2, 2), st.integers(-2, 2)),
    min_size=1,
    max_size=14,
)
TIES = st.sampled_from(["efron", "breslow"])


def _arrays(rows: list[tuple[int, ...]]) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    table = np.array(rows, dtype=float)
    return table[:, 2:], table[:, 0], table[:, 1]


def _by_hand(
    x: np.ndarray, times: np.ndarray, events: np.ndarray, beta: np.ndarray, ties: str
) -> float:
    total = 0.0
    for day in np.unique(times[events == 1]):
        dead = np.flatnonzero((times == day) & (events == 1))
        at_risk, dying = np.exp(x[times >= day] @ beta).sum(), np.exp(x[dead] @ beta).sum()
        for k, patient in enumerate(dead):
            share = k / len(dead) if ties == "efron" else 0.0
            total += float(x[patient] @ beta - np.log(at_risk - share * dying))
    return total


@given(COHORTS, TIES, st.floats(-2, 2), st.floats(-2, 2))
def test_log_likelihood_is_the_sum_over_deaths(
    rows: list[tuple[int, ...]], ties: Ties, first: float, second: float
) -> None:
    x, times, events = _arrays(rows)
    beta = np.array([first, second])
    terms = death_terms(x, times, events, coefficients=beta, ties=ties)

    assert terms.log_likelihood == pytest.approx(_by_hand(x, times, events, beta, ties), abs=1e-9)


@settings(max_examples=40)
@given(COHORTS, TIES)
def test_score_and_information_are_its_derivatives(rows: list[tuple[int, ...]], ties: Ties) -> None:
    x, times, events = _arrays(rows)
    beta, small = np.array([0.3, -0.4]), 1e-5
    terms = death_terms(x, times, events, coefficients=beta, ties=ties)
    for axis in range(2):
        shift = small * np.eye(2)[axis]
        above, below = (
            death_terms(x, times, events, coefficients=beta + sign * shift, ties=ties)
            for sign in (1, -1)
        )
        slope = (above.log_likelihood - below.log_likelihood) / (2 * small)
        curve = -(above.score - below.score) / (2 * small)
        assert terms.score[axis] == pytest.approx(slope, abs=1e-6)
        np.testing.assert_allclose(terms.information[axis], curve, atol=1e-6)


@given(COHORTS, TIES, st.floats(-50, 50))
def test_shift_of_a_covariate_changes_nothing(
    rows: list[tuple[int, ...]], ties: Ties, shift: float
) -> None:
    x, times, events = _arrays(rows)
    beta = np.array([0.5, -0.2])
    first, second = (
        death_terms(values, times, events, coefficients=beta, ties=ties)
        for values in (x, x + shift)
    )

    assert first.log_likelihood == pytest.approx(second.log_likelihood, abs=1e-8)
    np.testing.assert_allclose(first.score, second.score, atol=1e-8)
    np.testing.assert_allclose(first.information, second.information, atol=1e-7)


def _sample(seed: int = 0, size: int = 80) -> tuple[pd.DataFrame, np.ndarray, np.ndarray]:
    generator = np.random.default_rng(seed)
    x = pd.DataFrame(generator.normal(size=(size, 2)), columns=["a", "b"])
    times = generator.exponential(100 * np.exp(-0.5 * x["a"]))
    return x, np.asarray(times), generator.integers(0, 2, size)


def _tied_cohort(deaths: float) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Standardized covariates, whole days out of 60, and deaths, several on most days."""
    generator = np.random.default_rng(2)
    x = generator.normal(size=(400, 4))
    days = generator.integers(0, 60, 400).astype(float)
    events = (generator.random(400) < deaths * np.exp(0.3 * x[:, 0])).astype(float)
    return (x - x.mean(axis=0)) / x.std(axis=0, ddof=1), days, events


@pytest.mark.parametrize("ties", ["efron", "breslow"])
@pytest.mark.parametrize("deaths", [0.2, 0.6])
def test_maximum_equals_that_of_statsmodels(ties: Ties, deaths: float) -> None:
    x, days, events = _tied_cohort(deaths)
    found, reference = maximize(x, days, events, ties=ties), PHReg(days, x, events, ties=ties).fit()

    assert found.converged
    np.testing.assert_allclose(found.coefficients, reference.params, rtol=0, atol=1e-12)
    np.testing.assert_allclose(found.covariance, reference.cov_params(), rtol=0, atol=1e-12)
    assert found.log_likelihood == pytest.approx(reference.llf, rel=1e-12)
    assert found.log_likelihood_null == pytest.approx(
        reference.model.loglike(np.zeros(4)), rel=1e-12
    )


@pytest.mark.parametrize("ties", ["efron", "breslow"])
def test_derivatives_equal_those_of_statsmodels(ties: Ties) -> None:
    x, days, events = _tied_cohort(0.4)
    beta = np.array([0.8, -0.5, 0.1, 0.0])
    terms = death_terms(x, days, events, coefficients=beta, ties=ties)
    reference = PHReg(days, x, events, ties=ties)

    assert terms.log_likelihood == pytest.approx(reference.loglike(beta), rel=1e-12)
    np.testing.assert_allclose(terms.score, reference.score(beta), rtol=0, atol=1e-10)
    np.testing.assert_allclose(terms.information, -reference.hessian(beta), rtol=0, atol=1e-10)


def test_scale_and_shift_of_covariates_only_rescale_their_effects() -> None:
    x, times, events = _sample()
    first = fit_cox(x, times, events)
    second = fit_cox(x * [10, 0.1] + [1000, -3], times, events)

    one, two = (model.coefficients["log_hazard_ratio"].to_numpy() for model in (first, second))
    np.testing.assert_allclose(two, one / [10, 0.1], rtol=1e-8)
    assert first.log_likelihood == pytest.approx(second.log_likelihood, abs=1e-8)
    np.testing.assert_allclose(first.coefficients["p"], second.coefficients["p"], rtol=1e-7)


def test_monotone_change_of_time_changes_no_effect() -> None:
    x, times, events = _sample()
    first, second = fit_cox(x, times, events), fit_cox(x, np.log1p(times) ** 3, events)

    np.testing.assert_allclose(
        first.coefficients["log_hazard_ratio"], second.coefficients["log_hazard_ratio"], rtol=1e-9
    )


def test_methods_for_ties_agree_without_ties() -> None:
    x, times, events = _sample()
    efron, breslow = (fit_cox(x, times, events, ties=ties) for ties in ("efron", "breslow"))

    np.testing.assert_allclose(
        efron.coefficients["log_hazard_ratio"], breslow.coefficients["log_hazard_ratio"], rtol=1e-9
    )
    np.testing.assert_allclose(
        efron.baseline["cumulative_hazard"], breslow.baseline["cumulative_hazard"], rtol=1e-9
    )


def test_cohort_without_deaths_has_no_terms() -> None:
    terms = death_terms(np.ones((3, 1)), np.arange(3.0), np.zeros(3), coefficients=np.ones(1))

    assert (len(terms.patient), terms.log_likelihood) == (0, 0.0)
    assert len(baseline_hazard(terms)[0]) == 0


def test_huge_predictors_do_not_overflow() -> None:
    x, times, events = _sample()
    terms = death_terms(x.to_numpy() * 100, times, events.astype(float), coefficients=np.ones(2))

    assert np.isfinite(terms.log_likelihood)
    assert np.isfinite(terms.information).all()


# One patient far from the others, who leaves the risk set first or late.
FAR = np.array([[0.0628], [1.5758], [721.914], [1.9066], [0.1313]])
DAYS, DIED = np.array([21.0, 6, 22, 17, 12]), np.array([1.0, 0, 1, 0, 1])


@given(st.floats(-3, 3), st.permutations(range(5)), TIES)
def test_risk_sets_without_an_extreme_patient_do_not_vanish(
    effect: float, order: list[int], ties: Ties
) -> None:
    x, beta = FAR[order], np.array([effect])
    terms = death_terms(x, DAYS, DIED, coefficients=beta, ties=ties)
    by_hand = 0.0
    predictor = x @ beta
    for dead in np.flatnonzero(DIED):
        at_risk = np.greater_equal(DAYS, DAYS[dead])
        by_hand += float(predictor[dead] - np.logaddexp.reduce(predictor[at_risk]))

    assert terms.log_likelihood == pytest.approx(by_hand, rel=1e-9, abs=1e-9)
    assert np.isfinite(terms.score).all()
    assert terms.information[0, 0] >= -1e-6


def test_maximum_beside_an_extreme_patient_is_that_of_a_grid() -> None:
    scaled = (FAR - FAR.mean()) / FAR.std(ddof=1)
    found = maximize(scaled, DAYS, DIED)

    assert found.converged
    assert found.coefficients[0] / FAR.std(ddof=1) == pytest.approx(-1.765, abs=2e-3)
    assert found.log_likelihood == pytest.approx(-0.7757, abs=1e-4)
    assert found.covariance[0, 0] > 0


def test_fit_never_returns_an_effect_without_an_interval() -> None:
    with pytest.raises(InputDataError, match=r"'x': the hazard .* lies far from all others"):
        fit_cox(pd.DataFrame({"x": FAR[:, 0]}), DAYS, DIED)


def test_constant_covariate_does_not_converge() -> None:
    times = np.arange(1.0, 6.0)
    found = maximize(np.zeros((5, 1)), times, np.ones(5))

    assert not found.converged


def test_predicted_deaths_add_up_to_those_observed() -> None:
    """Martingale residuals of a fit sum to zero: each patient's hazard up to the own day."""
    x, times, events = _sample()
    model = fit_cox(x, times, events, ties="breslow")
    expected = [
        -np.log1p(-model.death_probability(x.iloc[[i]], horizon_days=times[i])[0])
        for i in range(len(times))
    ]

    assert sum(expected) == pytest.approx(events.sum())


def test_death_probability_rises_with_the_horizon_and_starts_at_zero() -> None:
    x, times, events = _sample()
    model = fit_cox(x, times, events)
    horizons = [0.0, 10.0, 50.0, 200.0, 1e6]
    probs = np.array([model.death_probability(x, horizon_days=days) for days in horizons])

    assert (probs[0] == 0).all()
    assert (np.diff(probs, axis=0) >= 0).all()
    assert probs.max() <= 1
