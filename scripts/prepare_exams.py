"""Turns the chosen series of every exam into volumes: PET in SUVbw, CT in HU, on one grid.

Both are resampled in patient space (axes to the right, anterior, superior) onto a square field of
view around the overlap of PET and CT. Exams that cannot be used are listed with the reason in
WORK/prepared.csv and do not stop the others; the exit code is 3 then. Finished exams are skipped.

Example:
    python scripts/prepare_exams.py --work runs/mine
"""

import argparse
import os
from pathlib import Path

from petct_ext.command_line import SOME_FAILED, new_parser, run
from petct_ext.data.exam_volumes import prepare_exams
from petct_ext.dicom.convert import GridChoice


def main(arguments: argparse.Namespace) -> int:
    grid = GridChoice(arguments.in_plane, arguments.fov_mm, arguments.slice_mm)
    table = prepare_exams(arguments.work, grid=grid, workers=arguments.workers)
    usable = int((table.status == "ok").sum())
    print(f"{usable} of {len(table)} exams prepared -> {arguments.work / 'prepared.csv'}")
    return 0 if usable == len(table) else SOME_FAILED


if __name__ == "__main__":
    parser = new_parser(__doc__)
    parser.add_argument("--work", type=Path, required=True, help="work folder of the cohort")
    parser.add_argument("--in-plane", type=int, default=224, help="voxels along X and Y")
    parser.add_argument("--fov-mm", type=float, default=500.0, help="side of the field of view")
    parser.add_argument("--slice-mm", type=float, help="distance of slices; default: the PET's own")
    parser.add_argument("--workers", type=int, default=os.cpu_count() or 1)
    run(main, parser)
