"""A cohort of tiny exams, with its index, for the tests of preparation."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from petct_ext.files import write_json
from petct_ext.tables.schemas import EXAMS, write_table
from tests.dicom.slices import write_slices

HEIGHTS_MM = tuple(np.arange(20) * 3.0)


def write_exam(folder: Path, uid: str, **elements: Any) -> tuple[list[Path], list[Path]]:
    """Writes 20 PET and 20 CT slices; slice z holds 100 z Bq/mL and 100 z - 1000 HU."""
    values = np.arange(20)[:, None, None] * np.ones((4, 5)) * 100
    common: dict[str, Any] = {"heights_mm": HEIGHTS_MM, "values": values, "StudyInstanceUID": uid}
    pet = write_slices(folder / "pet", modality="PT", series="1", **(common | elements))
    return pet, write_slices(folder / "ct", series="2", RescaleIntercept=-1000.0, **common)


def write_cohort(root: Path, exams: dict[str, dict[str, Any]]) -> Path:
    """Writes exams and the tables of their index; returns the work folder."""
    rows: list[dict[str, Any]] = []
    files: dict[str, list[str]] = {}
    for number, (exam_id, elements) in enumerate(exams.items()):
        pet, ct = write_exam(root / "dicom" / exam_id, f"1.2.{number}", **elements)
        series = {f"{exam_id}_pet": pet, f"{exam_id}_ct": ct}
        files |= {k: [str(p.relative_to(root / "dicom")) for p in v] for k, v in series.items()}
        rows.append(
            {
                "exam_id": exam_id,
                "patient_id": f"P{number}",
                "exam_date": "2020-01-02",
                "status": "ok",
                "pet_series": f"{exam_id}_pet",
                "ct_series": f"{exam_id}_ct",
            }
        )
    work = root / "work"
    write_table(pd.DataFrame(rows), work / "exams.csv", EXAMS)
    document = {"dicom": str(root / "dicom"), "files": files}
    write_json(work / "private" / "series_files.json", document)
    return work
