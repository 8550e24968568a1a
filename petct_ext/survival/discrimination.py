"""Discrimination of risks: Harrell's concordance, and areas at a horizon.

Letters in shapes: N patients, B bootstrap draws.

Who is last seen alive before the horizon has no known status there. Inverse probability of
censoring weighting (IPCW) lets those with a known status stand for them: a death on day t weighs
1 / G(t-), with G the Kaplan-Meier estimate of not being censored. This takes censoring to be
independent of survival and of the risk score. A death and a censoring on the same day: the death
came first, so that G(t-) counts censorings before that day only.
"""

from __future__ import annotations

from typing import Final

import numpy as np
import numpy.typing as npt

from petct_ext.arrays import Floats
from petct_ext.survival.outcomes import status_at

__all__ = [
    "brier_at",
    "censoring_survival",
    "concordance",
    "concordance_draws",
    "time_dependent_auroc",
    "time_dependent_auroc_draws",
]

_LARGEST_TABLE: Final = 4_000_000
"""Pairs of patients that are held in memory at a time."""


def concordance(time_days: npt.ArrayLike, event: npt.ArrayLike, risk: npt.ArrayLike) -> float:
    """Computes Harrell's concordance index (Harrell et al. 1996).

    Of all pairs in which it is known who died first, the fraction in which that patient has the
    higher risk score; equal scores count one half. A death and a censoring on the same day are a
    usable pair (the death came first), two deaths on the same day are not.

    Args:
        time_days: days to death or last contact (N,).
        event: 1 death, 0 censored (N,).
        risk: risk scores (N,), higher is worse; only their order matters.

    Returns:
        The index in [0, 1], 0.5 by chance; NaN without a usable pair.

    Raises:
        ValueError: if shapes differ or a value is NaN.

    Example:
        >>> concordance([10, 20, 30], [1, 1, 0], [0.9, 0.2, 0.4])
        0.6666666666666666
    """
    draws = concordance_draws(time_days, event, risk, weights=np.ones((len(np.asarray(event)), 1)))
    return float(draws[0])


def concordance_draws(
    time_days: npt.ArrayLike,
    event: npt.ArrayLike,
    risk: npt.ArrayLike,
    *,
    weights: npt.ArrayLike,
) -> Floats:
    """Computes the concordance index in every bootstrap draw.

    Args:
        time_days: days to death or last contact (N,).
        event: 1 death, 0 censored (N,).
        risk: risk scores (N,).
        weights: how often each patient occurs in each draw (N, B).

    Returns:
        Indices (B,); NaN for draws without a usable pair.
    """
    times, events, scores = (
        np.asarray(values, dtype=np.float64) for values in (time_days, event, risk)
    )
    if not times.shape == events.shape == scores.shape or times.ndim != 1:
        raise ValueError(
            f"time_days, event and risk must have shape (N,), got {times.shape}, {events.shape} "
            f"and {scores.shape}."
        )
    if bool(np.isnan(times + events + scores).any()):
        raise ValueError("time_days, event and risk must not hold NaN.")
    drawn = np.asarray(weights, dtype=np.float64)
    pairs, wins = np.zeros(drawn.shape[1]), np.zeros(drawn.shape[1])
    # Only who dies can be the earlier one of a usable pair.
    deaths = np.flatnonzero(events == 1)
    size = max(1, _LARGEST_TABLE // max(1, len(times)))
    for start in range(0, len(deaths), size):
        dead = deaths[start : start + size]
        usable = (times[dead, None] < times) | ((times[dead, None] == times) & (events == 0))
        won = (scores[dead, None] > scores) + 0.5 * (scores[dead, None] == scores)
        pairs += np.einsum("db,db->b", drawn[dead], usable.astype(np.float64) @ drawn)
        wins += np.einsum("db,db->b", drawn[dead], (usable * won) @ drawn)
    with np.errstate(invalid="ignore"):
        return np.asarray(np.where(pairs > 0, wins / pairs, np.nan))


def censoring_survival(
    time_days: npt.ArrayLike, event: npt.ArrayLike, *, weights: npt.ArrayLike | None = None
) -> Floats:
    """Estimates the probability of not being censored before each patient's own day.

    Args:
        time_days: days to death or last contact (N,).
        event: 1 death, 0 censored (N,).
        weights: how often each patient occurs in each draw (N, B); each once if None.

    Returns:
        G(t-) at each patient's time (N, B), with B = 1 without ``weights``. Patients of weight 0
        have it too.
    """
    times, events = np.asarray(time_days, dtype=np.float64), np.asarray(event, dtype=np.float64)
    drawn = np.ones((len(times), 1)) if weights is None else np.asarray(weights, dtype=np.float64)
    order = np.argsort(times, kind="stable")
    _, first, of_day = np.unique(times[order], return_index=True, return_inverse=True)
    total = np.add.reduceat(drawn[order], first, axis=0)
    censored = np.add.reduceat(drawn[order] * (events[order] == 0)[:, None], first, axis=0)
    later = total.sum(axis=0) - np.cumsum(total, axis=0)
    at_risk = later + censored  # the deaths of the day have left already
    with np.errstate(invalid="ignore", divide="ignore"):
        step = np.where(at_risk > 0, 1 - censored / at_risk, 1.0)
    before = np.vstack([np.ones((1, drawn.shape[1])), np.cumprod(step, axis=0)[:-1]])
    made = np.empty_like(before, shape=drawn.shape)
    made[order] = before[of_day]
    return made


def time_dependent_auroc(
    time_days: npt.ArrayLike, event: npt.ArrayLike, risk: npt.ArrayLike, *, horizon_days: float
) -> float:
    """Computes the cumulative/dynamic area under the ROC curve at a horizon.

    The probability that a patient who dies within the horizon has a higher risk score than one who
    is alive at it, ties counting one half. IPCW estimator of Uno et al. (2007) and Hung & Chiang
    (2010), R's ``timeROC(weighting = "marginal")``. Without censoring before the horizon it is the
    usual area.

    Args:
        time_days: days to death or last contact (N,).
        event: 1 death, 0 censored (N,).
        risk: risk scores (N,), higher is worse; only their order matters.
        horizon_days: the horizon; a death on that day counts as within, a patient last seen on it
            as alive.

    Returns:
        The area in [0, 1]; NaN if nobody dies within the horizon or is known to be alive at it.

    Raises:
        ValueError: if shapes differ, a value is NaN, or the horizon is not positive.

    Example:
        >>> time_dependent_auroc([10, 20, 400, 500], [1, 1, 0, 1], [3, 1, 0, 2], horizon_days=365)
        0.75
    """
    weights = np.ones((len(np.asarray(event)), 1))
    draws = time_dependent_auroc_draws(
        time_days, event, risk, horizon_days=horizon_days, weights=weights
    )
    return float(draws[0])


def time_dependent_auroc_draws(
    time_days: npt.ArrayLike,
    event: npt.ArrayLike,
    risk: npt.ArrayLike,
    *,
    horizon_days: float,
    weights: npt.ArrayLike,
) -> Floats:
    """Computes the area in every bootstrap draw; the censoring is estimated anew in each.

    Args:
        time_days: as in :func:`time_dependent_auroc`, like ``event``, ``risk``, ``horizon_days``.
        event: 1 death, 0 censored (N,).
        risk: risk scores (N,).
        horizon_days: the horizon.
        weights: how often each patient occurs in each draw (N, B).

    Returns:
        Areas (B,); NaN for draws without a death or without a survivor.

    Raises:
        ValueError: as in :func:`time_dependent_auroc`.
    """
    times, events, scores = (
        np.asarray(values, dtype=np.float64) for values in (time_days, event, risk)
    )
    drawn = np.asarray(weights, dtype=np.float64)
    if not times.shape == events.shape == scores.shape or len(drawn) != len(times):
        raise ValueError(
            f"time_days, event, risk and weights must have N rows, got {times.shape}, "
            f"{events.shape}, {scores.shape} and {drawn.shape}."
        )
    if bool(np.isnan(times + events + scores).any()):
        raise ValueError("time_days, event and risk must not hold NaN.")
    status = status_at(times, events, horizon_days=horizon_days)
    dead, alive = status == 1, status == 0
    uncensored = censoring_survival(times, events, weights=drawn)
    with np.errstate(invalid="ignore", divide="ignore"):
        of_dead = np.where(drawn[dead] > 0, drawn[dead] / uncensored[dead], 0.0)
    # Row k: weight of the k survivors with the lowest scores.
    lowest_first = np.flatnonzero(alive)[np.argsort(scores[alive], kind="stable")]
    below = np.vstack([np.zeros((1, drawn.shape[1])), np.cumsum(drawn[lowest_first], axis=0)])
    ranked = scores[lowest_first]
    lower = below[np.searchsorted(ranked, scores[dead], side="left")]
    not_higher = below[np.searchsorted(ranked, scores[dead], side="right")]
    wins = np.einsum("db,db->b", of_dead, lower + not_higher) / 2
    # Survivors all weigh 1 / G(horizon), which cancels.
    pairs = of_dead.sum(axis=0) * drawn[alive].sum(axis=0)
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.asarray(np.where(pairs > 0, wins / pairs, np.nan))


def brier_at(
    time_days: npt.ArrayLike,
    event: npt.ArrayLike,
    prob: npt.ArrayLike,
    *,
    horizon_days: float,
) -> float:
    """Computes the mean squared error of predicted probabilities of death at a horizon.

    With the weights of Graf et al. (1999): deaths weigh 1 / G(t-), survivors 1 / G(horizon-), those
    censored before 0.

    Args:
        time_days: days to death or last contact (N,).
        event: 1 death, 0 censored (N,).
        prob: predicted probabilities to die within the horizon (N,).
        horizon_days: the horizon.

    Returns:
        The score in [0, 1], lower is better; NaN if nobody's status is known or the follow-up of
        all ends before the horizon.
    """
    times, events = np.asarray(time_days, dtype=np.float64), np.asarray(event, dtype=np.float64)
    probs = np.asarray(prob, dtype=np.float64)
    status = status_at(times, events, horizon_days=horizon_days)
    dead, alive = status == 1, status == 0
    if not alive.any():
        return float("nan")
    uncensored = censoring_survival(times, events)[:, 0]
    # Days of censoring before the horizon are those before the first survivor's own day.
    at_horizon = uncensored[alive][np.argmin(times[alive])]
    error = (1 - probs[dead]) ** 2 / uncensored[dead]
    return float((error.sum() + (probs[alive] ** 2).sum() / at_horizon) / len(times))
