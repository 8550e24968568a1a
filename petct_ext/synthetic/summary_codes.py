"""The reader's summary code of an exam: 1, 2, 4 or 9.

Some radiology departments close every report with a code of this kind; the wordings in
:data:`SUMMARY_CODES` are modelled on theirs. The rule below is our own, made so that report
and code never disagree.
"""

from __future__ import annotations

from collections.abc import Iterable
from types import MappingProxyType

from petct_ext.synthetic.patients import Lesion

__all__ = ["NUM_WIDESPREAD_REGIONS", "SUMMARY_CODES", "region_burden", "summary_code"]

SUMMARY_CODES = MappingProxyType(
    {
        1: "NO SIGNIFICANT ABNORMALITY",
        2: "ABNORMAL, PREVIOUSLY NOTED",
        4: "POSSIBLE SIGNIFICANT ABNORMALITY OR CHANGE, MAY NEED ACTION",
        9: "ABNORMAL, ACTION NEEDED",
    }
)
"""Wording of each code."""

NUM_WIDESPREAD_REGIONS = 9
"""From so many abnormal regions on a new or growing disease gets code 9."""

_GROWTH = 1.25
"""Ratio of (diameter x SUV) to the earlier exam from which on a region has progressed."""


def region_burden(lesions: Iterable[Lesion]) -> dict[str, float]:
    """Returns per region the sum of diameter (mm) x SUV (g/mL) over the lesions the reader names.

    Lesions with ``mentioned=False`` do not count: the code tells what the reader saw.
    """
    burden: dict[str, float] = {}
    for lesion in lesions:
        if lesion.mentioned:
            grown = lesion.diameter_mm * lesion.suv
            burden[lesion.region] = burden.get(lesion.region, 0.0) + grown
    return burden


def summary_code(lesions: Iterable[Lesion], earlier: Iterable[Lesion] | None) -> int:
    """Returns the code of an exam.

    * 1: the reader names no lesion.
    * 2: there is an earlier exam, no region is new and none has progressed by 25 % or more.
    * 4: first exam with lesions, or a region that is new or has progressed.
    * 9: as 4, with :data:`NUM_WIDESPREAD_REGIONS` abnormal regions or more.

    Args:
        lesions: lesions of this exam.
        earlier: lesions of the exam before; None if this is the first one.
    """
    now = region_burden(lesions)
    if not now:
        return 1
    before = region_burden(earlier) if earlier is not None else {}
    changed = [name for name, burden in now.items() if burden > _GROWTH * before.get(name, 0.0)]
    if earlier is not None and not changed:
        return 2
    return 9 if len(now) >= NUM_WIDESPREAD_REGIONS else 4
