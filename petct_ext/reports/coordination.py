"""Lists in which one head noun serves several adjectives."""

from __future__ import annotations

import re
from importlib.resources import files
from pathlib import Path
from typing import Final

from petct_ext.files import read_json

__all__ = ["LIST_PATTERNS", "MODIFIERS", "NODES_IN", "places_of_nodes"]

_WORDS: Final = read_json(Path(str(files("petct_ext.reports") / "coordination.json")))

MODIFIERS: Final[str] = "|".join(_WORDS["modifiers"])
"""Words that may stand between a side and the region it belongs to."""

_BETWEEN: Final = "|".join(sorted(_WORDS["between"], key=len, reverse=True))


def _list_pattern(adjective: str, head: str) -> re.Pattern[str]:
    return re.compile(
        rf"\b(?:{adjective})\b(?=(?:(?:\s*[,/&]\s*|\s+|-)(?:{_BETWEEN})\b){{0,14}}"
        rf"(?:\s*,\s*|\s+|-)(?:{head})\b)",
        flags=re.IGNORECASE,
    )


LIST_PATTERNS: Final = tuple(
    (region, _list_pattern(adjective, _WORDS["heads"][head]))
    for adjective, regions in _WORDS["adjectives"].items()
    for head, region in regions.items()
)
"""A region and the pattern of the adjective that names it where a list's head noun follows."""


_PLACES: Final = tuple(
    (region, re.compile(rf"\b(?:{place})\b", flags=re.IGNORECASE))
    for place, region in _WORDS["places"].items()
)
_LISTED: Final = "|".join(
    ["the", _BETWEEN, *_WORDS["places"], *_WORDS["sites"], "regions?", "areas?", "stations?"]
)
NODES_IN: Final = re.compile(
    rf"\b(?:{_WORDS['heads']['node']})(?:\s(?:stations?|regions?|areas?|groups?|basins?|chains?"
    r"|disease|involvement|metastas[ei]s|masses))?"
    r"(?:\s?[:(]|,?\s(?:\w+\s)?(?:in|of|within|throughout|involving|at|along|including|such\sas"
    r"|namely|e\.g\.,?))\s?"
    rf"(?P<list>(?:\b(?:{_LISTED}|sides?|of)\b[\s,/()]{{0,3}}){{1,40}})",
    flags=re.IGNORECASE,
)
"""Nodes and the places where they are: "nodes in the neck, both axillae and the mediastinum"."""


def places_of_nodes(nodes: re.Match[str]) -> list[tuple[int, int, str]]:
    """Returns ``(start, end, region)`` of the places in a match of NODES_IN.

    Example:
        >>> places_of_nodes(NODES_IN.search("Nodes in the mediastinum."))
        [(13, 24, 'mediastinal_lymph_node')]
    """
    return [
        (match.start(), match.end(), region)
        for region, pattern in _PLACES
        for match in pattern.finditer(nodes.string, nodes.start("list"), nodes.end("list"))
    ]
