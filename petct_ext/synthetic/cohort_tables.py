"""The tables of an artificial study: reports, follow-up, and the truth about its images."""

from __future__ import annotations

import csv
from collections.abc import Iterable, Mapping
from itertools import chain
from pathlib import Path
from typing import Any

import numpy as np

from petct_ext.files import atomic_path
from petct_ext.ontology.regions import RegionOntology
from petct_ext.synthetic.outcomes import sample_outcome
from petct_ext.synthetic.patients import Exam, Patient
from petct_ext.synthetic.phantoms.dicom_encoding import patient_id, study_uid
from petct_ext.synthetic.phantoms.truth import BOX_COLUMNS, LESION_COLUMNS
from petct_ext.synthetic.reports.writing import Report, write_report

__all__ = ["Rows", "Truth", "write_cohort_tables", "write_truth"]

Rows = list[dict[str, Any]]
Truth = tuple[Rows, Rows]
"""Rows of the tables of lesions and of boxes."""

# Streams of random numbers, beside those of the images (cohort.py).
_REPORT, _OUTCOME, _ANNOTATED = 2, 3, 4


def write_cohort_tables(
    folder: Path,
    patients: list[Patient],
    *,
    seed: int,
    num_annotated: int,
    ontology: RegionOntology,
) -> int:
    """Writes reports, annotations, hand labels, outcomes and hazards of a cohort.

    Args:
        folder: of the cohort.
        patients: all of them.
        seed: of the cohort.
        num_annotated: how many reports are in ``annotations.csv``.
        ontology: regions of the hand labels.

    Returns:
        The number of exams.
    """
    exams = [(patient, exam) for patient in patients for exam in patient.exams]
    reports = [_report(patient, exam, seed, ontology) for patient, exam in exams]
    uids = [study_uid(patient, exam, seed=seed) for patient, exam in exams]
    chosen = np.random.default_rng([seed, _ANNOTATED]).permutation(len(exams))[:num_annotated]
    _write_csv(folder / "reports.csv", map(_report_row, uids, reports))
    _write_csv(
        folder / "annotations.csv",
        (row for i in sorted(chosen.tolist()) for row in _annotation_rows(uids[i], reports[i])),
        columns=("study_instance_uid", "start", "end", "region", "abnormal"),
    )
    _write_csv(
        folder / "hand_labels.csv",
        (_label_row(uid, exam, ontology) for uid, (_, exam) in zip(uids, exams, strict=True)),
    )
    _write_outcomes(folder, patients, seed=seed, ontology=ontology)
    return len(exams)


def write_truth(folder: Path, truth: Iterable[Truth]) -> None:
    """Writes ``lesions.csv`` and ``boxes.csv``.

    Args:
        folder: where to.
        truth: of each patient.
    """
    lesions, boxes = zip(*truth, strict=True)
    _write_csv(folder / "lesions.csv", chain.from_iterable(lesions), columns=LESION_COLUMNS)
    _write_csv(folder / "boxes.csv", chain.from_iterable(boxes), columns=BOX_COLUMNS)


def _report(patient: Patient, exam: Exam, seed: int, ontology: RegionOntology) -> Report:
    rng = np.random.default_rng([seed, patient.number, _REPORT, exam.number])
    return write_report(patient, exam, ontology=ontology, rng=rng)


def _report_row(uid: str, report: Report) -> dict[str, Any]:
    return {
        "study_instance_uid": uid,
        "text": report.text,
        "indication": report.indication,
        "summary_code": report.summary_code,
    }


def _annotation_rows(uid: str, report: Report) -> Iterable[dict[str, Any]]:
    for mention in report.mentions:
        yield {
            "study_instance_uid": uid,
            "start": mention.start,
            "end": mention.end,
            "region": mention.region,
            "abnormal": int(mention.abnormal),
        }


def _label_row(uid: str, exam: Exam, ontology: RegionOntology) -> dict[str, Any]:
    abnormal: set[str] = set()
    for lesion in exam.lesions:
        abnormal |= {lesion.region} | ontology.containers(lesion.region)
    return {"study_instance_uid": uid, **{name: int(name in abnormal) for name in ontology}}


def _write_outcomes(
    folder: Path, patients: list[Patient], *, seed: int, ontology: RegionOntology
) -> None:
    outcomes: list[dict[str, Any]] = []
    hazards: list[dict[str, Any]] = []
    for patient in patients:
        rng = np.random.default_rng([seed, patient.number, _OUTCOME])
        outcome = sample_outcome(patient, ontology=ontology, rng=rng)
        outcomes.append(
            {
                "patient_id": patient_id(patient),
                "death_date": outcome.death_date or "",
                "last_contact_date": outcome.last_contact_date,
            }
        )
        hazards.append(
            {
                "patient_id": patient_id(patient),
                "log_hazard": outcome.log_hazard,
                "disease": patient.disease,
                "num_lesions": len(patient.exams[-1].lesions),
            }
        )
    _write_csv(folder / "outcomes.csv", outcomes)
    _write_csv(folder / "truth" / "hazards.csv", hazards)


def _write_csv(
    path: Path, rows: Iterable[Mapping[str, Any]], *, columns: Iterable[str] = ()
) -> None:
    """Writes rows as CSV; line breaks inside a text stay as they are."""
    rows = list(rows)
    names = list(columns) or list(rows[0])
    with atomic_path(path) as partial, partial.open("w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, names, lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)
