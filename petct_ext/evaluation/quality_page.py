"""A page with one look at every exam of a cohort, before anything is trained on them."""

from __future__ import annotations

import base64
import io
from collections.abc import Sequence
from functools import partial
from html import escape
from pathlib import Path
from typing import Any, NamedTuple

import matplotlib as mpl
import numpy as np
import pandas as pd
from matplotlib.figure import Figure
from tqdm import tqdm

from petct_ext.cohort.exam_quality import LIVER_NOTE, find_flags, measure, read_volumes
from petct_ext.cohort.workers import run_in_processes
from petct_ext.dicom.volumes.conversion import SUV_BW
from petct_ext.dicom.volumes.exam_record import RECORD
from petct_ext.errors import InputDataError
from petct_ext.evaluation.html_elements import (
    KeyFigure,
    Section,
    folded,
    notice,
    number,
    paragraph,
    table,
)
from petct_ext.evaluation.html_frame import render_page
from petct_ext.evaluation.run_facts import read_run_facts
from petct_ext.figures.style import STYLE
from petct_ext.figures.thumbnails import draw_thumbnails
from petct_ext.files import make_folder, read_json, write_text
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
_HISTOGRAMS = {
    "pet_slice_mm": "PET slice distance (mm)",
    "ct_slice_mm": "CT slice distance (mm)",
    "num_slices": "slices of the volume",
    "liver_suv": "liver-like SUV (g/mL)",
}
_LEAD = (
    "Every prepared exam at a glance: is the body upright and on the right side, do PET and CT lie "
    "on each other, is the SUV of the right size?"
)


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
        _warning_section(rows),
    ]
    boxes = _artificial(work) + notice(
        "Research use only.", "Not a medical device; not for decisions about patients."
    )
    page = render_page("Exams: quality of what was prepared", sections, lead=_LEAD, notices=boxes)
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


def _picture_section(looks: Sequence[_Look], num_pictures: int) -> Section:
    flagged = [look for look in looks if look.row["flags"]]
    others = [look for look in looks if not look.row["flags"]]
    shown = [look for look in [*flagged, *others] if look.picture][:num_pictures]
    text = (
        "Coronal CT (-160 to 240 HU), maximum-intensity projection of the PET (inverted gray, SUV "
        "0 to 7), PET on CT, and sagittal CT, each slice through the middle of the body. R and L "
        "are the patient's right and left, H head, F feet, A front, P back, all from the header. "
        "Exams with something to look at come first."
    )
    if len(shown) < len(looks):
        text += f" {len(shown)} of {len(looks)} exams are shown; quality.csv has all of them."
    figures = (
        KeyFigure("exams prepared", str(len(looks)), f"{len(shown)} shown"),
        KeyFigure("to look at", str(len(flagged)), "something is unusual"),
    )
    body = paragraph(text) + "".join(map(_thumbnail, shown))
    return Section("exams", "Exams", body, figures)


def _thumbnail(look: _Look) -> str:
    row = look.row
    facts = f"{row['num_slices']} slices of {row['slice_mm']:.2f} mm"
    if row["liver_suv"] is not None:
        facts += f", liver-like SUV {row['liver_suv']:.2f}"
    flags = (
        f' <strong class="flag">Look at: {escape(row["flags"])}.</strong>' if row["flags"] else ""
    )
    source = f"data:image/jpeg;base64,{base64.b64encode(look.picture).decode('ascii')}"
    return (
        f'<figure class="overlay"><img loading="lazy" src="{source}" '
        f'alt="Views of exam {escape(row["exam_id"])}">'
        f"<figcaption>{escape(row['exam_id'])}: {escape(facts)}.{flags}</figcaption></figure>\n"
    )


def _left_out_section(exams: pd.DataFrame, prepared: pd.DataFrame) -> Section:
    bad = prepared[prepared.status != "ok"]
    unknown = exams[~exams.exam_id.isin(prepared.exam_id)]
    rows = [{"exam": r["exam_id"], "reason": r["reason"]} for r in bad.to_dict("records")]
    rows += [
        {"exam": exam, "reason": "indexed after the last run of scripts/prepare_exams.py"}
        for exam in unknown.exam_id
    ]
    figure = KeyFigure("left out", str(len(rows)), f"of {len(exams)} exams found")
    if not rows:
        return Section("left-out", "Left out", paragraph("No exam is left out."), (figure,))
    counts = pd.Series([row["reason"] for row in rows]).value_counts()
    common = [{"exams": int(n), "reason": reason} for reason, n in counts.items()]
    parts = table(common, {"exams": "exams", "reason": "reason"}, caption="How often each reason")
    parts += folded(f"all {len(rows)} exams", table(rows, {"exam": "exam", "reason": "reason"}))
    return Section("left-out", "Left out", parts, (figure,))


def _number_section(rows: pd.DataFrame) -> Section:
    liver = rows["liver_suv"].dropna().astype(float)
    figure = KeyFigure(
        "liver-like SUV",
        number(float(liver.median()), 2) if len(liver) else "not found",
        f"median of {len(liver)} exams",
    )
    shown = rows.astype({"liver_suv": float, "activity_in_body": float, "bone_behind_mm": float})
    body = _histograms(rows) + paragraph(LIVER_NOTE) + table(shown, _COLUMNS)
    return Section("numbers", "Numbers", body, (figure,))


def _warning_section(rows: pd.DataFrame) -> Section:
    texts = rows.loc[rows.warnings.fillna("") != "", ["exam_id", "warnings"]]
    if texts.empty:
        return Section("warnings", "Warnings", paragraph("Reading gave no warning."))
    content = table(texts, {"exam_id": "exam", "warnings": "warnings"})
    text = f"{len(texts)} exams were read with a warning; exam.json has the full record of the SUV."
    body = paragraph(text) + (content if len(texts) <= 12 else folded("list", content))
    return Section("warnings", "Warnings", body)


def _histograms(rows: pd.DataFrame) -> str:
    with mpl.rc_context(STYLE):
        figure = Figure(figsize=(11, 2.6), layout="constrained")
        for axis, (column, title) in zip(figure.subplots(1, 4), _HISTOGRAMS.items(), strict=True):
            values = rows[column].dropna().astype(float).round(2)
            margin = 0.5 if values.nunique() < 2 else 0.0  # equal values have no range
            if len(values):
                edges = np.linspace(values.min() - margin, values.max() + margin, 21)
                axis.hist(values, bins=list(edges), color="#0a5f94")
            axis.set_xlabel(title)
            axis.set_ylabel("exams")
        file = io.StringIO()
        figure.savefig(file, format="svg", metadata={"Date": None})
    encoded = base64.b64encode(file.getvalue().encode()).decode("ascii")
    caption = "Histograms: slice distances, slices, liver-like SUV"
    return (
        f'<figure class="wide"><img src="data:image/svg+xml;base64,{encoded}" alt="{caption}">'
        f"<figcaption>{caption}.</figcaption></figure>\n"
    )


def _artificial(work: Path) -> str:
    if not read_run_facts(work).is_artificial:
        return ""
    return notice("Artificial patients.", "All exams are computer phantoms.", loud=True)
