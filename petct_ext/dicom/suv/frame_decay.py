"""Decay of single frames: what images without decay correction need, and a check on those with it.

Source: DICOM PS3.3 C.8.9.4 for Decay Factor (0054,1321) and Actual Frame Duration (0018,1242).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from datetime import datetime

import pydicom

from petct_ext.dicom.suv.arithmetic import frame_decay_correction
from petct_ext.dicom.suv.audit import SuvAudit, element_name
from petct_ext.dicom.suv.scan_times import CONTRADICTION, distinct_times, first_frame, read_frames
from petct_ext.errors import InputDataError

__all__ = ["check_decay_factor", "frame_starts"]

_DECAY_FACTOR_TOLERATED = 0.05


def frame_starts(
    datasets: Sequence[pydicom.Dataset], audit: SuvAudit
) -> list[tuple[datetime, float]]:
    """Returns start and length in s of each slice's frame, for images without decay correction.

    Raises:
        InputDataError: if a slice lacks one, or bed positions share one acquisition time.
    """
    frames = read_frames(datasets)
    starts: list[tuple[datetime, float]] = []
    for frame in frames:
        if frame.acquired is None or math.isnan(frame.duration_s):
            lacking = "AcquisitionTime" if frame.acquired is None else "ActualFrameDuration"
            raise InputDataError(
                f"{element_name(lacking)} is missing or zero in a slice; without decay correction "
                "each slice needs its own. Leave the exam out."
            )
        starts.append((frame.acquired, frame.duration_s))
    offsets = {frame.reference_s for frame in frames if math.isfinite(frame.reference_s)}
    if distinct_times(frames) == 1 and len(offsets) > 1:
        raise InputDataError(
            f"{element_name('FrameReferenceTime')} tells {len(offsets)} bed positions apart, but "
            f"{element_name('AcquisitionTime')} is the same in all; without decay correction the "
            "frames' own times are needed. Leave the exam out."
        )
    audit.step("number of frame times", distinct_times(frames))
    audit.step("frame length", min(length for _, length in starts), "s")
    return starts


def check_decay_factor(
    datasets: Sequence[pydicom.Dataset],
    *,
    reference: datetime,
    half_life_s: float,
    audit: SuvAudit,
) -> None:
    """Compares Decay Factor (0054,1321) of the first frame with the one that the times give.

    A factor of exactly 1 is what writers fill in that do not know it, and says nothing.

    Raises:
        InputDataError: if they differ by more than 5 %.
    """
    first = first_frame(read_frames(datasets))
    if first is None or first.acquired is None or math.isnan(first.duration_s):
        return
    stated = first.decay_factor
    if not stated > 0 or abs(stated - 1) < 1e-6:
        return
    elapsed_s = (first.acquired - reference).total_seconds()
    expected = 2.0 ** (elapsed_s / half_life_s) * frame_decay_correction(
        duration_s=first.duration_s, half_life_s=half_life_s
    )
    audit.element("DecayFactor", stated)
    audit.step("decay factor expected from the times", expected)
    if abs(stated / expected - 1) > _DECAY_FACTOR_TOLERATED:
        raise InputDataError(
            f"{element_name('DecayFactor')} is {stated:g}, but the times give {expected:.4g} for "
            f"the reference at {reference:%H:%M:%S}; {CONTRADICTION}"
        )
