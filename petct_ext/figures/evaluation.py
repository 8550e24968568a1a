"""Draws every figure of an evaluation into its folder."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import pandas as pd
from matplotlib.figure import Figure
from tqdm import tqdm

from petct_ext.figures.comparison import (
    default_groups,
    draw_differences,
    draw_gain_by_balance,
    draw_grouped_bars,
)
from petct_ext.figures.detection import (
    draw_by_region,
    draw_reliability,
    draw_roc_curves,
    draw_triage,
    triage_tasks,
)
from petct_ext.figures.style import save_figure
from petct_ext.figures.training import draw_auroc_by_training_size, draw_epochs_to_best
from petct_ext.ontology import RegionOntology
from petct_ext.statistics.evaluation import EvaluationOptions, EvaluationTables
from petct_ext.statistics.predictions import Experiment
from petct_ext.statistics.region_statistics import STATISTICS
from petct_ext.statistics.region_table import RegionTable

__all__ = ["SavedFigure", "save_figures"]


@dataclass(frozen=True, slots=True)
class SavedFigure:
    """A figure that was written as SVG and PNG: its kind, what it is of, and the SVG's path."""

    name: str
    label: str
    svg: Path


def save_figures(
    experiments: Sequence[Experiment],
    tables: EvaluationTables,
    folder: Path,
    *,
    options: EvaluationOptions,
    ontology: RegionOntology,
    training_sizes: pd.DataFrame | None = None,
    histories: pd.DataFrame | None = None,
) -> list[SavedFigure]:
    """Draws what there is to draw, as ``<name>.svg`` or ``<name>_<experiment>.svg`` and PNG.

    Args:
        experiments: what was scored.
        tables: from ``evaluate_experiments``.
        folder: where to; what is there already is replaced.
        options: as given to ``evaluate_experiments``.
        ontology: groups the regions.
        training_sizes: table of ``read_training_sizes``, for the figure of training size.
        histories: table of ``read_histories``, for the figure of epochs.

    Raises:
        OutputError: if a file cannot be written.
    """
    saved = []
    for experiment in tqdm(experiments, desc="figures", disable=None, dynamic_ncols=True):
        end = experiment.name if len(experiments) > 1 else ""
        for name, drawn in _draw_experiment(experiment, tables.regions, options):
            saved.append(_save(drawn, folder, name, label=experiment.name, end=end))
    if not tables.comparisons.empty:
        saved += _save_comparisons(tables, folder, ontology)
    if training_sizes is not None:
        drawn = draw_auroc_by_training_size(tables.regions.macro, training_sizes)
        saved.append(_save(drawn, folder, "auroc_by_training_size"))
    if histories is not None:
        saved.append(_save(draw_epochs_to_best(histories), folder, "epochs_to_best"))
    return saved


def _draw_experiment(
    experiment: Experiment, table: RegionTable, options: EvaluationOptions
) -> Iterator[tuple[str, Figure]]:
    rows = table.tasks[table.tasks["experiment"] == experiment.name]
    macro = table.macro[table.macro["experiment"] == experiment.name].iloc[0]
    for statistic in STATISTICS:
        if statistic.is_drawn:
            yield f"{statistic.name}_by_region", draw_by_region(rows, macro, statistic)
    yield "reliability", draw_reliability(experiment)
    yield "roc_curves", draw_roc_curves(experiment, rows)
    known = [task for task in options.triage_tasks if task in experiment.tasks]
    triage = draw_triage(experiment, known or triage_tasks(experiment))
    if triage is not None:
        yield "triage", triage


def _save_comparisons(
    tables: EvaluationTables, folder: Path, ontology: RegionOntology
) -> list[SavedFigure]:
    saved = []
    pairs = tables.comparisons.groupby(["experiment", "reference"], sort=False)
    for (one, reference), pair in pairs:
        if pair["difference"].notna().any():
            names = {"label": f"{one} minus {reference}", "end": f"{one}_vs_{reference}"}
            saved.append(_save(draw_differences(pair), folder, "differences", **names))
            saved.append(_save(draw_gain_by_balance(pair), folder, "gain_by_balance", **names))
    drawn = draw_grouped_bars(tables.regions, _groups(tables.regions, ontology))
    return [*saved, _save(drawn, folder, "auroc_by_group")]


def _groups(table: RegionTable, ontology: RegionOntology) -> dict[str, list[str]]:
    """Groups of the tasks that all experiments have and that enter the macro means."""
    counts = table.tasks[table.tasks["in_macro"].astype(bool)].groupby("task", sort=False).size()
    common = [str(task) for task in counts[counts == len(table.macro)].index]
    return default_groups(common, ontology)


def _save(drawn: Figure, folder: Path, name: str, *, label: str = "", end: str = "") -> SavedFigure:
    stem = re.sub(r"[^\w.-]+", "_", f"{name}_{end}" if end else name)
    return SavedFigure(name, label, save_figure(drawn, folder / stem)[0])
