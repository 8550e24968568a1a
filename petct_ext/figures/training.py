"""Figures about training: AUROC against training size, epochs to the best checkpoint (3c, 4c)."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Final

import numpy as np
import pandas as pd
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator, NullLocator

from petct_ext.errors import InputDataError, did_you_mean
from petct_ext.figures.style import (
    COLORS,
    MARKERS,
    figure_style,
    finish,
    judged_by,
)
from petct_ext.tables.schemas import Column, Kind, Schema, read_table

__all__ = [
    "draw_auroc_by_training_size",
    "draw_epochs_to_best",
    "epochs_to_best",
    "read_histories",
    "read_training_sizes",
]

_SIZES: Final = Schema(
    "training sizes",
    MappingProxyType(
        {"experiment": Column(), "series": Column(), "training_exams": Column(Kind.INTEGER)}
    ),
    ("experiment",),
)
_HISTORIES: Final = Schema(
    "training histories",
    MappingProxyType(
        {
            "experiment": Column(),
            "seed": Column(Kind.INTEGER),
            "task": Column(),
            "epoch": Column(Kind.INTEGER),
            "auroc": Column(Kind.PROBABILITY, filled=False),
            "target_kind": Column(required=False, choices=("weak", "hand", "outcome")),
        }
    ),
    ("experiment", "seed", "task", "epoch"),
)


def read_training_sizes(path: str | Path, experiments: Mapping[str, object]) -> pd.DataFrame:
    """Reads with how many exams each experiment was trained.

    Args:
        path: CSV with the columns ``experiment``, ``series`` (what is one line of the figure) and
            ``training_exams``.
        experiments: those that are scored.

    Returns:
        The rows.

    Raises:
        InputDataError: if the table breaks this form or names an experiment that is not scored.
    """
    table = read_table(path, _SIZES)
    unknown = [name for name in table["experiment"] if name not in experiments]
    if unknown:
        raise InputDataError(
            f"{path}: experiment {unknown[0]!r} is not among the scored ones "
            f"({', '.join(experiments)}).{did_you_mean(unknown[0], experiments)}"
        )
    return table


def read_histories(path: str | Path) -> pd.DataFrame:
    """Reads the validation AUROC of every epoch.

    Args:
        path: CSV with the columns ``experiment``, ``seed``, ``task``, ``epoch``, ``auroc`` and,
            optional, ``target_kind`` (weak labels unless it says otherwise).

    Raises:
        InputDataError: if the table breaks this form.
    """
    table = read_table(path, _HISTORIES)
    kinds = set(table["target_kind"].replace("", "weak"))
    if len(kinds) > 1:
        raise InputDataError(
            f"{path} mixes target kinds ({', '.join(sorted(kinds))}); weak and hand labels are "
            "never drawn together. Split the table."
        )
    return table.assign(target_kind=kinds.pop())


def epochs_to_best(histories: pd.DataFrame) -> pd.DataFrame:
    """Returns the first epoch with the highest AUROC of every training.

    Args:
        histories: table from :func:`read_histories`.

    Returns:
        One row per experiment, seed and task with ``best_epoch`` and ``best_auroc``; trainings
        whose AUROC is never defined are left out.
    """
    known = histories.dropna(subset=["auroc"]).sort_values("epoch", kind="stable")
    best = known.loc[known.groupby(["experiment", "seed", "task"], sort=False)["auroc"].idxmax()]
    names = {"epoch": "best_epoch", "auroc": "best_auroc"}
    columns = ["experiment", "seed", "task", "best_epoch", "best_auroc"]
    return best.rename(columns=names)[columns].reset_index(drop=True)


def draw_auroc_by_training_size(macro: pd.DataFrame, sizes: pd.DataFrame) -> Figure:
    """Draws the macro AUROC against the number of training exams, one line per series (3c).

    Args:
        macro: ``RegionTable.macro``.
        sizes: table from :func:`read_training_sizes`.
    """
    joined = sizes.merge(macro, on="experiment").sort_values("training_exams")
    with figure_style():
        figure = Figure(figsize=(6, 4.2), layout="constrained")
        axes = figure.add_subplot()
        for i, (series, rows) in enumerate(joined.groupby("series", sort=False)):
            exams = rows["training_exams"].to_numpy(dtype=np.float64)
            area = rows["macro_auroc"].to_numpy(dtype=np.float64)
            limits = [area - rows["macro_auroc_ci_low"], rows["macro_auroc_ci_high"] - area]
            axes.errorbar(
                exams, area, yerr=np.clip(np.array(limits), 0, None), capsize=3, label=str(series),
                color=COLORS[i % len(COLORS)], marker=MARKERS[i % len(MARKERS)],
            )  # fmt: skip
        axes.set_xscale("log")
        ticks = sorted({int(n) for n in joined["training_exams"]})
        axes.set_xticks(ticks, [str(n) for n in ticks])
        axes.xaxis.set_minor_locator(NullLocator())
        axes.set_xlabel("training exams (logarithmic)")
        axes.set_ylabel("macro AUROC (95 % CI)")
        axes.legend(frameon=False, fontsize=9)
        finish(axes, f"Training size;\n{judged_by(str(macro['target_kind'].iloc[0]))}")
    return figure


def draw_epochs_to_best(histories: pd.DataFrame) -> Figure:
    """Draws the fraction of trainings that have reached their best epoch, cumulative (4c).

    Args:
        histories: table from :func:`read_histories`; a training is one seed of one task.
    """
    best = epochs_to_best(histories)
    last = int(histories["epoch"].max())
    with figure_style():
        figure = Figure(figsize=(6, 4.2), layout="constrained")
        axes = figure.add_subplot()
        for i, (name, rows) in enumerate(best.groupby("experiment", sort=False)):
            epochs = np.arange(0, last + 1)
            reached = [(rows["best_epoch"] <= epoch).mean() for epoch in epochs]
            axes.step(
                epochs, reached, where="post", color=COLORS[i % len(COLORS)],
                marker=MARKERS[i % len(MARKERS)], markersize=4, label=f"{name} ({len(rows)})",
            )  # fmt: skip
        axes.xaxis.set_major_locator(MaxNLocator(integer=True))
        axes.set_ylim(-0.02, 1.02)
        axes.set_xlabel("epoch")
        axes.set_ylabel("fraction of trainings at their best")
        axes.legend(frameon=False, fontsize=9, title="experiment (trainings)")
        kind = judged_by(str(histories["target_kind"].iloc[0]))
        finish(axes, f"Epochs to the best validation AUROC;\n{kind}")
    return figure
