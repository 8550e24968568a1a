"""Lines of a report that are the head or a row of a table."""

from __future__ import annotations

import re
from typing import Final

__all__ = ["is_table_head", "is_table_row"]

_HEAD: Final = re.compile(
    r"[A-Za-z |;,()/.-]*\b(?:site|region|location|lesion|organ|area|structure|finding)s?\b"
    r"[^.:\d\n]{0,60}"
    r"\b(?:SUV\w*|today|current|now|uptake|status|PET)\b[^.:\d\n]{0,60}",
    flags=re.IGNORECASE,
)
_CELL: Final = (
    r"(?:\d{1,3}(?:[.,]\d{1,2})?|normal|resolved|none|nil|yes|no|negative|positive|background"
    r"|not avid|non-?avid|-+)"
)
_ROW: Final = re.compile(
    rf"\|?\s*[A-Za-z][\w /()-]{{0,60}}?(?:[ |;]+{_CELL}){{1,6}}\s*\|?", flags=re.IGNORECASE
)
_MOST: Final = 160


def is_table_head(line: str) -> bool:
    """Whether a line names columns: "Site, SUVmax", "Region | Today | Prior".

    Example:
        >>> is_table_head("Region | Today | Prior"), is_table_head("No region shows uptake now.")
        (True, False)
    """
    line = line.strip()
    is_finding = re.search(r"\b(?:avid|hot|mass|metasta\w+)\b", line, flags=re.IGNORECASE)
    return len(line) <= _MOST and not is_finding and _HEAD.fullmatch(line) is not None


def is_table_row(line: str) -> bool:
    """Whether a line is words with values behind them: "T5 6.4 5.9", "Spleen | normal".

    Example:
        >>> is_table_row("Left axilla 8.1"), is_table_row("Uptake in the left axilla,")
        (True, False)
    """
    return len(line) <= _MOST and _ROW.fullmatch(line.strip()) is not None
