"""Every table of an evaluation of one or more experiments."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

import pandas as pd

from petct_ext.statistics.alignment import experiment_pairs
from petct_ext.statistics.comparison import compare_experiments
from petct_ext.statistics.ensembles import ensemble_table
from petct_ext.statistics.operating_points import Thresholds, fixed_threshold
from petct_ext.statistics.predictions import Experiment
from petct_ext.statistics.region_table import RegionTable, region_table, write_region_table
from petct_ext.statistics.worklist import triage_table
from petct_ext.tables.contract import write_csv

__all__ = ["EvaluationOptions", "EvaluationTables", "evaluate_experiments", "write_tables"]


@dataclass(frozen=True, slots=True)
class EvaluationOptions:
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


@dataclass(frozen=True, slots=True, eq=False)
class EvaluationTables:
    """Every table of an evaluation; those that do not apply are empty."""

    regions: RegionTable
    comparisons: pd.DataFrame
    triage: pd.DataFrame
    ensembles: pd.DataFrame


def evaluate_experiments(
    experiments: Sequence[Experiment], options: EvaluationOptions
) -> EvaluationTables:
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
    return EvaluationTables(
        regions=table,
        comparisons=comparisons,
        triage=triage_table(experiments),
        ensembles=ensemble_table(experiments, table, seed=options.seed),
    )


def write_tables(tables: EvaluationTables, folder: str | Path) -> None:
    """Writes every table that applies; ``metrics.csv`` last, so that it means a finished step.

    Raises:
        OutputError: if a file cannot be written.
    """
    folder = Path(folder)
    for name, rows in (
        ("comparisons.csv", tables.comparisons),
        ("triage.csv", tables.triage),
        ("ensembles.csv", tables.ensembles),
    ):
        if rows.empty:
            (folder / name).unlink(missing_ok=True)  # of an earlier run
        else:
            write_csv(rows, folder / name, float_format="%.6g")
    write_region_table(tables.regions, folder)
