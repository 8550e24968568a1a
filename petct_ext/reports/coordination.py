"""Lists in which one head noun serves several adjectives."""

from __future__ import annotations

import re
from importlib.resources import files
from pathlib import Path
from typing import Final

from petct_ext.files import read_json

__all__ = ["MODIFIERS", "coordinated_regions"]

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


_PATTERNS: Final = tuple(
    (_list_pattern(adjective, _WORDS["heads"][head]), region)
    for adjective, regions in _WORDS["adjectives"].items()
    for head, region in regions.items()
)


_PLACES: Final = tuple(
    (re.compile(rf"\b(?:{place})\b", flags=re.IGNORECASE), region)
    for place, region in _WORDS["places"].items()
)
# "lymph nodes in the neck, both axillae and the mediastinum"
_NODES_IN: Final = re.compile(
    rf"\b(?:{_WORDS['heads']['node']})\s+(?:\w+\s+)?(?:in|of|within|throughout|involving|at)\s+"
    rf"(?P<list>(?:\b(?:the|{_BETWEEN}|{'|'.join(_WORDS['places'])}|regions?|areas?|stations?|sides?|of"
    r"|axillae?|axillas|hil(?:um|a)|groins?|fossae?|retroperitoneum)\b[\s,/()]*)+)",
    flags=re.IGNORECASE,
)


def coordinated_regions(text: str) -> list[tuple[int, int, str]]:
    """Finds adjectives that share a head noun, and places whose nodes are meant.

    Returns:
        ``(start, end, region)`` of each adjective or place.

    Example:
        >>> coordinated_regions("Thoracic and lumbar spine.")
        [(0, 8, 'thoracic_spine'), (13, 19, 'lumbar_spine')]
        >>> coordinated_regions("Nodes in the mediastinum.")
        [(13, 24, 'mediastinal_lymph_node')]
    """
    found = [
        (match.start(), match.end(), region)
        for pattern, region in _PATTERNS
        for match in pattern.finditer(text)
    ]
    for nodes in _NODES_IN.finditer(text):
        found.extend(
            (match.start(), match.end(), region)
            for pattern, region in _PLACES
            for match in pattern.finditer(text, nodes.start("list"), nodes.end("list"))
        )
    return found
