"""What SUVs in a sentence say: of now and before, and in the rows of a table."""

from __future__ import annotations

import re
from typing import Final

__all__ = ["BACKGROUND_SUV", "category_in_row", "is_back_to_normal", "is_background"]

BACKGROUND_SUV: Final = 2.5
"""Below it, a value that was above it counts as gone: the usual bound in reports, no physics."""

_NUMBER: Final = r"(\d{1,2}(?:[.,]\d{1,2})?)"
_NOW_THEN: Final = re.compile(
    rf"SUV\w*(?:\s(?:max|peak|mean))?\s?(?:of|is|now|=|:|,)?\s*{_NUMBER}\s*[,(\[]?\s*"
    rf"(?:previously|previous|prior|prev\.?|formerly|before|was|compared\s(?:to|with)|versus|vs\.?"
    rf"|earlier|from|down\sfrom)[^\d.;]{{0,20}}{_NUMBER}",
    flags=re.IGNORECASE,
)
_THEN_NOW: Final = re.compile(
    rf"(?:from|SUV\w*|:)\s*(?:SUV\w*\s*)?(?:of\s)?{_NUMBER}\s*(?:to|->|→)\s*{_NUMBER}",
    flags=re.IGNORECASE,
)
_ONLY: Final = re.compile(
    r"SUV\w*(?:\smax|\smean)?(?:\s(?:is|was|of))?\s(?:only|merely|just|as\slow\sas)\s(?:of\s)?"
    rf"{_NUMBER}",
    flags=re.IGNORECASE,
)
_HAD_HAS: Final = re.compile(
    rf"\b(?:had|was|were|prior|previous(?:ly)?)\b[^.;\d]{{0,40}}{_NUMBER}[^.;\d]{{0,20}}\b(?:now|currently"
    rf"|today)\b[^.;\d]{{0,40}}{_NUMBER}",
    flags=re.IGNORECASE,
)
_CELL: Final = re.compile(
    r"(?<![\w.])(?:(?P<value>\d{1,2}(?:[.,]\d{1,2})?)|(?P<none>normal|resolved|none|nil|negative|no"
    r"|(?:not |non-?)(?:avid|seen|visible)|absent|gone|background"
    r"|-+|∅|n/?a)|(?P<yes>yes|positive|avid|abnormal|hot))(?!\w)",
    flags=re.IGNORECASE,
)
_PRIOR: Final = re.compile(r"prior|previous|before|old|baseline|last|then", flags=re.IGNORECASE)
_COLUMN: Final = re.compile(
    r"today|current|now|this|prior|previous|before|old|baseline|last|then|SUV\w*|uptake|avid\w*|PET",
    flags=re.IGNORECASE,
)


def is_back_to_normal(clause: str) -> bool:
    """Whether a clause compares a value of now, below :data:`BACKGROUND_SUV`, to a higher one.

    Example:
        >>> is_back_to_normal("SUVmax 1.2 (previously 8.4)"), is_back_to_normal("from 5.6 to 3.2")
        (True, False)
    """
    for pattern, now, then in ((_NOW_THEN, 1, 2), (_THEN_NOW, 2, 1), (_HAD_HAS, 2, 1)):
        match = pattern.search(clause)
        if match is not None:
            return _number(match[now]) < BACKGROUND_SUV <= _number(match[then])
    return False


def is_background(sentence: str) -> bool:
    """Whether a sentence calls a value low: "SUVmax is only 1.3".

    Example:
        >>> is_background("SUVmax is only 1.3."), is_background("SUVmax 1.9, rising.")
        (True, False)
    """
    match = _ONLY.search(sentence)
    return match is not None and _number(match[1]) < BACKGROUND_SUV


def category_in_row(head: str, cells: str) -> str:
    """Returns what a row of a table says: ``uptake``, ``negated``, or "" if it does not say.

    The first column of the exam at hand decides. A value alone says that there is uptake from
    :data:`BACKGROUND_SUV` on; whether that is physiologic there, only the reader knows.

    Args:
        head: head of the table.
        cells: the row, behind its region.

    Example:
        >>> category_in_row("Region Today Prior", " 4.9 9.1"), category_in_row("Site SUV", " -")
        ('uptake', 'negated')
    """
    columns = [bool(_PRIOR.match(m[0])) for m in _COLUMN.finditer(head)]
    if not columns or head.endswith((".", ":")):
        return ""
    now = next((i for i, is_prior in enumerate(columns) if not is_prior), 0)
    found = list(_CELL.finditer(cells))
    if len(found) <= now:
        return ""
    cell = found[now]
    if cell["value"]:
        return "uptake" if _number(cell["value"]) >= BACKGROUND_SUV else "negated"
    return "negated" if cell["none"] else "uptake"


def _number(text: str) -> float:
    return float(text.replace(",", "."))
