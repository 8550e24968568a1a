"""Turns the chosen series of every exam into volumes: PET in SUVbw, CT in HU, on one grid.

Both are resampled in patient space (axes to the right, anterior, superior) onto a square field of
view around the overlap of PET and CT. Exams that cannot be used are told at the end, kept with the
reason in WORK/prepared.csv and do not stop the others; the exit code is 3 then. Finished exams are
skipped unless their DICOM files, the parameters or (--verify) the volumes have changed.

--suv-overrides FILE.csv supplies what headers lack: exam_id and any of weight_kg, height_m,
injected_dose_bq, half_life_s, injection_time (HH:MM:SS) and suv_bw_factor (g/mL per unit of the
rescaled PET). --accept FILE.csv lets exams pass whose implausible values someone has looked at:
exam_id, check and value, as the reason names them. --cluster slurm divides the exams into --jobs
jobs by submitit (pip install 'petct_ext[slurm]'); tables and volumes are the same.

Example:
    python scripts/prepare_exams.py --work runs/mine
    python scripts/prepare_exams.py --work runs/mine --cluster slurm --jobs 20 --workers 4
"""

import argparse
import os
from pathlib import Path
from typing import NoReturn

import pandas as pd

from petct_ext.cli import SOME_FAILED, new_parser, run
from petct_ext.cohort.options import add_review_options
from petct_ext.cohort.preparation import prepare_exams, read_accepted, read_suv_overrides
from petct_ext.cohort.workers import Cluster
from petct_ext.dicom.volumes.exam_reading import GridChoice

ROWS_SHOWN = 20


def command(arguments: argparse.Namespace) -> int:
    grid = GridChoice(arguments.in_plane, arguments.fov_mm, arguments.slice_mm)
    overrides = read_suv_overrides(arguments.suv_overrides) if arguments.suv_overrides else {}
    accepted = read_accepted(arguments.accept) if arguments.accept else {}
    cluster = None
    if arguments.cluster:
        folder = arguments.work / "logs" / "cluster"
        options = tuple(arguments.cluster_options)
        cluster = Cluster(arguments.cluster, folder, arguments.jobs, options)
    table = prepare_exams(
        arguments.work,
        grid=grid,
        suv=arguments.suv,
        overrides=overrides,
        accepted=accepted,
        verify=arguments.verify,
        workers=arguments.workers,
        cluster=cluster,
    )
    usable = table[table.status == "ok"]
    show_reasons("without SUV, kept in the PET's own units", usable[usable.reason != ""])
    warned = usable[usable.warnings.fillna("") != ""]
    show_reasons("with a warning", warned.assign(reason=warned.warnings))
    show_reasons("failed", table[table.status != "ok"])
    print(f"{len(usable)} of {len(table)} exams prepared -> {arguments.work / 'prepared.csv'}")
    return 0 if len(usable) == len(table) else SOME_FAILED


def show_reasons(what: str, rows: pd.DataFrame) -> None:
    """Prints exams with their reasons; all of them are in prepared.csv."""
    if rows.empty:
        return
    print(f"{len(rows)} exam(s) {what}:")
    for row in rows.head(ROWS_SHOWN).to_dict("records"):
        print(f"  {row['exam_id']}  {row['reason']}")
    if len(rows) > ROWS_SHOWN:
        print(f"  ... and {len(rows) - ROWS_SHOWN} more, see prepared.csv")


def main() -> NoReturn:
    parser = new_parser(__doc__)
    parser.add_argument("--work", type=Path, required=True, help="work folder of the cohort")
    parser.add_argument("--in-plane", type=int, default=224, help="voxels along X and Y")
    parser.add_argument("--fov-mm", type=float, default=500.0, help="side of the field of view")
    parser.add_argument("--slice-mm", type=float, help="distance of slices; default: the PET's own")
    parser.add_argument(
        "--suv",
        choices=["required", "optional"],
        default="required",
        help="optional keeps exams whose SUV cannot be computed, in the PET's own units",
    )
    add_review_options(parser)
    parser.add_argument(
        "--verify", action="store_true", help="compare checksums of finished volumes as well"
    )
    parser.add_argument(
        "--workers",
        type=int,
        default=os.cpu_count() or 1,
        help="processes (of each job, on a cluster); 0: this one alone",
    )
    parser.add_argument("--cluster", choices=["slurm", "local"], help="where to run, by submitit")
    parser.add_argument("--jobs", type=int, default=1, help="jobs on the cluster")
    parser.add_argument(
        "--cluster-options",
        nargs="+",
        default=[],
        metavar="NAME=VALUE",
        help="of submitit, e.g. timeout_min=240 mem_gb=12 slurm_partition=long",
    )
    run(command, parser)
