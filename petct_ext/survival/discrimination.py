"""Harrell's concordance index with bootstrap draws.

Letters in shapes: N patients, B draws.
"""

from __future__ import annotations

from typing import Final

import numpy as np
import numpy.typing as npt

from petct_ext.arrays import Floats

__all__ = ["concordance", "concordance_draws"]


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
