"""Finds the PET/CT exams in a folder of DICOM files.

Reads headers only. Writes WORK/exams.csv (one row per exam with its chosen PET and CT series),
WORK/series.csv (every series with the reason why it was chosen or left out) and WORK/private/,
which alone links the pseudonymous ids to identities: never share that folder.

Example:
    python scripts/index_exams.py my_cohort/dicom --work runs/mine
"""

import argparse
import os
from pathlib import Path

from petct_ext.command_line import new_parser, run
from petct_ext.data.exam_index import index_exams
from petct_ext.dicom.pseudonyms import load_or_make_salt


def main(arguments: argparse.Namespace) -> None:
    salt = load_or_make_salt(arguments.salt_file or arguments.work / "private" / "salt.txt")
    exams = index_exams(
        arguments.dicom,
        arguments.work,
        salt=salt,
        min_slices=arguments.min_slices,
        workers=arguments.workers,
    )
    usable = int((exams.status == "ok").sum())
    print(f"{usable} of {len(exams)} exams can be used -> {arguments.work / 'exams.csv'}")


if __name__ == "__main__":
    parser = new_parser(__doc__)
    parser.add_argument("dicom", type=Path, help="folder with DICOM files, in any tree")
    parser.add_argument("--work", type=Path, required=True, help="work folder of the cohort")
    parser.add_argument("--salt-file", type=Path, help="secret of the pseudonyms; made if missing")
    parser.add_argument("--min-slices", type=int, default=16, help="shorter series are left out")
    parser.add_argument("--workers", type=int, default=os.cpu_count() or 1)
    run(main, parser)
