"""Dates to survival times, and survival times to the status at a horizon.

A patient counts once, with the last exam. Someone whose follow-up ends before the horizon has an
unknown status there: NaN, never "alive".
"""

from __future__ import annotations

import logging
from datetime import date

import numpy as np
import numpy.typing as npt
import pandas as pd

from petct_ext.errors import InputDataError

__all__ = ["follow_up", "last_exams", "log_same_day", "status_at", "survival_time"]

_LOGGER = logging.getLogger(__name__)


def survival_time(
    exam_date: str, death_date: str, last_contact_date: str, *, patient_id: str
) -> tuple[int, int]:
    """Returns the days from the exam to death or to the last contact.

    Args:
        exam_date: day of the exam, ``YYYY-MM-DD``.
        death_date: day of death, or ``""`` if not known to have died.
        last_contact_date: day when last known alive, or ``""``; not needed if the patient died.
        patient_id: pseudonymous id, for messages.

    Returns:
        ``time_days`` (0 or more) and ``event`` (1 death, 0 censored at the last contact).

    Raises:
        InputDataError: if no date says how the patient fared, if death or last contact lie before
            the exam, or if the patient is said to be alive after the day of death.

    Example:
        >>> survival_time("2020-03-01", "2020-03-31", "", patient_id="P1")
        (30, 1)
    """
    where = f"patient {patient_id}"
    if not exam_date:
        raise InputDataError(f"{where}: the exam has no date; add it to exams.csv.")
    if death_date and last_contact_date and last_contact_date > death_date:
        raise InputDataError(
            f"{where}: last contact {_gap(death_date, last_contact_date)} days after the day of "
            "death; correct one of the two in outcomes.csv."
        )
    end, what = (death_date, "death") if death_date else (last_contact_date, "last contact")
    if not end:
        raise InputDataError(
            f"{where}: neither death_date nor last_contact_date is given; add one to outcomes.csv."
        )
    days = _gap(exam_date, end)
    if days < 0:
        raise InputDataError(
            f"{where}: {what} {-days} days before the last exam; correct the date in outcomes.csv "
            "or check that exam and outcome belong to the same patient."
        )
    return days, int(bool(death_date))


def last_exams(exams: pd.DataFrame) -> pd.DataFrame:
    """Keeps the last exam of every patient; of two on one day, the one whose id sorts last.

    Args:
        exams: table with ``exam_id``, ``patient_id`` and ``exam_date`` (``YYYY-MM-DD``).

    Returns:
        One row per patient, sorted by ``patient_id``, with a fresh index.
    """
    ordered = exams.sort_values(["patient_id", "exam_date", "exam_id"])
    return ordered.drop_duplicates("patient_id", keep="last").reset_index(drop=True)


def log_same_day(exams: pd.DataFrame) -> int:
    """Tells in the log where a patient's last day has several exams, and which of them counts.

    Args:
        exams: as for :func:`last_exams`.

    Returns:
        The number of such patients.
    """
    last = last_exams(exams).set_index("patient_id")
    counts = last["exam_id"].to_dict()
    on_last_day = exams[exams["exam_date"] == exams["patient_id"].map(last["exam_date"])]
    count = 0
    for patient_id, ids in on_last_day.groupby("patient_id")["exam_id"]:
        if len(ids) > 1:
            count += 1
            _LOGGER.warning(
                "patient %s: exams %s are of one day; %s counts, as its id sorts last",
                patient_id,
                ", ".join(sorted(ids)),
                counts[patient_id],
            )
    return count


def follow_up(exams: pd.DataFrame, outcomes: pd.DataFrame) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Adds ``time_days`` and ``event`` to the last exam of every patient.

    Args:
        exams: one row per patient: ``exam_id``, ``patient_id``, ``exam_date``, more.
        outcomes: ``patient_id`` (the same pseudonymous ids), ``death_date``,
            ``last_contact_date``; ``""`` if missing.

    Returns:
        The rows with a usable follow-up, and a list of the others (``patient_id``, ``reason``).
    """
    dates = {
        str(row["patient_id"]): (str(row["death_date"]), str(row["last_contact_date"]))
        for row in outcomes.to_dict("records")
    }
    times: dict[str, tuple[int, int]] = {}
    bad = []
    for row in exams.to_dict("records"):
        patient_id, exam_date = str(row["patient_id"]), str(row["exam_date"])
        try:
            if patient_id not in dates:
                raise InputDataError(
                    f"patient {patient_id}: no row in outcomes.csv; add one with the date of "
                    "death or of the last contact."
                )
            times[patient_id] = survival_time(exam_date, *dates[patient_id], patient_id=patient_id)
        except InputDataError as error:
            bad.append({"patient_id": patient_id, "reason": str(error)})
    kept = exams[exams["patient_id"].isin(list(times))].reset_index(drop=True)
    found = kept["patient_id"].map(times)
    kept = kept.assign(time_days=[time for time, _ in found], event=[event for _, event in found])
    return kept, pd.DataFrame(bad, columns=["patient_id", "reason"])


def status_at(
    time_days: npt.ArrayLike, event: npt.ArrayLike, *, horizon_days: float
) -> npt.NDArray[np.float64]:
    """Tells who has died within ``horizon_days``.

    Args:
        time_days: days to death or last contact (N,).
        event: 1 death, 0 censored (N,).
        horizon_days: the horizon in days; a death on that day counts as within.

    Returns:
        Status (N,): 1 dead within the horizon; 0 known to be alive at it (also who died later);
        NaN last seen alive before it, so unknown.

    Raises:
        ValueError: if the horizon is not positive or a time is negative or NaN.

    Example:
        >>> status_at([30, 400, 200, 90], [1, 1, 0, 0], horizon_days=180)
        array([ 1.,  0.,  0., nan])
    """
    times, events = np.asarray(time_days, dtype=np.float64), np.asarray(event, dtype=np.float64)
    if not horizon_days > 0:
        raise ValueError(f"horizon_days must be positive, got {horizon_days}.")
    if not bool((times >= 0).all()):
        raise ValueError("time_days must hold numbers of at least 0.")
    dead = (events == 1) & (times <= horizon_days)
    return np.asarray(np.where(dead, 1.0, np.where(times >= horizon_days, 0.0, np.nan)))


def _gap(start: str, end: str) -> int:
    return (date.fromisoformat(end) - date.fromisoformat(start)).days
