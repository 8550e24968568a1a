"""Record of how a SUV came about: every element that was used and every step of the arithmetic."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import date, datetime
from typing import Any

from pydicom.datadict import dictionary_description, tag_for_keyword

__all__ = ["SuvAudit", "element_name", "element_tag"]


def element_tag(keyword: str) -> str:
    """Returns a standard element's tag as people write it: ``(0018,1074)``."""
    tag = tag_for_keyword(keyword) or 0
    return f"({tag >> 16:04x},{tag & 0xFFFF:04x})"


def element_name(keyword: str) -> str:
    """Returns a standard element's name and tag: ``Radionuclide Total Dose (0018,1074)``."""
    return f"{dictionary_description(keyword)} {element_tag(keyword)}"


@dataclass(slots=True)
class SuvAudit:
    """Collects the lines of one series' audit; JSON-ready and without identity.

    Attributes:
        lines: in the order of use, either ``{"tag", "keyword", "value"}`` or
            ``{"step", "value", "unit"}``.
        warnings: one sentence each, about what was assumed.
    """

    lines: list[dict[str, Any]] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)

    def element(self, keyword: str, value: Any) -> None:
        """Records a standard element."""
        self.lines.append({"tag": element_tag(keyword), "keyword": keyword, "value": value})

    def private(self, tag: str, keyword: str, value: Any) -> None:
        """Records a vendor's element."""
        self.lines.append({"tag": tag, "keyword": keyword, "value": value})

    def step(self, step: str, value: float | str, unit: str = "") -> None:
        """Records a step of the arithmetic."""
        self.lines.append({"step": step, "value": value, "unit": unit})

    def warn(self, text: str) -> None:
        """Records what was assumed, once."""
        if text not in self.warnings:
            self.warnings.append(text)

    def moment(self, step: str, moment: datetime, *, scan_day: date) -> None:
        """Records a point in time as time of day and days from ``scan_day``, never as a date."""
        self.step(step, _clock(moment, scan_day), "h:m:s")

    def time_element(self, keyword: str, moment: datetime | None, *, scan_day: date) -> None:
        """Records a standard element that holds a time, if it does."""
        if moment is not None:
            self.element(keyword, _clock(moment, scan_day))


def _clock(moment: datetime, scan_day: date) -> str:
    return f"{moment:%H:%M:%S.%f} day {(moment.date() - scan_day).days:+d}"
