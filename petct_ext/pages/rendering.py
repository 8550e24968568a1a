"""Templates of the pages, and numbers, intervals and sections as they stand in them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any, Final

import pandas as pd
from jinja2 import Environment, PackageLoader, StrictUndefined

from petct_ext import __version__

__all__ = [
    "Cell",
    "KeyFigure",
    "PageSection",
    "Table",
    "as_table",
    "interval",
    "limits",
    "one_number",
    "render",
    "rounded",
    "templates",
    "with_intervals",
    "words",
]


@dataclass(frozen=True, slots=True)
class KeyFigure:
    """One number at the top of the page, with what it is and what limits it."""

    title: str
    value: str
    detail: str = ""


@dataclass(frozen=True, slots=True)
class PageSection:
    """A part of the page.

    Attributes:
        name: anchor.
        title: heading.
        data: what its template shows; None if there is nothing to show.
        figures: its contributions to the key figures, which are shown all the same.
        missing: what is not there, and why.
        target_kinds: who judged the targets of its numbers.
    """

    name: str
    title: str
    data: Mapping[str, Any] | None = None
    figures: tuple[KeyFigure, ...] = ()
    missing: tuple[tuple[str, str], ...] = ()
    target_kinds: tuple[str, ...] = ()


def render(template: str, sections: Sequence[PageSection], **facts: Any) -> str:
    """Returns a page that asks for nothing from outside.

    Args:
        template: file in ``templates/`` that extends ``base.html`` and shows the sections by name.
        sections: in the order of the page.
        facts: what else the template names, such as ``title``.

    Returns:
        The HTML text; every text in it is escaped.
    """
    named = {section.name.replace("-", "_"): section for section in sections}
    return templates().get_template(template).render(sections=sections, s=named, **facts)


@cache
def templates() -> Environment:
    """Returns the templates: text is escaped but in Markdown, and an unknown name is an error."""
    environment = Environment(
        loader=PackageLoader("petct_ext.pages"),
        autoescape=lambda name: name is None or not name.endswith(".md"),
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    environment.filters["as_table"] = as_table
    environment.globals["version"] = __version__
    return environment


_UNKNOWN: Final = "–"  # noqa: RUF001 - an en dash is what stands for "no value" in a table


@dataclass(frozen=True, slots=True)
class Cell:
    """A table cell that is sorted by ``value`` (None: unknown) instead of by its text."""

    text: str
    value: float | None

    @property
    def key(self) -> str:
        """What the page's script sorts by; empty if unknown."""
        return "" if self.value is None else f"{self.value:.10g}"


@dataclass(frozen=True, slots=True)
class Table:
    """A table ready to be shown: headings with whether they hold numbers, and rows of cells."""

    headings: list[tuple[str, bool]]
    rows: list[list[Cell | str]]


def rounded(value: Any, digits: int = 3) -> str:
    """Returns a number for people: whole numbers as they are, others rounded, a dash for NaN.

    Example:
        >>> rounded(0.12345), rounded(7), rounded(None) == rounded(float("nan"))
        ('0.123', '7', True)
    """
    if value is None or pd.isna(value):
        return _UNKNOWN
    if float(value).is_integer() and not isinstance(value, float):
        return str(int(value))
    if 0 < abs(value) < 10**-digits:
        return f"{value:.1e}"
    return f"{value:.{digits}f}"


def one_number(value: Any, digits: int = 3) -> Cell:
    """Returns a number that keeps its place among numbers where it is unknown."""
    unknown = value is None or pd.isna(value)
    return Cell(rounded(value, digits), None if unknown else float(value))


def words(value: Any) -> str:
    """Returns a remark, empty where there is none."""
    return "" if value is None or pd.isna(value) else str(value)


def interval(value: Any, low: Any, high: Any, *, digits: int = 3) -> Cell:
    """Returns ``value (low to high)``, sorted by ``value``."""
    cell = one_number(value, digits)
    if cell.value is None or rounded(low) == _UNKNOWN:
        return cell
    return Cell(f"{cell.text} ({rounded(low, digits)} to {rounded(high, digits)})", cell.value)


def limits(low: Any, high: Any, *, digits: int = 3) -> Cell:
    """Returns ``low to high``, sorted by ``low``."""
    cell = one_number(low, digits)
    if cell.value is None or rounded(high) == _UNKNOWN:
        return Cell(_UNKNOWN, None)
    return Cell(f"{cell.text} to {rounded(high, digits)}", cell.value)


def with_intervals(
    rows: pd.DataFrame, *names: str, low: str = "ci_low", high: str = "ci_high"
) -> pd.DataFrame:
    """Puts ``<name> (<name>_ci_low to <name>_ci_high)`` into each column, and words for notes."""
    cells: dict[str, Any] = {  # pandas' types know no columns of objects
        name: [
            interval(row.get(name), row.get(f"{name}_{low}"), row.get(f"{name}_{high}"))
            for row in rows.to_dict("records")
        ]
        for name in names
    }
    if "note" in rows.columns:
        cells["note"] = [words(note) for note in rows["note"]]
    return rows.assign(**cells)


def as_table(
    rows: pd.DataFrame | Sequence[Mapping[Any, Any]],
    headings: Mapping[str, str] | None = None,
) -> Table:
    """Chooses columns and formats their cells.

    Args:
        rows: the rows; cells may be text, numbers (rounded to three digits) or :class:`Cell`.
        headings: columns to show, in order, with their headings, as far as the rows have them; all
            columns if None.

    Returns:
        The cells as plain text, not escaped.
    """
    frame = pd.DataFrame(rows)
    headings = headings or {str(name): _heading(str(name)) for name in frame.columns}
    shown = {name: title for name, title in headings.items() if name in frame.columns}
    numeric = {name: _is_numeric(frame[name]) for name in shown}
    return Table(
        headings=[(title, numeric[name]) for name, title in shown.items()],
        rows=[
            [_cell(record[name], numeric[name]) for name in shown]
            for record in frame.to_dict("records")
        ],
    )


def _heading(column: str) -> str:
    words = column.removeprefix("num_").replace("_", " ")
    return {"num": "exams", "auroc": "AUROC", "f1": "F1"}.get(words, words)


def _is_numeric(column: pd.Series) -> bool:
    if len(column) and isinstance(column.iloc[0], Cell):
        return True
    return pd.api.types.is_numeric_dtype(column) and not pd.api.types.is_bool_dtype(column)


def _cell(value: Any, is_number: bool) -> Cell | str:
    if isinstance(value, Cell):
        return value
    if is_number:
        return one_number(value)
    return words(value)
