"""Figures of comparisons: differences per region, gain against class balance, grouped bars."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from scipy.special import stdtr

from petct_ext.figures.style import (
    BLUE,
    COLORS,
    GRAY,
    HATCHES,
    ORANGE,
    figure_style,
    finish,
    judged_by,
)
from petct_ext.ontology import RegionOntology
from petct_ext.statistics.bootstrap import mean_over_tasks, percentile_interval
from petct_ext.statistics.comparison import ALL_TASKS
from petct_ext.statistics.region_table import RegionTable

__all__ = [
    "LinearFit",
    "default_groups",
    "draw_differences",
    "draw_gain_by_balance",
    "draw_grouped_bars",
    "fit_line",
]


@dataclass(frozen=True, slots=True)
class LinearFit:
    """Least-squares line with Pearson's r squared and the two-sided Wald p of the slope (t)."""

    slope: float
    intercept: float
    r2: float
    p: float


def fit_line(x: npt.ArrayLike, y: npt.ArrayLike) -> LinearFit | None:
    """Fits y = slope x + intercept.

    Args:
        x: values (N,).
        y: values (N,).

    Returns:
        The fit; None with fewer than three points or if x or y does not vary.
    """
    a, b = np.asarray(x, dtype=np.float64), np.asarray(y, dtype=np.float64)
    if len(a) < 3 or np.ptp(a) == 0 or np.ptp(b) == 0:
        return None
    a_mean, b_mean = a.mean(), b.mean()
    sxx, syy = ((a - a_mean) ** 2).sum(), ((b - b_mean) ** 2).sum()
    sxy = ((a - a_mean) * (b - b_mean)).sum()
    r = float(np.clip(sxy / np.sqrt(sxx * syy), -1, 1))
    freedom = len(a) - 2
    p = 0.0
    if abs(r) < 1:
        p = 2 * float(stdtr(freedom, -abs(r) * np.sqrt(freedom / (1 - r * r))))
    slope = float(sxy / sxx)
    return LinearFit(slope, float(b_mean - slope * a_mean), r * r, p)


def draw_differences(rows: pd.DataFrame) -> Figure:
    """Draws the difference in AUROC per task with interval and one dot per seed (3a style).

    Args:
        rows: rows of one pair of ``compare_experiments``. A filled marker means p < 0.05 after
            Holm's correction (permutation over patients or exams).
    """
    tasks = rows[rows["difference"].notna()].sort_values("difference")
    last = tasks["task"] == ALL_TASKS
    tasks = pd.concat([tasks[last], tasks[~last]])
    with figure_style():
        figure = Figure(figsize=(8, 1.6 + 0.27 * len(tasks)))
        axes = figure.add_subplot()
        axes.axvline(0, color=GRAY, linewidth=1)
        for height, (_, row) in enumerate(tasks.iterrows()):
            _draw_difference(axes, height, row)
        axes.set_yticks(range(len(tasks)), [str(title) for title in tasks["title"]])
        axes.set_ylim(-0.7, len(tasks) - 0.3)
        axes.set_xlabel(
            "difference in AUROC (bar: 95 % CI, small dots: pairs of seeds,\n"
            "filled: p < 0.05 after Holm, permutation)"
        )
        finish(axes, _of_pair(rows, "AUROC of"), grid="x")
        axes.title.set_position((0, 1))
    return figure


def draw_gain_by_balance(rows: pd.DataFrame) -> Figure:
    """Draws the difference per task against its fraction of abnormal exams, with the line (4a).

    Args:
        rows: rows of one pair of ``compare_experiments``.
    """
    tasks = rows[(rows["task"] != ALL_TASKS) & rows["difference"].notna()]
    balance = (tasks["n_positive"] / tasks["n"]).to_numpy(dtype=np.float64)
    gain = tasks["difference"].to_numpy(dtype=np.float64)
    fit = fit_line(balance, gain)
    with figure_style():
        figure = Figure(figsize=(6.6, 4.8))
        axes = figure.add_subplot()
        axes.axhline(0, color=GRAY, linewidth=1, linestyle=":")
        axes.plot(balance, gain, "o", color=BLUE, markersize=5)
        axes.margins(x=0.12)
        note = "no line: needs three tasks that differ"
        if fit is not None:
            ends = np.array([balance.min(), balance.max()])
            axes.plot(ends, fit.slope * ends + fit.intercept, color=ORANGE, linewidth=1.5)
            note = (
                f"line: {fit.slope:+.3f} per unit, Pearson r² = {fit.r2:.2f}, Wald p = {fit.p:.3g}"
            )
        axes.set_xlabel(f"fraction of abnormal exams in the scored split\n{note}")
        axes.set_ylabel("difference in AUROC")
        _name_points(axes, balance, gain, [str(title) for title in tasks["title"]])
        finish(axes, _of_pair(rows, "Gain against class balance:"))
    return figure


def _name_points(
    axes: Axes, x: npt.NDArray[np.float64], y: npt.NDArray[np.float64], names: Sequence[str]
) -> None:
    """Names points from the outermost inwards, where there is room for the text."""
    corners = axes.transData.transform(np.column_stack([x, y]))
    spread = corners.std(axis=0)
    order = np.argsort(
        -np.abs((corners - corners.mean(axis=0)) / np.where(spread, spread, 1)).sum(1)
    )
    taken = [(px - 3, py - 3, px + 3, py + 3) for px, py in corners]
    for i in order:
        left, bottom = corners[i][0] + 4, corners[i][1] + 2
        box = (left, bottom, left + 5.4 * len(names[i]), bottom + 11)
        if not any(
            box[0] < other[2] and other[0] < box[2] and box[1] < other[3] and other[1] < box[3]
            for other in taken
        ):
            taken.append(box)
            axes.annotate(names[i], (x[i], y[i]), (4, 2), textcoords="offset points", fontsize=7)


def default_groups(tasks: Sequence[str], ontology: RegionOntology) -> dict[str, list[str]]:
    """Groups tasks into all, lymph nodes and other regions; empty groups are left out."""
    known = "lymph_node" in ontology
    stations = ontology.parts("lymph_node") | {"lymph_node"} if known else frozenset()
    nodes = [task for task in tasks if task in stations]
    others = [task for task in tasks if task not in nodes]
    groups = {ALL_TASKS: list(tasks)}
    if nodes and others:
        groups |= {"lymph nodes": nodes, "other regions": others}
    return groups


def draw_grouped_bars(table: RegionTable, groups: Mapping[str, Sequence[str]]) -> Figure:
    """Draws the mean AUROC of groups of tasks, one bar per experiment (3b, 4b, 4d style).

    Args:
        table: rows and draws of the experiments.
        groups: tasks by name of the group; tasks outside the macro mean are left out.

    Returns:
        The figure; intervals are 95 % bootstrap intervals over patients (exams).
    """
    names = list(table.draws)
    width = 0.8 / len(names)
    with figure_style():
        figure = Figure(figsize=(max(5.0, 1.2 + 1.5 * len(groups)), 4.4), layout="constrained")
        axes = figure.add_subplot()
        for i, name in enumerate(names):
            bars = [_group_mean(table, name, tasks) for tasks in groups.values()]
            at = np.arange(len(groups)) + (i - (len(names) - 1) / 2) * width
            means = np.array([mean for mean, _, _ in bars])
            limits = np.array([(mean - low, high - mean) for mean, low, high in bars]).T
            axes.bar(
                at, means, width * 0.92, yerr=np.clip(limits, 0, None), capsize=3, label=name,
                color=COLORS[i % len(COLORS)], hatch=HATCHES[i % len(HATCHES)], edgecolor="white",
                error_kw={"elinewidth": 1, "ecolor": "#1b1f24"},
            )  # fmt: skip
            for x, mean, (_, _, high) in zip(at, means, bars, strict=True):
                if np.isfinite(mean):
                    top = high if np.isfinite(high) else mean
                    axes.text(x, top + 0.006, f"{mean:.3f}", ha="center", fontsize=7, rotation=90)
        axes.set_xticks(range(len(groups)), [f"{g}\n({len(t)} tasks)" for g, t in groups.items()])
        lowest = min((bar.get_height() for bar in axes.patches), default=1.0)  # type: ignore[attr-defined]
        axes.set_ylim(0.5 if lowest > 0.5 else 0.0, 1.0)
        axes.set_ylabel("mean AUROC (95 % CI)")
        axes.legend(fontsize=8, frameon=False, loc="upper center", ncols=2)
        kind = str(table.macro["target_kind"].iloc[0])
        finish(axes, f"Mean AUROC by group;\n{judged_by(kind)}")
    return figure


def _group_mean(table: RegionTable, name: str, tasks: Sequence[str]) -> tuple[float, float, float]:
    rows = table.tasks[table.tasks["experiment"] == name].reset_index(drop=True)
    at = rows.index[rows["task"].isin(tasks) & rows["in_macro"].astype(bool)]
    if len(at) == 0:
        return float("nan"), float("nan"), float("nan")
    low, high = percentile_interval(mean_over_tasks(table.draws[name][at]))
    return float(rows.loc[at, "auroc"].mean()), low, high


def _draw_difference(axes: Axes, height: int, row: pd.Series) -> None:
    overall = row["task"] == ALL_TASKS
    color = ORANGE if overall else BLUE
    limits = [row["difference_ci_low"], row["difference_ci_high"]]
    axes.plot(limits, [height, height], color=color, linewidth=2.5, alpha=0.45)
    seeds = row[[name for name in row.index if str(name).startswith("difference_seed_")]].dropna()
    if len(seeds) > 1:
        axes.plot(seeds, [height] * len(seeds), ".", color=color, markersize=4, alpha=0.8)
    p = row["p_exams"] if overall else row["p_exams_holm"]
    face = color if p < 0.05 else "white"
    axes.plot(row["difference"], height, "o", color=color, markersize=6, markerfacecolor=face)


def _of_pair(rows: pd.DataFrame, what: str) -> str:
    row = rows.iloc[0]
    return (
        f"{what} {row['experiment']} minus {row['reference']},\n{row['split']} split; "
        f"{judged_by(str(row['target_kind']))}"
    )
