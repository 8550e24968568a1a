"""The sections of the page about the quality of exams."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import pandas as pd

from petct_ext.cohort.exam_checks import CheckedExam
from petct_ext.cohort.protocols import (
    OUTLIER_NOTE,
    count_series_choices,
    find_outliers,
    protocol_facts,
    protocols,
)
from petct_ext.dicom.checking.anatomy import LIVER_NOTE
from petct_ext.dicom.checking.check import CheckState
from petct_ext.figures.exam_quality import draw_histograms
from petct_ext.pages.inputs import embed, embed_figure
from petct_ext.pages.rendering import KeyFigure, PageSection, rounded

__all__ = [
    "NUMBER_COLUMNS",
    "ShownExam",
    "attention_section",
    "check_section",
    "left_out_section",
    "number_section",
    "picture_section",
    "protocol_section",
    "warning_section",
]

NUMBER_COLUMNS: Final = {
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
"""Columns of the table of numbers with their headings."""

_HELD_BACK = "implausible: "  # how the reason of require_acceptable begins
_NOT_PREPARED = "indexed after the last run of scripts/prepare_exams.py"


@dataclass(frozen=True, slots=True)
class ShownExam:
    """An exam with its picture (JPEG) and what was measured on it."""

    exam: CheckedExam
    row: Mapping[str, Any]
    picture: bytes


def attention_section(
    checked: Sequence[CheckedExam], exams: pd.DataFrame, prepared: pd.DataFrame
) -> PageSection:
    """What needs a look, with the reason; held back exams come first.

    Args:
        checked: prepared exams, those in most need of a look first.
        exams: schema EXAMS.
        prepared: schema PREPARED.
    """
    left_out = _left_out(exams, prepared)
    held = [row for row in left_out if str(row["reason"]).startswith(_HELD_BACK)]
    others = [row for row in left_out if not str(row["reason"]).startswith(_HELD_BACK)]
    flagged = [exam for exam in checked if exam.findings()]
    rows = [{"exam": row["exam"], "state": "held back", "reason": row["reason"]} for row in held]
    rows += [{"exam": e.exam_id, "state": _state(e), "reason": _reasons(e)} for e in flagged]
    rows += [{"exam": row["exam"], "state": "left out", "reason": row["reason"]} for row in others]
    calm = [exam for exam in checked if not exam.findings()]
    whole = sum(not exam.named(CheckState.NOT_MEASURED) for exam in calm)
    figures = (
        KeyFigure("nothing found", str(len(calm)), f"{whole} of them with every check measured"),
        KeyFigure("to look at", str(len(flagged)), f"of {len(checked)} exams prepared"),
        KeyFigure("held back", str(len(held)), "an implausible value; no volumes"),
    )
    return PageSection("attention", "What needs a look", {"rows": rows}, figures)


def _state(exam: CheckedExam) -> str:
    if exam.problem:
        return "cannot be read"
    found = exam.named(CheckState.NOT_FINE)
    hard = [check for check in found if check.is_hard]
    return "accepted" if hard and all(map(exam.is_accepted, hard)) else "not fine"


def _reasons(exam: CheckedExam) -> str:
    """Returns the findings, each after the name by which a person accepts or leaves it out."""
    if exam.problem:
        return exam.problem
    found = exam.named(CheckState.NOT_FINE)
    named = zip((check.name for check in found), exam.findings(), strict=True)
    return "; ".join(f"{name}: {text}" for name, text in named)


def check_section(checked: Sequence[CheckedExam]) -> PageSection:
    """Exams x checks in three states, and what could not be measured for how many exams."""
    names = list(dict.fromkeys(check.name for exam in checked for check in exam.checks))
    rows = [(_cells(exam, names), bool(exam.findings())) for exam in checked if not exam.problem]
    unmeasured = [c for exam in checked for c in exam.named(CheckState.NOT_MEASURED)]
    counts = [_count(name, checked) for name in names]
    data = {
        "names": [name.replace("_", " ") for name in names],
        "flagged": [cells for cells, is_flagged in rows if is_flagged],
        "others": [cells for cells, is_flagged in rows if not is_flagged],
        "counts": sorted(counts, key=lambda row: (-row["not fine"], -row["not measured"])),
    }
    num_exams = sum(bool(exam.named(CheckState.NOT_MEASURED)) for exam in checked)
    kinds = len({check.name for check in unmeasured})
    detail = f"exams, {kinds} check{'s' * (kinds != 1)}; unknown is not fine"
    figure = KeyFigure("could not be measured", str(num_exams), detail)
    return PageSection("checks", "Checks", data, (figure,))


def _cells(exam: CheckedExam, names: Sequence[str]) -> dict[str, Any]:
    by_name = {check.name: check for check in exam.checks}
    cells = []
    for name in names:
        check = by_name.get(name)
        if check is None:
            cells.append(("not made", "absent", "this exam's record does not have the check"))
        elif exam.is_accepted(check):
            cells.append(("accepted", "accepted", check.text))
        else:
            cells.append((str(check.state), str(check.state).replace(" ", "-"), check.text))
    return {"exam": exam.exam_id, "cells": cells}


def _count(name: str, checked: Sequence[CheckedExam]) -> dict[str, Any]:
    found = [check for exam in checked for check in exam.checks if check.name == name]
    states = Counter(check.state for check in found)
    reasons = Counter(c.text for c in found if c.state is CheckState.NOT_MEASURED)
    common = reasons.most_common(1)
    said = f"{common[0][0]} ({common[0][1]} exam{'s' * (common[0][1] != 1)})" if common else ""
    others = f"; {len(reasons) - 1} other reasons" if len(reasons) > 1 else ""
    return {
        "check": name.replace("_", " "),
        "fine": states[CheckState.FINE],
        "not fine": states[CheckState.NOT_FINE],
        "not measured": states[CheckState.NOT_MEASURED],
        "why not measured": said + others,
    }


def picture_section(shown: Sequence[ShownExam], num_exams: int) -> PageSection:
    """The pictures, in the order of the exams, each with its checks in words."""
    pictures = [
        {
            "source": embed(one.picture, "image/jpeg"),
            "findings": one.exam.findings(),
            "unmeasured": [
                f"{check.name.replace('_', ' ')}: {check.text}"
                for check in one.exam.named(CheckState.NOT_MEASURED)
            ],
            "num_fine": len(one.exam.named(CheckState.FINE)),
            **one.row,
        }
        for one in shown
    ]
    return PageSection("exams", "Exams", {"shown": pictures, "num_exams": num_exams})


def protocol_section(
    exams: pd.DataFrame, series: pd.DataFrame | None, records: Mapping[str, Mapping[str, Any]]
) -> PageSection:
    """How the exams were made: distinct protocols, outliers, and which series was chosen."""
    facts = protocol_facts(exams, series, records)
    outliers = find_outliers(facts)
    kinds = protocols(facts)
    data = {
        "rows": kinds,
        "columns": {
            "exams": "exams",
            "scanner": "scanner",
            "tracer": "tracer",
            "reconstruction": "PET reconstruction",
            "pet_slice_mm": "PET slice (mm)",
            "pet_pixel_mm": "PET pixel (mm)",
            "ct_kernel": "CT kernel",
            "ct_slice_mm": "CT slice (mm)",
            "ct_pixel_mm": "CT pixel (mm)",
            "uptake_min": "uptake time (min)",
            "outside_guideline": "outside 55 to 75 min",
            "dose_per_kg": "dose (MBq/kg)",
        },
        "outliers": outliers,
        "num_exams": len(facts),
        "outlier_note": OUTLIER_NOTE,
        "choices": count_series_choices(facts),
    }
    unlike = len({row["exam"] for row in outliers})
    figure = KeyFigure("protocols", str(len(kinds)), f"{unlike} exam(s) unlike the others")
    return PageSection("protocols", "Protocols", data if len(facts) else None, (figure,))


def _left_out(exams: pd.DataFrame, prepared: pd.DataFrame) -> list[dict[str, Any]]:
    bad = prepared[prepared.status != "ok"]
    unknown = exams[~exams.exam_id.isin(prepared.exam_id)]
    rows = [{"exam": r["exam_id"], "reason": r["reason"]} for r in bad.to_dict("records")]
    return rows + [{"exam": exam, "reason": _NOT_PREPARED} for exam in unknown.exam_id]


def left_out_section(exams: pd.DataFrame, prepared: pd.DataFrame) -> PageSection:
    """Exams without volumes, and how often each reason occurs."""
    rows = _left_out(exams, prepared)
    counts = pd.Series([row["reason"] for row in rows], dtype=object).value_counts()
    common = [{"exams": int(n), "reason": reason} for reason, n in counts.items()]
    figure = KeyFigure("left out in all", str(len(rows)), f"of {len(exams)} exams found")
    return PageSection("left-out", "Left out", {"rows": rows, "common": common}, (figure,))


def number_section(rows: pd.DataFrame) -> PageSection:
    """What was measured on the prepared exams."""
    liver = rows["liver_suv"].dropna().astype(float)
    value = rounded(float(liver.median()), 2) if len(liver) else "not found"
    figure = KeyFigure("liver-like SUV", value, f"median of {len(liver)} exams")
    data = {
        "histograms": embed_figure(draw_histograms(rows)),
        "liver_note": LIVER_NOTE,
        "rows": rows.astype(
            {"liver_suv": float, "activity_in_body": float, "bone_behind_mm": float}
        ),
        "columns": NUMBER_COLUMNS,
    }
    return PageSection("numbers", "Numbers", data, (figure,))


def warning_section(rows: pd.DataFrame) -> PageSection:
    """What reading the exams warned of."""
    return PageSection("warnings", "Warnings", {"rows": rows.loc[rows.warnings.fillna("") != ""]})
