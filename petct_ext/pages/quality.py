"""A page with one look at every exam of a cohort, before anything is trained on them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, Literal, TypeAlias

import pandas as pd
from tqdm import tqdm

from petct_ext.cohort.exam_checks import (
    CheckedExam,
    checked_exam,
    most_in_need_first,
    write_check_table,
)
from petct_ext.cohort.prepared_volumes import read_volumes
from petct_ext.cohort.workers import run_in_processes
from petct_ext.dicom.checking.alignment import ALIGNMENT_CHECK, measure_alignment, require_itk
from petct_ext.dicom.checking.anatomy import ExamVolumes
from petct_ext.dicom.checking.check import Check, CheckState
from petct_ext.dicom.volumes.exam_record import RECORD
from petct_ext.dicom.volumes.pet_suv import SUV_BW
from petct_ext.errors import InputDataError
from petct_ext.figures.exam_quality import draw_thumbnails
from petct_ext.files import make_folder, read_json, write_text
from petct_ext.pages.inputs import read_if_there
from petct_ext.pages.quality_sections import (
    NUMBER_COLUMNS,
    ShownExam,
    attention_section,
    check_section,
    left_out_section,
    number_section,
    picture_section,
    protocol_section,
    warning_section,
)
from petct_ext.pages.rendering import render
from petct_ext.pages.run import read_run_facts
from petct_ext.tables.contract import write_csv
from petct_ext.tables.schemas import EXAMS, PREPARED, SERIES, read_table

__all__ = ["AlignmentMethod", "write_quality_page"]

AlignmentMethod: TypeAlias = Literal["itk", "none"]

# further columns of quality.csv
_OTHERS = (
    *("pet_units", "pet_pixel_mm", "ct_pixel_mm", "liver_ml", "warnings", "problem"),
    *("num_not_fine", "num_not_measured"),
)
_DAMAGED = f"{RECORD} is damaged"


@dataclass(frozen=True, slots=True)
class _Look:
    """What one exam gives to the page; ``record`` is empty if it cannot be read."""

    exam: CheckedExam
    row: dict[str, Any]
    record: Mapping[str, Any]
    picture: bytes


def write_quality_page(
    work: Path, *, num_pictures: int = 200, workers: int = 0, alignment: AlignmentMethod = "none"
) -> pd.DataFrame:
    """Writes ``quality/index.html``, ``quality/quality.csv`` and ``quality/checks.csv``.

    Args:
        work: the work folder with ``exams.csv``, ``prepared.csv`` and ``volumes/``.
        num_pictures: exams to show; those with something to look at come first.
        workers: processes; 0 is this one alone.
        alignment: ``itk`` measures whether PET and CT lie on each other by mutual information,
            which takes some seconds per exam and 500 MB per process; ``none`` says on the page
            that it was not measured.

    Returns:
        One row per prepared exam: what preparation has measured, see
        :func:`~petct_ext.dicom.checking.volume_checks.check_volumes`, with ``flags`` and
        ``warnings``, each joined to one text, ``num_not_fine`` and ``num_not_measured``.

    Raises:
        InputDataError: if a table is missing, no exam is prepared, or ITK is not installed.
        OutputError: if the page cannot be written.
    """
    exams = read_table(work / "exams.csv", EXAMS)
    prepared = read_table(work / "prepared.csv", PREPARED)
    ready = sorted(prepared[prepared.status == "ok"].exam_id)
    if not ready:
        raise InputDataError(f"{work / 'prepared.csv'} has no exam that is ready; see its reasons.")
    if alignment == "itk":
        require_itk()
    folder = make_folder(work / "quality")
    look_at = partial(_look_at, volumes=(work / "volumes").resolve(), alignment=alignment)
    found = run_in_processes(look_at, ready, workers=workers, lost=_lost)
    bar = tqdm(found, total=len(ready), desc="looking at exams", unit="exam", disable=None)
    looks = sorted(bar, key=lambda look: most_in_need_first(look.exam))
    rows = pd.DataFrame([look.row for look in looks])
    rows = rows.reindex(columns=[*NUMBER_COLUMNS, *_OTHERS]).sort_values("exam_id")
    write_csv(rows, folder / "quality.csv")
    write_check_table([look.exam for look in looks], work)
    series = read_if_there(work / "series.csv", SERIES)
    write_text(
        folder / "index.html", _page(work, looks, rows, (exams, prepared, series), num_pictures)
    )
    return rows


def _page(
    work: Path,
    looks: list[_Look],
    rows: pd.DataFrame,
    tables: tuple[pd.DataFrame, pd.DataFrame, pd.DataFrame | None],
    num_pictures: int,
) -> str:
    exams, prepared, series = tables
    checked = [look.exam for look in looks]
    records = {look.exam.exam_id: look.record for look in looks if look.record}
    shown = [ShownExam(look.exam, look.row, look.picture) for look in looks if look.picture]
    sections = [
        attention_section(checked, exams, prepared),
        check_section(checked),
        picture_section(shown[:num_pictures], len(looks)),
        protocol_section(exams, series, records),
        left_out_section(exams, prepared),
        number_section(rows),
        warning_section(rows),
    ]
    return render(
        "quality.html",
        sections,
        title="Exams: quality of what was prepared",
        is_artificial=read_run_facts(work).is_artificial,
    )


def _look_at(exam_id: str, *, volumes: Path, alignment: AlignmentMethod) -> _Look:
    folder = volumes / exam_id
    try:
        record, volume = read_json(folder / RECORD), read_volumes(folder)
        exam = checked_exam(exam_id, record, [_alignment(volume, alignment)])
        row = _measured(record)
        warnings = list(record["warnings"])
        picture = draw_thumbnails(volume, is_suv=record["pet_units"] == SUV_BW)
        if record["no_suv_because"]:
            warnings.append(f"no SUV: {record['no_suv_because']}")
    except (InputDataError, KeyError, TypeError, ValueError) as error:
        reason = str(error).rstrip(".") if isinstance(error, InputDataError) else _DAMAGED
        is_told = "scripts/" in reason
        return _lost(
            exam_id, reason if is_told else f"{reason}; run scripts/prepare_exams.py --verify"
        )
    return _Look(exam, _row(exam, row, warnings), record, picture)


def _row(exam: CheckedExam, row: Mapping[str, Any], warnings: list[str]) -> dict[str, Any]:
    return {
        **row,
        "exam_id": exam.exam_id,
        "flags": "; ".join(exam.findings()),
        "warnings": "; ".join(warnings),
        "num_not_fine": len(exam.named(CheckState.NOT_FINE)),
        "num_not_measured": len(exam.named(CheckState.NOT_MEASURED)),
        "problem": exam.problem,
    }


def _measured(record: Mapping[str, Any]) -> dict[str, Any]:
    """Returns what preparation has measured, and None where it could not."""
    return {
        **dict.fromkeys(NUMBER_COLUMNS),
        "pet_units": record["pet_units"],
        "num_slices": record["num_slices"],
        "slice_mm": record["spacing_mm"][2],
        "largest_value": record["largest_value"],
        **record["measurements"],
    }


def _alignment(volume: ExamVolumes, method: AlignmentMethod) -> Check:
    if method == "itk":
        return measure_alignment(volume.pet, volume.ct, volume.spacing_mm).to_check()
    text = "it was not asked for: run scripts/check_exams.py --alignment itk"
    return Check(ALIGNMENT_CHECK, CheckState.NOT_MEASURED, text, unit="mm")


def _lost(exam_id: str, reason: str) -> _Look:
    exam = CheckedExam(exam_id, problem=reason.rstrip("."))
    return _Look(exam, _row(exam, {}, []), {}, b"")
