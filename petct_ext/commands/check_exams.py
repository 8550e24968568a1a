"""Writes one page with pictures and checks of all prepared exams, to be looked at before training.

WORK/quality/index.html needs nothing else and can be mailed. It sorts exams by what needs a look,
with the reason: exams that are held back, findings, and what could not be measured. It shows each
exam (coronal CT, PET projection, PET on CT, sagittal CT), how the exams were made with those unlike
the others, histograms, warnings, and the exams that were left out. WORK/quality/quality.csv has the
numbers, WORK/quality/checks.csv every check of every exam.

--alignment itk measures whether PET and CT lie on each other, by ITK's mutual information. It is
what happens where ITK is installed (the extra `itk`). ITK takes some 10 s and 500 MB in each
process, and 1 to 4 s per exam; run_pipeline.py leaves it out, and the page then says so.

Example:
    python scripts/check_exams.py --work runs/mine
"""

import argparse
import os
from pathlib import Path
from typing import NoReturn

from petct_ext.cli import new_parser, run
from petct_ext.dicom.checking.alignment import has_itk
from petct_ext.pages.quality import AlignmentMethod, write_quality_page


def command(arguments: argparse.Namespace) -> None:
    alignment: AlignmentMethod = arguments.alignment or ("itk" if has_itk() else "none")
    rows = write_quality_page(
        arguments.work,
        num_pictures=arguments.pictures,
        workers=arguments.workers,
        alignment=alignment,
    )
    flagged = rows[rows["flags"] != ""]
    for row in flagged.head(20).to_dict("records"):
        print(f"  {row['exam_id']}  {row['flags']}")
    unknown = int((rows["num_not_measured"] > 0).sum())
    if unknown:
        print(f"{unknown} exams have checks that could not be measured; the page says why")
    if alignment == "none":
        print("whether PET and CT lie on each other was not measured (--alignment itk)")
    page = arguments.work / "quality" / "index.html"
    print(f"{len(flagged)} of {len(rows)} exams have something to look at -> {page}")


def main() -> NoReturn:
    parser = new_parser(__doc__)
    parser.add_argument("--work", type=Path, required=True, help="work folder of the cohort")
    parser.add_argument("--pictures", type=int, default=200, help="exams to show at most")
    parser.add_argument("--workers", type=int, default=os.cpu_count() or 1, help="processes")
    parser.add_argument(
        "--alignment",
        choices=("itk", "none"),
        help="whether to measure if PET and CT lie on each other (default: itk if installed)",
    )
    run(command, parser)
