"""Write an artificial study: DICOM, reports, follow-up, and the truth beside them.

    python scripts/make_synthetic_data.py runs/phantom --patients 160

No human being is in it. Patients that exist are kept: run the command again to go on.
"""

from __future__ import annotations

import argparse
import os
from pathlib import Path
from typing import NoReturn

from petct_ext.cli import new_parser, run
from petct_ext.ontology.option import add_ontology_option
from petct_ext.synthetic.cohort import write_cohort
from petct_ext.synthetic.phantoms.scanner import SCAN_SIZES


def command(arguments: argparse.Namespace) -> None:
    write_cohort(
        arguments.out,
        num_patients=arguments.patients,
        seed=arguments.seed,
        size=arguments.size,
        ontology=arguments.ontology,
        workers=arguments.workers,
        num_annotated=arguments.annotated,
        masks=arguments.masks,
    )
    print(arguments.out / "cohort.json")


def available_cores() -> int:
    """Returns how many cores this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def main() -> NoReturn:
    parser = new_parser(__doc__)
    parser.add_argument("out", type=Path, help="folder of the cohort; new, empty, or begun before")
    parser.add_argument("--patients", type=int, default=160, help="how many (default: 160)")
    parser.add_argument("--seed", type=int, default=0, help="seed (default: 0)")
    parser.add_argument(
        "--size",
        choices=sorted(SCAN_SIZES),
        default="small",
        help="small: about 4 MB per exam; full: as a scanner, about 170 MB per exam",
    )
    parser.add_argument(
        "--workers",
        type=int,
        default=available_cores(),
        help="processes; full size needs about 1 GB in each (default: all cores)",
    )
    parser.add_argument(
        "--annotated", type=int, default=60, help="reports that are judged (default: 60)"
    )
    parser.add_argument("--masks", action="store_true", help="write truth/masks as well")
    add_ontology_option(parser)
    run(command, parser)
