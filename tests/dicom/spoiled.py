"""Exams that went wrong in one way each, made from phantoms, to see all checks together.

    python -m tests.dicom.spoiled OUT --good 40
    python scripts/index_exams.py OUT/dicom --work OUT/work
    python scripts/prepare_exams.py --work OUT/work
    python scripts/check_exams.py --work OUT/work --alignment itk
    python -m tests.dicom.spoiled OUT --judge OUT/work

Each function of ``SPOILS`` edits the DICOM files of one study. The last command tells of each
spoiled exam where it stands and why, and which good exams are flagged.
"""

from __future__ import annotations

import argparse
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Final

import numpy as np
import pandas as pd
import pydicom

from petct_ext.cohort.exam_checks import most_in_need_first, read_checked_exams
from petct_ext.ontology import RegionOntology
from petct_ext.synthetic.cohort import write_cohort
from petct_ext.tables.schemas import IDENTIFIERS, PREPARED, read_table

EMPTY_SLICES: Final = 3
SHIFT_MM: Final = 40.0
HEAD_MM: Final = 220.0
HEAD_HALF_WIDTH_MM: Final = 110.0

Slices = list[tuple[Path, pydicom.Dataset]]


def slices_of(study: Path, modality: str) -> Slices:
    """Reads the axial slices of a modality, from the feet up."""
    found = []
    for path in sorted(study.rglob("*.dcm")):
        dataset = pydicom.dcmread(path)
        is_axial = "LOCALIZER" not in dataset.get("ImageType", [])
        is_corrected = modality != "PT" or "ATTN" in dataset.get("CorrectedImage", [])
        if dataset.Modality == modality and is_axial and is_corrected:
            found.append((path, dataset))
    return sorted(found, key=lambda one: float(one[1].ImagePositionPatient[2]))


def _edited(study: Path, *modalities: str) -> Iterator[pydicom.Dataset]:
    """Gives each slice to be changed, and writes it."""
    for modality in modalities:
        for path, dataset in slices_of(study, modality):
            yield dataset
            dataset.save_as(path)


def _set_pixels(dataset: pydicom.Dataset, pixels: np.ndarray) -> None:
    dataset.PixelData = np.ascontiguousarray(pixels).tobytes()


def ct_1000_hu(study: Path) -> None:
    """The CT is 1000 HU too high."""
    for dataset in _edited(study, "CT"):
        dataset.RescaleIntercept = float(dataset.RescaleIntercept) + 1000


def both_mirrored(study: Path) -> None:
    """PET and CT are mirrored left to right, with headers as before."""
    for dataset in _edited(study, "CT", "PT"):
        _set_pixels(dataset, dataset.pixel_array[:, ::-1])


def both_upside_down(study: Path) -> None:
    """The slices of PET and CT lie in reversed order."""
    for modality in ("CT", "PT"):
        slices = slices_of(study, modality)
        contents = [(one.PixelData, one.RescaleSlope) for _, one in slices]
        for (path, dataset), (pixels, slope) in zip(slices, reversed(contents), strict=True):
            dataset.PixelData, dataset.RescaleSlope = pixels, slope
            dataset.save_as(path)


def three_empty_slices(study: Path) -> None:
    """Three PET slices in the middle of the body hold zeros."""
    slices = slices_of(study, "PT")
    first = len(slices) // 2
    for path, dataset in slices[first : first + EMPTY_SLICES]:
        _set_pixels(dataset, np.zeros_like(dataset.pixel_array))
        dataset.save_as(path)


def pet_shifted(study: Path, axis: int = 0) -> None:
    """The PET lies 40 mm from where it should, along X, Y or Z of the patient."""
    for dataset in _edited(study, "PT"):
        place = [float(mm) for mm in dataset.ImagePositionPatient]
        place[axis] += SHIFT_MM
        dataset.ImagePositionPatient = place


def weight_9_kg(study: Path) -> None:
    """A digit of the weight is lost."""
    for dataset in _edited(study, "CT", "PT"):
        dataset.PatientWeight = "9"


def weight_in_pounds(study: Path) -> None:
    """The weight is in pounds, not in kg."""
    for dataset in _edited(study, "CT", "PT"):
        dataset.PatientWeight = f"{float(dataset.PatientWeight) * 2.20462:.1f}"


def dose_tenfold(study: Path) -> None:
    """The injected dose is ten times too large."""
    for dataset in _edited(study, "PT"):
        injection = dataset.RadiopharmaceuticalInformationSequence[0]
        injection.RadionuclideTotalDose = f"{float(injection.RadionuclideTotalDose) * 10:.0f}"


def pet_marked_signed(study: Path) -> None:
    """Unsigned values up to 65534 are marked signed, so that the hottest turn negative."""
    for dataset in _edited(study, "PT"):
        stored = dataset.pixel_array.astype(np.int64) * 2
        dataset.RescaleSlope = f"{float(dataset.RescaleSlope) / 2:.10g}"
        dataset.PixelRepresentation = 1
        _set_pixels(dataset, stored.astype(np.uint16))


def head_blanked(study: Path) -> None:
    """The head is cut out of both, as in data that were defaced."""
    for modality in ("CT", "PT"):
        slices = slices_of(study, modality)
        top = float(slices[-1][1].ImagePositionPatient[2])
        for path, dataset in slices:
            if top - float(dataset.ImagePositionPatient[2]) < HEAD_MM:
                pixels = dataset.pixel_array.copy()
                dy, dx = (float(mm) for mm in dataset.PixelSpacing)
                x0, y0, _ = (float(mm) for mm in dataset.ImagePositionPatient)
                x = np.abs(x0 + dx * np.arange(pixels.shape[1])) < HEAD_HALF_WIDTH_MM
                y = np.abs(y0 + dy * np.arange(pixels.shape[0])) < 2 * HEAD_HALF_WIDTH_MM
                pixels[np.ix_(y, x)] = 0
                _set_pixels(dataset, pixels)
                dataset.save_as(path)


SPOILS: Final[dict[str, Callable[[Path], None]]] = {
    function.__name__: function
    for function in (
        *(ct_1000_hu, both_mirrored, both_upside_down, three_empty_slices, pet_shifted),
        *(weight_9_kg, weight_in_pounds, dose_tenfold, pet_marked_signed, head_blanked),
    )
}


def write_spoiled_cohort(
    out: Path, *, num_good: int, size: str = "small", seed: int = 0, workers: int = 1
) -> pd.DataFrame:
    """Writes ten spoiled exams and good ones, one per patient, and ``spoiled.csv`` beside them.

    Returns:
        Columns ``study_instance_uid`` and ``spoil``, which is empty for good exams.
    """
    number = len(SPOILS) + num_good
    ontology = RegionOntology.default()
    write_cohort(
        *(out,), num_patients=number, seed=seed, size=size, ontology=ontology, workers=workers
    )
    rows = []
    names = [*SPOILS, *[""] * num_good]
    for patient, name in zip(sorted((out / "dicom").iterdir()), names, strict=True):
        study, *others = sorted(path for path in patient.iterdir() if path.is_dir())
        for other in others:
            shutil.rmtree(other)
        if name:
            SPOILS[name](study)
        rows.append({"study_instance_uid": study.name, "spoil": name})
    table = pd.DataFrame(rows)
    table.to_csv(out / "spoiled.csv", index=False)
    return table


def judge(out: Path, work: Path) -> pd.DataFrame:
    """Returns each exam with its spoil, place on the page, state and reason.

    Held back exams have the places before all prepared ones.
    """
    spoils = pd.read_csv(out / "spoiled.csv", keep_default_na=False)
    ids = read_table(work / "private" / "identifiers.csv", IDENTIFIERS)
    prepared = read_table(work / "prepared.csv", PREPARED)
    bad = prepared[prepared.status != "ok"]
    places = [(row["exam_id"], "held back", row["reason"]) for row in bad.to_dict("records")]
    ready = read_checked_exams(work, list(prepared[prepared.status == "ok"].exam_id))
    for exam in sorted(ready, key=most_in_need_first):
        findings = exam.findings()
        places.append((exam.exam_id, "not fine" if findings else "fine", "; ".join(findings)))
    found = pd.DataFrame(places, columns=["exam_id", "state", "reason"])
    found.insert(0, "place", range(1, len(found) + 1))
    studies = ids[["exam_id", "study_instance_uid"]].merge(spoils, on="study_instance_uid")
    return found.merge(studies, on="exam_id").drop(columns="study_instance_uid")


def main() -> None:
    """Makes the cohort, or judges it."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("out", type=Path)
    parser.add_argument("--good", type=int, default=40)
    parser.add_argument("--size", default="small")
    parser.add_argument("--workers", type=int, default=1)
    parser.add_argument("--judge", type=Path, metavar="WORK")
    arguments = parser.parse_args()
    if arguments.judge is None:
        size, workers = arguments.size, arguments.workers
        write_spoiled_cohort(arguments.out, num_good=arguments.good, size=size, workers=workers)
        return
    table = judge(arguments.out, arguments.judge)
    for row in table[(table.spoil != "") | (table.state != "fine")].to_dict("records"):
        name = row["spoil"] or "GOOD"
        print(f"{row['place']:3d}  {name:20s} {row['state']:9s} {row['reason'][:300]}")  # noqa: T201
    print(f"{((table.spoil == '') & (table.state == 'fine')).sum()} good exams fine")  # noqa: T201


if __name__ == "__main__":
    main()
