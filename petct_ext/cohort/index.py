"""A folder of DICOM files to the tables of exams and series."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pandas as pd

from petct_ext.cohort.exam_rows import exam_row, identifier_row, series_rows
from petct_ext.dicom.files.archive import read_archive
from petct_ext.dicom.files.pseudonyms import Pseudonyms
from petct_ext.dicom.series.exam_choice import choose_exams
from petct_ext.dicom.series.groups import group_studies
from petct_ext.errors import InputDataError
from petct_ext.files import make_folder, write_json
from petct_ext.tables.contract import write_csv
from petct_ext.tables.schemas import EXAMS, IDENTIFIERS, SERIES, write_table

__all__ = ["ExamIndex", "count_reasons", "index_exams", "write_index"]

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
    workers: int = 1,
) -> pd.DataFrame:
    """Writes ``exams.csv`` and ``series.csv``, and ``private/`` with what may identify patients.

    Every study with a PET becomes an exam; one that cannot be used is kept with status
    ``quarantined`` and the reason. ``private/`` holds ``identifiers.csv``, which links pseudonymous
    ids to identities, ``series_files.json`` with the files of the chosen series,
    ``unread_files.csv`` with what gave no header, and ``header_cache/``, thanks to which another
    run reads only what is new and a killed run goes on.

    Args:
        dicom: any tree of DICOM files.
        work: the work folder.
        salt: secret of the project for pseudonyms and shifts.
        keep_ids: keep identifiers instead; see
            :class:`~petct_ext.dicom.files.pseudonyms.Pseudonyms`.
        shift_dates: shift the dates of each patient by up to a year.
        min_slices: series with fewer slices are left out.
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
    for choice in choose_exams(studies, min_slices=min_slices):
        identifiers = identifier_row(choice, names)
        exam = exam_row(choice, identifiers, names, root=dicom)
        index.identifiers.append(identifiers)
        index.exams.append(exam)
        index.series += series_rows(choice, exam["exam_id"], names)
        for chosen in (choice.pet, choice.ct):
            if chosen is not None:
                index.files[names.name("S", chosen.key)] = [f.path for f in chosen.files]
    if not index.exams:
        raise InputDataError(
            f"{dicom} holds {len(studies)} DICOM studies, none with a PET series; is this the "
            "right folder?"
        )
    return write_index(index, work)


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
    write_json(
        private / "series_files.json", {"dicom": str(index.root.resolve()), "files": index.files}
    )
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
