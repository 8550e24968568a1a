"""The moment to which a PET is decay-corrected: the start of the scan, by several witnesses.

Sources: DICOM PS3.3 C.8.9.1 (Decay Correction START means the start of the series' acquisition) and
C.8.9.4; QIBA's vendor-neutral SUV pseudocode for series that were stored again after processing;
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
from typing import Final

import pydicom

from petct_ext.dicom.files.header_values import common_text
from petct_ext.dicom.suv.arithmetic import frame_decay_correction, mean_activity_time_s
from petct_ext.dicom.suv.audit import SuvAudit, element_name
from petct_ext.dicom.suv.radiopharmaceutical import injections
from petct_ext.dicom.suv.scan_times import (
    CONTRADICTION,
    Frame,
    first_frame,
    parse_clock,
    parse_datetime,
    read_frames,
    scanner_zone,
    series_moment,
    vendor_scan_start,
)
from petct_ext.dicom.suv.vendors import counts_from_frame_start
from petct_ext.errors import InputDataError

__all__ = ["LATE_WINDOW_S", "scan_start"]

LATE_WINDOW_S: Final = 600.0
"""A first frame that begins later than so after the start belongs to a late window of the scan.

A shorter gap changes Decay Factor too little to be read from it."""

# How far two witnesses may be apart, as relative change of the SUV: up to the first without a word,
# up to the second with a warning (scanners write whole seconds and half frames), else refused.
_NEGLIGIBLE = 1e-3
_TOLERATED = 0.02
_SAME_FACTOR = 0.01
_AT_INJECTION_S = 60.0
_UNKNOWN_FACTOR = 1e-6  # a factor of exactly 1 is what writers fill in that do not know it


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
    frame. What was chosen must fit the first frame, by Frame Reference Time or by Decay Factor,
    which states the reference; if the latter says that the first frame's own start is the
    reference, that is taken.

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
        if chosen.source == element_name("SeriesTime") and _is_at_injection(chosen, datasets):
            chosen = _by_decay_factor(chosen, first, half_life_s=half_life_s, audit=audit) or chosen
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


def _is_at_injection(chosen: _Witness, datasets: Sequence[pydicom.Dataset]) -> bool:
    """Returns whether a moment has the time of day of the injection, to a minute.

    Only then may Series Time be that of a scan which began long before its late window. The Decay
    Factor of a frame alone says nothing: any first bed has it.
    """
    items = injections(datasets)
    full = common_text(items, "RadiopharmaceuticalStartDateTime")
    text = common_text(items, "RadiopharmaceuticalStartTime") or full[8:14]
    if not text:
        return False
    clock = parse_clock(text, element_name("RadiopharmaceuticalStartTime")).total_seconds()
    at = chosen.moment.hour * 3600 + chosen.moment.minute * 60 + chosen.moment.second
    gap_s = abs(clock - at)
    return min(gap_s, 86400 - gap_s) <= _AT_INJECTION_S


def _by_decay_factor(
    chosen: _Witness, first: Frame | None, *, half_life_s: float, audit: SuvAudit
) -> _Witness | None:
    """Returns the first frame's own start, where a late window is corrected to that.

    Scans that were started at the injection keep its time as Series Time in a window that was
    reconstructed later on its own; Decay Factor then states which of the two is the reference.
    """
    if first is None or first.acquired is None or math.isnan(first.duration_s):
        return None
    late_s = (first.acquired - chosen.moment).total_seconds()
    is_known = first.decay_factor > 0 and abs(first.decay_factor - 1) > _UNKNOWN_FACTOR
    if late_s < LATE_WINDOW_S or not is_known or first.reference_s >= late_s:
        return None
    own = frame_decay_correction(duration_s=first.duration_s, half_life_s=half_life_s)
    if abs(first.decay_factor / own - 1) > _SAME_FACTOR:
        return None
    audit.warn(
        f"{chosen.source} is {late_s / 60:.0f} min before the first frame, but "
        f"{element_name('DecayFactor')} {first.decay_factor:g} is that of the frame alone: the "
        "frame's own start is the reference."
    )
    return _Witness(f"{element_name('AcquisitionTime')}, by Decay Factor", first.acquired)


def _is_stated(chosen: _Witness, first: Frame, half_life_s: float) -> bool:
    """Returns whether Decay Factor says that the frame is corrected to the chosen moment."""
    if first.acquired is None or math.isnan(first.duration_s):
        return False
    late_s = (first.acquired - chosen.moment).total_seconds()
    own = frame_decay_correction(duration_s=first.duration_s, half_life_s=half_life_s)
    expected = own * 2.0 ** (late_s / half_life_s)
    return abs(first.decay_factor / expected - 1) <= _SAME_FACTOR and late_s >= LATE_WINDOW_S


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
    if change > _TOLERATED and _is_stated(chosen, first, half_life_s):
        audit.warn(
            f"the first frame was acquired {gap_s / 60:.0f} min after {chosen.source}; "
            f"{element_name('DecayFactor')} {first.decay_factor:g} says that this is the reference."
        )
        return
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


def _change(seconds: float, half_life_s: float) -> float:
    """Returns the relative change of the SUV if the reference moves by ``seconds``."""
    half_lives = abs(seconds) / half_life_s
    return 2.0**half_lives - 1.0 if half_lives < 100 else math.inf
