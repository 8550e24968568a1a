"""Whether the rows of a group's list of exams agree about what became of each patient."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from datetime import date
from typing import Any, Final

import pandas as pd

__all__ = ["contradictions", "share_dates"]

_logger = logging.getLogger(__name__)

_COLUMNS: Final = ("death_date", "last_contact_date")
_ROUNDING_DAYS: Final = 1
"""Durations may be rounded, so that ends this far apart are taken for the same."""


def share_dates(exams: pd.DataFrame) -> pd.DataFrame:
    """Gives every row of a patient the date that stands in some of them only; tells it in the log.

    Args:
        exams: one row per exam with ``patient_id``, ``death_date`` and ``last_contact_date``
            (``YYYY-MM-DD``, ``""`` if missing).

    Returns:
        The rows in the same order. Where a patient's rows state different dates nothing is filled
        in; :func:`contradictions` finds these.
    """
    filled = exams.copy()
    for column in _COLUMNS:
        stated = exams.loc[exams[column] != "", ["patient_id", column]]
        by_patient = stated.groupby("patient_id")[column].agg(["first", "nunique"])
        single = by_patient.loc[by_patient["nunique"] == 1, "first"]
        shared = exams["patient_id"].map(single)
        fills = (exams[column] == "") & shared.notna()
        filled[column] = exams[column].mask(fills, shared)
        if fills.any():
            _logger.warning(
                "%s stands in some rows only of %d patients, among them %s: it counts for all "
                "rows of the patient",
                column,
                exams.loc[fills, "patient_id"].nunique(),
                exams.loc[fills, "patient_id"].iloc[0],
            )
    return filled


def contradictions(exams: pd.DataFrame) -> list[tuple[str, str]]:
    """Finds patients whose rows cannot all be true.

    Rows may differ in a date; in the end of follow-up, ``exam_date`` plus ``time_days``, by more
    than a day, or in ``event``; and durations may differ from the dates.

    Args:
        exams: rows as :func:`share_dates` returns them, also with ``exam_id``, ``exam_date``,
            ``time_days`` (NaN if missing) and ``event`` (1, 0 or missing).

    Returns:
        Patient and reason, one or more per patient.
    """
    bad = []
    for patient_id, rows in exams.groupby("patient_id", sort=True):
        reasons = (_different_dates(rows), _different_ends(rows), _against_dates(rows))
        bad += [
            (str(patient_id), f"patient {patient_id}: {reason}") for reason in reasons if reason
        ]
    return bad


def _different_dates(rows: pd.DataFrame) -> str:
    for column in _COLUMNS:
        dates = sorted(set(rows[column]) - {""})
        if len(dates) > 1:
            return (
                f"its exams state different {column}s ({', '.join(dates)}); give the same in all "
                "rows of a patient."
            )
    return ""


def _different_ends(rows: pd.DataFrame) -> str:
    known = rows[rows["event"].notna()].to_dict("records")
    for other in known[1:]:
        if other["event"] != known[0]["event"]:
            return _differ(known[0], other)
    timed = _timed(rows)
    for later in timed[1:]:
        if abs(_end(later) - _end(timed[0])) > _ROUNDING_DAYS:
            return _differ(timed[0], later)
    return ""


def _differ(first: Mapping[Any, Any], second: Mapping[Any, Any]) -> str:
    return (
        f"exam {first['exam_id']} states {_said(first)} and exam {second['exam_id']} "
        f"{_said(second)}; exam_date plus time_days, and event, must be the same for all exams of "
        "a patient."
    )


def _against_dates(rows: pd.DataFrame) -> str:
    """Compares time_days and event with the dates, where a patient has both."""
    died, seen = (next((d for d in rows[c] if d), "") for c in _COLUMNS)
    if not died and not seen:
        return ""
    for stated in rows[rows["event"].notna()].to_dict("records"):
        if died and stated["event"] == 0:
            return f"exam {stated['exam_id']} has event 0 but death_date {died}; correct one."
        if not died and stated["event"] == 1 and pd.isna(stated["time_days"]):
            return f"exam {stated['exam_id']} has event 1 but no death_date; add it, or time_days."
    for row in _timed(rows):
        end, what = (died, "death_date") if died else (seen, "last_contact_date")
        gap = _end(row) - date.fromisoformat(end).toordinal()
        # Who died after the last contact, on a day that only time_days gives, is no contradiction.
        apart = -gap if not died and row["event"] == 1 else abs(gap)
        if apart > _ROUNDING_DAYS:
            return (
                f"exam {row['exam_id']} states {_said(row)}, but {what} is {end}; correct one of "
                "the two."
            )
    return ""


def _timed(rows: pd.DataFrame) -> Sequence[Mapping[Any, Any]]:
    return rows[rows["time_days"].notna() & rows["event"].notna()].to_dict("records")


def _end(row: Mapping[Any, Any]) -> float:
    return date.fromisoformat(row["exam_date"]).toordinal() + float(row["time_days"])


def _said(row: Mapping[Any, Any]) -> str:
    what = "death" if row["event"] == 1 else "no death"
    if pd.isna(row["time_days"]):
        return what
    when = "at" if row["event"] == 1 else "up to"
    return f"{what} {when} {row['time_days']:g} days from {row['exam_date']}"
