"""Joins prepared volumes, splits and weak labels into the datalist of the scan model.

With --no-labels all prepared exams are listed for prediction only. Exams whose PET is not in SUVbw
(scripts/prepare_exams.py --suv optional keeps such exams) are left out, with a count in words.

Example:
    python scripts/make_datalist.py --work runs/mine
"""

import argparse
from pathlib import Path

from petct_ext.command_line import new_parser, run
from petct_ext.data.datalist import build_datalist


def main(arguments: argparse.Namespace) -> None:
    out = arguments.out or arguments.work / "datalist.json"
    labels = None if arguments.no_labels else arguments.labels or arguments.work / "labels.csv"
    sizes = build_datalist(arguments.work, out, labels=labels, any_units=arguments.any_pet_units)
    print(", ".join(f"{n} {name}" for name, n in sizes.items()) + f" -> {out}")


if __name__ == "__main__":
    parser = new_parser(__doc__)
    parser.add_argument("--work", type=Path, required=True, help="work folder of the cohort")
    parser.add_argument("--labels", type=Path, help="default: WORK/labels.csv")
    parser.add_argument("--no-labels", action="store_true", help="for prediction only")
    parser.add_argument(
        "--any-pet-units", action="store_true", help="also list exams whose PET is not in SUVbw"
    )
    parser.add_argument("--out", type=Path, help="default: WORK/datalist.json")
    run(main, parser)
