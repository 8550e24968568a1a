"""A folder of DICOM files to the tables of exams and series, without identity."""

from __future__ import annotations

import logging
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from pathlib import Path
from typing import Any

import pandas as pd
import pydicom

from petct_ext.cohort.series_files import write_series_files
from petct_ext.dicom.files.archive import read_archive
from petct_ext.dicom.files.headers import FileHeader, quiet_pydicom
from petct_ext.dicom.files.identity import Pseudonyms, without_dates
from petct_ext.dicom.series.exam_choice import ExamChoice, choose_exams
from petct_ext.dicom.series.groups import Series, group_studies
from petct_ext.dicom.series.pairing import Wishes
from petct_ext.dicom.series.pixels import SeriesPixels
from petct_ext.dicom.series.reconstruction import Preference, describe_reconstruction
from petct_ext.dicom.suv.uptake import uptake_time_s
from petct_ext.errors import InputDataError
from petct_ext.files import make_folder
from petct_ext.tables.contract import write_csv
from petct_ext.tables.schemas import EXAMS, IDENTIFIERS, SERIES, write_table

__all__ = [
    "ExamIndex",
    "age_years",
    "count_reasons",
    "exam_row",
    "identifier_row",
    "index_exams",
    "series_rows",
    "uptake_minutes",
    "write_index",
]

_LOGGER = logging.getLogger(__name__)


@dataclass(slots=True)
class ExamIndex:
    """What an index holds, from wherever the exams come.

    Attributes:
        root: folder to which the paths of ``files`` are relative.
        exams: rows of the schema EXAMS.
        series: rows of the schema SERIES.
        identifiers: rows of the schema IDENTIFIERS.
        files: files of the chosen series, by series id.
    """

    root: Path
    exams: list[dict[str, Any]] = field(default_factory=list)
    series: list[dict[str, Any]] = field(default_factory=list)
    identifiers: list[dict[str, Any]] = field(default_factory=list)
    files: dict[str, list[str]] = field(default_factory=dict)


def index_exams(
    dicom: Path,
    work: Path,
    *,
    salt: str,
    keep_ids: bool = False,
    shift_dates: bool = False,
    min_slices: int = 16,
    preferences: tuple[Preference, ...] = (),
    assume_registered: bool = False,
    workers: int = 1,
) -> pd.DataFrame:
    """Writes ``exams.csv`` and ``series.csv``, and ``private/`` with what may identify patients.

    Every study with a PET or a CT becomes an exam, but for a study whose CT serves the PET of
    another one; an exam that cannot be used is kept with status ``quarantined`` and the reason.
    ``private/`` holds ``identifiers.csv``, which links pseudonymous ids to identities,
    ``series_files.json`` with the files of the chosen series, ``unread_files.csv`` with what gave
    no header, and ``header_cache/``, thanks to which another run reads only what is new and a
    killed run goes on.

    Args:
        dicom: any tree of DICOM files.
        work: the work folder.
        salt: secret of the project for pseudonyms and shifts.
        keep_ids: keep identifiers instead; see
            :class:`~petct_ext.dicom.files.identity.Pseudonyms`.
        shift_dates: shift the dates of each patient by up to a year.
        min_slices: series with fewer slices are left out.
        preferences: what the site wants where several series would do.
        assume_registered: take a CT of another frame of reference as it lies, unmeasured.
        workers: processes that read headers.

    Returns:
        The table of exams, schema EXAMS.

    Raises:
        InputDataError: if there is no DICOM file, no PET/CT study, or no usable exam; in the last
            case the tables are written and say why.
        OutputError: if ``work`` cannot be written to.
    """
    names = Pseudonyms(salt, keep_ids=keep_ids, shift_dates=shift_dates)
    private = _private_folder(work)
    archive = read_archive(dicom, private / "header_cache", workers=workers)
    _write_unread(archive.unread, private / "unread_files.csv")
    studies = group_studies(archive.headers)
    index = ExamIndex(dicom)
    choices = choose_exams(
        studies,
        min_slices=min_slices,
        wishes=Wishes(preferences, SeriesPixels(dicom)),
        assume_registered=assume_registered,
    )
    _tell_preferences(choices, preferences)
    for choice in choices:
        identifiers = identifier_row(choice, names)
        exam = exam_row(choice, identifiers, names, root=dicom)
        index.identifiers.append(identifiers)
        index.exams.append(exam)
        index.series += series_rows(choice, exam["exam_id"], names)
        for chosen in (choice.pet, choice.ct):
            if chosen is not None:
                index.files[names.name("S", chosen.key)] = [f.path for f in chosen.files]
    if not any(study.has("PT") for study in studies):
        raise InputDataError(
            f"{dicom} holds {len(studies)} DICOM studies, none with a PET series; is this the "
            "right folder?"
        )
    return write_index(index, work)


def _tell_preferences(choices: Sequence[ExamChoice], preferences: Sequence[Preference]) -> None:
    """Says how often a preference has decided, since a misspelled one would never do so."""
    for wish in preferences:
        count = sum(f"preferred ({wish})" in choice.rules.values() for choice in choices)
        level = logging.INFO if count else logging.WARNING
        _LOGGER.log(level, "the preference %s has decided in %d exam(s)", wish, count)


def write_index(index: ExamIndex, work: Path) -> pd.DataFrame:
    """Writes the tables of an index; see :func:`index_exams`.

    Returns:
        The table of exams, schema EXAMS, in order of exam ids.

    Raises:
        InputDataError: if no exam can be used; the tables are written all the same.
        OutputError: if ``work`` cannot be written to.
    """
    private = _private_folder(work)
    table = pd.DataFrame(index.exams).sort_values("exam_id", ignore_index=True)
    identifiers = pd.DataFrame(index.identifiers).astype({"date_shift_days": "Int64"})
    write_series_files(work, index.root, index.files)
    write_table(identifiers, private / "identifiers.csv", IDENTIFIERS)
    write_table(pd.DataFrame(index.series), work / "series.csv", SERIES)
    write_table(table, work / "exams.csv", EXAMS)
    for reason, count in count_reasons(table).items():
        _LOGGER.warning("%d exam(s) quarantined: %s", count, reason)
    if not (table["status"] == "ok").any():
        raise InputDataError(
            f"none of the {len(table)} PET studies in {index.root} can be used; the first one "
            f"{table['reason'].iloc[0]}. {work / 'series.csv'} says why series were left out."
        )
    return table


def count_reasons(exams: pd.DataFrame) -> Mapping[str, int]:
    """Counts exams that cannot be used by reason; numbers in a reason are replaced by ``#``."""
    bad = exams.loc[exams["status"] != "ok", "reason"]
    counts = bad.str.replace(r"(?<![\d(,])\d+(?![\d,)])", "#", regex=True).value_counts()
    return {str(reason): int(count) for reason, count in counts.items()}


def _private_folder(work: Path) -> Path:
    """Makes ``private/``, readable by its owner alone, before anything is written into it."""
    private = make_folder(work / "private")
    private.chmod(0o700)
    return private


def _write_unread(unread: Mapping[str, str], path: Path) -> None:
    rows = [
        {"path": name.encode("utf-8", "backslashreplace").decode(), "reason": reason}
        for name, reason in sorted(unread.items())
    ]
    write_csv(pd.DataFrame(rows, columns=["path", "reason"]), path)


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
        The row. Without a Patient ID the exam is quarantined, since it could not be kept apart from
        others. Without a Study Date it is used, and has no follow-up.
    """
    header = _first_image(choice).first
    problem = choice.problem
    if not choice.study.patients:
        problem = "has no Patient ID (0010,0020)"
    exam_date = _iso_date(header, identifiers["date_shift_days"])
    notes = [*choice.notes]
    if not exam_date:
        notes.append("has no Study Date (0008,0020): it cannot be followed up")
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
        "notes": "; ".join(notes),
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
            "reconstruction": describe_reconstruction(s) if s.places_mm else "",
            "choice_rule": choice.rules.get(s.key, ""),
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


def _first_image(choice: ExamChoice) -> Series:
    """Returns the chosen PET, else the first PET of the study, else its first CT."""
    for modality in ("PT", "CT"):
        found = [s for s in choice.study.series if s.first.text("Modality") == modality]
        if found:
            return choice.pet or found[0]
    raise AssertionError("an exam has a PET or a CT")


def _free_text(header: FileHeader, keyword: str, names: Pseudonyms) -> str:
    text = header.text(keyword)
    return without_dates(text) if names.shift_dates else text


def _iso_date(header: FileHeader, shift_days: int | None) -> str:
    try:
        day: date = datetime.strptime(header.text("StudyDate"), "%Y%m%d").date()
        return (day + timedelta(days=shift_days or 0)).isoformat()
    except (ValueError, OverflowError):
        return ""
