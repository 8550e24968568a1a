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
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any, Final

import numpy as np
import pandas as pd

from petct_ext.data.exam_rows import age_years
from petct_ext.data.schemas import SURVIVAL
from petct_ext.data.tables import Column, Kind, Schema, read_table
from petct_ext.errors import InputDataError
from petct_ext.survival.follow_up_checks import contradictions, share_dates
from petct_ext.survival.outcomes import follow_up, last_exams, log_same_day
from petct_ext.survival.table import require_one_split

__all__ = ["EXAM_MANIFEST", "parse_age", "read_manifest", "table_from_exams"]

_logger = logging.getLogger(__name__)

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
        _logger.warning("left out: %s", reason)
    table = kept[~kept["patient_id"].isin(left_out["patient_id"])].reset_index(drop=True)
    if table.empty:
        raise InputDataError("no patient has a usable follow-up; correct the list of exams.")
    table = table.assign(age_years=table["patient_id"].map(ages).astype("float64"))
    without_age = table.loc[table["age_years"].isna(), "patient_id"]
    if len(without_age):
        _logger.warning(
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
