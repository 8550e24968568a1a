"""Makes the survival table of a cohort and the data list of the mortality model.

Every patient counts once, with the last prepared exam. Patients without a usable follow-up are
listed in WORK/survival/left_out.csv and do not stop the others. Who is last seen alive before a
horizon has no label for it. Of two exams on one day that whose id sorts last counts, and the log
says so.

Writes WORK/survival/survival_table.csv and WORK/mortality/datalist.json.

Example:
  python scripts/make_survival_table.py --cohort data/phantom --work runs/demo
"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import NoReturn

from petct_ext.cli import new_parser, run
from petct_ext.errors import InputDataError
from petct_ext.reports.option import add_several_option
from petct_ext.survival.table import CohortTables, write_survival


def command(arguments: argparse.Namespace) -> None:
    if min(arguments.horizon_days) < 1:
        raise InputDataError(
            f"--horizon-days {min(arguments.horizon_days)} is not a positive number of days."
        )
    tables = CohortTables.read(arguments.cohort, arguments.work, several=arguments.several_reports)
    paths = write_survival(tables, arguments.work, horizons_days=arguments.horizon_days)
    for path in paths.values():
        print(path)


def main() -> NoReturn:
    parser = new_parser(__doc__)
    parser.add_argument(
        "--cohort", type=Path, required=True, help="folder with outcomes.csv and reports.csv"
    )
    parser.add_argument("--work", type=Path, required=True, help="work folder of the run")
    parser.add_argument(
        "--horizon-days",
        type=int,
        nargs="+",
        default=[45, 90, 180, 365],
        help="labels 'dead within so many days' (default: 45 90 180 365)",
    )
    add_several_option(parser)
    run(command, parser)
