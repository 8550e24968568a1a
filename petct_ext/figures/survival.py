"""Forest plots and Kaplan-Meier curves, as SVG and PNG, in colors of Okabe & Ito (2008)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final

import matplotlib
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, LogLocator, MaxNLocator, NullLocator

from petct_ext.figures.style import BLUE, GRAY, ORANGE, STYLE
from petct_ext.survival.cox import CoxModel
from petct_ext.survival.survival_curves import CurveGroup, log_rank, survival_curve

__all__ = ["draw_forest", "draw_kaplan_meier", "draw_single_variables"]


_WIDEST: Final = 5.0
"""Log hazard ratio beyond which an interval is cut, with an arrow."""
_MOST_REGIONS: Final = 40


def draw_forest(models: Mapping[str, CoxModel], *, title: str) -> Figure:
    """Draws hazard ratios with 95 % Wald intervals on a logarithmic axis.

    Args:
        models: one or two models by the name that the legend gives them; the rows follow the last.
        title: what the figure shows, on whom.
    """
    rows = list(list(models.values())[-1].covariates)[::-1]
    with matplotlib.rc_context(STYLE):
        figure = Figure(figsize=(8.5, 1.6 + 0.42 * len(rows)))
        axes = figure.add_subplot()
        styles = list(zip((GRAY, BLUE), ("s", "o"), (-0.13, 0.13), strict=True))[-len(models) :]
        for (name, model), (color, marker, shift) in zip(models.items(), styles, strict=True):
            heights = [rows.index(covariate) - shift for covariate in model.covariates]
            _draw_ratios(axes, heights, model.coefficients, color=color, marker=marker, label=name)
        axes.set_yticks(range(len(rows)), rows)
        axes.set_ylim(-0.6, len(rows) - 0.4)
        _finish_ratios(axes, title)
        axes.legend(
            frameon=False, fontsize=9, loc="upper left", bbox_to_anchor=(0, -1.1 / (1 + len(rows))),
            ncols=2,
        )  # fmt: skip
    return figure


def draw_single_variables(single: pd.DataFrame, *, title: str) -> Figure:
    """Draws the hazard ratio of every variable in a model of its own.

    Args:
        single: table of ``single_variable_models``; rows without numbers are left out. Regions are
            sorted by p; the first forty are drawn.
        title: what the figure shows, on whom.
    """
    known = single[single["hazard_ratio"].notna()]
    of_region = known["p_holm"].notna()
    regions = known[of_region].sort_values("p", kind="stable")
    if len(regions) > _MOST_REGIONS:
        title += f"\nthe {_MOST_REGIONS} regions with the smallest p of {len(regions)}"
    known = pd.concat([known[~of_region], regions.head(_MOST_REGIONS)]).iloc[::-1]
    with matplotlib.rc_context(STYLE):
        figure = Figure(figsize=(8.5, 1.5 + 0.36 * max(1, len(known))))
        axes = figure.add_subplot()
        _draw_ratios(axes, list(range(len(known))), known, color=BLUE, marker="o", label="")
        names = [f"{row['covariate']}  (p {_p(row['p'])})" for row in known.to_dict("records")]
        axes.set_yticks(range(len(known)), names)
        axes.set_ylim(-0.6, len(known) - 0.4)
        _finish_ratios(axes, title)
    return figure


def draw_kaplan_meier(rows: pd.DataFrame, groups: Sequence[CurveGroup], *, title: str) -> Figure:
    """Draws the survival of two groups with 95 % bands and the numbers at risk.

    Args:
        rows: patients with ``time_days`` and ``event``.
        groups: the group with the higher risk and the other.
        title: what divides them and whose curves these are; the log-rank p is added.
    """
    _, p = log_rank(rows["time_days"], rows["event"], groups[0].chosen)
    ticks = np.unique(MaxNLocator(6, integer=True).tick_values(0, float(rows["time_days"].max())))
    ticks = ticks[(ticks >= 0) & (ticks <= rows["time_days"].max())]
    with matplotlib.rc_context(STYLE):
        figure = Figure(figsize=(7, 5.2))
        axes, below = figure.subplots(2, 1, height_ratios=(5, 1), sharex=True)
        styles = ((ORANGE, "-"), (BLUE, "--"))
        for group, (color, line) in zip(groups, styles, strict=True):
            _draw_group(axes, rows[group.chosen], group.name, color=color, line=line)
        axes.set_ylim(0, 1.02)
        axes.set_ylabel("fraction alive (band: 95 % CI)")
        axes.set_title(f"{title}\nlog-rank p {_p(p)}", fontsize=10)
        axes.legend(frameon=False, fontsize=9, loc="best")
        for height, (group, (color, _)) in enumerate(zip(groups[::-1], styles[::-1], strict=True)):
            times = rows.loc[group.chosen, "time_days"].to_numpy(dtype=np.float64)
            for tick in ticks:
                at_risk = int((times >= tick).sum())
                below.text(tick, height, str(at_risk), color=color, ha="center", va="center")
            below.text(
                -0.02, (height + 0.5) / 2, group.name, color=color, ha="right", va="center",
                transform=below.transAxes, fontsize=8,
            )  # fmt: skip
        below.set_ylim(-0.5, 1.5)
        below.set_yticks([])
        below.set_xticks(ticks)
        below.spines["left"].set_visible(False)
        below.set_title("patients at risk", fontsize=8)
        below.set_xlabel("days after the last exam")
    return figure


def _draw_ratios(
    axes: Axes,
    heights: Sequence[float],
    table: pd.DataFrame,
    *,
    color: str,
    marker: str,
    label: str,
) -> None:
    low, high = (table[name].to_numpy(dtype=np.float64) for name in ("ci_low", "ci_high"))
    points = np.exp(np.clip(table["log_hazard_ratio"].to_numpy(np.float64), -_WIDEST, _WIDEST))
    axes.hlines(
        heights,
        np.exp(np.clip(low, -_WIDEST, _WIDEST)),
        np.exp(np.clip(high, -_WIDEST, _WIDEST)),
        color=color,
        linewidth=1.5,
    )
    for height, left, right in zip(heights, low, high, strict=True):
        for limit, sign in ((left, "<"), (right, ">")):
            if abs(limit) > _WIDEST:
                edge = np.exp(np.clip(limit, -_WIDEST, _WIDEST))
                axes.plot(edge, height, sign, color=color, markersize=6)
    axes.plot(points, heights, marker, color=color, markersize=5, label=label or None)


def _finish_ratios(axes: Axes, title: str) -> None:
    axes.axvline(1, color=GRAY, linewidth=1, linestyle=":")
    axes.set_xscale("log")
    axes.xaxis.set_major_locator(LogLocator(subs=(1, 2, 5), numticks=9))
    axes.xaxis.set_major_formatter(FuncFormatter(_plain))
    axes.xaxis.set_minor_locator(NullLocator())
    axes.set_xlabel("hazard ratio (bar: 95 % CI); right of 1: more deaths")
    axes.set_title(title, fontsize=10)
    axes.grid(axis="x", color="#e5e7eb", linewidth=0.6)
    axes.set_axisbelow(True)


def _draw_group(axes: Axes, rows: pd.DataFrame, name: str, *, color: str, line: str) -> None:
    curve = survival_curve(rows["time_days"], rows["event"])
    days, alive = curve["time_days"].to_numpy(), curve["survival"].to_numpy()
    label = f"{name}: {len(rows)} patients, {int(rows['event'].sum())} deaths"
    axes.step(days, alive, where="post", color=color, linestyle=line, label=label)
    axes.fill_between(
        days, curve["ci_low"], curve["ci_high"], step="post", color=color, alpha=0.12, linewidth=0
    )
    censored = curve[curve["censored"] > 0]
    axes.plot(censored["time_days"], censored["survival"], "|", color=color, markersize=6)


def _plain(value: float, _: int) -> str:
    return f"{value:g}"


def _p(value: float) -> str:
    if np.isnan(value):
        return "undefined"
    return "< 0.0001" if value < 0.0001 else f"= {value:.2g}"
