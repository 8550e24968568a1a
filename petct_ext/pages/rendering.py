"""Fills the templates: what a page consists of, and the frame around it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined

from petct_ext import __version__
from petct_ext.pages.cells import as_table

__all__ = ["KeyFigure", "PageSection", "render", "templates"]


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
