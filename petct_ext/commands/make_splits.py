"""Assigns patients to training, validation and test.

A patient's place depends on the pseudonymous id and the seed alone: exams that are added later move
nobody, and no patient is ever in two splits. Writes WORK/splits.csv.

Example:
    python scripts/make_splits.py --work runs/mine --fractions 0.7 0.1 0.2
"""

import argparse
from pathlib import Path
from typing import NoReturn

from petct_ext.cli import new_parser, run
from petct_ext.cohort.splits import write_splits
from petct_ext.tables.schemas import EXAMS, read_table


def command(arguments: argparse.Namespace) -> None:
    exams = read_table(arguments.work / "exams.csv", EXAMS)
    training, validation, test = arguments.fractions
    table = write_splits(
        arguments.work, exams, fractions=(training, validation, test), seed=arguments.seed
    )
    counts = ", ".join(f"{count} {split}" for split, count in table.split.value_counts().items())
    print(f"{table.patient_id.nunique()} patients, exams: {counts}")


def main() -> NoReturn:
    parser = new_parser(__doc__)
    parser.add_argument("--work", type=Path, required=True, help="work folder of the cohort")
    parser.add_argument(
        "--fractions",
        type=float,
        nargs=3,
        default=[0.7, 0.1, 0.2],
        metavar=("TRAINING", "VALIDATION", "TEST"),
    )
    parser.add_argument("--seed", type=int, default=0)
    run(command, parser)
