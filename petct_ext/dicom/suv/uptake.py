"""Time from injection to the scan.

Sources: DICOM PS3.3 C.8.9.2 for the injection; see :mod:`petct_ext.dicom.suv.scan_start` for the
scan.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta

import pydicom

from petct_ext.dicom.files.header_values import common_text
from petct_ext.dicom.suv.audit import SuvAudit, element_name
from petct_ext.dicom.suv.radiopharmaceutical import Nuclide, find_nuclide, half_life_s, injections
from petct_ext.dicom.suv.scan_start import LATE_WINDOW_S, scan_start
from petct_ext.dicom.suv.scan_times import (
    CONTRADICTION,
    first_frame,
    has_time_zone,
    parse_clock,
    parse_datetime,
    read_frames,
    scanner_zone,
    with_assumed_day,
)
from petct_ext.errors import InputDataError

__all__ = ["imaging_start", "injection_moment", "uptake_time_s"]

_SAME_CLOCK_S = 60.0


def uptake_time_s(datasets: Sequence[pydicom.Dataset]) -> float:
    """Returns the seconds from injection to the start of the acquisition.

    Args:
        datasets: headers of all slices of the PET series.

    Returns:
        A time in s that is plausible for the nuclide (F-18: 20 min to 4 h). For a late window of a
        scan that began at the injection it is that of the window.

    Raises:
        InputDataError: if a time is missing, unreadable, implausible or contradicts another;
            names tag and value.
    """
    audit = SuvAudit()
    datasets = with_assumed_day(datasets, audit)
    items = injections(datasets)
    nuclide = find_nuclide(items, audit)
    start = scan_start(datasets, half_life_s=half_life_s(items, nuclide, audit), audit=audit)
    imaged = imaging_start(datasets, start)
    injected = injection_moment(datasets, start=imaged, nuclide=nuclide, audit=audit)
    return (imaged - injected).total_seconds()


def imaging_start(datasets: Sequence[pydicom.Dataset], start: datetime) -> datetime:
    """Returns when the first of these frames was acquired.

    It is the start of the scan, except for a late window of a dynamic scan: frames of minutes 50 to
    70, say, of a series that began, and is decay-corrected to, the injection.

    Args:
        datasets: headers of all slices.
        start: the moment to which the series is decay-corrected.
    """
    first = first_frame(read_frames(datasets))
    if first is None or first.acquired is None:
        return start
    is_late = (first.acquired - start).total_seconds() > LATE_WINDOW_S
    return first.acquired if is_late else start


def injection_moment(
    datasets: Sequence[pydicom.Dataset], *, start: datetime, nuclide: Nuclide, audit: SuvAudit
) -> datetime:
    """Returns when the tracer was injected, by the clock of the scanner.

    Radiopharmaceutical Start DateTime (0018,1078), or else Start Time (0018,1072) on the day of the
    scan, or on the day before if that is later than the scan. If both are filled they must agree.

    Args:
        datasets: headers of all slices.
        start: when imaging began, see :func:`imaging_start`.
        nuclide: gives the plausible times; those imaged days later need the date-time.
        audit: is told what was used.

    Raises:
        InputDataError: if both are missing, unreadable or contradictory, or the time from injection
            to scan is negative or implausible.
    """
    items = injections(datasets)
    zone_text = common_text(datasets, "TimezoneOffsetFromUTC")
    full = common_text(items, "RadiopharmaceuticalStartDateTime")
    clock_text = common_text(items, "RadiopharmaceuticalStartTime")
    name = element_name("RadiopharmaceuticalStartTime")
    clock = parse_clock(clock_text, name) if clock_text else None
    if full:
        zone = scanner_zone(zone_text)
        if zone_text:
            audit.element("TimezoneOffsetFromUTC", zone_text)
        if has_time_zone(full) and zone is None and clock is None:
            raise InputDataError(
                f"{element_name('RadiopharmaceuticalStartDateTime')} has a time zone, but "
                f"{element_name('TimezoneOffsetFromUTC')} is missing; they cannot be compared."
            )
        name = element_name("RadiopharmaceuticalStartDateTime")
        injected = parse_datetime(full, name, zone=zone)
        _require_same_clock(injected, clock)
    elif clock is None:
        raise InputDataError(
            f"{name} is missing or empty, and so is "
            f"{element_name('RadiopharmaceuticalStartDateTime')}; the uptake time is unknown."
        )
    elif nuclide.needs_date:
        raise InputDataError(
            f"{element_name('RadiopharmaceuticalStartDateTime')} is missing; {nuclide.name} is "
            "scanned up to days after injection, and a time of day does not tell the day."
        )
    else:
        injected = _on_day(start, clock)
    if full:
        audit.time_element("RadiopharmaceuticalStartDateTime", injected, scan_day=start.date())
    if clock_text:
        audit.element("RadiopharmaceuticalStartTime", clock_text)
    audit.moment("injection", injected, scan_day=start.date())
    _require_plausible(injected, name, start=start, nuclide=nuclide)
    return injected


def _on_day(start: datetime, clock: timedelta) -> datetime:
    injected = datetime.combine(start.date(), datetime.min.time()) + clock
    return injected if injected <= start else injected - timedelta(days=1)  # over midnight


def _require_same_clock(injected: datetime, clock: timedelta | None) -> None:
    if clock is None:
        return
    stated = datetime.combine(injected.date(), datetime.min.time()) + clock
    gap_s = abs((injected - stated).total_seconds())
    if min(gap_s, 86400 - gap_s) > _SAME_CLOCK_S:
        raise InputDataError(
            f"{element_name('RadiopharmaceuticalStartDateTime')} says {injected:%H:%M:%S}, but "
            f"{element_name('RadiopharmaceuticalStartTime')} says {stated:%H:%M:%S}; "
            f"{CONTRADICTION}"
        )


def _require_plausible(injected: datetime, name: str, *, start: datetime, nuclide: Nuclide) -> None:
    seconds = (start - injected).total_seconds()
    shortest, longest = nuclide.uptake_s
    if not shortest <= seconds <= longest:
        days = (injected.date() - start.date()).days
        raise InputDataError(
            f"the time from injection, {name}, at {injected:%H:%M:%S} (day {days:+d}) to the scan "
            f"at {start:%H:%M:%S} is {seconds / 60:.0f} min, outside {shortest / 60:.0f} to "
            f"{longest / 60:.0f} min for {nuclide.name}; {CONTRADICTION}"
        )
