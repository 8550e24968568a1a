"""Free text of headers without what names the patient.

Descriptions are typed by people, who write names, dates of birth and record numbers into them. Of a
text that holds any such word of its own header, the usual words of the trade alone are kept: they
tell a projection from a stack, and an uncorrected PET from a corrected one.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable

__all__ = ["REMOVED", "identity_words", "without_dates", "without_identity"]

REMOVED = "[removed]"
"""Stands for what was taken out of a text that held a part of the patient's identity."""

_USUAL = frozenset(
    """
    ac arms axial body bone brain contrast coronal corrected ct dose extremities fdg feet fused
    fusion gated head legs localizer low lower lung mac mip nac neck no non pet plain protocol
    report sagittal scout skull soft surview thigh to toes topogram torso uncorrected wb whole
    """.split()  # noqa: SIM905 - sixty quoted words are hard to read
)

_SHORTEST_INSIDE = 4  # shorter words count as whole words only, or half of all texts would go
_DATE = re.compile(
    r"(?<!\d)(?:\d{1,4}[./-]\d{1,2}[./-]\d{2,4}|(?:19|20)\d{6}|\d{1,2}[./-](?:19|20)\d{2})(?!\d)"
)


def identity_words(names: Iterable[str], codes: Iterable[str], birth_date: str) -> frozenset[str]:
    """Returns what must not stand in a free text.

    Args:
        names: person names in DICOM form, ``Family^Given=ideographic=phonetic``.
        codes: patient ids, accession numbers.
        birth_date: ``YYYYMMDD`` or ``""``.

    Returns:
        Lower-case words without accents, of at least two letters.

    Example:
        >>> sorted(identity_words(["Müller^Jo"], [], "19500102"))
        ['01021950', '02011950', '19500102', 'jo', 'muller']
    """
    words = {w for name in names for w in re.split(r"[\W_]+", _folded(name))}
    words |= {_folded(code).strip() for code in codes}
    if re.fullmatch(r"\d{8}", birth_date):
        year, month, day = birth_date[:4], birth_date[4:6], birth_date[6:]
        words |= {year + month + day, day + month + year, month + day + year}
    return frozenset(w for w in words if len(w) >= 2)


def without_identity(text: str, words: frozenset[str]) -> str:
    """Returns the text; if it holds one of the words, ``[removed]`` and the usual words in it.

    Example:
        >>> without_identity("PET/CT Mueller 4711 whole body", frozenset({"mueller"}))
        '[removed] pet ct whole body'
    """
    folded = _folded(text)
    parts = re.split(r"[\W_]+", folded)
    digits = re.sub(r"(?<=\d)[./ -](?=\d)", "", folded)  # 02.01.1950 as one number
    for word in words:
        inside = len(word) >= _SHORTEST_INSIDE and (word in folded or word in digits)
        if inside or word in parts:
            return " ".join([REMOVED, *(p for p in parts if p in _USUAL - words)])
    return text


def without_dates(text: str) -> str:
    """Returns the text with calendar dates replaced, for tables whose dates are shifted.

    Example:
        >>> without_dates("PET/CT 12.03.2019 whole body")
        'PET/CT [date] whole body'
    """
    return _DATE.sub("[date]", text)


def _folded(text: str) -> str:
    plain = unicodedata.normalize("NFKD", text)
    return "".join(c for c in plain if not unicodedata.combining(c)).casefold()
