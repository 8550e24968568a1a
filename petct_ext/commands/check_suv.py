"""Shows how SUVbw of PET series comes about: every tag that was used and each step.

Takes a folder of DICOM files in any tree; no CT is needed. For every PET series that has slices:
folder, number, description and reconstruction, the factor, the smallest, median and largest value,
warnings, or why it was refused. Writes nothing.

Exit code 3: some series were refused; 2: all were.

Example:
    python scripts/check_suv.py my_cohort/dicom --audit
"""

import argparse
import tempfile
from pathlib import Path
from typing import NoReturn

import numpy as np

from petct_ext.cli import SOME_FAILED, new_parser, run
from petct_ext.dicom.checking.check import find_problems
from petct_ext.dicom.files.archive import read_archive
from petct_ext.dicom.series.fitness import header_contradictions
from petct_ext.dicom.series.groups import Series, group_studies
from petct_ext.dicom.series.reconstruction import describe_reconstruction
from petct_ext.dicom.suv.plausibility import header_checks
from petct_ext.dicom.volumes.pet_suv import read_pet_suv
from petct_ext.errors import InputDataError


def command(arguments: argparse.Namespace) -> int:
    with tempfile.TemporaryDirectory() as cache:  # headers may identify patients
        headers = read_archive(arguments.dicom, Path(cache)).headers
    studies = group_studies(headers)
    series = [s for study in studies for s in study.series if s.first.text("Modality") == "PT"]
    series = [s for s in series if s.num_images > 0]
    if not series:
        raise InputDataError(f"{arguments.dicom} holds no PET series with slices.")
    refused = 0
    for number, one in enumerate(series, start=1):
        print(f"PET series {number} of {len(series)}: {describe_series(one)}")
        try:
            show_factor(one, arguments.dicom, audit=arguments.audit)
        except InputDataError as error:
            refused += 1
            print(f"  REFUSED: {error}")
    if refused == len(series):
        raise InputDataError(f"no SUVbw from {refused} PET series; the reasons stand above.")
    return SOME_FAILED if refused else 0


def describe_series(series: Series) -> str:
    """Returns what tells a series from the others of an archive, without identity."""
    first = series.first
    facts = [
        f"folder {first.folder or '.'}",
        f"number {first.text('SeriesNumber') or 'missing'}",
        f"description {first.text('SeriesDescription') or 'missing'!r}",
        f"{series.num_slices} slices",
        describe_reconstruction(series),
        *series.notes,
        *header_contradictions(series),
    ]
    return ", ".join(facts)


def show_factor(series: Series, root: Path, *, audit: bool) -> None:
    volume, suv = read_pet_suv([root / file.path for file in series.files])
    factors = sorted({float(f) for f in suv.factors})
    several = "" if len(factors) == 1 else f" to {factors[-1]:.9g} (differs between slices)"
    print(f"  factor {factors[0]:.9g}{several} g/mL per stored unit after rescale")
    inside = volume.array[volume.array > 0]
    median = float(np.median(inside)) if inside.size else 0.0
    low, high = float(volume.array.min()), float(volume.array.max())
    print(f"  SUVbw smallest {low:.4g}, median where above 0 {median:.4g}, largest {high:.4g} g/mL")
    checks = header_checks(volume.datasets, decide_suv=True)
    for warning in (*volume.warnings, *suv.warnings, *find_problems(checks)):
        print(f"  warning: {warning}")
    for line in suv.audit if audit else []:
        what = f"{line['tag']} {line['keyword']}" if "tag" in line else line["step"]
        print(f"  {what}: {line['value']} {line.get('unit', '')}".rstrip())


def main() -> NoReturn:
    parser = new_parser(__doc__)
    parser.add_argument("dicom", type=Path, help="folder with DICOM files, in any tree")
    parser.add_argument("--audit", action="store_true", help="show every tag and step")
    run(command, parser)
