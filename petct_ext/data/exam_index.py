"""A folder of DICOM files to the tables of exams and series."""

from __future__ import annotations

import logging
import re
from datetime import datetime
from pathlib import Path
from typing import Any

import pandas as pd

from petct_ext.data.schemas import EXAMS, IDENTIFIERS, SERIES, write_table
from petct_ext.dicom.exam import ExamChoice, Series, choose_series, group_by_study
from petct_ext.dicom.headers import FileHeader, find_files, read_headers
from petct_ext.dicom.pseudonyms import pseudonym
from petct_ext.errors import InputDataError
from petct_ext.files import make_folder, write_json

__all__ = ["age_years", "index_exams"]

_LOGGER = logging.getLogger(__name__)


def index_exams(
    dicom: Path, work: Path, *, salt: str, min_slices: int = 16, workers: int = 1
) -> pd.DataFrame:
    """Writes ``exams.csv`` and ``series.csv``, and ``private/`` with what may identify patients.

    Every study with a PET becomes an exam; one that cannot be used is kept with status
    ``quarantined`` and the reason. ``private/identifiers.csv`` links pseudonymous ids to
    identities, ``private/series_files.json`` holds the files of the chosen series.

    Args:
        dicom: any tree of DICOM files.
        work: the work folder.
        salt: secret for the pseudonyms.
        min_slices: series with fewer slices are left out.
        workers: processes that read headers.

    Returns:
        The table of exams, schema EXAMS.

    Raises:
        InputDataError: if there is no DICOM file, no PET/CT study, or no usable exam.
        OutputError: if ``work`` cannot be written to.
    """
    make_folder(work)
    studies = group_by_study(read_headers(find_files(dicom), workers=workers))
    exams, series_rows, identifiers, files = [], [], [], {}
    for uid, series in studies.items():
        if not any(s.first.text("Modality") == "PT" for s in series):
            continue
        choice = choose_series(series, min_slices=min_slices)
        exam_id = pseudonym("E", uid, salt=salt)
        row, identifier = _exam_row(exam_id, choice, series, salt)
        exams.append(row)
        identifiers.append(identifier | {"study_instance_uid": uid})
        series_rows += _series_rows(exam_id, choice, series, salt)
        for chosen in (choice.pet, choice.ct):
            if chosen is not None:
                series_id = pseudonym("S", chosen.uid, salt=salt)
                files[series_id] = [str(f.path.relative_to(dicom)) for f in chosen.files]
    if not exams:
        raise InputDataError(
            f"{dicom} holds {len(studies)} DICOM studies, none with a PET series; is this the "
            "right folder?"
        )
    table = pd.DataFrame(exams).sort_values("exam_id", ignore_index=True)
    _require_usable(table, dicom)
    private = make_folder(work / "private")
    private.chmod(0o700)
    write_json(private / "series_files.json", {"dicom": str(dicom.resolve()), "files": files})
    write_table(pd.DataFrame(identifiers), private / "identifiers.csv", IDENTIFIERS)
    write_table(pd.DataFrame(series_rows), work / "series.csv", SERIES)
    write_table(table, work / "exams.csv", EXAMS)
    return table


def age_years(text: str) -> float | None:
    """Reads a DICOM age (0010,1010) such as ``061Y``, ``61Y``, ``018M`` or ``061``, in years.

    Returns:
        The age, None if the text is empty or no age.

    Example:
        >>> age_years("061Y"), age_years("018M"), age_years("")
        (61.0, 1.5, None)
    """
    match = re.fullmatch(r"(\d{1,3})([DWMY]?)", text.strip().upper())
    if match is None:
        return None
    per_year = {"D": 365.25, "W": 52.18, "M": 12.0, "Y": 1.0, "": 1.0}[match[2]]
    return int(match[1]) / per_year


def _require_usable(table: pd.DataFrame, dicom: Path) -> None:
    bad = table[table.status != "ok"]
    for reason, count in bad.reason.value_counts().items():
        _LOGGER.warning("%d exam(s) quarantined: %s", count, reason)
    if len(bad) == len(table):
        raise InputDataError(
            f"none of the {len(table)} PET studies in {dicom} can be used; the first one "
            f"{table.reason.iloc[0]}."
        )


def _exam_row(
    exam_id: str, choice: ExamChoice, series: list[Series], salt: str
) -> tuple[dict[str, Any], dict[str, str]]:
    header = (choice.pet or series[0]).first
    raw_patient = header.text("PatientID")
    problem = choice.problem
    if not raw_patient:
        problem, raw_patient = "has no Patient ID (0010,0020)", f"unknown {exam_id}"
    exam_date = _iso_date(header)
    if not exam_date:
        problem, exam_date = problem or "has no Study Date (0008,0020)", "1900-01-01"
    patient_id = pseudonym("P", raw_patient, salt=salt)
    row: dict[str, Any] = {
        "exam_id": exam_id,
        "patient_id": patient_id,
        "exam_date": exam_date,
        "status": "quarantined" if problem else "ok",
        "reason": problem,
        "pet_series": pseudonym("S", choice.pet.uid, salt=salt) if choice.pet else "",
        "ct_series": pseudonym("S", choice.ct.uid, salt=salt) if choice.ct else "",
        "sex": sex if (sex := header.text("PatientSex")[:1].upper()) in ("F", "M", "O") else "",
        "age_years": age_years(header.text("PatientAge")),
        "weight_kg": header.number("PatientWeight"),
        "height_m": header.number("PatientSize"),
        "study_description": header.text("StudyDescription"),
        "manufacturer": header.text("Manufacturer"),
        "model": header.text("ManufacturerModelName"),
        "tracer": header.text("Tracer"),
        "injected_dose_bq": header.number("InjectedDoseBq"),
    }
    return row, {"exam_id": exam_id, "patient_id": patient_id, "raw_patient_id": raw_patient}


def _iso_date(header: FileHeader) -> str:
    try:
        return datetime.strptime(header.text("StudyDate"), "%Y%m%d").date().isoformat()
    except ValueError:
        return ""


def _series_rows(
    exam_id: str, choice: ExamChoice, series: list[Series], salt: str
) -> list[dict[str, Any]]:
    chosen = {s.uid for s in (choice.pet, choice.ct) if s is not None}
    return [
        {
            "series_id": pseudonym("S", s.uid, salt=salt),
            "exam_id": exam_id,
            "modality": s.first.text("Modality") or "missing",
            "description": s.first.text("SeriesDescription"),
            "num_slices": len(s.files),
            "chosen": int(s.uid in chosen),
            "reason": choice.reasons[s.uid],
        }
        for s in series
    ]
