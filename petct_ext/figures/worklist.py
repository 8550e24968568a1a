"""Figure of worklist triage (Fig. 2b-d of the paper)."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from petct_ext.figures.style import BLUE, GRAY, ORANGE, figure_style, judged_by
from petct_ext.statistics.predictions import Experiment
from petct_ext.statistics.worklist import sensitivity_when_read, triage_curve

__all__ = ["draw_triage", "triage_tasks"]

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
