"""Finds the PET/CT exams in a folder of DICOM files.

Reads headers only, in parallel, and remembers them: a second run reads only what is new, and a
killed run goes on. Writes WORK/exams.csv (one row per exam with its chosen PET and CT series),
WORK/series.csv (every series with the reason why it was chosen or left out) and WORK/private/,
which alone links the pseudonymous ids to identities: never share that folder. It also holds
unread_files.csv, the files that gave no header.

Names and birth dates are never written. With --shift-dates, all dates of a patient are moved by
the same -365 to 365 days; make_survival_table.py moves those of outcomes.csv by as much.

Of several reconstructions one is chosen by rules that are the same for all exams; series.csv has
the rule's name, and --prefer says what a site wants. A CT in another frame of reference than its
PET is used only if preparation measures that they lie on each other, or --assume-registered.

Exit code 3: the tables are complete, but some studies cannot be used; 2: none can.

With --image-pairs (or --nifti-pairs), the exams are those of a table of volume files: NIfTI, and
with the extra petct_ext[itk] MetaImage (.mha, .mhd) and NRRD (.nrrd, .nhdr); see README.md.

Example:
    python scripts/index_exams.py my_cohort/dicom --work runs/mine
    python scripts/index_exams.py --image-pairs my_cohort/nifti_pairs.csv --work runs/mine
"""

import argparse
import os
from pathlib import Path
from typing import NoReturn

from petct_ext.cli import SOME_FAILED, new_parser, run
from petct_ext.cohort.index import count_reasons, index_exams
from petct_ext.cohort.nifti_index import index_nifti_pairs
from petct_ext.cohort.options import add_choice_options
from petct_ext.dicom.files.identity import load_or_make_salt
from petct_ext.dicom.series.reconstruction import parse_preference


def command(arguments: argparse.Namespace) -> int:
    salt = load_or_make_salt(arguments.salt_file or arguments.work / "private" / "salt.txt")
    identities = {"keep_ids": arguments.keep_ids, "shift_dates": arguments.shift_dates}
    if arguments.image_pairs:
        pairs = arguments.image_pairs
        exams = index_nifti_pairs(pairs, arguments.work, salt=salt, **identities)
    else:
        exams = index_exams(
            arguments.dicom,
            arguments.work,
            salt=salt,
            min_slices=arguments.min_slices,
            preferences=tuple(map(parse_preference, arguments.prefer)),
            assume_registered=arguments.assume_registered,
            workers=arguments.workers,
            **identities,
        )
    usable = int((exams.status == "ok").sum())
    print(f"{usable} of {len(exams)} exams can be used -> {arguments.work / 'exams.csv'}")
    for reason, count in count_reasons(exams).items():
        print(f"{count:6d}  {reason}")
    return 0 if usable == len(exams) else SOME_FAILED


def main() -> NoReturn:
    parser = new_parser(__doc__)
    source = parser.add_mutually_exclusive_group(required=True)
    source.add_argument("dicom", type=Path, nargs="?", help="folder with DICOM files, in any tree")
    source.add_argument(
        "--image-pairs",
        "--nifti-pairs",
        type=Path,
        help="table of NIfTI, MetaImage or NRRD files in place of DICOM",
    )
    parser.add_argument("--work", type=Path, required=True, help="work folder of the cohort")
    parser.add_argument("--salt-file", type=Path, help="secret of the pseudonyms; made if missing")
    parser.add_argument("--min-slices", type=int, default=16, help="shorter series are left out")
    add_choice_options(parser)
    parser.add_argument(
        "--keep-ids",
        action="store_true",
        help="keep Patient ID and UIDs in the tables instead of pseudonyms; then never share them",
    )
    parser.add_argument(
        "--shift-dates", action="store_true", help="move each patient's dates by up to a year"
    )
    parser.add_argument("--workers", type=int, default=os.cpu_count() or 1)
    run(command, parser)
