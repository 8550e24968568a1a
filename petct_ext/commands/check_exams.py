"""Writes one page with pictures and numbers of all prepared exams, to be looked at before training.

WORK/quality/index.html needs nothing else and can be mailed: it shows each exam (coronal CT, PET
projection, PET on CT, sagittal CT), what is unusual about it, histograms, warnings, and the exams
that were left out with the reason. WORK/quality/quality.csv has the numbers.

Example:
    python scripts/check_exams.py --work runs/mine
"""

import argparse
import os
from pathlib import Path
from typing import NoReturn

from petct_ext.cli import new_parser, run
from petct_ext.pages.quality import write_quality_page


def command(arguments: argparse.Namespace) -> None:
    rows = write_quality_page(
        arguments.work, num_pictures=arguments.pictures, workers=arguments.workers
    )
    flagged = rows[rows["flags"] != ""]
    for row in flagged.head(20).to_dict("records"):
        print(f"  {row['exam_id']}  {row['flags']}")
    page = arguments.work / "quality" / "index.html"
    print(f"{len(flagged)} of {len(rows)} exams have something to look at -> {page}")


def main() -> NoReturn:
    parser = new_parser(__doc__)
    parser.add_argument("--work", type=Path, required=True, help="work folder of the cohort")
    parser.add_argument("--pictures", type=int, default=200, help="exams to show at most")
    parser.add_argument("--workers", type=int, default=os.cpu_count() or 1, help="processes")
    run(command, parser)
