"""A chosen exam as rows of the tables, with pseudonyms and without identity."""

from __future__ import annotations

import re
from datetime import date, datetime, timedelta
from pathlib import Path
from typing import Any

import pydicom

from petct_ext.dicom.files.free_text import without_dates
from petct_ext.dicom.files.headers import FileHeader, quiet_pydicom
from petct_ext.dicom.files.pseudonyms import Pseudonyms
from petct_ext.dicom.series.exam_choice import ExamChoice
from petct_ext.dicom.series.groups import Series
from petct_ext.dicom.suv.uptake import uptake_time_s

__all__ = ["age_years", "exam_row", "identifier_row", "series_rows", "uptake_minutes"]

_NO_DATE = "1900-01-01"


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


def identifier_row(choice: ExamChoice, names: Pseudonyms) -> dict[str, Any]:
    """Returns the row of ``private/identifiers.csv``, schema IDENTIFIERS."""
    exam_id = names.name("E", choice.study.uid)
    raw = "\\".join(choice.study.patients) or f"unknown {exam_id}"
    return {
        "exam_id": exam_id,
        "patient_id": names.name("P", raw),
        "study_instance_uid": choice.study.uid,
        "raw_patient_id": raw,
        "date_shift_days": names.shift_days(raw),
    }


def exam_row(
    choice: ExamChoice, identifiers: dict[str, Any], names: Pseudonyms, *, root: Path
) -> dict[str, Any]:
    """Returns the row of ``exams.csv``, schema EXAMS.

    Args:
        choice: the exam.
        identifiers: its row of ``identifiers.csv``.
        names: pseudonyms of the project.
        root: folder of the DICOM files, from which the uptake time is read.

    Returns:
        The row. Without a Patient ID or a Study Date the exam is quarantined, since it could
        neither be kept apart from others nor be followed up.
    """
    header = _first_pet(choice).first
    problem = choice.problem
    if not choice.study.patients:
        problem = "has no Patient ID (0010,0020)"
    exam_date = _iso_date(header, identifiers["date_shift_days"])
    if not exam_date:
        problem, exam_date = problem or "has no Study Date (0008,0020)", _NO_DATE
    return {
        "exam_id": identifiers["exam_id"],
        "patient_id": identifiers["patient_id"],
        "exam_date": exam_date,
        "status": "quarantined" if problem else "ok",
        "reason": problem,
        "pet_series": names.name("S", choice.pet.key) if choice.pet else "",
        "ct_series": names.name("S", choice.ct.key) if choice.ct else "",
        "sex": sex if (sex := header.text("PatientSex")[:1].upper()) in ("F", "M", "O") else "",
        "age_years": age_years(header.text("PatientAge")),
        "weight_kg": header.number("PatientWeight"),
        "height_m": header.number("PatientSize"),
        "study_description": _free_text(header, "StudyDescription", names),
        "manufacturer": header.text("Manufacturer"),
        "model": header.text("ManufacturerModelName"),
        "tracer": header.text("Tracer"),
        "injected_dose_bq": header.number("InjectedDoseBq"),
        "uptake_min": uptake_minutes(choice.pet, root) if choice.pet and not problem else None,
        "ct_match": choice.ct_match,
        "notes": "; ".join(choice.notes),
    }


def series_rows(choice: ExamChoice, exam_id: str, names: Pseudonyms) -> list[dict[str, Any]]:
    """Returns the rows of ``series.csv``, schema SERIES: all series of the study, and its CT."""
    chosen = {s.key for s in (choice.pet, choice.ct) if s is not None}
    borrowed = [choice.borrowed] if choice.borrowed else []
    return [
        {
            "series_id": names.name("S", s.key),
            "exam_id": exam_id,
            "modality": s.first.text("Modality") or "missing",
            "description": _free_text(s.first, "SeriesDescription", names),
            "num_slices": s.num_slices,
            "extent_mm": round(s.length_mm, 1) if s.extent_mm else None,
            "chosen": int(s.key in chosen),
            "reason": choice.reasons[s.key],
        }
        for s in (*choice.study.series, *borrowed)
    ]


def uptake_minutes(pet: Series, root: Path) -> float | None:
    """Returns the minutes from injection to scan by the headers of the first and outermost slices.

    A look at the cohort, not a check: preparation reads all slices and refuses contradictory times.

    Returns:
        Minutes, None if the headers do not tell.
    """
    by_height = sorted(pet.files, key=_height)
    few = {f.path: f for f in (min(pet.files, key=_acquired), by_height[0], by_height[-1])}
    try:
        with quiet_pydicom():
            headers = [pydicom.dcmread(root / path, stop_before_pixels=True) for path in few]
            return round(uptake_time_s(headers) / 60, 1)
    except Exception:  # whatever a header holds, the column stays empty and preparation explains
        return None


def _height(header: FileHeader) -> tuple[float, str]:
    return (header.positions[0][2] if header.positions else 0.0, header.path)


def _acquired(header: FileHeader) -> tuple[str, str]:
    return header.acquired, header.path


def _first_pet(choice: ExamChoice) -> Series:
    """Returns the chosen PET, else the first PET of the study."""
    pets = [s for s in choice.study.series if s.first.text("Modality") == "PT"]
    return choice.pet or pets[0]


def _free_text(header: FileHeader, keyword: str, names: Pseudonyms) -> str:
    text = header.text(keyword)
    return without_dates(text) if names.shift_dates else text


def _iso_date(header: FileHeader, shift_days: int | None) -> str:
    try:
        day: date = datetime.strptime(header.text("StudyDate"), "%Y%m%d").date()
        return (day + timedelta(days=shift_days or 0)).isoformat()
    except (ValueError, OverflowError):
        return ""
