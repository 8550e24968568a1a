r"""Scores predictions: AUROC per region with confidence intervals, tables and figures.

Reads one or more prediction tables (long form: experiment, seed, split, task, exam_id, target,
prob) and writes into --out:

  metrics.csv         one row per experiment and task
  metrics_macro.csv   mean over the tasks with enough positives, with its interval
  auroc_by_region, reliability, roc_curves as .svg and .png

Without --hand-labels the targets of the tables are used, and the output says that these are weak
labels. Intervals resample patients if they are known (--patients, --identifiers, or a column
patient_id), else exams.

Example:
  python scripts/evaluate_predictions.py runs/demo/predictions.csv --out runs/demo/evaluation \
      --hand-labels data/hand_labels.csv --identifiers runs/demo/private/identifiers.csv
"""

from __future__ import annotations

import argparse
from pathlib import Path

import pandas as pd

from petct_ext.command_line import new_parser, progress, run
from petct_ext.data.schemas import HAND_LABELS, IDENTIFIERS, read_table
from petct_ext.errors import InputDataError, did_you_mean
from petct_ext.evaluation.figures import (
    draw_auroc_by_region,
    draw_reliability,
    draw_roc_curves,
)
from petct_ext.evaluation.predictions import (
    TARGET_KINDS,
    Experiment,
    as_experiments,
    read_patients,
    read_predictions,
    use_hand_labels,
)
from petct_ext.evaluation.region_table import RegionTable, region_table, write_region_table
from petct_ext.figure_files import save_figure
from petct_ext.files import make_folder


def main(arguments: argparse.Namespace) -> None:
    make_folder(arguments.out)
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
    experiments = as_experiments(predictions, patients=patients, default_kind=arguments.target_kind)
    table = region_table(
        experiments,
        num_bootstrap=arguments.bootstrap,
        seed=arguments.seed,
        min_positives=arguments.min_positives,
        threshold=arguments.threshold,
    )
    _draw(experiments, table, arguments.out)
    # Last, so that a finished table means a finished step.
    write_region_table(table, arguments.out)
    _report(table, arguments.out)


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


def _draw(experiments: list[Experiment], table: RegionTable, out: Path) -> None:
    for experiment in progress(experiments, "figures"):
        suffix = f"_{experiment.name}" if len(experiments) > 1 else ""
        rows = table.tasks[table.tasks["experiment"] == experiment.name]
        macro = table.macro[table.macro["experiment"] == experiment.name].iloc[0]
        save_figure(draw_auroc_by_region(rows, macro), out / f"auroc_by_region{suffix}")
        save_figure(draw_reliability(experiment), out / f"reliability{suffix}")
        save_figure(draw_roc_curves(experiment, rows), out / f"roc_curves{suffix}")


def _report(table: RegionTable, out: Path) -> None:
    for _, row in table.macro.iterrows():
        print(f"{row['experiment']} ({row['split']} split): {TARGET_KINDS[row['target_kind']]}")
        print(
            f"  macro AUROC {row['macro_auroc']:.3f} (95 % CI {row['macro_auroc_ci_low']:.3f}-"
            f"{row['macro_auroc_ci_high']:.3f}, {row['num_bootstrap']} draws of "
            f"{row['resampled']}) over {row['n_tasks']} tasks with at least "
            f"{row['min_positives']} positives; {row['n_tasks_left_out']} tasks left out"
        )
    print(out / "metrics.csv")


if __name__ == "__main__":
    parser = new_parser(__doc__)
    parser.add_argument("predictions", type=Path, nargs="+", help="prediction tables (CSV)")
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
        "--min-positives",
        type=int,
        default=5,
        help="a task needs as many positives to enter the macro mean (default: %(default)s)",
    )
    parser.add_argument(
        "--threshold",
        type=float,
        default=0.5,
        help="probability from which on an exam is called abnormal (default: %(default)s)",
    )
    parser.add_argument(
        "--bootstrap", type=int, default=2000, help="number of draws (default: %(default)s)"
    )
    parser.add_argument("--seed", type=int, default=0, help="seed of the draws")
    run(main, parser)
