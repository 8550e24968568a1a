"""Figures of importance, discrimination over time, calibration and proportional hazards."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final

import matplotlib
import numpy as np
import numpy.typing as npt
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from petct_ext.figures.style import BLUE, GRAY, ORANGE, STYLE
from petct_ext.survival.performance import HorizonScores
from petct_ext.survival.proportional_hazards import ProportionalHazards

__all__ = [
    "draw_calibration",
    "draw_horizon_auroc",
    "draw_importance",
    "draw_schoenfeld",
]

_STYLES: Final = ((GRAY, "s", "--"), (BLUE, "o", "-"))
_MOST_PANELS: Final = 6


def draw_importance(importance: pd.DataFrame, *, title: str) -> Figure:
    """Draws Wald's chi-square less degrees of freedom of each group, largest on top."""
    rows = importance.sort_values("importance")
    with matplotlib.rc_context(STYLE):
        figure = Figure(figsize=(8, 1.4 + 0.36 * len(rows)))
        axes = figure.add_subplot()
        is_whole = rows["group"].str.startswith("all ")
        axes.barh(
            range(len(rows)),
            rows["importance"],
            height=0.6,
            color=np.where(is_whole, ORANGE, BLUE),
            hatch=["///" if whole else "" for whole in is_whole],
            edgecolor="white",
        )
        axes.axvline(0, color=GRAY, linewidth=1)
        names = [
            f"{row['group']}  (df {row['degrees_of_freedom']}, p {_p(row['p'])})"
            for row in rows.to_dict("records")
        ]
        axes.set_yticks(range(len(rows)), names)
        axes.set_xlabel(
            "Wald chi-square less degrees of freedom (0 or below: no sign of an effect)"
        )
        axes.set_title(title, fontsize=10)
        _grid(axes, "x")
    return figure


def draw_horizon_auroc(horizons: HorizonScores, *, title: str) -> Figure:
    """Draws the cumulative/dynamic AUROC of both models at every horizon, with 95 % intervals."""
    scores = horizons.scores[horizons.scores["model"] != "gain"]
    with matplotlib.rc_context(STYLE):
        figure = Figure(figsize=(7, 4.2))
        axes = figure.add_subplot()
        days = sorted(scores["horizon_days"].unique())
        models = list(dict.fromkeys(scores["model"]))
        for number, (model, style) in enumerate(zip(models, _STYLES, strict=False)):
            color, marker, line = style
            rows = scores[scores["model"] == model].set_index("horizon_days").loc[days]
            x = np.arange(len(days)) + (number - (len(models) - 1) / 2) * 0.16
            axes.vlines(x, rows["auroc_ci_low"], rows["auroc_ci_high"], color=color, linewidth=1.5)
            axes.plot(x, rows["auroc"], color=color, marker=marker, linestyle=line, label=model)
        counts = scores.drop_duplicates("horizon_days").set_index("horizon_days")
        labels = [
            f"{d} days\n{counts.loc[d, 'n_dead']} dead\n{counts.loc[d, 'n_alive']} alive"
            for d in days
        ]
        axes.axhline(0.5, color=GRAY, linewidth=1, linestyle=":")
        axes.set_xticks(range(len(days)), labels)
        axes.set_xlim(-0.5, len(days) - 0.5)
        axes.set_ylim(min(0.35, float(np.nanmin([*scores["auroc_ci_low"], 0.4])) - 0.02), 1.01)
        axes.set_ylabel("AUROC (bar: 95 % CI; dotted: chance)")
        axes.set_title(title, fontsize=10)
        axes.legend(frameon=False, fontsize=9, loc="lower right")
        _grid(axes, "y")
    return figure


def draw_calibration(horizons: HorizonScores, *, title: str) -> Figure:
    """Draws observed against predicted deaths, one panel per horizon, with 95 % intervals."""
    calibration = horizons.calibration
    days = sorted(calibration["horizon_days"].unique())
    models = list(dict.fromkeys(calibration["model"]))
    with matplotlib.rc_context(STYLE):
        figure, panels = _panels(len(days), most_columns=2, size=(3.9, 3.9), title=title)
        for axes, horizon in zip(panels, days, strict=True):
            of_horizon = calibration[calibration["horizon_days"] == horizon]
            axes.plot([0, 1], [0, 1], color=GRAY, linewidth=1, linestyle=":")
            for model, (color, marker, _) in zip(models, _STYLES, strict=False):
                rows = of_horizon[of_horizon["model"] == model]
                axes.vlines(
                    rows["predicted"], rows["ci_low"], rows["ci_high"], color=color, linewidth=1.2
                )
                axes.plot(
                    rows["predicted"], rows["observed"], marker, color=color, markersize=5,
                    label=model,
                )  # fmt: skip
            highest = np.nanmax([*of_horizon["predicted"], *of_horizon["ci_high"],
                                 *of_horizon["observed"], 0.1])  # fmt: skip
            axes.set_xlim(0, min(1.0, highest * 1.05))
            axes.set_ylim(0, min(1.02, highest * 1.05))
            axes.set_title(f"{horizon} days", fontsize=10)
            axes.set_xlabel("predicted probability to die", fontsize=9)
            axes.set_ylabel("observed (Kaplan-Meier, bar: 95 % CI)", fontsize=9)
            _grid(axes, "both")
        panels[0].legend(frameon=False, fontsize=8, loc="upper left")
    return figure


def draw_schoenfeld(
    hazards: ProportionalHazards,
    effects: pd.Series,
    *,
    groups: Mapping[str, Sequence[str]],
    title: str,
) -> Figure:
    """Draws how effects change with time: scaled Schoenfeld residuals with a smooth course.

    Args:
        hazards: the check.
        effects: log hazard ratio of each covariate, drawn as a line; at most six covariates, those
            with the smallest p of their group first.
        groups: covariates by the name of the group in which they were tested.
        title: what the figure shows.
    """
    p = dict(zip(hazards.tests["group"], hazards.tests["p"], strict=True))
    names = [name for group in sorted(groups, key=p.__getitem__) for name in groups[group]]
    names = names[:_MOST_PANELS]
    with matplotlib.rc_context(STYLE):
        figure, panels = _panels(len(names), most_columns=3, size=(3.3, 2.9), title=title)
        for axes, name in zip(panels, names, strict=True):
            days = hazards.residuals["time_days"].to_numpy(dtype=np.float64)
            values = hazards.residuals[name].to_numpy(dtype=np.float64)
            axes.plot(days, values, ".", color=BLUE, markersize=3, alpha=0.5)
            axes.axhline(float(effects[name]), color=GRAY, linewidth=1)
            axes.plot(days, _smooth(days, values), color=ORANGE, linewidth=1.8)
            axes.set_xscale("symlog", linthresh=30)
            axes.set_title(name, fontsize=8)
            axes.set_xlabel("days", fontsize=8)
            axes.set_ylabel("log hazard ratio", fontsize=8)
            axes.tick_params(labelsize=7)
    return figure


def _panels(
    count: int, *, most_columns: int, size: tuple[float, float], title: str
) -> tuple[Figure, list[Axes]]:
    """Returns a figure with as many panels, row by row; ``size`` is that of one, in inches."""
    columns = min(most_columns, count)
    num_rows = -(-count // columns)
    width, height = size[0] * columns, size[1] * num_rows + 0.6
    figure = Figure(figsize=(width, height))
    # By hand: matplotlib's constrained layout would take longer than the drawing.
    figure.subplots_adjust(
        left=0.6 / width, right=1 - 0.1 / width, bottom=0.5 / height, top=1 - 0.75 / height,
        wspace=0.28, hspace=0.32,
    )  # fmt: skip
    panels = list(figure.subplots(num_rows, columns, squeeze=False).flat)
    for axes in panels[count:]:
        axes.set_visible(False)
    figure.suptitle(title, fontsize=10, x=0.01, ha="left")
    return figure, panels[:count]


def _smooth(
    days: npt.NDArray[np.float64], values: npt.NDArray[np.float64]
) -> npt.NDArray[np.float64]:
    """Returns a running weighted mean over the ranks of the days (tricube, two thirds wide)."""
    _, rank = np.unique(days, return_inverse=True)
    width = max(2.0, rank.max() / 3)
    weight = np.clip(1 - (np.abs(rank[:, None] - rank) / width) ** 3, 0, None) ** 3
    return np.asarray(weight @ values / weight.sum(axis=1))


def _grid(axes: Axes, which: str) -> None:
    axes.grid(axis=which, color="#e5e7eb", linewidth=0.6)  # type: ignore[arg-type]
    axes.set_axisbelow(True)


def _p(value: float) -> str:
    return "< 0.0001" if value < 0.0001 else f"= {value:.2g}"
