"""Time from injection to the moment to which the PET is decay-corrected.

Sources: DICOM PS3.3 C.8.9.1 (Decay Correction START means the start of the series' acquisition) and
C.8.9.2; QIBA's vendor-neutral SUV pseudocode for series that were stored again after processing;
the OncoRay/IBSI manual for the start computed back from Frame Reference Time (0054,1300), which is
the offset of the mean activity of a frame, and on GE of the frame's start.

A header has several witnesses of the start: series time, acquisition times, frame offsets, a
vendor's private start, decay factors. They must agree, or the series is refused: de-identification
that shifts some times and not others gives SUVs that are wrong several fold and look plausible.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta

import pydicom

from petct_ext.dicom.files.header_values import common_text
from petct_ext.dicom.suv.arithmetic import mean_activity_time_s
from petct_ext.dicom.suv.audit import SuvAudit, element_name
from petct_ext.dicom.suv.radiopharmaceutical import Nuclide, find_nuclide, half_life_s, injections
from petct_ext.dicom.suv.scan_times import (
    CONTRADICTION,
    Frame,
    first_frame,
    has_time_zone,
    parse_clock,
    parse_datetime,
    read_frames,
    scanner_zone,
    series_moment,
    vendor_scan_start,
)
from petct_ext.dicom.suv.vendors import counts_from_frame_start
from petct_ext.errors import InputDataError

__all__ = ["injection_moment", "scan_start", "uptake_time_s"]

# How far two witnesses may be apart, as relative change of the SUV: up to the first without a word,
# up to the second with a warning (scanners write whole seconds and half frames), else refused.
_NEGLIGIBLE = 1e-3
_TOLERATED = 0.02
_SAME_CLOCK_S = 60.0


def uptake_time_s(datasets: Sequence[pydicom.Dataset]) -> float:
    """Returns the seconds from injection to the start of the acquisition.

    Args:
        datasets: headers of all slices of the PET series.

    Returns:
        A time in s that is plausible for the nuclide (F-18: 20 min to 4 h).

    Raises:
        InputDataError: if a time is missing, unreadable, implausible or contradicts another;
            names tag and value.
    """
    audit = SuvAudit()
    items = injections(datasets)
    nuclide = find_nuclide(items, audit)
    start = scan_start(datasets, half_life_s=half_life_s(items, nuclide, audit), audit=audit)
    injected = injection_moment(datasets, start=start, nuclide=nuclide, audit=audit)
    return (start - injected).total_seconds()


@dataclass(frozen=True, slots=True)
class _Witness:
    source: str
    moment: datetime


def scan_start(
    datasets: Sequence[pydicom.Dataset], *, half_life_s: float, audit: SuvAudit
) -> datetime:
    """Returns the moment to which a series with Decay Correction START is corrected.

    In this order: a vendor's private start; Series Date and Time, unless they are later than the
    first acquisition (then the series was stored again); the start computed back from the first
    frame. What was chosen must fit the first frame.

    Args:
        datasets: headers of all slices.
        half_life_s: half-life of the nuclide in s.
        audit: is told what was used.

    Raises:
        InputDataError: if no time is filled, or two witnesses contradict each other.
    """
    first = first_frame(read_frames(datasets))
    series = series_moment(datasets)
    is_stored_again = _is_after(series, first)
    private = vendor_scan_start(datasets)
    chosen = _stated_start(
        datasets, series=None if is_stored_again else series, private=private, audit=audit
    )
    if chosen is None:
        chosen = _from_first_frame(first, datasets, half_life_s=half_life_s, audit=audit)
    else:
        _require_frame_fits(chosen, first, half_life_s=half_life_s, audit=audit)
    if is_stored_again:
        audit.warn(
            f"{element_name('SeriesTime')} is later than the first "
            f"{element_name('AcquisitionTime')}: the series was stored again; the start is that of "
            f"{chosen.source}."
        )
    _require_study_day(datasets, chosen.moment)
    day = chosen.moment.date()
    audit.time_element("SeriesTime", series, scan_day=day)
    _record_first_frame(first, day, audit)
    audit.step("start of scan taken from", chosen.source)
    audit.moment("start of scan", chosen.moment, scan_day=day)
    return chosen.moment


def _stated_start(
    datasets: Sequence[pydicom.Dataset],
    *,
    series: datetime | None,
    private: tuple[str, str, datetime] | None,
    audit: SuvAudit,
) -> _Witness | None:
    """Returns the start that an element names, None if it must be computed from the frames."""
    corrected = _decay_correction_moment(datasets)
    if corrected is not None:
        return _Witness(element_name("DecayCorrectionDateTime"), corrected)
    if private is not None:
        tag, name, moment = private
        audit.private(tag, name, f"{moment:%H:%M:%S.%f}")
        return _Witness(f"{name} {tag}", _on_scan_day(moment, series, audit))
    return None if series is None else _Witness(element_name("SeriesTime"), series)


def _record_first_frame(first: Frame | None, day: date, audit: SuvAudit) -> None:
    if first is None:
        return
    audit.time_element("AcquisitionTime", first.acquired, scan_day=day)
    for keyword, seconds in (
        ("FrameReferenceTime", first.reference_s),
        ("ActualFrameDuration", first.duration_s),
    ):
        if not math.isnan(seconds):
            audit.element(keyword, seconds * 1000)


def _decay_correction_moment(datasets: Sequence[pydicom.Dataset]) -> datetime | None:
    text = common_text(datasets, "DecayCorrectionDateTime")
    if not text:
        return None
    zone = scanner_zone(common_text(datasets, "TimezoneOffsetFromUTC"))
    return parse_datetime(text, element_name("DecayCorrectionDateTime"), zone=zone)


def _is_after(series: datetime | None, first: Frame | None) -> bool:
    if series is None or first is None or first.acquired is None:
        return False
    return series > first.acquired + timedelta(seconds=1)


def _on_scan_day(private: datetime, series: datetime | None, audit: SuvAudit) -> datetime:
    """Takes a private start whose date alone was left behind by a shift of dates."""
    if series is None or private.date() == series.date():
        return private
    moved = datetime.combine(series.date(), private.time())
    if abs((moved - series).total_seconds()) <= 1:
        audit.warn("the private scan start has another date than the series, but the same clock.")
        return moved
    return private


def _conventions(
    first: Frame, *, half_life_s: float, is_ge: bool
) -> tuple[list[datetime], datetime | None]:
    """Returns the starts that the first frame allows, and the one of this vendor's convention."""
    if first.acquired is None or math.isnan(first.reference_s):
        return [], None
    start = first.acquired - timedelta(seconds=first.reference_s)
    if first.reference_s == 0:  # no frame's mean lies at its start: this is the offset of the start
        return [start], start
    if math.isnan(first.duration_s):
        return [start], start if is_ge else None
    mean_s = mean_activity_time_s(duration_s=first.duration_s, half_life_s=half_life_s)
    mean = start + timedelta(seconds=mean_s)
    is_first_bed = _change(mean_s - first.reference_s, half_life_s) <= _NEGLIGIBLE
    if is_ge and is_first_bed:
        return [start, mean], None
    return [start, mean], start if is_ge else mean


def _from_first_frame(
    first: Frame | None,
    datasets: Sequence[pydicom.Dataset],
    *,
    half_life_s: float,
    audit: SuvAudit,
) -> _Witness:
    if first is None or first.acquired is None:
        raise InputDataError(
            f"neither {element_name('SeriesTime')} nor {element_name('AcquisitionTime')} is filled "
            "with its date; the uptake time is unknown. Correct the header or leave the exam out."
        )
    is_ge = counts_from_frame_start(datasets)
    allowed, moment = _conventions(first, half_life_s=half_life_s, is_ge=is_ge)
    if not allowed:
        audit.warn(
            f"{element_name('FrameReferenceTime')} is missing: the earliest "
            f"{element_name('AcquisitionTime')} is taken for the start of the scan."
        )
        return _Witness(element_name("AcquisitionTime"), first.acquired)
    if moment is None:
        raise InputDataError(
            f"{element_name('FrameReferenceTime')} is {first.reference_s * 1000:g} ms in a series "
            f"whose {element_name('SeriesTime')} is not its start; whether it counts to the start "
            f"or the middle of the frame cannot be told without (0009,100d) or "
            f"{element_name('ActualFrameDuration')}. Use the series as the scanner sent it."
        )
    return _Witness(
        f"{element_name('AcquisitionTime')} and {element_name('FrameReferenceTime')}", moment
    )


def _require_frame_fits(
    chosen: _Witness, first: Frame | None, *, half_life_s: float, audit: SuvAudit
) -> None:
    if first is None or first.acquired is None:
        audit.warn(f"{element_name('AcquisitionTime')} is missing; the start was not checked.")
        return
    allowed, _ = _conventions(first, half_life_s=half_life_s, is_ge=False)
    allowed = allowed or [first.acquired]
    gap_s = min(abs((chosen.moment - moment).total_seconds()) for moment in allowed)
    change = _change(gap_s, half_life_s)
    offset = "missing" if math.isnan(first.reference_s) else f"{first.reference_s:g} s"
    if change > _TOLERATED:
        raise InputDataError(
            f"{chosen.source} at {chosen.moment:%H:%M:%S} does not fit the first "
            f"{element_name('AcquisitionTime')} at {first.acquired:%H:%M:%S} with "
            f"{element_name('FrameReferenceTime')} {offset}: {gap_s:.0f} s apart; {CONTRADICTION}"
        )
    if change > _NEGLIGIBLE:
        audit.warn(
            f"{chosen.source} and the first {element_name('AcquisitionTime')} are {gap_s:.0f} s "
            f"apart, {100 * change:.1f} % of the SUV; the former is taken."
        )


def _require_study_day(datasets: Sequence[pydicom.Dataset], start: datetime) -> None:
    text = common_text(datasets, "StudyDate")
    if not text:
        return
    day = parse_datetime(f"{text}000000", element_name("StudyDate"), zone=None).date()
    if not 0 <= (start.date() - day).days <= 1:
        raise InputDataError(
            f"the scan lies {(start.date() - day).days:+d} days from {element_name('StudyDate')}; "
            f"{CONTRADICTION}"
        )


def injection_moment(
    datasets: Sequence[pydicom.Dataset], *, start: datetime, nuclide: Nuclide, audit: SuvAudit
) -> datetime:
    """Returns when the tracer was injected, by the clock of the scanner.

    Radiopharmaceutical Start DateTime (0018,1078), or else Start Time (0018,1072) on the day of the
    scan, or on the day before if that is later than the scan. If both are filled they must agree.

    Args:
        datasets: headers of all slices.
        start: start of the scan.
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


def _change(seconds: float, half_life_s: float) -> float:
    """Returns the relative change of the SUV if the reference moves by ``seconds``."""
    half_lives = abs(seconds) / half_life_s
    return 2.0**half_lives - 1.0 if half_lives < 100 else math.inf
