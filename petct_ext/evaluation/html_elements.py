"""Pieces of a self-contained page: escaped text, sortable tables, inlined pictures."""

from __future__ import annotations

import base64
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from html import escape
from pathlib import Path
from typing import Any, Final

import pandas as pd

from petct_ext.errors import InputDataError

__all__ = [
    "Cell",
    "KeyFigure",
    "Section",
    "code",
    "folded",
    "interval",
    "key_figures",
    "notice",
    "number",
    "paragraph",
    "picture",
    "table",
]

_MEDIA: Final = {".svg": "image/svg+xml", ".png": "image/png"}
_UNKNOWN: Final = "–"  # noqa: RUF001 - an en dash is what stands for "no value" in a table


@dataclass(frozen=True, slots=True)
class Cell:
    """A table cell that is sorted by ``value`` (None: unknown) instead of by its text."""

    text: str
    value: float | None


@dataclass(frozen=True, slots=True)
class KeyFigure:
    """One number at the top of the page, with what it is and what limits it."""

    title: str
    value: str
    detail: str = ""


@dataclass(frozen=True, slots=True)
class Section:
    """A part of the page.

    Attributes:
        name: anchor.
        title: heading.
        body: HTML; empty if there is nothing to show.
        figures: its contributions to the key figures.
        missing: what is not there, and why.
        target_kinds: who judged the targets of its numbers.
    """

    name: str
    title: str
    body: str = ""
    figures: tuple[KeyFigure, ...] = ()
    missing: tuple[tuple[str, str], ...] = ()
    target_kinds: tuple[str, ...] = ()


def number(value: Any, digits: int = 3) -> str:
    """Returns a number for people: whole numbers as they are, others rounded, a dash for NaN.

    Example:
        >>> number(0.12345), number(7), number(None) == number(float("nan"))
        ('0.123', '7', True)
    """
    if value is None or value is pd.NA or (isinstance(value, float) and math.isnan(value)):
        return _UNKNOWN
    if float(value).is_integer() and not isinstance(value, float):
        return str(int(value))
    if 0 < abs(value) < 10**-digits:
        return f"{value:.1e}"
    return f"{value:.{digits}f}"


def interval(value: Any, low: Any, high: Any) -> Cell:
    """Returns ``value (low-high)``, sorted by ``value``."""
    if number(value) == _UNKNOWN:
        return Cell(_UNKNOWN, None)
    limits = "" if number(low) == _UNKNOWN else f" ({number(low)} to {number(high)})"
    return Cell(f"{number(value)}{limits}", float(value))


def table(
    rows: pd.DataFrame | Sequence[Mapping[Any, Any]],
    headings: Mapping[str, str] | None = None,
    *,
    caption: str = "",
) -> str:
    """Returns a sortable table.

    Args:
        rows: the rows; cells may be text, numbers (rounded to three digits) or :class:`Cell`.
        headings: columns to show, in order, with their headings; all columns if None.
        caption: what the table shows.

    Returns:
        HTML; every text is escaped.
    """
    frame = pd.DataFrame(rows)
    headings = headings or {str(name): _heading(str(name)) for name in frame.columns}
    shown = {name: title for name, title in headings.items() if name in frame.columns}
    numeric = {name: _is_numeric(frame[name]) for name in shown}
    head = "".join(
        f'<th scope="col"{_number_class(numeric[name])}>'
        f'<button type="button">{escape(title)}</button></th>'
        for name, title in shown.items()
    )
    body = "".join(
        "<tr>" + "".join(_cell(record[name], numeric[name]) for name in shown) + "</tr>\n"
        for record in frame.to_dict("records")
    )
    about = f"<caption>{escape(caption)}</caption>" if caption else ""
    return (
        f'<div class="scroll"><table>{about}<thead><tr>{head}</tr></thead>\n'
        f"<tbody>\n{body}</tbody></table></div>\n"
    )


def picture(path: str | Path, caption: str, *, kind: str = "") -> str:
    """Returns a figure whose picture is part of the page (base64), with its caption.

    Args:
        path: SVG or PNG file.
        caption: shown below and given as the picture's text alternative.
        kind: style class, e.g. ``overlay``.

    Raises:
        InputDataError: if the file is missing or has another type.
    """
    path = Path(path)
    if path.suffix.lower() not in _MEDIA:
        raise InputDataError(f"{path} is neither SVG nor PNG; draw the figure again.")
    try:
        content = base64.b64encode(path.read_bytes()).decode("ascii")
    except OSError as error:
        raise InputDataError(
            f"{path} cannot be read ({error.strerror}); run the step that draws it again."
        ) from None
    source = f"data:{_MEDIA[path.suffix.lower()]};base64,{content}"
    return (
        f'<figure class="{escape(kind)}"><img src="{source}" alt="{escape(caption)}">'
        f"<figcaption>{escape(caption)}</figcaption></figure>\n"
    )


def notice(title: str, text: str, *, loud: bool = False) -> str:
    """Returns a box; a loud one warns."""
    style = "notice loud" if loud else "notice"
    return f'<div class="{style}"><strong>{escape(title)}</strong> {escape(text)}</div>\n'


def paragraph(text: str) -> str:
    """Returns a paragraph of escaped text."""
    return f"<p>{escape(text)}</p>\n"


def code(text: str) -> str:
    """Returns escaped text in the type of file names and commands."""
    return f"<code>{escape(text)}</code>"


def folded(summary: str, content: str) -> str:
    """Returns ``content`` (HTML) folded away under a line of text."""
    return f"<details><summary>{escape(summary)}</summary>\n{content}</details>\n"


def key_figures(figures: Sequence[KeyFigure]) -> str:
    """Returns the row of numbers at the top of the page."""
    items = "".join(
        f"<div><dt>{escape(figure.title)}</dt><dd>"
        f'<span class="value">{escape(figure.value)}</span>'
        f'<span class="detail">{escape(figure.detail)}</span></dd></div>\n'
        for figure in figures
    )
    return f'<dl class="key-figures">\n{items}</dl>\n' if figures else ""


def _heading(column: str) -> str:
    words = column.removeprefix("num_").replace("_", " ")
    return {"num": "exams", "auroc": "AUROC", "f1": "F1"}.get(words, words)


def _is_numeric(column: pd.Series) -> bool:
    if len(column) and isinstance(column.iloc[0], Cell):
        return True
    return pd.api.types.is_numeric_dtype(column) and not pd.api.types.is_bool_dtype(column)


def _number_class(is_number: bool) -> str:
    return ' class="number"' if is_number else ""


def _cell(value: Any, is_number: bool) -> str:
    if isinstance(value, Cell):
        text, key = value.text, "" if value.value is None else f"{value.value:.10g}"
    elif is_number:
        text = number(value)
        key = "" if text == _UNKNOWN else f"{float(value):.10g}"
    else:
        missing = (
            value is None or value is pd.NA or (isinstance(value, float) and math.isnan(value))
        )
        return f"<td>{'' if missing else escape(str(value))}</td>"
    return f'<td class="number" data-value="{key}">{escape(text)}</td>'
