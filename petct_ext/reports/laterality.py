"""Which side of the body the words around a mention give."""

from __future__ import annotations

import re
from typing import Final

from petct_ext.reports.coordination import MODIFIERS

__all__ = [
    "ELLIPSIS",
    "LEFT",
    "RIGHT",
    "continues_list",
    "side_after",
    "side_before",
    "side_inside",
]

LEFT: Final = "left"
RIGHT: Final = "right"

_SIDE: Final = r"left|right|bilateral(?:ly)?|both|lt\.?|rt\.?|L(?=[ -])|R(?=[ -])"
_WORD: Final = rf"(?:{MODIFIERS})"
_BEFORE: Final = re.compile(
    rf"\b(?P<first>{_SIDE})(?:\s+(?:and|&|or|/)\s+(?P<second>left|right|lt|rt))?(?:[- ]sided)?,?"
    rf"(?:(?:\s+|,\s*|/|-){_WORD}){{0,5}}(?:\s+|-|\s*/\s*)?$",
    flags=re.IGNORECASE,
)
_NOUN: Final = (
    r"lymph|node|nodes|nodal|adenopathy|lymphadenopathy|station|stations|region|regions|area|areas"
    r"|chain|chains|mass|masses|lesion|lesions|nodule|nodules|gland|glands|metastasis|metastases"
    r"|uptake|disease|foci|focus|fossa|LNs?"
)
_AFTER: Final = re.compile(
    rf"(?:\s+(?:{_NOUN})\b){{0,3}}\s*,?\s*(?:\(\s*)?(?:"
    r"(?P<both>bilaterally|bilateral\b|on\ both\ sides|of\ both\ sides|L\ ?>\ ?R|R\ ?>\ ?L"
    r"|(?:left|right)\ (?:greater|more|larger|>|worse)(?:\ than)?)"
    r"|(?:(?:on|to|of)\ the\ )(?P<side>left|right)(?:[ ]side|[- ]hand[ ]side)?"
    r"(?=\s*(?:[.,;:)]|$|\s(?:and|with|measur|is|are|was|were|shows?|demonstrat|which|that|SUV|\()))"
    r"|(?P<bare>left|right)\s*\))",
    flags=re.IGNORECASE | re.VERBOSE,
)
_BOTH_LATER: Final = re.compile(r"[^.;,:\n]{0,60}?\bbilaterally\b", flags=re.IGNORECASE)
_LIST_LINK: Final = re.compile(
    rf"(?:\s+(?:{_NOUN}))?\s*(?:,|/|&|\band\b|\bor\b|,\s*(?:and|or)\b)\s*(?:{_WORD}\s+)*",
    flags=re.IGNORECASE,
)
_CODE: Final = re.compile(r"\d{1,2}([RL])$", flags=re.IGNORECASE)
_INSIDE: Final = re.compile(r"\b(?:left|right|bilateral|both)\b", flags=re.IGNORECASE)
_BOTH_OF_TWO: Final = re.compile(r"\w*(?:al|ic|ary|ar|an)$", flags=re.IGNORECASE)
_AND: Final = re.compile(r"\s+and\b", flags=re.IGNORECASE)
_REACH: Final = 90
ELLIPSIS: Final = re.compile(
    r"\b(?:also|and|as well as|or|but not|similarly|likewise|than|less so|more so|another|not)\s"
    r"(?:(?:\w+\s){0,2}(?:in|on|at|of|to|within)\s)(?:the\s)?(?P<side>left|right)(?:\sside)?"
    r"(?=\s*(?:[.,;)]|$))",
    flags=re.IGNORECASE,
)
"""A side without a region, at the end of a clause: "also in the right"."""


def side_before(text: str, start: int) -> tuple[frozenset[str], int]:
    """Finds a side in the words directly before a mention.

    Args:
        text: the report.
        start: offset of the mention.

    Returns:
        The sides, empty if none is given, and the offset where the words begin that gave it.

    Example:
        >>> side_before("in the right upper cervical nodes", 19)
        (frozenset({'right'}), 7)
    """
    reach = max(0, start - _REACH)
    match = _BEFORE.search(text[reach:start])
    if match is None:
        return frozenset(), start
    if match["first"].lower() == "both" and _joins_two(text, start):
        return frozenset(), start
    sides = _sides(match["first"]) | (_sides(match["second"]) if match["second"] else frozenset())
    return sides, reach + match.start()


def _joins_two(text: str, start: int) -> bool:
    """Whether "both" before a mention joins two adjectives ("both pulmonary and hepatic")."""
    word = re.compile(r"\w+").match(text, start)
    return bool(word and _BOTH_OF_TWO.match(word[0]) and _AND.match(text, word.end()))


def side_inside(text: str, start: int, end: int) -> frozenset[str]:
    """Finds a side among the words of the mention ("nodes of the left neck").

    Example:
        >>> side_inside("nodes of the left neck", 0, 22)
        frozenset({'left'})
    """
    match = _INSIDE.search(text, start, end)
    return _sides(match[0]) if match else frozenset()


def side_after(text: str, start: int, end: int) -> frozenset[str]:
    """Finds a side in the mention itself ("10R") or in the words after it.

    Example:
        >>> sorted(side_after("Inguinal node on the right, 1 cm.", 0, 8))
        ['right']
    """
    code = _CODE.search(text[start:end])
    if code:
        return _sides(code[1])
    match = _AFTER.match(text[end : end + _REACH])
    if match is None:
        later = _BOTH_LATER.match(text[end : end + _REACH])
        return frozenset({LEFT, RIGHT}) if later else frozenset()
    return _sides(match["side"] or match["bare"] or "both")


def continues_list(between: str) -> bool:
    """Whether the text between two mentions makes them members of one list.

    Example:
        >>> continues_list(" and "), continues_list(". Normal ")
        (True, False)
    """
    return _LIST_LINK.fullmatch(between) is not None


def _sides(word: str) -> frozenset[str]:
    word = word.lower().rstrip(".")
    if word.startswith("b"):
        return frozenset({LEFT, RIGHT})
    return frozenset({LEFT if word.startswith("l") else RIGHT})
