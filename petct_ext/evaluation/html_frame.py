"""The frame of a self-contained page: heading, navigation, sections, style and script."""

from __future__ import annotations

import re
from collections.abc import Sequence
from html import escape
from importlib.resources import files

from petct_ext import __version__
from petct_ext.errors import InputDataError
from petct_ext.evaluation.html_elements import Section, key_figures

__all__ = ["render_page"]


def render_page(title: str, sections: Sequence[Section], *, lead: str, notices: str = "") -> str:
    """Returns a page that asks for nothing from outside.

    Args:
        title: heading.
        sections: those without a body are left out; their key figures are shown all the same.
        lead: a sentence or two below the heading, plain text.
        notices: HTML of boxes below that.

    Returns:
        The HTML text.
    """
    shown = [section for section in sections if section.body]
    figures = [figure for section in sections for figure in section.figures]
    main = "".join(
        f'<section id="{section.name}">\n<h2>{escape(section.title)}</h2>\n{section.body}'
        "</section>\n"
        for section in shown
    )
    links = "".join(f'<li><a href="#{s.name}">{escape(s.title)}</a></li>\n' for s in shown)
    return _TEMPLATE.format(
        title=escape(title),
        lead=escape(lead),
        css=_resource("page.css"),
        js=_resource("page.js"),
        links=links,
        notices=notices,
        figures=key_figures(figures),
        main=main,
        version=escape(__version__),
    )


def _resource(name: str) -> str:
    text = (files("petct_ext.evaluation") / name).read_text(encoding="utf-8")
    # An end tag inside would close the element that holds it.
    if re.search(r"</(?:style|script)", text, flags=re.IGNORECASE):
        raise InputDataError(f"{name} holds an end tag; the page would break.")
    return text


_TEMPLATE = """<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta http-equiv="Content-Security-Policy" content="default-src 'none'; img-src data:; \
style-src 'unsafe-inline'; script-src 'unsafe-inline'">
<title>{title}</title>
<style>
{css}</style>
</head>
<body>
<div class="page">
<nav aria-label="Sections"><ol>
<li><a href="#top">Overview</a></li>
{links}</ol></nav>
<main id="top">
<header>
<h1>{title}</h1>
<p class="lead">{lead} Click a column heading to sort a table.</p>
{notices}{figures}</header>
{main}<footer>Made by petct_ext {version}. Exam and patient ids are pseudonyms. Method: Eyuboglu et
al., Multi-task weak supervision enables anatomically-resolved abnormality detection in whole-body
FDG-PET/CT, Nature Communications 12:1880 (2021).</footer>
</main>
</div>
<script>
{js}</script>
</body>
</html>
"""
