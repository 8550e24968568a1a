"""Points in time of a PET series as the header gives them: series, frames, vendor's scan start.

All are local clock times without time zone. Sources: DICOM PS3.5 6.2 (DA, TM, DT), PS3.3 C.8.9.1
and C.8.9.4; GE's and Siemens' conformance statements for the private scan start.
"""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime, timedelta, timezone
from typing import Final

import numpy as np
import pydicom
from pydicom.valuerep import DA, DT, TM

from petct_ext.dicom.files.header_values import (
    common_text,
    converted,
    numbers,
    texts,
)
from petct_ext.dicom.suv.audit import SuvAudit, element_name
from petct_ext.dicom.suv.vendors import SCAN_STARTS
from petct_ext.errors import InputDataError

__all__ = [
    "CONTRADICTION",
    "Frame",
    "distinct_times",
    "first_frame",
    "has_time_zone",
    "parse_clock",
    "parse_datetime",
    "read_frames",
    "scanner_zone",
    "series_moment",
    "vendor_scan_start",
    "with_assumed_day",
]

CONTRADICTION: Final = (
    "the times do not belong together (often after de-identification). Correct the header or "
    "leave the exam out."
)
"""End of a message about points in time that cannot all be true."""


@dataclass(frozen=True, slots=True)
class Frame:
    """One slice's time frame.

    Attributes:
        acquired: Acquisition Date and Time (0008,0022), (0008,0032); None if missing.
        reference_s: Frame Reference Time (0054,1300) in s; NaN if missing.
        duration_s: Actual Frame Duration (0018,1242) in s; NaN if missing or zero.
        decay_factor: Decay Factor (0054,1321); NaN if missing.
    """

    acquired: datetime | None
    reference_s: float
    duration_s: float
    decay_factor: float


_DAYS = (
    "SeriesDate",
    "AcquisitionDate",
    "AcquisitionDateTime",
    "FrameAcquisitionDateTime",
    "DecayCorrectionDateTime",
)
_ANY_DAY = date(1900, 1, 1)
_HALF_A_DAY_H = 12.0


def with_assumed_day(
    datasets: Sequence[pydicom.Dataset], audit: SuvAudit
) -> Sequence[pydicom.Dataset]:
    """Returns headers with a day, where de-identification has emptied dates and left the times.

    Times of day are enough for an SUV, since no exam takes half a day: if the frames' times of day
    are further apart, the small ones are after midnight, and Series Time is on that day on which it
    is nearest to the first frame.

    Args:
        datasets: headers of all slices; not changed.
        audit: is told.

    Returns:
        ``datasets``, if series or acquisition have a date; else copies with Series and Acquisition
        Date: those of the study, of the injection or of the vendor's scan start, or any day.
    """
    if any(datasets[0].get(keyword) for keyword in _DAYS):  # as nearly always
        return datasets
    is_dated = any(any(texts(datasets, keyword)) for keyword in _DAYS)
    if is_dated or not any(texts(datasets, "AcquisitionTime") + texts(datasets, "SeriesTime")):
        return datasets
    day, where = _stated_day(datasets)
    audit.warn(
        f"dates of series and acquisition are empty: SUV was computed from times of day {where}."
    )
    frame_days, series_days = _days_later(
        texts(datasets, "AcquisitionTime"), common_text(datasets, "SeriesTime")
    )
    dated = []
    for dataset, frame_day in zip(datasets, frame_days, strict=True):
        copy = pydicom.Dataset({element.tag: element for element in dataset})
        # Assigning an attribute would change the element, which the original shares.
        copy.add_new("SeriesDate", "DA", f"{day + timedelta(days=series_days):%Y%m%d}")
        copy.add_new("AcquisitionDate", "DA", f"{day + timedelta(days=frame_day):%Y%m%d}")
        dated.append(copy)
    return dated


def _days_later(acquired: Sequence[str], began: str) -> tuple[list[int], int]:
    """Returns how many days after the first of all times each frame and the series are."""
    clocks = [_hours(text) if text else None for text in acquired]
    known = [clock for clock in clocks if clock is not None]
    if not known:
        return [0] * len(clocks), 0
    # the frames among themselves, then the series beside the first of them
    over = max(known) - min(known) > _HALF_A_DAY_H
    days = [int(over and c is not None and c < max(known) - _HALF_A_DAY_H) for c in clocks]
    if not began:
        return days, 0
    first = min(c + 24 * d for c, d in zip(clocks, days, strict=True) if c is not None)
    series = min((-1, 0, 1), key=lambda day: abs(_hours(began) + 24 * day - first))
    return ([day + 1 for day in days], 0) if series < 0 else (days, series)


def _stated_day(datasets: Sequence[pydicom.Dataset]) -> tuple[date, str]:
    """Returns the day that another element states, and which; else any day."""
    items = [i for d in datasets for i in d.get("RadiopharmaceuticalInformationSequence") or []]
    injected = common_text(items, "RadiopharmaceuticalStartDateTime") if items else ""
    private = vendor_scan_start(datasets)
    study = converted(DA, common_text(datasets, "StudyDate"))
    if study is not None:
        on = date(study.year, study.month, study.day)
        return on, f"on the day of {element_name('StudyDate')}"
    start = converted(DA, injected[:8])
    if start is not None:
        name = element_name("RadiopharmaceuticalStartDateTime")
        return _day_after(
            datasets, injected, date(start.year, start.month, start.day)
        ), f"on the day of {name}"
    if private:
        return private[2].date(), "on the day of the vendor's scan start"
    return _ANY_DAY, "alone"


def _day_after(datasets: Sequence[pydicom.Dataset], injected: str, day: date) -> date:
    """Returns the day of the scan: the next one if its times of day are before the injection's."""
    clocks = [t for t in texts(datasets, "AcquisitionTime") + texts(datasets, "SeriesTime") if t]
    hours = sorted({_hours(text) for text in clocks})
    over = hours[-1] - hours[0] > _HALF_A_DAY_H
    first = min(h for h in hours if not over or h >= hours[-1] - _HALF_A_DAY_H)
    is_next = len(injected) >= 12 and first < _hours(injected[8:14])
    return day + timedelta(days=int(is_next))


def _hours(text: str) -> float:
    return parse_clock(text, element_name("AcquisitionTime")).total_seconds() / 3600


def read_frames(datasets: Sequence[pydicom.Dataset]) -> list[Frame]:
    """Returns the time frame of each slice, in the same order.

    Raises:
        InputDataError: if a date, time or number cannot be read; names tag and value.
    """
    moments = _acquisition_moments(datasets)
    reference_ms = numbers(datasets, "FrameReferenceTime")
    duration_ms = numbers(datasets, "ActualFrameDuration")
    of_multi_frame_ms = numbers(datasets, "FrameAcquisitionDuration")
    duration_ms = np.where(np.isnan(duration_ms), of_multi_frame_ms, duration_ms)
    factors = numbers(datasets, "DecayFactor")
    frames = []
    for number, acquired in enumerate(moments):
        duration_s = float(duration_ms[number]) / 1000
        frames.append(
            Frame(
                acquired=acquired,
                reference_s=float(reference_ms[number]) / 1000,
                duration_s=duration_s if duration_s > 0 else math.nan,
                decay_factor=float(factors[number]),
            )
        )
    return frames


def _acquisition_moments(datasets: Sequence[pydicom.Dataset]) -> list[datetime | None]:
    """Returns the start of each slice's frame; multi-frame objects have one element for it."""
    days, clocks = texts(datasets, "AcquisitionDate"), texts(datasets, "AcquisitionTime")
    whole = texts(datasets, "FrameAcquisitionDateTime")
    known: dict[tuple[str, str, str], datetime | None] = {}
    moments = []
    for key in zip(days, clocks, whole, strict=True):
        if key not in known:
            known[key] = _moment(key[0], key[1], "Acquisition")
            if known[key] is None and key[2]:
                name = element_name("FrameAcquisitionDateTime")
                known[key] = parse_datetime(key[2], name, zone=_zone(datasets))
        moments.append(known[key])
    return moments


def first_frame(frames: Sequence[Frame]) -> Frame | None:
    """Returns the earliest frame, None if no frame has an acquisition time.

    Some scanners (GE) give all bed positions the time at which the first began. Then the smallest
    Frame Reference Time decides, which is the offset of the frame's start, and is added.
    """
    timed = [frame for frame in frames if frame.acquired is not None]
    first = min(timed, key=_order, default=None)
    offsets = {frame.reference_s for frame in timed if math.isfinite(frame.reference_s)}
    if first is None or first.acquired is None or distinct_times(timed) > 1 or len(offsets) < 2:
        return first
    return replace(first, acquired=first.acquired + timedelta(seconds=first.reference_s))


def _order(frame: Frame) -> tuple[datetime, float]:
    reference_s = math.inf if math.isnan(frame.reference_s) else frame.reference_s
    return frame.acquired or datetime.max, reference_s


def series_moment(datasets: Sequence[pydicom.Dataset]) -> datetime | None:
    """Returns Series Date and Time (0008,0021), (0008,0031), None if one is missing.

    Raises:
        InputDataError: if they cannot be read or differ within the series.
    """
    day, clock = common_text(datasets, "SeriesDate"), common_text(datasets, "SeriesTime")
    return _moment(day, clock, "Series")


def vendor_scan_start(
    datasets: Sequence[pydicom.Dataset],
) -> tuple[str, str, datetime] | None:
    """Returns tag, name and moment of a vendor's own scan start, if the block is that vendor's.

    Raises:
        InputDataError: if it cannot be read or differs within the series.
    """
    for element in SCAN_STARTS:
        found = {each[0] for each in map(element.read, datasets) if each is not None and each[0]}
        if not found:
            continue
        name, tag = element.name, element.tag
        moments = {parse_datetime(text, f"{name} {tag}", zone=_zone(datasets)) for text in found}
        if len(moments) > 1:
            raise InputDataError(f"{name} {tag} differs within the series; split the series.")
        return tag, name, moments.pop()
    return None


def _moment(day: str, clock: str, prefix: str) -> datetime | None:
    if not (day and clock):
        return None
    name = element_name(f"{prefix}Date")
    on = converted(DA, day)
    if on is None:
        raise InputDataError(f"{name} cannot be read as a date of DICOM; correct the header.")
    return datetime.combine(on, datetime.min.time()) + parse_clock(
        clock, element_name(f"{prefix}Time")
    )


def parse_clock(text: str, name: str) -> timedelta:
    """Returns a time of day (TM) as time since midnight.

    Raises:
        InputDataError: if it cannot be read, or has no minutes.
    """
    clock = converted(TM, text) if re.match(r"\d{4}|\d\d:\d\d", text) else None
    if clock is None:
        raise InputDataError(
            f"{name} holds {text!r}, which is no time (HHMMSS); correct the header."
        )
    return timedelta(
        hours=clock.hour,
        minutes=clock.minute,
        seconds=clock.second,
        microseconds=clock.microsecond,
    )


def has_time_zone(text: str) -> bool:
    """Returns whether a date-time (DT) ends in an offset from UTC such as ``+0100``."""
    return re.search(r"[+-]\d{4}$", text) is not None


def parse_datetime(text: str, name: str, *, zone: timezone | None) -> datetime:
    """Returns a date-time (DT) on the clock of the scanner.

    Args:
        text: the value, with or without offset from UTC.
        name: for the message.
        zone: the scanner's time zone; None if unknown, when an offset is dropped.

    Raises:
        InputDataError: if it cannot be read or lacks hour and minute.
    """
    moment = converted(DT, text) if re.match(r"\d{12}", text) else None
    if moment is None:
        raise InputDataError(
            f"{name} is no date and time of DICOM (YYYYMMDDHHMMSS); correct the header."
        )
    plain = datetime.combine(moment.date(), moment.timetz())
    if plain.tzinfo is not None and zone is not None:
        plain = plain.astimezone(zone)
    return plain.replace(tzinfo=None)


def _zone(datasets: Sequence[pydicom.Dataset]) -> timezone | None:
    text = common_text(datasets, "TimezoneOffsetFromUTC")
    return scanner_zone(text)


def scanner_zone(text: str) -> timezone | None:
    """Returns Timezone Offset From UTC (0008,0201), None if empty.

    Raises:
        InputDataError: if it is not like ``+0100``.
    """
    if not text:
        return None
    match = re.fullmatch(r"([+-])(\d\d)(\d\d)", text)
    if match is None:
        raise InputDataError(
            f"{element_name('TimezoneOffsetFromUTC')} is {text!r}, not like '+0100'; correct it."
        )
    minutes = int(match[2]) * 60 + int(match[3])
    return timezone(timedelta(minutes=minutes if match[1] == "+" else -minutes))


def distinct_times(frames: Sequence[Frame]) -> int:
    """Returns how many different acquisition times the frames have."""
    return len({frame.acquired for frame in frames})
