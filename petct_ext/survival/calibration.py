"""Whether predicted probabilities of death come true, by comparison with Kaplan-Meier estimates."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt
import pandas as pd

from petct_ext.errors import InputDataError
from petct_ext.survival.cox import fit_cox
from petct_ext.survival.discrimination import brier_at
from petct_ext.survival.outcomes import status_at
from petct_ext.survival.survival_curves import survival_at

__all__ = ["Calibration", "calibration_at", "calibration_slope"]


_MOST_GROUPS: Final = 5
_DEATHS_PER_GROUP: Final = 5


@dataclass(frozen=True, slots=True, eq=False)
class Calibration:
    """Predicted against observed deaths at one horizon.

    Attributes:
        groups: patients by predicted probability, lowest first: ``group``, ``n_patients``,
            ``predicted`` (mean), ``observed`` (one minus Kaplan-Meier), ``ci_low``, ``ci_high`` of
            the observed fraction (95 %; NaN where nobody or everybody died).
        predicted: mean predicted probability of all.
        observed: observed fraction of all, NaN if the follow-up ends before the horizon.
        ratio: observed divided by predicted; 1 is perfect, above 1 too few deaths are predicted.
        brier: mean squared error (IPCW).
        brier_scaled: 1 less the Brier score divided by that of predicting the observed fraction
            for everybody; 1 perfect, 0 useless, below 0 harmful.
    """

    groups: pd.DataFrame
    predicted: float
    observed: float
    ratio: float
    brier: float
    brier_scaled: float


def calibration_at(
    time_days: npt.ArrayLike, event: npt.ArrayLike, prob: npt.ArrayLike, *, horizon_days: float
) -> Calibration:
    """Compares predicted with observed deaths up to a horizon.

    Patients are grouped at quantiles of the prediction: one group for each five deaths within the
    horizon, at most five groups, at least one. Equal predictions stay together.

    Args:
        time_days: days to death or last contact (N,).
        event: 1 death, 0 censored (N,).
        prob: predicted probabilities to die within the horizon (N,).
        horizon_days: the horizon.

    Returns:
        The comparison.

    Raises:
        InputDataError: if a prediction lies outside [0, 1].
    """
    times, events = np.asarray(time_days, dtype=np.float64), np.asarray(event, dtype=np.float64)
    probs = np.asarray(prob, dtype=np.float64)
    if not bool(((probs >= 0) & (probs <= 1)).all()):
        raise InputDataError("calibration: predicted probabilities must lie in [0, 1].")
    num_deaths = int(np.nansum(status_at(times, events, horizon_days=horizon_days)))
    num_groups = max(1, min(_MOST_GROUPS, num_deaths // _DEATHS_PER_GROUP))
    edges = np.unique(np.quantile(probs, np.linspace(0, 1, num_groups + 1)[1:-1]))
    group = np.searchsorted(edges, probs, side="left")
    rows: list[tuple[float, ...]] = []
    for number in np.unique(group):
        chosen = group == number
        alive, low, high = survival_at(times[chosen], events[chosen], horizon_days=horizon_days)
        rows.append(
            (len(rows) + 1, int(chosen.sum()), probs[chosen].mean(), 1 - alive, 1 - high, 1 - low)
        )
    names = ["group", "n_patients", "predicted", "observed", "ci_low", "ci_high"]
    observed = 1 - survival_at(times, events, horizon_days=horizon_days)[0]
    brier = brier_at(times, events, probs, horizon_days=horizon_days)
    with np.errstate(divide="ignore", invalid="ignore"):
        useless = brier_at(times, events, np.full(len(probs), observed), horizon_days=horizon_days)
        ratio = float(np.float64(observed) / probs.mean())
        scaled = float(1 - np.float64(brier) / useless)
    return Calibration(
        groups=pd.DataFrame(rows, columns=names),
        predicted=float(probs.mean()),
        observed=observed,
        ratio=ratio,
        brier=brier,
        brier_scaled=scaled if np.isfinite(scaled) else float("nan"),
    )


def calibration_slope(
    time_days: npt.ArrayLike, event: npt.ArrayLike, risk: npt.ArrayLike
) -> tuple[float, float, float]:
    """Fits a Cox model whose only covariate is a linear predictor made elsewhere.

    Args:
        time_days: days to death or last contact (N,), of patients who did not make the predictor.
        event: 1 death, 0 censored (N,).
        risk: linear predictor (N,).

    Returns:
        The slope with its 95 % Wald limits. 1: effects hold as they are; below 1: they were too
        large (over-fitted); all NaN if it cannot be estimated.
    """
    covariate = pd.DataFrame({"predictor": np.asarray(risk, dtype=np.float64)})
    try:
        row = fit_cox(covariate, time_days, event).coefficients.iloc[0]
    except InputDataError:
        return float("nan"), float("nan"), float("nan")
    return float(row["log_hazard_ratio"]), float(row["ci_low"]), float(row["ci_high"])
