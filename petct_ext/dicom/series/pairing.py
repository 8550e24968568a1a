"""The PET of a study, and the CT that belongs to it, chosen by rules that can be told.

Of several fit series, rule after rule drops some and says why, until one is left. The result does
not depend on the order of files or series.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import timedelta
from functools import partial

import numpy as np

from petct_ext.dicom.series.fitness import (
    has_contrast,
    has_sharp_kernel,
    is_dynamic,
    limited_body_part,
)
from petct_ext.dicom.series.groups import Series

__all__ = [
    "SMALLEST_COVERAGE",
    "choose_ct",
    "choose_pet",
    "coverage",
    "duplicates",
    "frame_of_reference",
    "is_of_another_day",
]

SMALLEST_COVERAGE = 0.5
"""Share of the PET's extent that the CT has to cover."""

_WHOLE = 0.85  # of the longest PET; shorter ones show less of the body
_ABOUT_AS_MUCH = 0.05  # difference in coverage that does not matter
_LATE = timedelta(minutes=10)
_CLOSE = timedelta(minutes=5)
_ONE_SESSION = timedelta(hours=12)
_SMALL_FIELD_MM = 450.0

_Rule = Callable[[Sequence[Series]], dict[str, str]]


def duplicates(series: Sequence[Series]) -> dict[str, str]:
    """Finds series that were sent again under another UID.

    Two are the same if they share an SOP instance, or agree in positions, matrix, time, image
    type, corrections, kernel and description. The one whose UID sorts first stays.

    Returns:
        The reason for every series that repeats another one, by key.
    """
    seen: set[object] = set()
    found = {}
    for one in sorted(series, key=_key):
        marks: set[object] = {("instance", f.instance) for f in one.files if f.instance}
        marks.add(_look(one))
        if marks & seen:
            found[one.key] = "left out: duplicate of another series"
        else:
            seen |= marks
    return found


def choose_pet(candidates: Sequence[Series]) -> tuple[Series, dict[str, str]]:
    """Chooses one PET series.

    Rules in order: not a limited part of the body (a separate brain or leg bed) if there is more;
    at least 85 % as long as the longest; static; the first of several time points; original; most
    slices.

    Args:
        candidates: fit PET series of one study, at least one.

    Returns:
        The series and, for every other one, the reason by key.
    """
    rules = (_drop_limited, _drop_short, _drop_dynamic, _drop_late, _drop_derived, _drop_fewer)
    return _eliminate(candidates, rules)


def choose_ct(candidates: Sequence[Series], pet: Series) -> tuple[Series, dict[str, str]]:
    """Chooses one CT series for a PET.

    Rules in order: the PET's frame of reference, if such a CT covers half of the PET; covers about
    as much of the PET as any; acquired within 5 minutes of the one closest to the PET in time
    (which is the CT of the attenuation correction rather than a later diagnostic one); no contrast
    agent; no small field of view; original; no kernel for lung or bone; most slices.

    Args:
        candidates: fit CT series, at least one.
        pet: the chosen PET.

    Returns:
        The series and, for every other one, the reason by key.
    """
    return _eliminate(
        candidates,
        (
            partial(_drop_other_frame, pet),
            partial(_drop_less_coverage, pet),
            partial(_drop_far_in_time, pet),
            _drop_contrast,
            _drop_small_field,
            _drop_derived,
            _drop_sharp,
            _drop_fewer,
        ),
    )


def _drop_other_frame(pet: Series, rivals: Sequence[Series]) -> dict[str, str]:
    same = {
        s.key
        for s in rivals
        if frame_of_reference(s) == frame_of_reference(pet) != ""
        and coverage(s, pet) >= SMALLEST_COVERAGE
    }
    return _others(rivals, same, "its frame of reference differs from the PET's")


def _drop_less_coverage(pet: Series, rivals: Sequence[Series]) -> dict[str, str]:
    most = max(coverage(s, pet) for s in rivals)
    return {
        s.key: f"covers {coverage(s, pet):.0%} of the PET, another CT {most:.0%}"
        for s in rivals
        if coverage(s, pet) < most - _ABOUT_AS_MUCH
    }


def _drop_far_in_time(pet: Series, rivals: Sequence[Series]) -> dict[str, str]:
    gaps = {s.key: gap for s in rivals if (gap := _gap(s, pet)) is not None}
    if not gaps:
        return {}
    least = min(gaps.values())
    return {
        key: f"acquired {_minutes(gap)} min from the PET, another CT {_minutes(least)} min"
        for key, gap in gaps.items()
        if gap > least + _CLOSE
    }


def coverage(ct: Series, pet: Series) -> float:
    """Returns the share of the PET's extent along z that the CT covers, in [0, 1]."""
    if ct.extent_mm is None or pet.extent_mm is None:
        return 0.0
    (a, b), (low, high) = ct.extent_mm, pet.extent_mm
    return float(np.clip((min(b, high) - max(a, low)) / max(high - low, 1e-6), 0.0, 1.0))


def frame_of_reference(series: Series) -> str:
    """Returns Frame of Reference UID (0020,0052), ``""`` if missing."""
    return series.first.text("FrameOfReferenceUID")


def is_of_another_day(ct: Series, pet: Series) -> bool:
    """Returns whether CT and PET are known to be of two sessions, more than 12 hours apart."""
    gap = _gap(ct, pet)
    return gap is not None and gap > _ONE_SESSION


def _eliminate(
    candidates: Sequence[Series], rules: Sequence[_Rule]
) -> tuple[Series, dict[str, str]]:
    left, reasons = sorted(candidates, key=_key), dict[str, str]()
    for rule in rules:
        dropped = rule(left)
        reasons |= {key: f"left out: {why}" for key, why in dropped.items()}
        left = [s for s in left if s.key not in dropped]
    winner = min(left, key=_number)
    for rival in left:
        if rival is not winner:
            reasons[rival.key] = "left out: equal to the chosen one, which has the lower number"
    return winner, reasons


def _others(rivals: Sequence[Series], kept: set[str], why: str) -> dict[str, str]:
    """Drops all but ``kept``, unless that would be all."""
    return {s.key: why for s in rivals if s.key not in kept} if kept else {}


def _drop_limited(rivals: Sequence[Series]) -> dict[str, str]:
    parts = {s.key: part for s in rivals if (part := limited_body_part(s))}
    if len(parts) == len(rivals):
        return {}
    return {
        s.key: f"wrong body part: a part only ({s.length_mm:.0f} mm), another series covers more"
        for s in rivals
        if s.key in parts
    }


def _drop_short(rivals: Sequence[Series]) -> dict[str, str]:
    longest = max(s.length_mm for s in rivals)
    return {
        s.key: f"another series covers more ({longest:.0f} mm, this one {s.length_mm:.0f} mm)"
        for s in rivals
        if s.length_mm < _WHOLE * longest
    }


def _drop_dynamic(rivals: Sequence[Series]) -> dict[str, str]:
    static = {s.key for s in rivals if not is_dynamic(s)}
    return _others(rivals, static, "dynamic or gated (0054,1000), another series is static")


def _drop_late(rivals: Sequence[Series]) -> dict[str, str]:
    known = [s.started for s in rivals if s.started is not None]
    if not known:
        return {}
    first = min(known)
    return {
        s.key: f"late PET, {_minutes(s.started - first)} min after the first time point"
        for s in rivals
        if s.started is not None and s.started - first > _LATE
    }


def _drop_derived(rivals: Sequence[Series]) -> dict[str, str]:
    original = {s.key for s in rivals if s.first.text("ImageType").upper().startswith("ORIGINAL")}
    return _others(rivals, original, "derived, another series is original (0008,0008)")


def _drop_contrast(rivals: Sequence[Series]) -> dict[str, str]:
    plain = {s.key for s in rivals if not has_contrast(s)}
    return _others(rivals, plain, "with contrast agent (0018,0010), another CT is without")


def _drop_small_field(rivals: Sequence[Series]) -> dict[str, str]:
    wide = {s.key for s in rivals if _field_mm(s) >= _SMALL_FIELD_MM}
    return _others(rivals, wide, f"field of view below {_SMALL_FIELD_MM:.0f} mm")


def _drop_sharp(rivals: Sequence[Series]) -> dict[str, str]:
    soft = {s.key for s in rivals if not has_sharp_kernel(s)}
    return _others(rivals, soft, "kernel for lung or bone (0018,1210)")


def _drop_fewer(rivals: Sequence[Series]) -> dict[str, str]:
    most = max(s.num_slices for s in rivals)
    return {
        s.key: f"another series has more slices ({most}, this one {s.num_slices})"
        for s in rivals
        if s.num_slices < most
    }


def _field_mm(series: Series) -> float:
    spacing = series.first.vector("PixelSpacing", 2)
    columns = series.first.number("Columns")
    return spacing[1] * columns if spacing and columns else 0.0


def _gap(ct: Series, pet: Series) -> timedelta | None:
    return abs(ct.started - pet.started) if ct.started and pet.started else None


def _minutes(gap: timedelta) -> int:
    return round(gap.total_seconds() / 60)


def _look(series: Series) -> tuple[object, ...]:
    first = series.first
    facts = ("Rows", "Columns", "PixelSpacing", "ImageType", "CorrectedImage", "Units")
    others = ("Modality", "ConvolutionKernel", "SeriesDescription", "ContrastBolusAgent")
    return (
        series.places_mm,
        frame_of_reference(series),
        series.started,
        *(first.text(f) for f in (*facts, *others)),
    )


def _key(series: Series) -> str:
    return series.key


def _number(series: Series) -> tuple[float, str]:
    number = series.first.number("SeriesNumber")
    return (float("inf") if number is None else number, series.key)
