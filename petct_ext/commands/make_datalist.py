"""Joins prepared volumes, splits and weak labels into the datalist of the scan model.

With --no-labels all prepared exams are listed for prediction only. Exams whose PET is not in SUVbw
(scripts/prepare_exams.py --suv optional keeps such exams) are left out, with a count in words. With
--cohort the reader's summary codes become the label summary_code_abnormal, from which
bundles/scan_model/configs/summary_code.json trains the fully supervised model. With --hand-labels
a reader's labels stand beside the weak ones; --labels hybrid of a training uses both. Where the
head was blanked against recognition, labels of its regions are null, a reader's too.

--leave-out-flagged leaves out every exam with a check that is not fine and that nobody has
accepted, or whose checks cannot be read; --leave-out NAME ... those in which one of the named
checks is not fine. The datalist records which exams, why, and how many per check. The checks are
those of exam.json and, where scripts/check_exams.py has run since, those of the quality page. Run
it before this, for otherwise the alignment of PET and CT does not count.

Example:
    python scripts/make_datalist.py --work runs/mine
    python scripts/make_datalist.py --work runs/mine --cohort my_cohort --out runs/mine/codes.json
"""

import argparse
from pathlib import Path
from typing import NoReturn

from petct_ext.cli import new_parser, run
from petct_ext.cohort.reader_labels import (
    ABNORMAL_CODES,
    hand_labels_by_exam,
    read_hand_labels,
    summary_code_labels,
)
from petct_ext.ontology.option import add_ontology_option
from petct_ext.reports.rows import read_report_table
from petct_ext.scan.data.datalist import build_datalist
from petct_ext.tables.schemas import IDENTIFIERS, read_table


def command(arguments: argparse.Namespace) -> None:
    out = arguments.out or arguments.work / "datalist.json"
    labels = None if arguments.no_labels else arguments.labels or arguments.work / "labels.csv"
    codes = None
    if arguments.cohort is not None:
        codes = summary_code_labels(
            read_report_table(arguments.cohort / "reports.csv"),
            read_table(arguments.work / "private" / "identifiers.csv", IDENTIFIERS),
            abnormal_codes=arguments.abnormal_codes,
        )
    hand = None
    if arguments.hand_labels is not None:
        table = read_hand_labels(arguments.hand_labels, arguments.work, arguments.ontology)
        hand = hand_labels_by_exam(table)
    sizes = build_datalist(
        arguments.work,
        out,
        ontology=arguments.ontology,
        labels=labels,
        other_labels=codes,
        hand_labels=hand,
        any_units=arguments.any_pet_units,
        leave_out=[] if arguments.leave_out_flagged else arguments.leave_out,
    )
    said = ", ".join(f"{n} {name.replace('_', ' ')}" for name, n in sizes.items())
    print(f"{said} -> {out}")


def main() -> NoReturn:
    parser = new_parser(__doc__)
    parser.add_argument("--work", type=Path, required=True, help="work folder of the cohort")
    parser.add_argument("--labels", type=Path, help="default: WORK/labels.csv")
    parser.add_argument("--no-labels", action="store_true", help="for prediction only")
    parser.add_argument(
        "--any-pet-units", action="store_true", help="also list exams whose PET is not in SUVbw"
    )
    parser.add_argument(
        "--cohort", type=Path, help="folder with reports.csv: add the readers' summary codes"
    )
    parser.add_argument(
        "--abnormal-codes",
        nargs="+",
        default=list(ABNORMAL_CODES),
        help="summary codes that count as abnormal (default: 2 4 9)",
    )
    parser.add_argument("--hand-labels", type=Path, help="table of a reader's labels, added")
    which = parser.add_mutually_exclusive_group()
    which.add_argument(
        "--leave-out-flagged", action="store_true", help="leave out exams with findings"
    )
    which.add_argument(
        "--leave-out", nargs="+", metavar="CHECK", help="leave out exams by these checks only"
    )
    parser.add_argument("--out", type=Path, help="default: WORK/datalist.json")
    add_ontology_option(parser)
    run(command, parser)
