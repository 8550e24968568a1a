"""Time from injection to the moment to which the PET is decay-corrected.

Sources: DICOM PS3.3 C.8.9.1 (Decay Correction START means the start of the series' acquisition) and
C.8.9.2; QIBA's vendor-neutral SUV pseudocode for scans whose series time was changed afterwards.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

import pydicom
from pydicom.valuerep import DA, DT, TM

from petct_ext.errors import InputDataError

__all__ = ["uptake_time_s"]

_GE_SCAN_DATETIME = (0x0009, 0x100D)  # private "GEMS_PETD_01": start of the first bed
# FDG is imaged 45-120 min after injection. Outside these bounds the header was changed (often by
# de-identification that shifted some times and not others), and any SUV would be wrong.
_SHORTEST_S = 15 * 60.0
_LONGEST_S = 5 * 3600.0


def uptake_time_s(datasets: list[pydicom.Dataset]) -> float:
    """Returns the seconds from injection to the start of the acquisition.

    The start is Series Date and Time (0008,0021), (0008,0031), unless they are later than the
    earliest Acquisition Date and Time (0008,0022), (0008,0032): then the series was stored again
    after processing, and GE's private scan time (0009,100D) or else the earliest acquisition
    counts. Injection is Radiopharmaceutical Start DateTime (0018,1078), or else Start Time
    (0018,1072) on the day of the scan, or on the day before if that is later than the scan.

    Args:
        datasets: headers of all slices of the PET series.

    Returns:
        A time in s between 15 min and 5 h.

    Raises:
        InputDataError: if a time is missing, unreadable or implausible; names tag and value.
    """
    start = _scan_start(datasets)
    isotope = _isotope(datasets[0])
    injected = _injection(isotope, start)
    seconds = (start - injected).total_seconds()
    if not _SHORTEST_S <= seconds <= _LONGEST_S:
        raise InputDataError(
            f"the time from injection (0018,1072) at {injected:%H:%M:%S} to the scan at "
            f"{start:%H:%M:%S} is {seconds / 60:.0f} min, outside 15 to 300 min; the times do not "
            "belong together (often after de-identification). Correct the header or leave the "
            "exam out."
        )
    return seconds


def _scan_start(datasets: list[pydicom.Dataset]) -> datetime:
    first = datasets[0]
    series = _moment(first, "SeriesDate", "SeriesTime")
    acquired = [_moment(d, "AcquisitionDate", "AcquisitionTime") for d in datasets]
    known = [moment for moment in acquired if moment is not None]
    earliest = min(known) if known else None
    if series is not None and (earliest is None or series <= earliest):
        return series
    if _GE_SCAN_DATETIME in first:
        private = first[_GE_SCAN_DATETIME].value
        text = private.decode() if isinstance(private, bytes) else str(private)
        return _parse("(0009,100D)", DT, text.strip("\0 "))
    if earliest is None:
        raise InputDataError(
            "neither Series Time (0008,0031) nor Acquisition Time (0008,0032) is filled; the "
            "uptake time is unknown."
        )
    return earliest


def _injection(isotope: pydicom.Dataset, start: datetime) -> datetime:
    if full := str(isotope.get("RadiopharmaceuticalStartDateTime") or ""):
        return _parse("Radiopharmaceutical Start DateTime (0018,1078)", DT, full)
    clock = str(isotope.get("RadiopharmaceuticalStartTime") or "")
    if not clock:
        raise InputDataError("Radiopharmaceutical Start Time (0018,1072) is missing or empty.")
    time = _parse("Radiopharmaceutical Start Time (0018,1072)", TM, clock)
    injected = datetime.combine(start.date(), time.time())
    return injected if injected <= start else injected - timedelta(days=1)  # over midnight


def _isotope(dataset: pydicom.Dataset) -> pydicom.Dataset:
    items = dataset.get("RadiopharmaceuticalInformationSequence") or []
    if not items:
        raise InputDataError(
            "Radiopharmaceutical Information Sequence (0054,0016) is missing; dose and injection "
            "time are unknown."
        )
    item: pydicom.Dataset = items[0]
    return item


def _moment(dataset: pydicom.Dataset, date: str, time: str) -> datetime | None:
    day, clock = str(dataset.get(date) or ""), str(dataset.get(time) or "")
    if not (day and clock):
        return None
    moment = _parse(time, TM, clock).time()
    return datetime.combine(_parse(date, DA, day).date(), moment)


def _parse(name: str, kind: Any, text: str) -> datetime:
    try:
        value = kind(text)
    except ValueError:
        value = None
    if value is None:
        raise InputDataError(f"{name} holds {text!r}, which is no {kind.__name__} of DICOM.")
    if kind is DT:
        return datetime.combine(value.date(), value.time())
    if kind is DA:
        return datetime.combine(value, datetime.min.time())
    return datetime.combine(datetime.min, value)
