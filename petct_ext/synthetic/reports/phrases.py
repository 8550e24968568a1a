"""Phrases with marked regions, from which reports are put together.

Text under construction carries its mentions inside itself, so that it can be joined, respelled and
capitalized freely; :func:`resolve` turns it into plain text and exact offsets at the very end. The
notation of ``phrases.json``::

    <a|b>             one of them, chosen at random; may be nested and empty
    {slot}            filled in
    [region|words]    mention of a region said to be normal
    [region!|words]   mention of a region said to be abnormal
    [words]           mention of the region that the sentence is about
    lesion*           plural mark
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from typing import Any

import numpy as np

from petct_ext.files import read_json

__all__ = [
    "ReportMention",
    "compose",
    "load_phrases",
    "mark",
    "marked_regions",
    "number",
    "pick",
    "resolve",
    "respell",
    "sentence",
]

_CHOICE = re.compile(r"<([^<>]*)>")
_SLOT = re.compile(r"\{(\w+?)(?:_cap)?\}")
_BRACKET = re.compile(r"\[(?:(?P<region>[a-z_]+)(?P<abnormal>!?)\|)?(?P<words>[^\]|]*)\]")
_MARK = re.compile(r"\ue000(?P<region>[a-z_]+)(?P<abnormal>[01])\ue001(?P<words>[^\ue002]*)\ue002")
_HEAD = r"(?:\ue000[a-z_]+[01]\ue001)?"
_NODE_WORD = re.compile(r"\ue002 ((?:lymph ?)?nodes?|lymphadenopathy|adenopathy)\b")
_ARTICLE = re.compile(
    rf"\b([Aa])(?= {_HEAD}(?:[aeioAEIO]|u(?!ni|ter|ro)|8|11\b|18\b|FDG|SUV|L[UL]L|RML))"
)
_PLURALS = {"metastas": ("metastasis", "metastases"), "focus": ("focus", "foci")}


@dataclass(frozen=True, slots=True, order=True)
class ReportMention:
    """A region named in a report, as a careful annotator would judge it.

    Attributes:
        start: offset of the first character in the report's text.
        end: offset one past the last character.
        region: name of the region in the ontology.
        abnormal: whether the text says that the region is abnormal.
    """

    start: int
    end: int
    region: str
    abnormal: bool


@cache
def load_phrases() -> Mapping[str, Any]:
    """Returns the phrases of the package (``phrases.json``)."""
    document: Mapping[str, Any] = read_json(str(files(__package__) / "phrases.json"))
    return document


def pick(rng: np.random.Generator, options: Sequence[str]) -> str:
    """Returns one of the options."""
    return options[int(rng.integers(len(options)))]


def mark(region: str, words: str, *, abnormal: bool) -> str:
    """Returns ``words`` marked as a mention of ``region``."""
    return f"\ue000{region}{int(abnormal)}\ue001{words}\ue002"


def compose(
    template: str,
    rng: np.random.Generator,
    *,
    slots: Mapping[str, str] | None = None,
    region: str = "",
    abnormal: bool = True,
) -> str:
    """Turns a template into marked text: chooses, fills in and marks.

    Args:
        template: in the notation of the module.
        rng: source of randomness.
        slots: values by slot name; ``{name_cap}`` takes the value of ``name``.
        region: the region that ``[words]`` without a region mentions.
        abnormal: whether ``[words]`` says that this region is abnormal.
    """
    while _CHOICE.search(template):
        template = _CHOICE.sub(lambda found: pick(rng, found[1].split("|")), template)
    if slots:
        template = _SLOT.sub(lambda found: slots[found[1]], template)

    def marked(found: re.Match[str]) -> str:
        if found["region"]:
            return mark(found["region"], found["words"], abnormal=bool(found["abnormal"]))
        return mark(region, found["words"], abnormal=abnormal)

    return _BRACKET.sub(marked, template)


def number(text: str, *, plural: bool) -> str:
    """Resolves the plural marks: ``lesion*`` becomes lesion or lesions."""

    def inflect(found: re.Match[str]) -> str:
        word = found[1]
        if word in _PLURALS:
            return _PLURALS[word][plural]
        ending = "es" if word.endswith("s") else "s"
        return word + ending * plural

    return re.sub(r"(\w+)\*", inflect, text)


def sentence(marked: str) -> str:
    """Mends articles, draws "nodes" into the mention before it, capitalizes the first letter."""
    marked = _NODE_WORD.sub(lambda found: f" {found[1]}\ue002", marked)
    marked = _ARTICLE.sub(r"\1n", marked)
    return re.sub(rf"^({_HEAD})([a-z])", lambda found: found[1] + found[2].upper(), marked)


def marked_regions(marked: str, *, abnormal: bool) -> set[str]:
    """Returns the regions that marked text calls abnormal, or those it calls normal."""
    return {m["region"] for m in _MARK.finditer(marked) if (m["abnormal"] == "1") == abnormal}


def respell(marked: str, spelling: Mapping[str, str]) -> str:
    """Replaces spellings outside the marks' region names."""
    pieces = re.split(r"(\ue000[a-z_]+[01]\ue001)", marked)
    for i in range(0, len(pieces), 2):
        for american, british in spelling.items():
            pieces[i] = pieces[i].replace(american, british)
    return "".join(pieces)


def resolve(marked: str) -> tuple[str, tuple[ReportMention, ...]]:
    """Returns plain text and the mentions in it, in order."""
    text, mentions, last = "", [], 0
    for found in _MARK.finditer(marked):
        text += marked[last : found.start()]
        start = len(text)
        text += found["words"]
        mentions.append(
            ReportMention(start, len(text), found["region"], abnormal=found["abnormal"] == "1")
        )
        last = found.end()
    return text + marked[last:], tuple(mentions)
