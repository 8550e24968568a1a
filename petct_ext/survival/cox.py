"""Cox proportional-hazards models with checks that speak before the optimizer fails.

lifelines fits (Efron's method for tied days); this module finds out beforehand why a fit would
fail, names the covariates, and never returns a silent NaN.
"""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pandas as pd
from lifelines import CoxPHFitter
from lifelines.exceptions import ConvergenceError, ConvergenceWarning
from scipy import linalg, stats

from petct_ext.errors import InputDataError
from petct_ext.survival.discrimination import concordance

__all__ = ["CoxModel", "LikelihoodRatioTest", "fit_cox", "likelihood_ratio_test"]

_LARGEST_SE = 10.0
"""Standard errors (per SD of the covariate) beyond it mean that the estimate ran away."""
_REMEDY = "drop it, pool it with another group, or use a ridge penalty (--penalizer 0.1)"


@dataclass(frozen=True, slots=True, eq=False)
class CoxModel:
    """A fitted model.

    Attributes:
        coefficients: one row per covariate: ``covariate``, ``log_hazard_ratio``,
            ``standard_error``, ``ci_low``, ``ci_high`` (95 %, Wald, of the log hazard ratio),
            ``hazard_ratio``, ``z``, ``p``.
        log_likelihood: partial log-likelihood at the estimate.
        log_likelihood_null: the same without covariates.
        num_patients: patients in the fit.
        num_events: deaths among them.
        penalizer: strength of the ridge penalty, 0 for none; intervals and p-values of a penalized
            model are approximate and too narrow.
        notes: warnings in sentences.
    """

    coefficients: pd.DataFrame
    log_likelihood: float
    log_likelihood_null: float
    num_patients: int
    num_events: int
    penalizer: float
    notes: tuple[str, ...]

    def risk(self, covariates: pd.DataFrame) -> npt.NDArray[np.float64]:
        """Returns the linear predictor of patients (N,): higher is worse, the zero is arbitrary."""
        effects = self.coefficients["log_hazard_ratio"].to_numpy(dtype=np.float64)
        values = covariates[self.coefficients["covariate"].tolist()].to_numpy(dtype=np.float64)
        return np.asarray(values @ effects)


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
    penalizer: float = 0.0,
) -> CoxModel:
    """Fits a Cox model.

    Args:
        covariates: one column per covariate, one row per patient (N), no missing values.
        time_days: days to death or last contact (N,).
        event: 1 death, 0 censored (N,).
        penalizer: ridge penalty as in lifelines, 0 for none.

    Returns:
        The model. Fewer than five deaths per covariate, and with a penalty also collinearity or
        separation, are told in ``notes``.

    Raises:
        InputDataError: if there is no death or a value is missing; if a covariate is constant; and,
            without a penalty, if covariates are collinear, if one separates the deaths (its hazard
            ratio has no finite estimate), or if the fit does not converge. Names the covariates.
    """
    times, events = np.asarray(time_days, dtype=np.float64), np.asarray(event, dtype=np.float64)
    values = covariates.to_numpy(dtype=np.float64)
    _require_usable(covariates, values, events)
    notes = []
    for problem in (*_collinearity(covariates, values), *_separation(covariates, events)):
        if penalizer == 0:
            raise InputDataError(f"Cox model: {problem}; {_REMEDY}.")
        notes.append(
            f"{problem[0].upper()}{problem[1:]}; only the ridge penalty keeps the estimate finite."
        )
    per_covariate = events.sum() / len(covariates.columns)
    if per_covariate < 5:
        notes.append(
            f"Only {per_covariate:.1f} deaths per covariate ({int(events.sum())} deaths, "
            f"{len(covariates.columns)} covariates): estimates are unstable, intervals optimistic."
        )
    fitter = _fit(covariates, times, events, penalizer=penalizer)
    coefficients = _coefficients(fitter)
    model = CoxModel(
        coefficients=coefficients,
        log_likelihood=float(fitter.log_likelihood_),
        log_likelihood_null=_null(fitter),
        num_patients=len(times),
        num_events=int(events.sum()),
        penalizer=penalizer,
        notes=tuple(notes),
    )
    if penalizer == 0:
        _require_finite(model, values, concordance(times, events, model.risk(covariates)))
    return model


def likelihood_ratio_test(smaller: CoxModel, larger: CoxModel) -> LikelihoodRatioTest:
    """Compares two nested models fitted on the same patients.

    Null hypothesis: the covariates that only the larger model has do not change the hazard.

    Raises:
        InputDataError: if the models are not nested, were fitted on different patients, or are
            penalized (twice the log-likelihood difference is not chi-square distributed then).
    """
    few, many = set(smaller.coefficients["covariate"]), set(larger.coefficients["covariate"])
    if not few < many or smaller.num_patients != larger.num_patients:
        raise InputDataError(
            "likelihood-ratio test: the models must be nested and fitted on the same patients, got "
            f"{len(few)} and {len(many)} covariates on {smaller.num_patients} and "
            f"{larger.num_patients} patients."
        )
    if smaller.penalizer or larger.penalizer:
        raise InputDataError(
            "likelihood-ratio test: needs models without a penalty; fit them with penalizer 0."
        )
    statistic = max(0.0, 2 * (larger.log_likelihood - smaller.log_likelihood))
    degrees = len(many) - len(few)
    return LikelihoodRatioTest(statistic, degrees, float(stats.chi2.sf(statistic, degrees)))


def _fit(
    covariates: pd.DataFrame,
    times: npt.NDArray[np.float64],
    events: npt.NDArray[np.float64],
    *,
    penalizer: float,
) -> CoxPHFitter:
    # Own names, since a covariate may be called anything.
    columns = [f"x{i}" for i in range(len(covariates.columns))]
    frame = pd.DataFrame(covariates.to_numpy(dtype=np.float64), columns=columns)
    fitter = CoxPHFitter(penalizer=penalizer, l1_ratio=0.0)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error", ConvergenceWarning)
            warnings.simplefilter("ignore", RuntimeWarning)
            fitter.fit(frame.assign(time=times, event=events), "time", "event")
    except (ConvergenceError, ConvergenceWarning, np.linalg.LinAlgError) as error:
        first = str(error).strip().splitlines()[0][:120]
        raise InputDataError(
            f"Cox model with {', '.join(map(repr, covariates.columns))} on {len(times)} patients "
            f"({int(events.sum())} deaths) does not converge ({first}); use fewer covariates or a "
            "ridge penalty (--penalizer 0.1)."
        ) from None
    fitter.covariate_titles_ = list(covariates.columns)
    return fitter


def _coefficients(fitter: CoxPHFitter) -> pd.DataFrame:
    summary = fitter.summary
    return pd.DataFrame(
        {
            "covariate": fitter.covariate_titles_,
            "log_hazard_ratio": summary["coef"].to_numpy(),
            "standard_error": summary["se(coef)"].to_numpy(),
            "ci_low": summary["coef lower 95%"].to_numpy(),
            "ci_high": summary["coef upper 95%"].to_numpy(),
            "hazard_ratio": summary["exp(coef)"].to_numpy(),
            "z": summary["z"].to_numpy(),
            "p": summary["p"].to_numpy(),
        }
    )


def _null(fitter: CoxPHFitter) -> float:
    ratio = float(fitter.log_likelihood_ratio_test().test_statistic)
    return float(fitter.log_likelihood_) - ratio / 2


def _require_finite(model: CoxModel, values: npt.NDArray[np.float64], c_index: float) -> None:
    coefficients = model.coefficients
    runaway = coefficients["standard_error"].to_numpy() * values.std(axis=0) > _LARGEST_SE
    if runaway.any() or c_index == 1:
        # Whoever is ordered perfectly could be ordered perfectly with a larger effect as well.
        chosen = (
            coefficients.loc[runaway, "covariate"] if runaway.any() else [*coefficients.iloc[:, 0]]
        )
        names = ", ".join(map(repr, chosen))
        raise InputDataError(
            f"Cox model: the effect of {names} has no finite estimate (separation); {_REMEDY}."
        )


def _require_usable(
    covariates: pd.DataFrame, values: npt.NDArray[np.float64], events: npt.NDArray[np.float64]
) -> None:
    if covariates.empty:
        raise InputDataError("Cox model: there are no patients or no covariates.")
    missing = np.isnan(values).any(axis=0)
    if missing.any():
        name = covariates.columns[int(missing.argmax())]
        raise InputDataError(
            f"Cox model: covariate {name!r} has missing values; leave these patients out."
        )
    if events.sum() == 0:
        raise InputDataError(
            f"Cox model: none of {len(events)} patients died; a hazard cannot be estimated. Fit on "
            "more patients (--fit-splits) or with longer follow-up."
        )
    constant = np.isclose(values.std(axis=0), 0)
    if constant.any():
        name = covariates.columns[int(constant.argmax())]
        raise InputDataError(
            f"Cox model: covariate {name!r} is the same for all {len(values)} patients; leave it "
            "out."
        )


def _collinearity(covariates: pd.DataFrame, values: npt.NDArray[np.float64]) -> Sequence[str]:
    scaled = (values - values.mean(axis=0)) / values.std(axis=0)
    _, triangle, order = linalg.qr(scaled, mode="economic", pivoting=True)
    size = np.abs(np.diag(triangle))
    rank = int((size > 1e-8 * size[0]).sum())
    names = [str(covariates.columns[i]) for i in order]
    if rank == len(names):
        return ()
    # Coefficients that build the first dependent column from the independent ones.
    weights = linalg.solve_triangular(triangle[:rank, :rank], triangle[:rank, rank])
    partners = [name for name, w in zip(names[:rank], weights, strict=True) if abs(w) > 1e-6]
    return (f"covariate {names[rank]!r} follows from {', '.join(map(repr, partners))}",)


def _separation(covariates: pd.DataFrame, events: npt.NDArray[np.float64]) -> list[str]:
    problems: list[str] = []
    for name in covariates.columns:
        levels = covariates[name].to_numpy(dtype=np.float64)
        distinct = np.unique(levels)
        if len(distinct) == 2:
            problems.extend(
                f"covariate {name!r} separates the deaths: none of the "
                f"{int((levels == level).sum())} patients with value {level:g} died"
                for level in distinct
                if events[levels == level].sum() == 0
            )
    return problems
