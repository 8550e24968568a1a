"""Finds the sentences of reports that name a region, and splits annotated mentions by patient.

Reads DATA/reports.csv, DATA/annotations.csv, WORK/private/identifiers.csv and WORK/splits.csv;
writes WORK/private/report_items.json and WORK/private/vocabulary. Both hold report text or words
of it: keep them as private as the reports. Annotated mentions of a test patient never train.

Ends with code 3 if some rows or reports had a problem: all others are prepared, and
WORK/private/report_problems.csv names line, exam and reason.

Example:
    python scripts/prepare_reports.py --cohort runs/mine/data --work runs/mine
"""

import argparse
from pathlib import Path
from typing import NoReturn

from petct_ext.cli import SOME_FAILED, new_parser, run
from petct_ext.labeler.preparation import prepare_report_items, read_report_problems
from petct_ext.ontology.option import add_ontology_option
from petct_ext.reports.option import add_several_option


def command(arguments: argparse.Namespace) -> int:
    path = prepare_report_items(
        arguments.cohort,
        arguments.work,
        arguments.ontology,
        with_annotations=arguments.labeler == "model",
        vocabulary_size=arguments.vocabulary_size,
        min_frequency=arguments.min_frequency,
        encoding=arguments.encoding,
        several=arguments.several_reports,
    )
    print(path)
    return SOME_FAILED if len(read_report_problems(arguments.work)) else 0


def main() -> NoReturn:
    parser = new_parser(__doc__)
    parser.add_argument("--cohort", type=Path, required=True, help="folder with reports.csv")
    parser.add_argument("--work", type=Path, required=True, help="work folder of the cohort")
    parser.add_argument(
        "--labeler",
        choices=["model", "rules"],
        default="model",
        help="rules needs no annotations.csv; nothing can be trained then",
    )
    parser.add_argument("--vocabulary-size", type=int, default=3000, help="most tokens")
    parser.add_argument(
        "--min-frequency",
        type=int,
        default=3,
        help="pieces of words seen less often are not joined",
    )
    parser.add_argument(
        "--encoding", help="code page of reports.csv if it is not UTF-8, e.g. cp1252"
    )
    add_several_option(parser)
    add_ontology_option(parser)
    run(command, parser)
