"""Cox's partial likelihood with its derivatives, for tied days after Efron or Breslow.

Letters in shapes: N patients, P covariates, D deaths.

A death contributes its linear predictor less the logarithm of a weighted sum over those still at
risk on that day. With Breslow's method (1974) each of the deaths of one day sees all of them; with
Efron's (1977) the k-th of d deaths (k = 0, 1, ...) sees the share 1 - k / d of those who die that
day, which comes closer to the exact likelihood. Without ties both are the same. lifelines (Efron
only) and statsmodels' PHReg are the references of the tests, beside R. PHReg does not fit in our
place: it scales all risk sets by one patient, so that those without an extreme patient vanish, has
no ridge penalty with standard errors, and takes some 30 to 70 times as long for one covariate
(``benchmarks/cox_speed.py``).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Literal

import numpy as np
import numpy.typing as npt

from petct_ext.arrays import Floats

__all__ = ["DeathTerms", "Maximum", "Ties", "baseline_hazard", "death_terms", "maximize"]

Ties = Literal["efron", "breslow"]

_MOST_STEPS: Final = 50
_MOST_HALVINGS: Final = 30
_TOLERANCE: Final = 1e-10
"""Newton's method ends when the log-likelihood can rise by less than this."""
_ROUNDING: Final = 1e-12


@dataclass(frozen=True, slots=True, eq=False)
class DeathTerms:
    """What every death contributes at given coefficients, in order of time.

    Attributes:
        patient: row of the patient who dies (D,).
        time_days: day of the death (D,).
        log_risk_sum: logarithm of the sum of exp(linear predictor) over those at risk (D,).
        mean: mean of the covariates over those at risk, weighted by exp(linear predictor) (D, P).
        covariance: their covariance, weighted alike (D, P, P); its sum is the information.
        log_likelihood: the partial log-likelihood.
        score: its first derivative (P,).
    """

    patient: npt.NDArray[np.intp]
    time_days: Floats
    log_risk_sum: Floats
    mean: Floats
    covariance: Floats
    log_likelihood: float
    score: Floats

    @property
    def information(self) -> Floats:
        """Observed information: minus the second derivative (P, P)."""
        return np.asarray(self.covariance.sum(axis=0))


@dataclass(frozen=True, slots=True, eq=False)
class Maximum:
    """Where the (penalized) partial likelihood is highest.

    Attributes:
        coefficients: log hazard ratios (P,).
        covariance: inverse of the (penalized) information (P, P).
        log_likelihood: without the penalty, at the maximum.
        log_likelihood_null: with all coefficients 0.
        converged: whether Newton's method ended at a point with zero slope.
    """

    coefficients: Floats
    covariance: Floats
    log_likelihood: float
    log_likelihood_null: float
    converged: bool


def death_terms(
    values: Floats, time_days: Floats, event: Floats, *, coefficients: Floats, ties: Ties = "efron"
) -> DeathTerms:
    """Computes the contribution of every death.

    Args:
        values: covariates (N, P).
        time_days: days to death or last contact (N,).
        event: 1 death, 0 censored (N,). Who is censored on the day of a death is at risk on it.
        coefficients: log hazard ratios (P,).
        ties: method for deaths on the same day.

    Returns:
        The terms; with no death the arrays are empty and the log-likelihood is 0.
    """
    predictor = values @ coefficients
    last_first = np.argsort(-time_days, kind="stable")
    deaths = np.flatnonzero(event == 1)
    deaths = deaths[np.argsort(time_days[deaths], kind="stable")]
    # Number of patients with a time of at least that of the death: the length of the risk set.
    at_risk = len(time_days) - np.searchsorted(np.sort(time_days), time_days[deaths], side="left")
    # The largest predictor of each risk set is taken from it and cancels: nothing overflows, and no
    # risk set vanishes beside a patient with an extreme value who is not in it.
    offset = np.maximum.accumulate(predictor[last_first])[at_risk - 1]
    sums = _risk_sums(values[last_first], predictor[last_first], at_risk - 1)
    if ties == "efron" and len(deaths):
        of_day, share = _tied(time_days[deaths])
        weight = np.exp(predictor[deaths] - offset)
        tied = [_by_day(m, of_day) for m in _moments(values[deaths], weight)]
        sums = [total - _lift(share, total) * part for total, part in zip(sums, tied, strict=True)]
    total, first, second = sums
    mean = first / total[:, None]
    covariance = second / total[:, None, None] - mean[:, :, None] * mean[:, None, :]
    log_risk_sum = np.log(total) + offset
    return DeathTerms(
        patient=deaths,
        time_days=time_days[deaths],
        log_risk_sum=log_risk_sum,
        mean=mean,
        covariance=covariance,
        log_likelihood=float(predictor[deaths].sum() - log_risk_sum.sum()),
        score=np.asarray((values[deaths] - mean).sum(axis=0)),
    )


def maximize(
    values: Floats, time_days: Floats, event: Floats, *, ties: Ties = "efron", ridge: float = 0.0
) -> Maximum:
    """Maximizes the partial likelihood by Newton's method with step halving, from 0.

    Args:
        values: covariates (N, P), of comparable size (standardize them first).
        time_days: days to death or last contact (N,).
        event: 1 death, 0 censored (N,).
        ties: method for deaths on the same day.
        ridge: ``ridge / 2`` times the sum of squared coefficients is subtracted.

    Returns:
        The maximum; ``converged`` is False if the information became singular or not positive
        definite, the steps grew without end (a monotone likelihood) or did not end.
    """
    size = values.shape[1]
    coefficients, penalty = np.zeros(size), ridge * np.eye(size)
    terms = death_terms(values, time_days, event, coefficients=coefficients, ties=ties)
    null, height, converged = terms.log_likelihood, terms.log_likelihood, False
    try:
        for _ in range(_MOST_STEPS):
            slope = terms.score - ridge * coefficients
            step = np.linalg.solve(terms.information + penalty, slope)
            # What a quadratic still promises; the step is taken all the same, and doubles the
            # number of correct digits.
            converged = 0 <= float(slope @ step) < _TOLERANCE
            for _ in range(_MOST_HALVINGS):
                trial = coefficients + step
                terms = death_terms(values, time_days, event, coefficients=trial, ties=ties)
                reached = terms.log_likelihood - ridge / 2 * float(trial @ trial)
                if np.isfinite(reached) and reached >= height - _ROUNDING * abs(height):
                    break
                step = step / 2
            coefficients, height = trial, reached
            if converged:
                break
        covariance = np.linalg.inv(terms.information + penalty)
    except np.linalg.LinAlgError:
        covariance, converged = np.full((size, size), np.nan), False
    return Maximum(coefficients, np.asarray(covariance), terms.log_likelihood, null, converged)


def baseline_hazard(terms: DeathTerms) -> tuple[Floats, Floats]:
    """Estimates the cumulative hazard of a patient whose linear predictor is 0.

    Breslow's estimator (1972): every death adds one over the risk sum of its term. With terms after
    Efron this is Efron's version, which R's ``survfit`` uses after a fit with Efron's ties.

    Returns:
        Days with deaths, ascending, and the cumulative hazard from each of them on; infinite where
        it is beyond float64.
    """
    days, first = np.unique(terms.time_days, return_index=True)
    if len(days) == 0:
        return days, days
    with np.errstate(over="ignore"):
        steps = np.add.reduceat(np.exp(-terms.log_risk_sum), first)
    return days, np.asarray(np.cumsum(steps))


def _moments(values: Floats, weight: Floats) -> tuple[Floats, Floats, Floats]:
    first = weight[:, None] * values
    return weight, first, first[:, :, None] * values[:, None, :]


def _risk_sums(values: Floats, predictor: Floats, last: npt.NDArray[np.intp]) -> list[Floats]:
    """Sums the moments of the first patients up to ``last``, each sum less its largest predictor.

    Args:
        values: covariates, last patient first (N, P).
        predictor: linear predictors in the same order (N,).
        last: index of the last patient of each sum (D,).

    Returns:
        The sums of :func:`_moments` with weights exp(predictor - largest predictor up to there).
    """
    size = values.shape[1]
    made = [np.empty((len(last), *shape)) for shape in ((), (size,), (size, size))]
    before = [np.zeros(m.shape[1:]) for m in made]
    highest = np.maximum.accumulate(predictor)
    starts = np.flatnonzero(np.r_[True, np.diff(highest) > 0])  # few: patients who set a record
    for start, stop in zip(starts, [*starts[1:], len(predictor)], strict=True):
        shrink = np.exp(highest[start - 1] - highest[start]) if start else 1.0
        weight = np.exp(predictor[start:stop] - highest[start])
        inside = (last >= start) & (last < stop)
        for number, moment in enumerate(_moments(values[start:stop], weight)):
            sums = before[number] * shrink + np.cumsum(moment, axis=0)
            made[number][inside] = sums[last[inside] - start]
            before[number] = sums[-1]
    return made


def _tied(days: Floats) -> tuple[npt.NDArray[np.intp], Floats]:
    """Returns the number of each death's day, and k / d for the k-th of the d deaths of a day."""
    _, first, of_day, count = np.unique(
        days, return_index=True, return_inverse=True, return_counts=True
    )
    return of_day, (np.arange(len(days)) - first[of_day]) / count[of_day]


def _by_day(values: Floats, of_day: npt.NDArray[np.intp]) -> Floats:
    first = np.flatnonzero(np.r_[True, np.diff(of_day) > 0])
    return np.asarray(np.add.reduceat(values, first, axis=0)[of_day])


def _lift(share: Floats, like: Floats) -> Floats:
    return share.reshape(-1, *[1] * (like.ndim - 1))
