"""The whole evaluation of one or more experiments: tables, figures and a page in one folder."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

import pandas as pd
from matplotlib.figure import Figure
from tqdm import tqdm

from petct_ext.evaluation.report_page import FigureFile, ReportTables, build_report
from petct_ext.figures.comparison import (
    default_groups,
    draw_differences,
    draw_gain_by_balance,
    draw_grouped_bars,
)
from petct_ext.figures.detection import (
    draw_auroc_by_region,
    draw_reliability,
    draw_roc_curves,
)
from petct_ext.figures.style import save_figure
from petct_ext.figures.training import (
    draw_auroc_by_training_size,
    draw_epochs_to_best,
)
from petct_ext.figures.worklist import draw_triage, triage_tasks
from petct_ext.files import write_text
from petct_ext.statistics.alignment import experiment_pairs
from petct_ext.statistics.comparison import compare_experiments
from petct_ext.statistics.ensembles import ensemble_table
from petct_ext.statistics.predictions import Experiment
from petct_ext.statistics.region_table import RegionTable, region_table, write_region_table
from petct_ext.statistics.thresholds import Thresholds, fixed_threshold
from petct_ext.statistics.worklist import triage_table
from petct_ext.tables.contract import write_csv

__all__ = ["ReportOptions", "evaluate_experiments", "write_report"]


@dataclass(frozen=True, slots=True)
class ReportOptions:
    """How an evaluation is done.

    Attributes:
        num_bootstrap: bootstrap draws.
        num_rounds: permutation rounds.
        seed: seed of both.
        min_positives: a task needs as many positives to enter the macro mean.
        thresholds: from which probability on an exam is called abnormal.
        reference: experiment to compare the others with; None compares all pairs.
        triage_tasks: tasks of the triage figure; empty chooses three.
    """

    num_bootstrap: int = 2000
    num_rounds: int = 10_000
    seed: int = 0
    min_positives: int = 5
    thresholds: Thresholds = field(default_factory=partial(fixed_threshold, 0.5))
    reference: str | None = None
    triage_tasks: tuple[str, ...] = ()


def evaluate_experiments(experiments: Sequence[Experiment], options: ReportOptions) -> ReportTables:
    """Computes every table.

    Args:
        experiments: aligned experiments (``align_experiments``).
        options: how.

    Returns:
        The tables; ``comparisons`` is empty for one experiment, ``ensembles`` for single seeds.

    Raises:
        InputDataError: if an option is out of range or names no experiment.
    """
    table = region_table(
        experiments,
        num_bootstrap=options.num_bootstrap,
        seed=options.seed,
        min_positives=options.min_positives,
        thresholds=options.thresholds,
    )
    names = [experiment.name for experiment in experiments]
    pairs = experiment_pairs(names, reference=options.reference)
    comparisons = compare_experiments(
        experiments, table, pairs=pairs, num_rounds=options.num_rounds, seed=options.seed
    )
    return ReportTables(
        regions=table,
        comparisons=comparisons,
        triage=triage_table(experiments),
        ensembles=ensemble_table(experiments, table, seed=options.seed),
    )


def write_report(
    experiments: Sequence[Experiment],
    tables: ReportTables,
    folder: str | Path,
    *,
    options: ReportOptions,
    training_sizes: pd.DataFrame | None = None,
    histories: pd.DataFrame | None = None,
) -> Path:
    """Writes tables, figures and ``index.html``; ``metrics.csv`` last.

    Args:
        experiments: what was scored.
        tables: from :func:`evaluate_experiments`.
        folder: where to; what is there already is replaced.
        options: as given to :func:`evaluate_experiments`.
        training_sizes: table of ``read_training_sizes``, for the figure of training size.
        histories: table of ``read_histories``, for the figure of epochs.

    Returns:
        The path of the page.

    Raises:
        OutputError: if a file cannot be written.
    """
    folder = Path(folder)
    figures = list(_draw_experiments(experiments, tables.regions, folder, options=options))
    figures += _draw_comparisons(tables, folder)
    macro = tables.regions.macro
    if training_sizes is not None:
        drawn = draw_auroc_by_training_size(macro, training_sizes)
        figures.append(_save(drawn, folder, "auroc_by_training_size", "AUROC by training size"))
    if histories is not None:
        drawn = draw_epochs_to_best(histories)
        figures.append(_save(drawn, folder, "epochs_to_best", "Epochs to the best checkpoint"))
    for name, rows in (
        ("comparisons.csv", tables.comparisons),
        ("triage.csv", tables.triage),
        ("ensembles.csv", tables.ensembles),
    ):
        _write_rows(rows, folder / name)
    page = write_text(folder / "index.html", build_report(tables, figures))
    # Last, so that a finished table means a finished step.
    write_region_table(tables.regions, folder)
    return page


def _draw_experiments(
    experiments: Sequence[Experiment],
    table: RegionTable,
    folder: Path,
    *,
    options: ReportOptions,
) -> Iterable[FigureFile]:
    for experiment in tqdm(experiments, desc="figures", disable=None, dynamic_ncols=True):
        name = experiment.name
        end = f"_{_file_name(name)}" if len(experiments) > 1 else ""
        rows = table.tasks[table.tasks["experiment"] == name]
        macro = table.macro[table.macro["experiment"] == name].iloc[0]
        drawn = draw_auroc_by_region(rows, macro)
        yield _save(drawn, folder, f"auroc_by_region{end}", f"AUROC per region, {name}")
        drawn = draw_reliability(experiment)
        yield _save(drawn, folder, f"reliability{end}", f"Reliability, {name}")
        drawn = draw_roc_curves(experiment, rows)
        yield _save(drawn, folder, f"roc_curves{end}", f"ROC curves, {name}")
        known = [task for task in options.triage_tasks if task in experiment.tasks]
        triage = draw_triage(experiment, known or triage_tasks(experiment))
        if triage is not None:
            yield _save(triage, folder, f"triage{end}", f"Worklist triage, {name}")


def _draw_comparisons(tables: ReportTables, folder: Path) -> list[FigureFile]:
    rows = tables.comparisons
    if rows.empty:
        return []
    figures = []
    for (one, reference), pair in rows.groupby(["experiment", "reference"], sort=False):
        end, pair_name = f"{_file_name(one)}_vs_{_file_name(reference)}", f"{one} minus {reference}"
        if pair["difference"].notna().any():
            drawn = draw_differences(pair)
            figures.append(_save(drawn, folder, f"differences_{end}", f"Differences, {pair_name}"))
            drawn = draw_gain_by_balance(pair)
            about = f"Gain against class balance, {pair_name}"
            figures.append(_save(drawn, folder, f"gain_by_balance_{end}", about))
    drawn = draw_grouped_bars(tables.regions, _groups(tables.regions))
    return [*figures, _save(drawn, folder, "auroc_by_group", "Mean AUROC by group of regions")]


def _groups(table: RegionTable) -> dict[str, list[str]]:
    """Groups of the tasks that all experiments have and that enter the macro means."""
    counts = table.tasks[table.tasks["in_macro"].astype(bool)].groupby("task", sort=False).size()
    return default_groups([str(task) for task in counts[counts == len(table.macro)].index])


def _save(drawn: Figure, folder: Path, stem: str, caption: str) -> FigureFile:
    svg, png = save_figure(drawn, folder / stem)
    return FigureFile(stem, caption, svg, png)


def _file_name(name: object) -> str:
    return re.sub(r"[^\w.-]+", "_", str(name))


def _write_rows(rows: pd.DataFrame, path: Path) -> None:
    if rows.empty:
        path.unlink(missing_ok=True)  # of an earlier run
        return
    write_csv(rows, path, float_format="%.6g")
