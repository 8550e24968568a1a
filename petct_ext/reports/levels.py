"""Vertebral levels and lymph node stations, single and in ranges or lists."""

from __future__ import annotations

import re
from typing import Final

__all__ = [
    "CODE",
    "LEVEL",
    "SACRAL_LEVEL",
    "STATION_LIST",
    "code_region",
    "level_regions",
    "listed_stations",
    "sacral_region",
]

_SPINE: Final = {
    "C": "cervical_spine",
    "T": "thoracic_spine",
    "L": "lumbar_spine",
    "S": "pelvic_skeleton",
}
_ORDER: Final = "CTLS"
_LAST: Final = {"C": 7, "T": 12, "L": 5, "S": 5}
LEVEL: Final = re.compile(
    r"\b(?:(?:vertebra(?:e|l\ bod(?:y|ies))?)\ (?:at\ |of\ )?)?"
    r"(?<![\w.])(?<!stage\ )(?<!Stage\ )(?<!score\ )(?<!grade\ )(?<!auville\ )(?!(?<=\()D[1-5]\))"
    r"(?P<first>C|T[hH]?|D|L)(?P<n>\d{1,2})"
    r"(?:\s?(?P<link>-|\u2013|/|to|through|down\ to|thru)\s?(?P<second>(?:C|T[hH]?|D|L|S)?)"
    r"(?P<m>\d{1,2}))?(?![\w%])"
    r"(?!\s*,?\s*(?:N[0-3x]|M[01x])\b)(?!\s*(?:tumou?r|cancer|carcinoma|disease|stage)\b)"
    r"(?!\s*(?:/\s*T\d\s*)?-?\s*(?:weighted|hyperintens|hypointens|signal|image|sequence))"
    r"(?:(?:\s+(?:left|right))?\s+(?:vertebral\ bod(?:y|ies)|vertebrae?|spinous\ process(?:es)?"
    r"|transverse\ process(?:es)?|facet\ joints?(?:\(s\))?|pedicles?|lamina|end-?plates?)\b)?"
)
"""Vertebral levels, single ("T4"), double ("L2/L3") and in ranges ("T4-L2", "Th4 to L2")."""
SACRAL_LEVEL: Final = re.compile(
    r"\bS[1-5]\s?[-/]\s?S[1-5]\b|(?<=L5\ and\ )S1\b|(?<=L5,\ )S1\b"
    r"|\bS[1-5](?:\s?[-/]\s?S?[1-5])?\s(?:vertebra\w*(?:\ bod(?:y|ies))?|bod(?:y|ies)|nerve\ root"
    r"|level)\b",
    flags=re.VERBOSE,
)
"""Sacral levels need a noun: "S6" alone may be a segment of the lung or a series of images."""
STATION_LIST: Final = re.compile(
    r"\b(?:(?:nodal|lymph node) )?(?:stations?|levels?)\s"
    r"(?P<codes>\d{1,2}[RLrl]?(?:\s?(?:,\s?and|,|/|&|and|or)\s?(?:stations?\s|levels?\s)?"
    r"\d{1,2}[RLrl]?){0,9})\b",
    flags=re.IGNORECASE,
)
"""Lists of stations; see :func:`listed_stations` for which of them count."""
CODE: Final = re.compile(r"\b(?<![\w.])(\d{1,2})([RL])(?![\w])(?!\s*(?:rib|mm|cm))")
"""Stations that stand alone: "4R"."""
_NUMBER: Final = re.compile(r"\b(\d{1,2})([RLrl]?)\b")
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


def level_regions(match: re.Match[str]) -> list[tuple[int, int, str]]:
    """Returns ``(start, end, region)`` of each part of the spine that a match of LEVEL names.

    A range names every part that it runs through. T stages ("T2 N1") and MRI weightings are not
    levels. The joint "L5/S1" counts as lumbar.

    Example:
        >>> match = LEVEL.search("Lesions from T4 to L2.")
        >>> [region for _, _, region in level_regions(match)]
        ['thoracic_spine', 'lumbar_spine']
    """
    first, number = _letter(match["first"]), int(match["n"])
    if not 1 <= number <= _LAST[first]:
        return []
    last = _letter(match["second"] or first)
    letters = first
    if match["link"] and 1 <= int(match["m"]) <= _LAST[last]:
        letters = _ORDER[_ORDER.index(first) : _ORDER.index(last) + 1]
        if first == "L" and number == _LAST["L"]:
            letters = first
    return [(match.start(), match.end(), _SPINE[letter]) for letter in letters]


def listed_stations(match: re.Match[str]) -> list[tuple[int, int, str]]:
    """Returns ``(start, end, region)`` of the stations in a match of STATION_LIST.

    A number without a letter counts only after the word station, or after the word level in a
    list that holds a number with a letter or one above 6: "level 2" alone is a level of the neck.

    Example:
        >>> match = STATION_LIST.search("Stations 4R, 7 and 10L.")
        >>> [region for _, _, region in listed_stations(match)]
        ['paratracheal_lymph_node', 'carinal_lymph_node', 'hilar_lymph_node']
    """
    codes = list(_NUMBER.finditer(match.string, match.start("codes"), match.end("codes")))
    is_station = "station" in match[0].lower() or any(c[2] or int(c[1]) > 6 for c in codes)
    return [x for code in codes if is_station for x in code_region(code)]


def code_region(match: re.Match[str]) -> list[tuple[int, int, str]]:
    """Returns ``(start, end, region)`` of a number with or without a letter, if it is a station.

    The span ends with the letter, which gives the side.
    """
    region = _STATIONS.get(int(match[1]))
    return [] if region is None else [(match.start(), match.end(), region)]


def sacral_region(match: re.Match[str]) -> list[tuple[int, int, str]]:
    """Returns ``(start, end, region)`` of a match of SACRAL_LEVEL."""
    return [(match.start(), match.end(), _SPINE["S"])]


def _letter(level: str) -> str:
    return "T" if level[0] in "TD" else level
