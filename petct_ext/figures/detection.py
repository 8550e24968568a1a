"""Figures of detection: areas by region, reliability, ROC curves, worklist triage.

Colors are those of Okabe & Ito (2008), which people with color vision deficiency can tell apart;
nothing is told by color alone. Every title says who judged the targets.
"""

from __future__ import annotations

import textwrap
from collections.abc import Iterator, Sequence

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from petct_ext.figures.style import BLUE, GRAY, ORANGE, figure_style, judged_by
from petct_ext.statistics.calibration import reliability_bins
from petct_ext.statistics.operating_points import roc_curve
from petct_ext.statistics.predictions import TARGET_KINDS, Experiment
from petct_ext.statistics.region_statistics import Statistic
from petct_ext.statistics.worklist import sensitivity_when_read, triage_curve

__all__ = [
    "draw_by_region",
    "draw_reliability",
    "draw_roc_curves",
    "draw_triage",
    "triage_tasks",
]


def draw_by_region(rows: pd.DataFrame, macro: pd.Series, statistic: Statistic) -> Figure:
    """Draws a statistic per task, largest on top, with interval and one dot per seed.

    Args:
        rows: rows of one experiment of ``RegionTable.tasks``.
        macro: the experiment's row of ``RegionTable.macro``.
        statistic: which of their statistics.

    Returns:
        The figure. Tasks in which it is undefined are listed at the bottom with the reason. The bar
        is the bootstrap interval; for a statistic without one, that over seeds.
    """
    name, mean = statistic.name, macro[f"macro_{statistic.name}"]
    rows = rows.sort_values(name, ascending=True, na_position="first")
    with figure_style():
        figure = Figure(figsize=(8, 1.3 + 0.27 * len(rows)))
        axes = figure.add_subplot()
        for height, (_, row) in enumerate(rows.iterrows()):
            _draw_task(axes, height, row, statistic=statistic)
        if pd.notna(mean):
            axes.axvline(mean, color=ORANGE, linewidth=1, zorder=0)
        if statistic.chance is not None:
            axes.axvline(statistic.chance, color=GRAY, linewidth=1, linestyle=":", zorder=0)
        labels = [f"{row['title']}  ({row['n_positive']}/{row['n']})" for row in _named(rows)]
        axes.set_yticks(range(len(rows)), labels)
        axes.set_ylim(-0.7, len(rows) - 0.3)
        lowest = rows[[name, f"{name}_{statistic.interval}_low"]].to_numpy(dtype=np.float64) - 0.03
        usual = 0.35 if statistic.chance is None else statistic.chance - 0.15
        axes.set_xlim(np.nanmin([*lowest.flat, usual]), 1.01)
        chance = "" if statistic.chance is None else ", dotted: chance"
        bar = f"bar: {statistic.interval_title}"
        axes.set_xlabel(f"{statistic.title} ({bar}, small dots: seeds{chance})")
        axes.set_title(f"{_macro_text(macro, statistic)}\n{_subtitle(macro)}", fontsize=10)
        axes.title.set_position((0, 1))
        axes.grid(axis="x", color="#e5e7eb", linewidth=0.6)
        axes.set_axisbelow(True)
    return figure


def draw_reliability(experiment: Experiment, *, num_bins: int = 10) -> Figure:
    """Draws observed against predicted frequency over all tasks and seeds together."""
    known = np.broadcast_to(~np.isnan(experiment.target), experiment.prob.shape)
    target = np.broadcast_to(experiment.target, experiment.prob.shape)[known]
    bins = reliability_bins(experiment.prob[known], target, num_bins=num_bins)
    with figure_style():
        figure = Figure(figsize=(5, 5.4))
        axes, counts = figure.subplots(2, 1, sharex=True, height_ratios=(4, 1))
        axes.plot([0, 1], [0, 1], color=GRAY, linewidth=1, linestyle=":")
        filled = bins.count > 0
        axes.plot(bins.mean_prob[filled], bins.observed[filled], "o-", color=BLUE, markersize=5)
        axes.set_ylabel("fraction abnormal")
        axes.set_ylim(-0.02, 1.02)
        axes.set_title(f"Reliability over all tasks\n{_of_experiment(experiment)}", fontsize=10)
        counts.bar(bins.edges[:-1], bins.count, width=1 / num_bins, align="edge", color="#9ec6e0")
        counts.set_ylabel("predictions")
        counts.set_xlabel("predicted probability")
        counts.set_xlim(0, 1)
    return figure


def draw_roc_curves(experiment: Experiment, rows: pd.DataFrame, *, num_columns: int = 6) -> Figure:
    """Draws one small ROC curve per task with a defined AUROC, one line per seed."""
    defined = rows[rows["auroc"].notna()].sort_values("auroc", ascending=False)
    num_rows = max(1, -(-len(defined) // num_columns))
    with figure_style():
        height = 2.15 * num_rows + 1.4
        figure = Figure(figsize=(1.9 * num_columns, height))
        # By hand: matplotlib's constrained layout would take longer than the drawing.
        edges = {"left": 0.055, "right": 0.99, "bottom": 0.55 / height, "top": 1 - 1.35 / height}
        figure.subplots_adjust(**edges, wspace=0.15, hspace=0.42)
        grid = figure.subplots(num_rows, num_columns, sharex=True, sharey=True, squeeze=False)
        for axes in grid.flat:
            axes.set_visible(False)
        corners = {0, min(num_columns, len(defined)) - 1, (num_rows - 1) * num_columns}
        for i, (axes, row) in enumerate(zip(grid.flat, _named(defined), strict=False)):
            axes.set_visible(True)
            # The others lie inside of these, so the frame of the picture need not ask them.
            axes.set_in_layout(i in corners)
            _draw_roc(axes, experiment, experiment.tasks.index(row["task"]))
            title = textwrap.fill(str(row["title"]), 22)
            axes.set_title(f"{title}\nAUROC {row['auroc']:.2f}", fontsize=8)
        figure.suptitle(f"ROC curves\n{_of_experiment(experiment)}", fontsize=10)
        figure.supxlabel("1 - specificity", fontsize=9)
        figure.supylabel("sensitivity", fontsize=9)
    return figure


def _draw_roc(axes: Axes, experiment: Experiment, task: int) -> None:
    known = ~np.isnan(experiment.target[task])
    axes.plot([0, 1], [0, 1], color=GRAY, linewidth=0.8, linestyle=":")
    for prob in experiment.prob:
        false, true = roc_curve(prob[task, known], experiment.target[task, known])
        axes.plot(false, true, color=BLUE, linewidth=1, alpha=0.8)
    axes.set_aspect("equal")
    axes.set_xticks([0, 0.5, 1])
    axes.set_yticks([0, 0.5, 1])
    axes.tick_params(labelsize=7)


def _draw_task(axes: Axes, height: int, row: pd.Series, *, statistic: Statistic) -> None:
    name, interval = statistic.name, statistic.interval
    if pd.isna(row[name]):
        axes.text(
            0.5, height, f"  {row['note']}", va="center", fontsize=8, color=GRAY, style="italic"
        )
        return
    color = BLUE if row["in_macro"] else GRAY
    limits = [row[f"{name}_{interval}_low"], row[f"{name}_{interval}_high"]]
    axes.plot(limits, [height, height], color=color, linewidth=2.5, alpha=0.45)
    seeds = row[[column for column in row.index if str(column).startswith(f"{name}_seed_")]]
    seeds = seeds.dropna()
    if len(seeds) > 1:
        axes.plot(seeds, [height] * len(seeds), ".", color=color, markersize=4, alpha=0.9)
    face = color if row["in_macro"] else "white"
    axes.plot(row[name], height, "o", color=color, markersize=6, markerfacecolor=face)


def _named(rows: pd.DataFrame) -> Iterator[pd.Series]:
    for _, row in rows.iterrows():
        yield row


def _macro_text(macro: pd.Series, statistic: Statistic) -> str:
    name, interval = f"macro_{statistic.name}", statistic.interval
    if pd.isna(macro[name]):
        return f"Macro mean {statistic.title} {macro['note']}"
    low, high = macro[f"{name}_{interval}_low"], macro[f"{name}_{interval}_high"]
    return (
        f"Macro mean {statistic.title} {macro[name]:.3f} "
        f"({statistic.interval_title} {low:.3f}-{high:.3f}, {macro['n_tasks']} tasks with at "
        f"least {macro['min_positives']} positives)"
    )


def _subtitle(macro: pd.Series) -> str:
    return (
        f"{macro['experiment']}, {macro['split']} split, {macro['n_exams']} exams; "
        f"{TARGET_KINDS[macro['target_kind']]}"
    )


def _of_experiment(experiment: Experiment) -> str:
    return (
        f"{experiment.name}, {experiment.split} split, {len(experiment.exam_ids)} exams;\n"
        f"{TARGET_KINDS[experiment.target_kind]}"
    )


_PAPER = ("chest", "liver", "inguinal_lymph_node")


def triage_tasks(experiment: Experiment, *, count: int = 3) -> list[str]:
    """Returns the tasks to draw: the paper's three where they are, else those with most positives.

    Tasks without a positive are never chosen.
    """
    positives = np.nansum(experiment.target, axis=1)
    found = {task: n for task, n in zip(experiment.tasks, positives, strict=True) if n > 0}
    chosen = [task for task in _PAPER if task in found]
    rest = sorted((task for task in found if task not in chosen), key=lambda task: -found[task])
    return (chosen + rest)[:count]


def draw_triage(experiment: Experiment, tasks: Sequence[str]) -> Figure | None:
    """Draws sensitivity against the fraction of exams read, one panel per task.

    The line is the mean over seeds, the band their range; the perfect reader and random order are
    drawn for comparison.

    Returns:
        The figure, or None if there is no task.
    """
    if not tasks:
        return None
    with figure_style():
        width = 3.3 * len(tasks) + 0.7
        figure = Figure(figsize=(width, 4.5))
        figure.subplots_adjust(left=0.65 / width, right=0.99, bottom=0.14, top=0.77, wspace=0.08)
        panels = figure.subplots(1, len(tasks), sharey=True, squeeze=False)[0]
        for axes, task in zip(panels, tasks, strict=True):
            _draw_panel(axes, experiment, experiment.tasks.index(task))
        panels[0].set_ylabel("sensitivity (abnormal exams found)")
        panels[0].legend(fontsize=8, loc="lower right", frameon=False)
        figure.supxlabel("fraction of exams read, highest probability first", fontsize=10)
        figure.suptitle(
            f"Worklist triage: {experiment.name}, {experiment.split} split;\n"
            f"{judged_by(experiment.target_kind)}; band: range of {len(experiment.seeds)} seed(s)",
            fontsize=10,
            x=0.01,
            ha="left",
        )
    return figure


def _draw_panel(axes: Axes, experiment: Experiment, task: int) -> None:
    target = experiment.target[task]
    curves = np.array([triage_curve(of_seed[task], target) for of_seed in experiment.prob])
    read = np.linspace(0, 1, curves.shape[1])
    prevalence = float(np.nanmean(target))
    axes.plot([0, prevalence, 1], [0, 1, 1], color=GRAY, linewidth=1, label="perfect reader")
    axes.plot([0, 1], [0, 1], color=GRAY, linewidth=1, linestyle=":", label="random order")
    axes.fill_between(
        read, curves.min(axis=0), curves.max(axis=0), color=BLUE, alpha=0.25, linewidth=0
    )
    mean = curves.mean(axis=0)
    axes.plot(read, mean, color=BLUE, linewidth=1.8, label="model")
    for fraction in (0.5, 0.75):
        found = sensitivity_when_read(mean, fraction)
        axes.plot(fraction, found, "o", color=ORANGE, markersize=5)
        axes.annotate(
            f"{100 * found:.0f} %", (fraction, found), (4, -13), textcoords="offset points",
            fontsize=9,
        )  # fmt: skip
    axes.set_xlim(0, 1)
    axes.set_ylim(0, 1.02)
    axes.set_xticks([0, 0.25, 0.5, 0.75, 1], ["0", "¼", "½", "¾", "1"])
    num = int(np.isfinite(target).sum())
    positive = int(np.nansum(target))
    title = f"{experiment.title(experiment.tasks[task])}\n{positive} of {num} abnormal"
    axes.set_title(title, fontsize=9)
    axes.grid(color="#e5e7eb", linewidth=0.6)
