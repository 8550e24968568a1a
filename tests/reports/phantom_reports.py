"""A small cohort of phantom reports, without images."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd

from petct_ext.ontology import RegionOntology
from petct_ext.synthetic.diseases import sample_patients
from petct_ext.synthetic.patients import with_sides
from petct_ext.synthetic.reports.writing import write_report
from petct_ext.tables.schemas import ANNOTATIONS, HAND_LABELS, IDENTIFIERS, REPORTS, SPLITS
from petct_ext.tables.schemas import write_table as write
from tests.package_regions import ONTOLOGY


def write_phantom_reports(
    root: Path, *, num_patients: int = 40, seed: int = 5, ontology: RegionOntology = ONTOLOGY
) -> tuple[Path, Path]:
    """Writes what ``prepare_reports`` reads; returns the cohort and the work folder."""
    cohort, work = root / "data", root / "work"
    tables: dict[str, list[dict[str, object]]] = {"r": [], "a": [], "h": [], "i": [], "s": []}
    for patient in with_sides(sample_patients(num_patients, seed=seed), ontology, seed=seed):
        split = ("training", "training", "training", "validation", "test")[patient.number % 5]
        for exam in patient.exams:
            rng = np.random.default_rng([seed, patient.number, exam.number])
            report = write_report(patient, exam, rng=rng, ontology=ontology)
            study = f"1.2.{patient.number}.{exam.number}"
            ids: dict[str, object] = {"exam_id": f"e{patient.number:03d}{exam.number}"}
            ids["patient_id"] = f"p{patient.number:03d}"
            tables["r"].append({"study_instance_uid": study, "text": report.text})
            tables["i"].append(
                ids | {"study_instance_uid": study, "raw_patient_id": f"R{patient.number}"}
            )
            tables["s"].append(ids | {"split": split})
            sick: set[str] = set()
            for lesion in exam.lesions:
                sick |= {lesion.region} | ontology.containers(lesion.region)
            tables["h"].append(
                {"study_instance_uid": study} | {name: int(name in sick) for name in ontology}
            )
            judged = {(m.start, m.end, m.region): int(m.abnormal) for m in report.mentions}
            tables["a"] += [
                {"study_instance_uid": study, "start": a, "end": b, "region": r, "abnormal": y}
                for (a, b, r), y in judged.items()
            ]
    write(pd.DataFrame(tables["r"]), cohort / "reports.csv", REPORTS)
    write(pd.DataFrame(tables["a"]), cohort / "annotations.csv", ANNOTATIONS)
    write(pd.DataFrame(tables["h"]), cohort / "hand_labels.csv", HAND_LABELS)
    write(pd.DataFrame(tables["i"]), work / "private" / "identifiers.csv", IDENTIFIERS)
    write(pd.DataFrame(tables["s"]), work / "splits.csv", SPLITS)
    return cohort, work
