"""Reads forms with boxes: what is not ticked is not said."""

from __future__ import annotations

import re
from typing import Final

__all__ = ["without_unticked"]

_BOX: Final = re.compile(r"\[\s?(?P<tick>[xX✓✔])?\s?\]|\(\s?(?P<round>[xX])?\s?\)|[☐☑☒]")
_TICKED: Final = re.compile(r"[xX✓✔☑☒]")


def without_unticked(text: str) -> str:
    """Returns text of the same length with spaces in place of boxes and of unticked choices.

    Text with a ticked and an unticked box is a form; the box stands before its words ("[x] normal
    [ ] abnormal") or behind them ("normal [x] abnormal [ ]").

    Example:
        >>> without_unticked("Liver: [x] normal [ ] avid").split()
        ['Liver:', 'normal']
    """
    ticks = {_is_ticked(box) for box in _BOX.finditer(text)}
    if ticks != {True, False}:
        return text
    return "".join(_line(line) for line in text.splitlines(keepends=True))


def _is_ticked(box: re.Match[str]) -> bool:
    return _TICKED.search(box[0]) is not None


def _line(line: str) -> str:
    boxes = list(_BOX.finditer(line))
    ticked = [_is_ticked(box) for box in boxes]
    if not boxes or (len(boxes) > 1 and not any(ticked)):
        return line
    begin = max(line.rfind(":", 0, boxes[0].start()), line.rfind("-", 0, boxes[0].start())) + 1
    is_first = bool(re.search(r"\w", line[boxes[-1].end() :]))
    letters = list(line)
    for number, (box, tick) in enumerate(zip(boxes, ticked, strict=True)):
        if is_first:
            words = (box.end(), boxes[number + 1].start() if number + 1 < len(boxes) else len(line))
        else:
            words = (boxes[number - 1].end() if number else begin, box.start())
        for first, last in (box.span(), *(() if tick else (words,))):
            letters[first:last] = [c if c in "\r\n" else " " for c in letters[first:last]]
    kept = "".join(letters)
    # A line that is left empty must not look like the end of a paragraph.
    return kept if kept.strip() else " " * len(kept)
