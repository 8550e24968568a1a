"""Kaplan-Meier curves, numbers at risk and the log-rank test, by lifelines.

Letters in shapes: N patients.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
from lifelines import KaplanMeierFitter
from lifelines.statistics import multivariate_logrank_test

from petct_ext.errors import InputDataError

__all__ = ["CurveGroup", "compare_groups", "log_rank", "split_at", "survival_at", "survival_curve"]


@dataclass(frozen=True, slots=True)
class CurveGroup:
    """Some of the patients, by what is said of them in a legend.

    Attributes:
        name: the words.
        chosen: who belongs to it (N,).
    """

    name: str
    chosen: npt.NDArray[np.bool_]


def survival_curve(time_days: npt.ArrayLike, event: npt.ArrayLike) -> pd.DataFrame:
    """Estimates the fraction alive after each day with a death or a censoring, and on day 0.

    Returns:
        ``time_days``, ``survival``, ``ci_low``, ``ci_high`` (95 %, Greenwood's variance on the
        scale of log(-log), as R's ``conf.type = "log-log"``; NaN before the first death and after
        the last patient has died), ``at_risk`` (patients alive just before that day), ``deaths``,
        ``censored``. Empty for nobody.
    """
    times, events = np.asarray(time_days, dtype=np.float64), np.asarray(event, dtype=np.float64)
    if len(times) == 0:
        names = ("time_days", "survival", "ci_low", "ci_high", "at_risk", "deaths", "censored")
        return pd.DataFrame({name: [] for name in names}, dtype="float64")
    fitter = KaplanMeierFitter().fit(times, events)
    counts, alive = fitter.event_table, fitter.survival_function_.iloc[:, 0].to_numpy()
    band = fitter.confidence_interval_.to_numpy(dtype=np.float64).copy()
    band[(alive == 1) | (alive == 0)] = np.nan
    return pd.DataFrame(
        {
            "time_days": counts.index.to_numpy(dtype=np.float64),
            "survival": alive,
            "ci_low": band[:, 0],
            "ci_high": band[:, 1],
            "at_risk": counts["at_risk"].to_numpy(dtype=np.int64),
            "deaths": counts["observed"].to_numpy(dtype=np.int64),
            "censored": counts["censored"].to_numpy(dtype=np.int64),
        }
    )


def survival_at(
    time_days: npt.ArrayLike, event: npt.ArrayLike, *, horizon_days: float
) -> tuple[float, float, float]:
    """Returns the Kaplan-Meier estimate at a horizon with its 95 % limits.

    Returns:
        Fraction alive, lower and upper limit; all NaN if the follow-up ends before the horizon with
        somebody still alive, the limits NaN where nobody or everybody has died.
    """
    curve = survival_curve(time_days, event)
    passed = curve[curve["time_days"] <= horizon_days]
    if passed.empty or (len(passed) == len(curve) and passed["survival"].iloc[-1] > 0
                        and passed["time_days"].iloc[-1] < horizon_days):  # fmt: skip
        return float("nan"), float("nan"), float("nan")
    last = passed.iloc[-1]
    return float(last["survival"]), float(last["ci_low"]), float(last["ci_high"])


def log_rank(
    time_days: npt.ArrayLike, event: npt.ArrayLike, group: npt.ArrayLike
) -> tuple[float, float]:
    """Tests that all groups have the same survival (log-rank test, R's ``survdiff``).

    Args:
        time_days: days to death or last contact (N,).
        event: 1 death, 0 censored (N,).
        group: group of each patient (N,), any type.

    Returns:
        Chi-square (groups - 1 degrees of freedom) and p; NaN and NaN if nobody died.

    Raises:
        InputDataError: if there are fewer than two groups.
    """
    labels = np.asarray(group)
    if len(np.unique(labels)) < 2:
        raise InputDataError("a log-rank test needs patients in at least two groups.")
    if not np.asarray(event, dtype=np.float64).any():
        return float("nan"), float("nan")
    test = multivariate_logrank_test(time_days, labels, event)
    return float(test.test_statistic), float(test.p_value)


def split_at(
    rows: pd.DataFrame, column: str, cut: float, *, what: str = "risk"
) -> tuple[CurveGroup, CurveGroup]:
    """Splits patients into those above a cut and those up to it.

    Args:
        rows: patients with the column.
        column: what is compared.
        cut: the cut; who equals it belongs to the lower group.
        what: what the names of the groups begin with.

    Returns:
        The higher and the lower group.

    Raises:
        InputDataError: if one of them is empty.
    """
    high = (rows[column] > cut).to_numpy(dtype=bool)
    if high.all() or not high.any():
        same = rows[column].nunique() == 1
        raise InputDataError(
            f"all {len(rows)} patients have the same risk or too few differ; survival cannot be "
            "compared between a high and a low group."
            if same
            else f"all {len(rows)} patients lie on one side of {cut:.3g}; survival cannot be "
            "compared between a high and a low group."
        )
    return CurveGroup(f"{what} above {cut:.3g}", high), CurveGroup(f"{what} up to {cut:.3g}", ~high)


def compare_groups(rows: pd.DataFrame, high: CurveGroup, low: CurveGroup) -> dict[str, Any]:
    """Counts patients and deaths of two groups and tests their survival.

    Returns:
        ``chi_square``, ``log_rank_p`` (None if nobody died), ``n_high``, ``n_low``,
        ``deaths_high``, ``deaths_low``.
    """
    chi_square, p = log_rank(rows["time_days"], rows["event"], high.chosen)
    return {
        "chi_square": None if np.isnan(p) else chi_square,
        "log_rank_p": None if np.isnan(p) else p,
        "n_high": int(high.chosen.sum()),
        "n_low": int(low.chosen.sum()),
        "deaths_high": int(rows.loc[high.chosen, "event"].sum()),
        "deaths_low": int(rows.loc[low.chosen, "event"].sum()),
    }
