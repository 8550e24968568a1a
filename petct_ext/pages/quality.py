"""A page with one look at every exam of a cohort, before anything is trained on them."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import pandas as pd
from tqdm import tqdm

from petct_ext.cohort.exam_quality import LIVER_NOTE, find_flags, measure, read_volumes
from petct_ext.cohort.workers import run_in_processes
from petct_ext.dicom.volumes.conversion import SUV_BW
from petct_ext.dicom.volumes.exam_record import RECORD
from petct_ext.errors import InputDataError
from petct_ext.figures.exam_quality import draw_histograms, draw_thumbnails
from petct_ext.files import make_folder, read_json, write_text
from petct_ext.pages.inputs import embed, embed_figure
from petct_ext.pages.rendering import KeyFigure, PageSection, render, rounded
from petct_ext.pages.run import read_run_facts
from petct_ext.tables.contract import write_csv
from petct_ext.tables.schemas import EXAMS, PREPARED, read_table

__all__ = ["write_quality_page"]

_COLUMNS = {
    "exam_id": "exam",
    "flags": "look at",
    "num_slices": "slices",
    "slice_mm": "slice distance (mm)",
    "pet_slices": "PET slices",
    "pet_slice_mm": "PET slice (mm)",
    "ct_slices": "CT slices",
    "ct_slice_mm": "CT slice (mm)",
    "overlap": "PET length covered by CT",
    "activity_in_body": "PET activity in CT body",
    "bone_behind_mm": "bone behind middle (mm)",
    "largest_value": "largest value",
    "liver_suv": "liver-like SUV",
}
# further columns of quality.csv
_OTHERS = ("pet_units", "pet_pixel_mm", "ct_pixel_mm", "liver_ml", "warnings", "problem")


class _Look(NamedTuple):
    """What one exam gives to the page."""

    row: dict[str, Any]
    picture: bytes


def write_quality_page(work: Path, *, num_pictures: int = 200, workers: int = 0) -> pd.DataFrame:
    """Writes ``quality/index.html`` and ``quality/quality.csv``.

    Args:
        work: the work folder with ``exams.csv``, ``prepared.csv`` and ``volumes/``.
        num_pictures: exams to show; those with something to look at come first.
        workers: processes; 0 is this one alone.

    Returns:
        One row per prepared exam: see :func:`~petct_ext.cohort.exam_quality.measure`, with
        ``flags`` and ``warnings``, each joined to one text.

    Raises:
        InputDataError: if a table is missing, or no exam is prepared.
        OutputError: if the page cannot be written.
    """
    exams = read_table(work / "exams.csv", EXAMS)
    prepared = read_table(work / "prepared.csv", PREPARED)
    ready = sorted(prepared[prepared.status == "ok"].exam_id)
    if not ready:
        raise InputDataError(f"{work / 'prepared.csv'} has no exam that is ready; see its reasons.")
    folder = make_folder(work / "quality")
    found = run_in_processes(
        partial(_look_at, volumes=(work / "volumes").resolve()),
        ready,
        workers=workers,
        lost=_lost,
    )
    bar = tqdm(found, total=len(ready), desc="looking at exams", unit="exam", disable=None)
    looks = sorted(bar, key=_by_exam)
    rows = pd.DataFrame([look.row for look in looks]).reindex(columns=[*_COLUMNS, *_OTHERS])
    write_csv(rows, folder / "quality.csv")
    sections = [
        _picture_section(looks, num_pictures),
        _left_out_section(exams, prepared),
        _number_section(rows),
        PageSection("warnings", "Warnings", {"rows": rows.loc[rows.warnings.fillna("") != ""]}),
    ]
    page = render(
        "quality.html",
        sections,
        title="Exams: quality of what was prepared",
        is_artificial=read_run_facts(work).is_artificial,
    )
    write_text(folder / "index.html", page)
    return rows


def _by_exam(look: _Look) -> str:
    return str(look.row["exam_id"])


def _look_at(exam_id: str, *, volumes: Path) -> _Look:
    folder = volumes / exam_id
    try:
        record, exam = read_json(folder / RECORD), read_volumes(folder)
        row = measure(exam, record)
        flags, warnings = find_flags(row), list(record["warnings"])
        picture = draw_thumbnails(exam, is_suv=record["pet_units"] == SUV_BW)
    except (InputDataError, KeyError, TypeError, ValueError) as error:
        reason = str(error) if isinstance(error, InputDataError) else f"{RECORD} is damaged"
        return _lost(exam_id, f"{reason}; run scripts/prepare_exams.py --verify.")
    if record["no_suv_because"]:
        warnings.append(f"no SUV: {record['no_suv_because']}")
    joined = {"flags": "; ".join(flags), "warnings": "; ".join(warnings)}
    return _Look({"exam_id": exam_id, **row, **joined, "problem": ""}, picture)


def _lost(exam_id: str, reason: str) -> _Look:
    return _Look({"exam_id": exam_id, "flags": reason, "problem": reason}, b"")


def _picture_section(looks: Sequence[_Look], num_pictures: int) -> PageSection:
    """The pictures; exams with something to look at come first."""
    flagged = [look for look in looks if look.row["flags"]]
    others = [look for look in looks if not look.row["flags"]]
    shown = [look for look in [*flagged, *others] if look.picture][:num_pictures]
    figures = (
        KeyFigure("exams prepared", str(len(looks)), f"{len(shown)} shown"),
        KeyFigure("to look at", str(len(flagged)), "something is unusual"),
    )
    pictures = [{"source": embed(of.picture, "image/jpeg"), **of.row} for of in shown]
    data = {"shown": pictures, "num_exams": len(looks)}
    return PageSection("exams", "Exams", data, figures)


def _left_out_section(exams: pd.DataFrame, prepared: pd.DataFrame) -> PageSection:
    bad = prepared[prepared.status != "ok"]
    unknown = exams[~exams.exam_id.isin(prepared.exam_id)]
    rows = [{"exam": r["exam_id"], "reason": r["reason"]} for r in bad.to_dict("records")]
    rows += [
        {"exam": exam, "reason": "indexed after the last run of scripts/prepare_exams.py"}
        for exam in unknown.exam_id
    ]
    counts = pd.Series([row["reason"] for row in rows], dtype=object).value_counts()
    common = [{"exams": int(n), "reason": reason} for reason, n in counts.items()]
    figure = KeyFigure("left out", str(len(rows)), f"of {len(exams)} exams found")
    return PageSection("left-out", "Left out", {"rows": rows, "common": common}, (figure,))


def _number_section(rows: pd.DataFrame) -> PageSection:
    liver = rows["liver_suv"].dropna().astype(float)
    value = rounded(float(liver.median()), 2) if len(liver) else "not found"
    figure = KeyFigure("liver-like SUV", value, f"median of {len(liver)} exams")
    data = {
        "histograms": embed_figure(draw_histograms(rows)),
        "liver_note": LIVER_NOTE,
        "rows": rows.astype(
            {"liver_suv": float, "activity_in_body": float, "bone_behind_mm": float}
        ),
        "columns": _COLUMNS,
    }
    return PageSection("numbers", "Numbers", data, (figure,))
