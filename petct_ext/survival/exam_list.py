"""A group's own list of exams with follow-up, checked and made into the survival table.

For cohorts that did not come through the steps of this package. One row per exam:

============================  ======================================================================
``exam_id``, ``patient_id``   pseudonyms; predictions are joined by ``exam_id``
``exam_date``                 YYYY-MM-DD
``split``                     training, validation or test; one for all exams of a patient
``death_date``,               YYYY-MM-DD or empty, the same for all exams of a patient, one row of
``last_contact_date``         whom is enough; or instead ``time_days`` and ``event`` (1 death, 0
                              censored), from that exam on
``age``                       at the exam: DICOM age (061Y, 018M, 61Y) or years; may be empty
``sex``, ``indication``,      may be empty or absent
``summary_code``
============================  ======================================================================

Rules, none of them silent: each patient counts once, with the last exam; of two exams on one day,
that whose id sorts last, told in the log; a date that stands in some rows of a patient counts for
all of them, told in the log; rows of a patient that state different dates, ends of follow-up (by
more than a day) or events, and durations that differ from the dates, are errors, also where only
durations are used; an empty age stays missing, and the analysis leaves that
patient out, counts and lists it; an age that cannot be read is an error.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from datetime import date
from pathlib import Path
from types import MappingProxyType
from typing import Any, Final

import numpy as np
import pandas as pd

from petct_ext.cohort.index import age_years
from petct_ext.errors import InputDataError
from petct_ext.survival.outcomes import follow_up, last_exams, log_same_day
from petct_ext.survival.table import require_one_split
from petct_ext.tables.contract import Column, Kind, Schema, read_table
from petct_ext.tables.schemas import SURVIVAL

__all__ = [
    "EXAM_MANIFEST",
    "contradictions",
    "parse_age",
    "read_manifest",
    "share_dates",
    "table_from_exams",
]

_LOGGER = logging.getLogger(__name__)

_OPTIONAL: Final = Column(required=False, filled=False)

EXAM_MANIFEST: Final = Schema(
    "exams with follow-up",
    MappingProxyType(
        {
            "exam_id": Column(),
            "patient_id": Column(),
            "exam_date": Column(Kind.DATE),
            "split": Column(choices=("training", "validation", "test")),
            "death_date": Column(Kind.DATE, required=False, filled=False),
            "last_contact_date": Column(Kind.DATE, required=False, filled=False),
            "time_days": Column(Kind.NUMBER, required=False, filled=False),
            "event": Column(Kind.BINARY, required=False, filled=False),
            "age": _OPTIONAL,
            "sex": Column(required=False, filled=False, choices=("F", "M", "O")),
            "indication": _OPTIONAL,
            "summary_code": Column(required=False, filled=False, choices=("1", "2", "4", "9")),
        }
    ),
    key=("exam_id",),
)
"""Columns of the list; see the module."""


def read_manifest(path: str | Path) -> pd.DataFrame:
    """Reads the list of exams.

    Raises:
        InputDataError: if it breaks :data:`EXAM_MANIFEST`; names file, line and column.
    """
    return read_table(path, EXAM_MANIFEST)


def table_from_exams(
    exams: pd.DataFrame, *, leave_out_bad: bool = False
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Makes one row per patient, counted from the last exam.

    Args:
        exams: rows of :data:`EXAM_MANIFEST`.
        leave_out_bad: whether patients with impossible or missing dates, durations or ages are left
            out and listed, instead of stopping with the first of them. A patient in two splits
            always stops.

    Returns:
        The table in the form of ``SURVIVAL``, and the patients left out with the reason.

    Raises:
        InputDataError: if a patient is in two splits, if a patient's dates, duration or age are
            impossible or contradict each other (and ``leave_out_bad`` is False), or if nobody is
            left. Names the patient by pseudonym, the exam, the value and the fix.
    """
    require_one_split(exams)
    log_same_day(exams)
    exams = share_dates(exams)
    bad = contradictions(exams)
    last = last_exams(exams)
    has_durations = bool(last["time_days"].notna().any())
    if has_durations:
        kept, wrong = _with_durations(last)
    else:
        kept, wrong = follow_up(last, last[["patient_id", "death_date", "last_contact_date"]])
    bad += [(row["patient_id"], row["reason"]) for row in wrong.to_dict("records")]
    ages = {}
    for row in kept.to_dict("records"):
        try:
            ages[row["patient_id"]] = parse_age(row["age"], where=_where(row))
        except InputDataError as error:
            bad.append((row["patient_id"], str(error)))
    left_out = pd.DataFrame(bad, columns=["patient_id", "reason"]).drop_duplicates("patient_id")
    if bad and not leave_out_bad:
        more = f" ({len(left_out)} such patients)" if len(left_out) > 1 else ""
        raise InputDataError(f"{left_out['reason'].iloc[0]}{more}")
    for reason in left_out["reason"]:
        _LOGGER.warning("left out: %s", reason)
    table = kept[~kept["patient_id"].isin(left_out["patient_id"])].reset_index(drop=True)
    if table.empty:
        raise InputDataError("no patient has a usable follow-up; correct the list of exams.")
    table = table.assign(age_years=table["patient_id"].map(ages).astype("float64"))
    without_age = table.loc[table["age_years"].isna(), "patient_id"]
    if len(without_age):
        _LOGGER.warning(
            "%d patients have no age, among them %s: the analysis leaves them out; fill the "
            "column age",
            len(without_age),
            without_age.iloc[0],
        )
    return table[list(SURVIVAL.columns)], left_out.reset_index(drop=True)


def parse_age(text: str, *, where: str) -> float:
    """Reads an age: DICOM's form (``061Y``, ``61Y``, ``018M``, ``012W``, ``100D``) or years.

    Args:
        text: the age; may be empty.
        where: what the message begins with.

    Returns:
        The age in years, NaN if the text is empty.

    Raises:
        InputDataError: if it is no age or lies outside 0-120 years.

    Example:
        >>> parse_age("061Y", where=""), parse_age("61.5", where=""), parse_age("018M", where="")
        (61.0, 61.5, 1.5)
    """
    text = text.strip()
    if not text:
        return float("nan")
    years = age_years(text)
    if years is None:
        try:
            years = float(text)
        except ValueError:
            years = float("nan")
    if not 0 <= years <= 120:
        raise InputDataError(
            f"{where}: age {text[:20]!r} is no age from 0 to 120 years; write it as 061Y, 61Y, "
            "018M or 61, or leave it empty."
        )
    return float(years)


def _with_durations(last: pd.DataFrame) -> tuple[pd.DataFrame, pd.DataFrame]:
    bad = []
    for row in last.to_dict("records"):
        time, event = row["time_days"], row["event"]
        if np.isnan(time) or pd.isna(event):
            problem = "has no time_days or no event; give both"
        elif time < 0:
            problem = (
                f"time_days is {time:g}, but death or last contact cannot come before the last "
                "exam; correct it"
            )
        else:
            continue
        bad.append({"patient_id": row["patient_id"], "reason": f"{_where(row)}: {problem}."})
    wrong = pd.DataFrame(bad, columns=["patient_id", "reason"])
    kept = last[~last["patient_id"].isin(wrong["patient_id"])].reset_index(drop=True)
    return kept, wrong


def _where(row: Mapping[Any, Any]) -> str:
    return f"patient {row['patient_id']}, exam {row['exam_id']}"


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
            _LOGGER.warning(
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
