"""Cox proportional-hazards models with checks that speak before the optimizer fails.

The fit is our own Newton's method (:mod:`petct_ext.survival.partial_likelihood` says why).
Estimates equal those of R's ``survival::coxph``, statsmodels and lifelines (tests). This module
finds out beforehand why a fit would fail, names the covariates, and never returns a silent NaN.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt
import pandas as pd
from scipy import stats

from petct_ext.arrays import Floats
from petct_ext.errors import InputDataError
from petct_ext.survival.cox_checks import (
    collinearity,
    near_collinearity,
    require_usable,
    separation,
)
from petct_ext.survival.discrimination import concordance
from petct_ext.survival.partial_likelihood import (
    Maximum,
    Ties,
    baseline_hazard,
    death_terms,
    maximize,
)

__all__ = ["CoxModel", "LikelihoodRatioTest", "fit_cox", "likelihood_ratio_test"]


_LARGEST_SE: Final = 10.0
"""Standard errors (per SD of the covariate) beyond it mean that the estimate ran away."""
_REMEDY: Final = (
    "drop it, pool it with another group (a larger --min-group pools indications), or use a ridge "
    "penalty (--penalizer 0.1)"
)


@dataclass(frozen=True, slots=True, eq=False)
class CoxModel:
    """A fitted model.

    Attributes:
        coefficients: one row per covariate: ``covariate``, ``log_hazard_ratio``,
            ``standard_error``, ``ci_low``, ``ci_high`` (95 %, Wald, of the log hazard ratio),
            ``hazard_ratio``, ``hazard_ratio_ci_low``, ``hazard_ratio_ci_high``, ``z``, ``p``.
        covariance: of the log hazard ratios (P, P), in the order of ``coefficients``.
        baseline: ``time_days`` of the deaths, ascending, and the ``cumulative_hazard`` (Breslow's
            estimator) of a patient with the mean covariates of the fit.
        center: these means (P,).
        log_likelihood: partial log-likelihood at the estimate, without the penalty.
        log_likelihood_null: the same without covariates.
        num_patients: patients in the fit.
        num_events: deaths among them.
        ties: method for deaths on the same day.
        penalizer: strength of the ridge penalty, 0 for none; intervals and p-values of a penalized
            model are approximate and too narrow.
        notes: warnings in sentences.
    """

    coefficients: pd.DataFrame
    covariance: Floats
    baseline: pd.DataFrame
    center: Floats
    log_likelihood: float
    log_likelihood_null: float
    num_patients: int
    num_events: int
    ties: Ties
    penalizer: float
    notes: tuple[str, ...]

    @property
    def covariates(self) -> tuple[str, ...]:
        """Names of the covariates in order."""
        return tuple(map(str, self.coefficients["covariate"]))

    def risk(self, covariates: pd.DataFrame) -> Floats:
        """Returns the linear predictor of patients (N,): higher is worse, the zero is arbitrary."""
        effects = self.coefficients["log_hazard_ratio"].to_numpy(dtype=np.float64)
        values = covariates[list(self.covariates)].to_numpy(dtype=np.float64)
        return np.asarray(values @ effects)

    def death_probability(self, covariates: pd.DataFrame, *, horizon_days: float) -> Floats:
        """Returns the predicted probability to die within a horizon (N,).

        One minus exp(-H0 exp(linear predictor)), with H0 the baseline cumulative hazard up to and
        including that day. After the last death of the fit it stays what it was on that day.
        """
        effects = self.coefficients["log_hazard_ratio"].to_numpy(dtype=np.float64)
        days = self.baseline["time_days"].to_numpy(dtype=np.float64)
        passed = int(np.searchsorted(days, horizon_days, side="right"))
        hazard = float(self.baseline["cumulative_hazard"].iloc[passed - 1]) if passed else 0.0
        predictor = self.risk(covariates) - float(self.center @ effects)
        return np.asarray(-np.expm1(-hazard * np.exp(predictor)))


@dataclass(frozen=True, slots=True)
class LikelihoodRatioTest:
    """Test of the hypothesis that the further covariates of the larger model all have no effect.

    Attributes:
        statistic: twice the difference of the log-likelihoods.
        degrees_of_freedom: number of further covariates.
        p: from the chi-square distribution.
    """

    statistic: float
    degrees_of_freedom: int
    p: float


def fit_cox(
    covariates: pd.DataFrame,
    time_days: npt.ArrayLike,
    event: npt.ArrayLike,
    *,
    ties: Ties = "efron",
    penalizer: float = 0.0,
) -> CoxModel:
    """Fits a Cox model.

    Args:
        covariates: one column per covariate, one row per patient (N), no missing values.
        time_days: days to death or last contact (N,).
        event: 1 death, 0 censored (N,).
        ties: method for deaths on the same day, ``"efron"`` or ``"breslow"``.
        penalizer: ridge penalty as in lifelines: ``penalizer * N / 2`` times the sum of squared
            log hazard ratios per standard deviation is taken from the log-likelihood; 0 for none.

    Returns:
        The model. Fewer than five deaths per covariate, near collinearity, and with a penalty also
        collinearity or separation, are told in ``notes``.

    Raises:
        InputDataError: if there is no death or a value is missing; if a covariate is constant; and,
            without a penalty, if covariates are collinear, if one separates the deaths (its hazard
            ratio has no finite estimate), or if the fit does not converge; or if a value lies so
            far from all others that the baseline hazard overflows. Names the covariates.
    """
    times, events = np.asarray(time_days, dtype=np.float64), np.asarray(event, dtype=np.float64)
    require_usable(covariates, times, events)
    values = covariates.to_numpy(dtype=np.float64)
    notes = _notes(covariates, times, events, penalizer=penalizer)
    center, scale = values.mean(axis=0), values.std(axis=0, ddof=1)
    scaled = (values - center) / scale
    found = maximize(scaled, times, events, ties=ties, ridge=penalizer * len(times))
    names = ", ".join(map(repr, covariates.columns))
    _require_converged(found, f"{names} on {len(times)} patients ({int(events.sum())} deaths)")
    # Breslow's estimator with either method for ties, as in lifelines.
    terms = death_terms(scaled, times, events, coefficients=found.coefficients, ties="breslow")
    days, hazard = baseline_hazard(terms)
    _require_finite_hazard(hazard, names)
    model = CoxModel(
        coefficients=_coefficients(list(map(str, covariates.columns)), found, scale),
        covariance=found.covariance / np.outer(scale, scale),
        baseline=pd.DataFrame({"time_days": days, "cumulative_hazard": hazard}),
        center=center,
        log_likelihood=found.log_likelihood,
        log_likelihood_null=found.log_likelihood_null,
        num_patients=len(times),
        num_events=int(events.sum()),
        ties=ties,
        penalizer=penalizer,
        notes=notes,
    )
    if penalizer == 0:
        _require_finite(model, scale, concordance(times, events, model.risk(covariates)))
    return model


def _require_converged(found: Maximum, what: str) -> None:
    if not found.converged or not bool((np.diag(found.covariance) > 0).all()):
        raise InputDataError(
            f"Cox model with {what} does not converge; use fewer covariates or a ridge penalty "
            "(--penalizer 0.1)."
        )


def _require_finite_hazard(hazard: Floats, names: str) -> None:
    if not bool(np.isfinite(hazard).all()):
        raise InputDataError(
            f"Cox model with {names}: the hazard of a patient with mean covariates is beyond all "
            "numbers, as a value lies far from all others; check the values, or use a ridge "
            "penalty (--penalizer 0.1)."
        )


def likelihood_ratio_test(smaller: CoxModel, larger: CoxModel) -> LikelihoodRatioTest:
    """Compares two nested models fitted on the same patients.

    Null hypothesis: the covariates that only the larger model has do not change the hazard.

    Raises:
        InputDataError: if the models are not nested, were fitted on different patients or with
            different ties, or are penalized (twice the log-likelihood difference is not chi-square
            distributed then).
    """
    few, many = set(smaller.covariates), set(larger.covariates)
    same = (
        smaller.num_patients == larger.num_patients
        and smaller.ties == larger.ties
        and np.isclose(smaller.log_likelihood_null, larger.log_likelihood_null)
    )
    if not few < many or not same:
        raise InputDataError(
            "likelihood-ratio test: the models must be nested and fitted on the same patients, got "
            f"{len(few)} and {len(many)} covariates on {smaller.num_patients} and "
            f"{larger.num_patients} patients ({smaller.ties} and {larger.ties} ties)."
        )
    if smaller.penalizer or larger.penalizer:
        raise InputDataError(
            "likelihood-ratio test: needs models without a penalty; fit them with penalizer 0."
        )
    statistic = max(0.0, 2 * (larger.log_likelihood - smaller.log_likelihood))
    degrees = len(many) - len(few)
    return LikelihoodRatioTest(statistic, degrees, float(stats.chi2.sf(statistic, degrees)))


def _notes(
    covariates: pd.DataFrame, times: Floats, events: Floats, *, penalizer: float
) -> tuple[str, ...]:
    notes = []
    for problem in (*collinearity(covariates), *separation(covariates, times, events)):
        if penalizer == 0:
            raise InputDataError(f"Cox model: {problem}; {_REMEDY}.")
        notes.append(
            f"{problem[0].upper()}{problem[1:]}; only the ridge penalty keeps the estimate finite."
        )
    notes.extend(near_collinearity(covariates))
    per_covariate = events.sum() / len(covariates.columns)
    if per_covariate < 5:
        notes.append(
            f"Only {per_covariate:.1f} deaths per covariate ({int(events.sum())} deaths, "
            f"{len(covariates.columns)} covariates): estimates are unstable, intervals optimistic."
        )
    return tuple(notes)


def _coefficients(names: list[str], found: Maximum, scale: Floats) -> pd.DataFrame:
    effect = found.coefficients / scale
    error = np.sqrt(np.diag(found.covariance)) / scale
    half = float(stats.norm.ppf(0.975)) * error
    with np.errstate(over="ignore"):  # an infinite limit of a hazard ratio is told as such
        ratios = np.exp([effect, effect - half, effect + half])
    return pd.DataFrame(
        {
            "covariate": names,
            "log_hazard_ratio": effect,
            "standard_error": error,
            "ci_low": effect - half,
            "ci_high": effect + half,
            "hazard_ratio": ratios[0],
            "hazard_ratio_ci_low": ratios[1],
            "hazard_ratio_ci_high": ratios[2],
            "z": effect / error,
            "p": 2 * stats.norm.sf(np.abs(effect / error)),
        }
    )


def _require_finite(model: CoxModel, scale: Floats, c_index: float) -> None:
    coefficients = model.coefficients
    # NaN is no finite standard error either.
    runaway = ~(coefficients["standard_error"].to_numpy() * scale <= _LARGEST_SE)
    if runaway.any() or c_index == 1:
        # Whoever is ordered perfectly could be ordered perfectly with a larger effect as well.
        chosen = coefficients.loc[runaway, "covariate"] if runaway.any() else model.covariates
        names = ", ".join(map(repr, chosen))
        raise InputDataError(
            f"Cox model: the effect of {names} has no finite estimate (separation); {_REMEDY}."
        )
