"""Makes report text readable for patterns without moving a character.

Reports come out of systems with traces of them: no-break spaces, curly quotes, HTML or RTF
commands, control characters. They are replaced one for one, so that every offset into the readable
text is an offset into the original.
"""

from __future__ import annotations

import html
import re
from bisect import bisect_right
from typing import Final

__all__ = ["Unwrapped", "readable_text", "unwrap"]

_SPACES: Final = "\t\x0b\x0c\x1c\x1d\x1e\x1f\x85\u00a0\u1680\u2000\u2001\u2002\u2003\u2004\u2005\u2006\u2007\u2008\u2009\u200a\u202f\u205f\u3000"  # noqa: E501
_INVISIBLE: Final = "\u200b\u200c\u200d\u2060\ufeff\u200e\u200f"
_ONE_FOR_ONE: Final = str.maketrans(
    dict.fromkeys(_SPACES + _INVISIBLE, " ")
    | {chr(code): " " for code in range(32) if chr(code) not in "\t\n\r"}
    | dict.fromkeys(map(chr, range(127, 160)), " ")
    | dict.fromkeys("\u2018\u2019\u201a\u201b\u2032", "'")
    | dict.fromkeys("\u201c\u201d\u201e\u201f\u2033", '"')
    | dict.fromkeys("\u2010\u2011\u2012\u2013\u2014\u2212\u00ad", "-")
    | {"\u2026": " ", "\u2028": "\n", "\u2029": "\n"}
)
# Between words or values: a column of a table.
_CELL_TAB: Final = re.compile(r"(?<=[A-Za-z0-9%])\t+(?=[A-Za-z0-9(<>+-])")
_MAYBE_MARKUP: Final = re.compile(r"<[/!a-zA-Z]|&[#a-zA-Z]|\{\\rtf|\\par\b")
_TAG: Final = re.compile(
    r"<(?P<end>/)?(?P<name>[a-zA-Z][a-zA-Z0-9]{0,10})(?:\s[^<>]{0,400})?/?>|<!--"
)
_TAGS: Final = frozenset(
    [
        "a",
        "b",
        "body",
        "br",
        "center",
        "col",
        "colgroup",
        "div",
        "dl",
        "dd",
        "dt",
        "em",
        "font",
        "h1",
        "h2",
        "h3",
        "h4",
        "h5",
        "h6",
        "head",
        "hr",
        "html",
        "i",
        "img",
        "li",
        "link",
        "meta",
        "o",
        "ol",
        "p",
        "pre",
        "s",
        "script",
        "small",
        "span",
        "strong",
        "style",
        "sub",
        "sup",
        "table",
        "tbody",
        "td",
        "tfoot",
        "th",
        "thead",
        "title",
        "tr",
        "u",
        "ul",
    ]
)
_LINES: Final = frozenset(
    [
        "br",
        "p",
        "div",
        "li",
        "tr",
        "h1",
        "h2",
        "h3",
        "h4",
        "h5",
        "h6",
        "hr",
        "ul",
        "ol",
        "table",
        "dd",
        "dt",
    ]
)
_HIDDEN: Final = ("style", "script", "head", "title")
_ENTITY: Final = re.compile(r"&(?:#\d{1,6}|#[xX][0-9a-fA-F]{1,5}|[a-zA-Z]{2,8});")
_RTF_GROUP: Final = re.compile(
    r"\{\\(?:\*\\[a-z]+|fonttbl|colortbl|stylesheet|info|pict|header|footer)\b"
)
_RTF: Final = re.compile(
    r"\\(?P<line>par|line|row)\b-?\d* ?|\\'(?P<hex>[0-9a-fA-F]{2})|\\[a-z]{1,32}-?\d* ?"
    r"|\\[\\{}~_-]|[{}]"
)


def readable_text(text: str) -> str:
    r"""Returns the text with traces of other systems blanked, character for character.

    No-break and other odd spaces, zero-width and control characters become spaces, tabs between the
    cells of a table bars, curly quotes and
    long dashes plain ones, HTML tags and RTF commands spaces (line breaks where they end a line),
    HTML entities and RTF codes their character followed by spaces.

    Args:
        text: a report as it is stored.

    Returns:
        Text of the same length; applying the function twice changes nothing more.

    Example:
        >>> readable_text("Liver<br>normal.")
        'Liver\n   normal.'
    """
    readable = _CELL_TAB.sub(_bar, text).translate(_ONE_FOR_ONE)
    if _MAYBE_MARKUP.search(readable):
        if "{\\rtf" in readable:
            readable = _without_rtf(readable)
        readable = _without_html(readable)
    return readable


def _bar(tabs: re.Match[str]) -> str:
    return _pad("|", len(tabs[0]))


def _pad(text: str, length: int) -> str:
    return text[:length].ljust(length)


def _without_html(text: str) -> str:
    pieces: list[str] = []
    position = 0
    for match in _TAG.finditer(text):
        if match.start() < position:
            continue
        end = _end_of_tag(text, match)
        if end is None:
            continue
        name = (match["name"] or "").lower()
        pieces += [text[position : match.start()]]
        sign = "\n" if name in _LINES else ""
        if match["end"] and name in ("tr", "li", "dd", "dt"):
            sign = ""  # two lines would be a blank one, and so the end of a table or list
        elif match["end"] and name in ("td", "th"):
            sign = "|"
        pieces += [_pad(sign, end - match.start())]
        position = end
    readable = "".join(pieces) + text[position:]
    return _ENTITY.sub(lambda m: _pad(_character(m[0]), len(m[0])), readable)


def _end_of_tag(text: str, match: re.Match[str]) -> int | None:
    """Where a tag, a comment or an element without text for readers ends; None if it is none."""
    if match["name"] is None:
        end = text.find("-->", match.end())
        return None if end < 0 else end + 3
    name = match["name"].lower()
    if name not in _TAGS:  # "<5 mm", "<LLL>"
        return None
    if name in _HIDDEN and not match["end"]:
        close = re.compile(rf"</{name}\s*>", flags=re.IGNORECASE).search(text, match.end())
        if close is not None:
            return close.end()
    return match.end()


def _character(entity: str) -> str:
    character = html.unescape(entity)
    # An unknown entity stays; "&lt;" must not make a tag for a second pass to blank.
    if len(character) != 1 or character in "<&":
        return entity if len(character) != 1 else " "
    return character.translate(_ONE_FOR_ONE)


def _without_rtf(text: str) -> str:
    pieces: list[str] = []
    position = 0
    for start, end in _hidden_groups(text):
        pieces += [text[position:start], " " * (end - start)]
        position = end
    return _RTF.sub(_rtf_character, "".join(pieces) + text[position:])


def _hidden_groups(text: str) -> list[tuple[int, int]]:
    """Outermost groups that hold no text for readers (fonts, pictures); an open one is none."""
    hidden = {match.start() for match in _RTF_GROUP.finditer(text)}
    groups: list[tuple[int, int]] = []
    opened: list[int] = []
    for brace in re.finditer(r"\\[{}]|[{}]", text) if hidden else ():
        if brace[0] == "{":
            opened.append(brace.start())
        elif brace[0] == "}" and opened:
            start = opened.pop()
            if start in hidden:
                while groups and groups[-1][0] > start:
                    groups.pop()
                groups.append((start, brace.end()))
    return groups


def _rtf_character(match: re.Match[str]) -> str:
    character = ""
    if match["line"]:
        character = "\n"
    elif match["hex"]:
        character = bytes.fromhex(match["hex"]).decode("cp1252", errors="replace")
        character = character.translate(_ONE_FOR_ONE)
    return _pad(character if character not in "<&{}\\" else " ", len(match[0]))


class Unwrapped:
    """Text whose lines and spaces are joined, with the way back to the original.

    Args:
        text: the joined text.
        joints: pairs of an offset in it and the offset in the original that it stands for; between
            joints both run alike.
    """

    def __init__(self, text: str, joints: list[tuple[int, int]]) -> None:
        self.text = text
        self._here = [here for here, _ in joints]
        self._there = [there for _, there in joints]

    def original(self, start: int, end: int) -> tuple[int, int]:
        """Returns the offsets in the original of a stretch that is not empty."""
        return self._back(start), self._back(end - 1) + 1

    def _back(self, offset: int) -> int:
        number = bisect_right(self._here, offset) - 1
        return offset if number < 0 else offset - self._here[number] + self._there[number]


_RUN: Final = re.compile(r"[^\S\n]+\n?|\n(?![^\S\n]*(?:\n|\(?\d{1,2}[.)]|[-*•]))[^\S\n]*")


def unwrap(text: str) -> Unwrapped:
    r"""Joins wrapped lines and runs of spaces, so that a pattern need not expect them.

    Blank lines and lines that begin a list item stay apart.

    Example:
        >>> unwrapped = unwrap("left upper\n  lobe")
        >>> unwrapped.text, unwrapped.original(5, 15)
        ('left upper lobe', (5, 17))
    """
    pieces: list[str] = []
    joints: list[tuple[int, int]] = []
    position = length = 0
    for match in _RUN.finditer(text):
        if match.end() - match.start() == 1 and match[0] == " ":
            continue
        pieces += [text[position : match.start()], " "]
        length += match.start() - position + 1
        position = match.end()
        joints.append((length, position))
    if not pieces:
        return Unwrapped(text, [])
    return Unwrapped("".join(pieces) + text[position:], joints)
