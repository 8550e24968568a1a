"""The PET of a study, and the CT that belongs to it, chosen by rules that can be told.

Of several fit series, rule after rule drops some and says why, until one is left. The result does
not depend on the order of files or series, on their UIDs, or on the patient's name.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import timedelta
from functools import partial
from typing import NamedTuple

import numpy as np

from petct_ext.dicom.series.fitness import (
    has_contrast,
    has_sharp_kernel,
    is_dynamic,
    limited_body_part,
)
from petct_ext.dicom.series.groups import Series
from petct_ext.dicom.series.pixels import SeriesPixels
from petct_ext.dicom.series.reconstruction import Preference, filter_mm, method_rank

__all__ = [
    "ONLY_ONE",
    "SMALLEST_COVERAGE",
    "Choice",
    "Wishes",
    "choose_ct",
    "choose_pet",
    "coverage",
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

ONLY_ONE = "only one"
"""Name of the rule where nothing had to be chosen."""


class _Rule(NamedTuple):
    """A rule: its name in ``series.csv``, and what it drops of some rivals, with the reason."""

    name: str
    drop: Callable[[Sequence[Series]], dict[str, str]]


@dataclass(frozen=True, slots=True)
class Wishes:
    """What a choice may use beyond headers.

    Attributes:
        preferences: what the site wants, the most important first.
        pixels: reads the pixels of series that headers cannot tell apart; None if there are only
            headers, where such series count as different and the UID decides.
    """

    preferences: tuple[Preference, ...] = ()
    pixels: SeriesPixels | None = None


class Choice(NamedTuple):
    """The outcome of a choice.

    Attributes:
        series: the one that is taken.
        reasons: why each other one is not, by key.
        rules: name of the rule that decided about each series, by key.
    """

    series: Series
    reasons: dict[str, str]
    rules: dict[str, str]


def choose_pet(candidates: Sequence[Series], wishes: Wishes) -> Choice:
    """Chooses one PET series.

    Rules in order: not a limited part of the body (a separate brain or leg bed) if there is more;
    at least 85 % as long as the longest; static; the first of several time points; what the site
    prefers; original; most slices. What is left then are reconstructions of one acquisition, which
    are told apart in the same way in every exam: by method (see
    :mod:`petct_ext.dicom.series.reconstruction`), wider filter, finer matrix, lower series number,
    earlier acquisition, and if all is equal by the pixels of the middle slice.

    Args:
        candidates: fit PET series of one study, at least one.
        wishes: what the site prefers.
    """
    rules = (
        _Rule("body part", _drop_limited),
        _Rule("length", _drop_short),
        _Rule("static", _drop_dynamic),
        _Rule("time point", _drop_late),
        *_preferred(wishes),
        _Rule("original", _drop_derived),
        _Rule("slices", _drop_fewer),
        _Rule("reconstruction method", _drop_method),
        _Rule("filter", _drop_narrow_filter),
        _Rule("matrix", _drop_coarse),
        *_last_rules(wishes),
    )
    return _eliminate(candidates, rules)


def choose_ct(candidates: Sequence[Series], pet: Series, wishes: Wishes) -> Choice:
    """Chooses one CT series for a PET.

    Rules in order: the PET's frame of reference, if such a CT covers half of the PET; covers about
    as much of the PET as any; acquired within 5 minutes of the one closest to the PET in time
    (which is the CT of the attenuation correction rather than a later diagnostic one); what the
    site prefers; no contrast agent; no small field of view; original; no kernel for lung or bone;
    most slices; finer matrix, lower series number, earlier acquisition, pixels.

    Args:
        candidates: fit CT series, at least one.
        pet: the chosen PET.
        wishes: what the site prefers.
    """
    return _eliminate(
        candidates,
        (
            _Rule("frame of reference", partial(_drop_other_frame, pet)),
            _Rule("coverage", partial(_drop_less_coverage, pet)),
            _Rule("time", partial(_drop_far_in_time, pet)),
            *_preferred(wishes),
            _Rule("contrast agent", _drop_contrast),
            _Rule("field of view", _drop_small_field),
            _Rule("original", _drop_derived),
            _Rule("kernel", _drop_sharp),
            _Rule("slices", _drop_fewer),
            _Rule("matrix", _drop_coarse),
            *_last_rules(wishes),
        ),
    )


def _preferred(wishes: Wishes) -> list[_Rule]:
    return [
        _Rule(f"preferred ({wish})", partial(_drop_unwanted, wish, wishes.pixels))
        for wish in wishes.preferences
    ]


def _last_rules(wishes: Wishes) -> list[_Rule]:
    rules = [_Rule("series number", _drop_number), _Rule("acquisition time", _drop_later)]
    if wishes.pixels:
        rules.append(_Rule("pixels", partial(_drop_by_pixels, wishes.pixels)))
    return rules


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


def _eliminate(candidates: Sequence[Series], rules: Sequence[_Rule]) -> Choice:
    left, reasons = sorted(candidates, key=_key), dict[str, str]()
    decided = dict[str, str]()
    last = ONLY_ONE
    for rule in rules:
        if len(left) == 1:
            break
        dropped = rule.drop(left)
        if not dropped:
            continue
        reasons |= {key: f"left out: {why}" for key, why in dropped.items()}
        decided |= dict.fromkeys(dropped, rule.name)
        last = rule.name
        left = [s for s in left if s.key not in dropped]
    winner, *rivals = left
    for rival in rivals:
        reasons[rival.key] = "left out: equal to the chosen one in all that headers say"
        decided[rival.key] = last = "UID"
    return Choice(winner, reasons, decided | {winner.key: last})


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
    why = "with contrast agent by (0018,0010) or its description, another CT is without"
    return _others(rivals, plain, why)


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


def _drop_unwanted(
    wish: Preference, pixels: SeriesPixels | None, rivals: Sequence[Series]
) -> dict[str, str]:
    """Drops what the site does not prefer; the description is read from the file, unscrubbed."""
    if rivals[0].first.text("Modality") != wish.modality:
        return {}
    wanted = {s.key for s in rivals if wish.matches(_wished_value(s, wish, pixels))}
    return _others(rivals, wanted, f"another series is preferred ({wish})")


def _wished_value(series: Series, wish: Preference, pixels: SeriesPixels | None) -> str:
    if wish.keyword == "SeriesDescription" and pixels:
        return pixels.description(series)
    return series.first.text(wish.keyword)


def _drop_method(rivals: Sequence[Series]) -> dict[str, str]:
    best = min(map(method_rank, rivals))
    kept = {s.key for s in rivals if method_rank(s) == best}
    return _others(rivals, kept, "another reconstruction method (0054,1103) goes first")


def _drop_narrow_filter(rivals: Sequence[Series]) -> dict[str, str]:
    widths = {s.key: width for s in rivals if (width := filter_mm(s)) is not None}
    widest = max(widths.values(), default=0.0)
    if widest == 0.0 and len(widths) < len(rivals):  # none against one of unknown width
        return {}
    kept = {key for key, width in widths.items() if width == widest}
    wider = "another reconstruction has the wider filter (0018,1210)"
    unknown = "the width of its filter (0018,1210) is not stated"
    dropped = _others(rivals, kept, wider)
    return {key: wider if key in widths else unknown for key in dropped}


def _drop_coarse(rivals: Sequence[Series]) -> dict[str, str]:
    sizes = {s.key: s.first.number("Rows") or 0.0 for s in rivals}
    kept = {key for key, size in sizes.items() if size == max(sizes.values())}
    return _others(rivals, kept, "another series has the finer matrix (0028,0010)")


def _drop_number(rivals: Sequence[Series]) -> dict[str, str]:
    numbers = {s.key: n for s in rivals if (n := s.first.number("SeriesNumber")) is not None}
    kept = {key for key, number in numbers.items() if number == min(numbers.values())}
    return _others(rivals, kept, "another series has the lower number (0020,0011)")


def _drop_later(rivals: Sequence[Series]) -> dict[str, str]:
    known = {s.key: s.started for s in rivals if s.started is not None}
    kept = {key for key, started in known.items() if started == min(known.values())}
    return _others(rivals, kept, "another series was acquired earlier")


def _drop_by_pixels(pixels: SeriesPixels, rivals: Sequence[Series]) -> dict[str, str]:
    digests = {s.key: pixels.digest(s) for s in rivals}
    kept = {key for key, digest in digests.items() if digest == min(digests.values())}
    return _others(
        rivals, kept, "equal to the chosen one in all that headers say; the pixels' digest decides"
    )


def _field_mm(series: Series) -> float:
    spacing = series.first.vector("PixelSpacing", 2)
    columns = series.first.number("Columns")
    return spacing[1] * columns if spacing and columns else 0.0


def _gap(ct: Series, pet: Series) -> timedelta | None:
    return abs(ct.started - pet.started) if ct.started and pet.started else None


def _minutes(gap: timedelta) -> int:
    return round(gap.total_seconds() / 60)


def _key(series: Series) -> str:
    return series.key
