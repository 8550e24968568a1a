r"""Scores predictions: tables, figures and a page, with confidence intervals and comparisons.

Reads one or more prediction tables (long form: experiment, seed, split, task, exam_id, target,
prob; CSV or Parquet) and writes into --out:

  metrics.csv         one row per experiment and task
  metrics_macro.csv   means over the tasks with enough positives, with intervals
  comparisons.csv     differences of each two experiments: permutation tests, DeLong, corrections
  triage.csv          how much of a sorted worklist must be read
  ensembles.csv       what averaging the seeds gains
  index.html          all of it on one page that needs no network
  auroc_by_region, reliability, roc_curves, triage and, for comparisons, differences,
  gain_by_balance and auroc_by_group as .svg and .png

Without --hand-labels the targets of the tables are used, and the output says that these are weak
labels unless the table or --target-kind says otherwise. Intervals resample patients if they are
known (--patients, --identifiers, or a column patient_id), else exams.

Example:
  python scripts/evaluate_predictions.py runs/demo/predictions.csv --out runs/demo/evaluation \
      --hand-labels data/hand_labels.csv --identifiers runs/demo/private/identifiers.csv
  python scripts/evaluate_predictions.py multi_task.csv.gz single_task.csv.gz --out comparison \
      --target-kind hand --reference single_task --bootstrap 10000
"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import NoReturn

import pandas as pd

from petct_ext.cli import new_parser, run
from petct_ext.errors import InputDataError, did_you_mean
from petct_ext.figures.training import read_histories, read_training_sizes
from petct_ext.files import make_folder
from petct_ext.ontology.option import add_ontology_option
from petct_ext.pages.evaluation import write_evaluation
from petct_ext.statistics.alignment import align_experiments
from petct_ext.statistics.comparison import ALL_TASKS
from petct_ext.statistics.evaluation import (
    EvaluationOptions,
    EvaluationTables,
    evaluate_experiments,
)
from petct_ext.statistics.operating_points import Thresholds, choose_thresholds, fixed_threshold
from petct_ext.statistics.predictions import (
    TARGET_KINDS,
    Experiment,
    as_experiments,
    read_patients,
    read_predictions,
    use_hand_labels,
)
from petct_ext.tables.schemas import HAND_LABELS, IDENTIFIERS, read_table


def command(arguments: argparse.Namespace) -> None:
    make_folder(arguments.out)
    experiments = align_experiments(_read(arguments), common_exams=arguments.common_exams)
    names = {experiment.name: experiment for experiment in experiments}
    sizes = (
        read_training_sizes(arguments.training_sizes, names) if arguments.training_sizes else None
    )
    histories = read_histories(arguments.histories) if arguments.histories else None
    options = EvaluationOptions(
        num_bootstrap=arguments.bootstrap,
        num_rounds=arguments.rounds,
        seed=arguments.seed,
        min_positives=arguments.min_positives,
        thresholds=_thresholds(experiments, arguments),
        reference=arguments.reference,
        triage_tasks=tuple(arguments.triage_tasks or ()),
    )
    tables = evaluate_experiments(experiments, options)
    page = write_evaluation(
        experiments,
        tables,
        arguments.out,
        options=options,
        ontology=arguments.ontology,
        training_sizes=sizes,
        histories=histories,
    )
    _report(tables, arguments.out)
    print(page)


def _read(arguments: argparse.Namespace) -> list[Experiment]:
    predictions = _choose(read_predictions(arguments.predictions, split=arguments.split), arguments)
    patients = read_patients(arguments.patients) if arguments.patients else None
    if arguments.hand_labels:
        if arguments.identifiers is None:
            raise InputDataError(
                "--hand-labels needs --identifiers: hand labels are keyed by study UID, "
                "predictions by exam_id; give WORK/private/identifiers.csv."
            )
        identifiers = read_table(arguments.identifiers, IDENTIFIERS)
        hand_labels = read_table(arguments.hand_labels, HAND_LABELS)
        predictions = use_hand_labels(predictions, hand_labels, identifiers)
        if patients is None:
            patients = dict(zip(identifiers["exam_id"], identifiers["patient_id"], strict=True))
    return as_experiments(
        predictions,
        ontology=arguments.ontology,
        patients=patients,
        default_kind=arguments.target_kind,
        majority_targets=arguments.majority_targets,
    )


def _thresholds(experiments: list[Experiment], arguments: argparse.Namespace) -> Thresholds:
    if arguments.sensitivity is None:
        return fixed_threshold(arguments.threshold)
    paths = arguments.threshold_predictions or arguments.predictions
    other = read_predictions(paths, split=arguments.threshold_split)
    names = [experiment.name for experiment in experiments]
    validation = as_experiments(
        other[other["experiment"].isin(names)],
        ontology=arguments.ontology,
        default_kind=arguments.threshold_target_kind,
        majority_targets=arguments.majority_targets,
    )
    return choose_thresholds(experiments, validation, sensitivity=arguments.sensitivity)


def _choose(predictions: pd.DataFrame, arguments: argparse.Namespace) -> pd.DataFrame:
    known = set(predictions["task"])
    for task in arguments.tasks or ():
        if task not in known:
            raise InputDataError(
                f"no prediction of task {task!r} in split {arguments.split!r}; there are "
                f"{len(known)} tasks.{did_you_mean(task, known)}"
            )
    return (
        predictions[predictions["task"].isin(arguments.tasks)] if arguments.tasks else predictions
    )


def _report(tables: EvaluationTables, out: Path) -> None:
    for _, row in tables.regions.macro.iterrows():
        print(f"{row['experiment']} ({row['split']} split): {TARGET_KINDS[row['target_kind']]}")
        print(
            f"  macro AUROC {row['macro_auroc']:.3f} (95 % CI {row['macro_auroc_ci_low']:.3f}-"
            f"{row['macro_auroc_ci_high']:.3f}, {row['num_bootstrap']} draws of "
            f"{row['resampled']}) over {row['n_tasks']} tasks with at least "
            f"{row['min_positives']} positives; {row['n_tasks_left_out']} tasks left out"
        )
    rows = tables.comparisons
    for _, row in (rows[rows["task"] == ALL_TASKS] if len(rows) else rows).iterrows():
        if row["n_tasks"]:
            print(
                f"{row['experiment']} minus {row['reference']}: macro AUROC "
                f"{row['difference']:+.4f} (95 % CI {row['difference_ci_low']:+.4f} to "
                f"{row['difference_ci_high']:+.4f}), permutation p {row['p_exams']:.4f}"
            )
    print(out / "metrics.csv")


def main() -> NoReturn:
    parser = new_parser(__doc__)
    add_inputs(parser)
    add_methods(parser)
    add_thresholds(parser)
    add_ontology_option(parser)
    run(command, parser)


def add_inputs(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "predictions", type=Path, nargs="+", help="prediction tables (CSV, Parquet)"
    )
    parser.add_argument("--out", type=Path, required=True, help="folder for tables and figures")
    parser.add_argument("--hand-labels", type=Path, help="a reader's labels, keyed by study UID")
    parser.add_argument("--identifiers", type=Path, help="WORK/private/identifiers.csv")
    parser.add_argument(
        "--patients", type=Path, help="any table with exam_id and patient_id, e.g. WORK/splits.csv"
    )
    parser.add_argument("--split", default="test", help="split to score (default: %(default)s)")
    parser.add_argument("--tasks", nargs="+", help="score only these tasks")
    parser.add_argument(
        "--target-kind",
        choices=sorted(TARGET_KINDS),
        default="weak",
        help="who judged the targets of tables that do not say it (default: %(default)s)",
    )
    parser.add_argument(
        "--common-exams",
        action="store_true",
        help="score the exams that all experiments have, instead of refusing unequal sets",
    )
    parser.add_argument(
        "--majority-targets",
        action="store_true",
        help="where seeds state different targets for an exam, take what most state",
    )


def add_methods(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--min-positives",
        type=int,
        default=5,
        help="a task needs as many positives to enter the macro mean (default: %(default)s)",
    )
    parser.add_argument(
        "--bootstrap", type=int, default=2000, help="number of draws (default: %(default)s)"
    )
    parser.add_argument(
        "--rounds", type=int, default=10_000, help="permutation rounds (default: %(default)s)"
    )
    parser.add_argument("--seed", type=int, default=0, help="seed of draws and rounds")
    parser.add_argument("--reference", help="compare with this experiment only, not all pairs")
    parser.add_argument("--triage-tasks", nargs="+", help="tasks of the triage figure")
    parser.add_argument(
        "--training-sizes",
        type=Path,
        help="CSV experiment, series, training_exams: draw AUROC against training size",
    )
    parser.add_argument(
        "--histories",
        type=Path,
        help="CSV experiment, seed, task, epoch, auroc: draw epochs to the best checkpoint",
    )


def add_thresholds(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--threshold",
        type=float,
        default=0.5,
        help="probability from which on an exam is called abnormal (default: %(default)s)",
    )
    parser.add_argument(
        "--sensitivity",
        type=float,
        help="choose the threshold of each seed and task that reaches this on --threshold-split",
    )
    parser.add_argument("--threshold-split", default="validation", help="(default: %(default)s)")
    parser.add_argument(
        "--threshold-predictions",
        type=Path,
        nargs="+",
        help="tables that hold --threshold-split, if PREDICTIONS do not",
    )
    parser.add_argument(
        "--threshold-target-kind",
        choices=sorted(TARGET_KINDS),
        default="weak",
        help="who judged the targets of that split, if its table does not say (default: weak)",
    )
