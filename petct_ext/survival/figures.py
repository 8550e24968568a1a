"""Forest plot and Kaplan-Meier curves, as SVG and PNG, in colors of Okabe & Ito (2008)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

import matplotlib
import numpy as np
import numpy.typing as npt
import pandas as pd
from lifelines import KaplanMeierFitter
from lifelines.statistics import logrank_test
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, LogLocator, MaxNLocator, NullLocator

from petct_ext.errors import InputDataError
from petct_ext.figure_files import STYLE
from petct_ext.survival.cox import CoxModel

__all__ = ["draw_forest", "draw_kaplan_meier", "log_rank_by_median"]

_BLUE: Final = "#0072B2"
_ORANGE: Final = "#D55E00"
_GRAY: Final = "#6b7280"


def draw_forest(models: Mapping[str, CoxModel], *, title: str) -> Figure:
    """Draws hazard ratios with 95 % Wald intervals on a logarithmic axis.

    Args:
        models: models by the name that the legend gives them; the rows follow the last one.
        title: what the figure shows, on whom.
    """
    rows = list(models.values())[-1].coefficients["covariate"].tolist()[::-1]
    with matplotlib.rc_context(STYLE):
        figure = Figure(figsize=(8, 1.6 + 0.42 * len(rows)))
        axes = figure.add_subplot()
        styles = zip((_GRAY, _BLUE), ("s", "o"), (-0.13, 0.13), strict=True)
        for (name, model), (color, marker, shift) in zip(models.items(), styles, strict=False):
            table = model.coefficients
            heights = [rows.index(covariate) - shift for covariate in table["covariate"]]
            limits = np.exp(np.clip(table[["ci_low", "ci_high"]].to_numpy(dtype=np.float64), -9, 9))
            axes.hlines(heights, limits[:, 0], limits[:, 1], color=color, linewidth=1.5)
            axes.plot(table["hazard_ratio"], heights, marker, color=color, markersize=5, label=name)
        axes.axvline(1, color=_GRAY, linewidth=1, linestyle=":")
        axes.set_xscale("log")
        axes.xaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
        axes.xaxis.set_major_formatter(FuncFormatter(_plain))
        axes.xaxis.set_minor_locator(NullLocator())
        axes.set_yticks(range(len(rows)), rows)
        axes.set_ylim(-0.6, len(rows) - 0.4)
        axes.set_xlabel("hazard ratio (bar: 95 % CI); right of 1: more deaths")
        axes.set_title(title, fontsize=10)
        axes.legend(frameon=False, fontsize=9, loc="upper left", bbox_to_anchor=(1.01, 1))
    return figure


def log_rank_by_median(rows: pd.DataFrame, risk: str) -> dict[str, Any]:
    """Compares the survival of patients above and up to the median risk (log-rank test).

    Args:
        rows: patients with ``time_days``, ``event`` and the risk score.
        risk: name of the risk column.

    Returns:
        ``median``, ``p``, and patients and deaths of both groups.

    Raises:
        InputDataError: if no patient lies above the median (all scores equal).
    """
    high = _is_high(rows, risk)
    test = logrank_test(
        rows.loc[high, "time_days"],
        rows.loc[~high, "time_days"],
        rows.loc[high, "event"],
        rows.loc[~high, "event"],
    )
    return {
        "median": float(rows[risk].median()),
        "log_rank_p": float(test.p_value),
        "n_high": int(high.sum()),
        "n_low": int((~high).sum()),
        "deaths_high": int(rows.loc[high, "event"].sum()),
        "deaths_low": int(rows.loc[~high, "event"].sum()),
    }


def draw_kaplan_meier(rows: pd.DataFrame, risk: str, *, title: str) -> Figure:
    """Draws survival above and up to the median risk, with the numbers at risk.

    Args:
        rows: patients with ``time_days``, ``event`` and the risk score.
        risk: name of the risk column.
        title: what the risk is and whose; the log-rank p is added.

    Raises:
        InputDataError: if no patient lies above the median.
    """
    high, test = _is_high(rows, risk), log_rank_by_median(rows, risk)
    ticks = np.unique(MaxNLocator(6, integer=True).tick_values(0, float(rows["time_days"].max())))
    with matplotlib.rc_context(STYLE):
        figure = Figure(figsize=(7, 5))
        axes, below = figure.subplots(2, 1, height_ratios=(5, 1), sharex=True)
        groups = (("above median risk", high, _ORANGE, "-"), ("up to median", ~high, _BLUE, "--"))
        for name, chosen, color, line in groups:
            _draw_group(axes, rows[chosen], name, color=color, line=line)
        axes.set_ylim(0, 1.02)
        axes.set_ylabel("fraction alive")
        axes.set_title(f"{title}\nlog-rank p = {test['log_rank_p']:.2g}", fontsize=10)
        axes.legend(frameon=False, fontsize=9, loc="upper right", bbox_to_anchor=(1.0, 1.02))
        for height, (name, chosen, color, _) in enumerate(reversed(groups)):
            times = rows.loc[chosen, "time_days"].to_numpy()
            for tick in ticks:
                at_risk = int((times >= tick).sum())
                below.text(tick, height, str(at_risk), color=color, ha="center", va="center")
            below.text(
                -0.02, (height + 0.5) / 2, name, color=color, ha="right", va="center",
                transform=below.transAxes, fontsize=8,
            )  # fmt: skip
        below.set_ylim(-0.5, 1.5)
        below.set_yticks([])
        below.set_xticks(ticks)
        below.spines["left"].set_visible(False)
        below.set_title("patients at risk", fontsize=8)
        below.set_xlabel("days after the last exam")
    return figure


def _plain(value: float, _: int) -> str:
    return f"{value:g}"


def _draw_group(axes: Axes, rows: pd.DataFrame, name: str, *, color: str, line: str) -> None:
    fitter = KaplanMeierFitter()
    fitter.fit(rows["time_days"], rows["event"])
    curve, band = fitter.survival_function_, fitter.confidence_interval_
    label = f"{name}: {len(rows)} patients, {int(rows['event'].sum())} deaths"
    axes.step(curve.index, curve.iloc[:, 0], where="post", color=color, linestyle=line, label=label)
    axes.fill_between(
        band.index, band.iloc[:, 0], band.iloc[:, 1], step="post", color=color, alpha=0.12
    )
    censored = rows.loc[rows["event"] == 0, "time_days"].to_numpy(dtype=np.float64)
    alive = fitter.survival_function_at_times(censored).to_numpy() if len(censored) else []
    axes.plot(censored, alive, "|", color=color, markersize=6)


def _is_high(rows: pd.DataFrame, risk: str) -> npt.NDArray[np.bool_]:
    high = (rows[risk] > rows[risk].median()).to_numpy(dtype=bool)
    if not high.any():
        raise InputDataError(
            f"all {len(rows)} patients have the same risk or too few differ; survival cannot be "
            "compared between a high and a low group."
        )
    return np.asarray(high)
