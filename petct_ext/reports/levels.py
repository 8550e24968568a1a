"""Vertebral levels and lymph node stations, single and in ranges or lists."""

from __future__ import annotations

import re
from typing import Final

__all__ = ["station_regions", "vertebral_regions"]

_SPINE: Final = {
    "C": "cervical_spine",
    "T": "thoracic_spine",
    "D": "thoracic_spine",
    "L": "lumbar_spine",
}
_ORDER: Final = "CTLS"
_LAST: Final = {"C": 7, "T": 12, "D": 12, "L": 5, "S": 5}
_LEVEL: Final = re.compile(
    r"(?:\b(?:vertebra(?:e|l\ bod(?:y|ies))?)\ (?:at\ |of\ )?)?"
    r"(?<![\w.])(?P<first>[CTDL])(?P<n>\d{1,2})"
    r"(?:\s*(?P<link>-|\u2013|/|to|through)\s*(?P<second>[CTDLS]?)(?P<m>\d{1,2}))?(?![\w%])"
    r"(?!\s*(?:N[0-3x]|M[01x])\b)"
    r"(?!\s*(?:/\s*T\d\s*)?-?\s*(?:weighted|hyperintens|hypointens|signal|image|sequence))"
    r"(?:(?:\s+(?:left|right))?\s+(?:vertebral\ bod(?:y|ies)|vertebrae?|spinous\ process(?:es)?"
    r"|transverse\ process(?:es)?|facet\ joints?(?:\(s\))?|pedicles?|lamina|end-?plates?)\b)?"
)
_STATION_LIST: Final = re.compile(
    r"\b(?:nodal |lymph node )?(?:stations?|levels?)\s+"
    r"(?P<codes>\d{1,2}[RLrl]?(?:(?:\s*(?:,|/|&|and|or|,\s*and)\s*)(?:stations?\s+|level\s+)?\d{1,2}[RLrl]?)*)\b",
    flags=re.IGNORECASE,
)
_CODE: Final = re.compile(r"\b(\d{1,2})([RLrl]?)\b")
_BARE_CODE: Final = re.compile(r"(?<![\w.])(\d{1,2})([RL])(?![\w])(?!\s*(?:rib|mm|cm))")
_STATIONS: Final = {
    1: "supraclavicular_lymph_node",
    2: "paratracheal_lymph_node",
    3: "mediastinal_lymph_node",
    4: "paratracheal_lymph_node",
    5: "aortopulmonary_lymph_node",
    6: "mediastinal_lymph_node",
    7: "carinal_lymph_node",
    8: "mediastinal_lymph_node",
    9: "mediastinal_lymph_node",
    **dict.fromkeys((10, 11, 12, 13, 14), "hilar_lymph_node"),
}
"""Stations of the IASLC map (Rusch et al. 2009)."""


def vertebral_regions(text: str) -> list[tuple[int, int, str]]:
    """Finds vertebral levels ("T4", "L2/L3") and ranges ("T4-L2").

    A range names every part of the spine it runs through. T stages ("T2 N1") and MRI weightings
    are not levels. The joint "L5/S1" counts as lumbar.

    Returns:
        ``(start, end, region)``.

    Example:
        >>> [region for _, _, region in vertebral_regions("Lesions from T4 to L2.")]
        ['thoracic_spine', 'lumbar_spine']
    """
    found: list[tuple[int, int, str]] = []
    for match in _LEVEL.finditer(text):
        first, number = match["first"], int(match["n"])
        if not 1 <= number <= _LAST[first]:
            continue
        last = match["second"] or first
        letters = [_letter(first)]
        if match["link"] and 1 <= int(match["m"]) <= _LAST[last]:
            letters = list(_ORDER[_ORDER.index(_letter(first)) : _ORDER.index(_letter(last)) + 1])
        found.extend(
            (match.start(), match.end(), _SPINE[letter]) for letter in letters if letter in _SPINE
        )
    return found


def station_regions(text: str) -> list[tuple[int, int, str]]:
    """Finds thoracic lymph node stations ("4R", "station 7", "stations 4R, 7 and 10L").

    A number without a letter counts only after the word station, or in a list after the word level
    that also holds a number with a letter: "level 2" alone is a level of the neck.

    Returns:
        ``(start, end, region)``; the span of a code ends with its letter, which gives the side.

    Example:
        >>> [region for _, _, region in station_regions("Stations 4R, 7 and 10L.")]
        ['paratracheal_lymph_node', 'carinal_lymph_node', 'hilar_lymph_node']
    """
    found: dict[int, tuple[int, int, str]] = {}
    for listed in _STATION_LIST.finditer(text):
        is_station = "station" in listed[0].lower()
        if not is_station and not re.search(r"\d[RLrl]\b", listed["codes"]):
            continue
        for code in _CODE.finditer(text, listed.start("codes"), listed.end("codes")):
            _add(found, code)
    for code in _BARE_CODE.finditer(text):
        _add(found, code)
    return sorted(found.values())


def _add(found: dict[int, tuple[int, int, str]], code: re.Match[str]) -> None:
    region = _STATIONS.get(int(code[1]))
    if region is not None:
        found[code.start()] = (code.start(), code.end(), region)


def _letter(level: str) -> str:
    return "T" if level == "D" else level
