"""Finds where a report names an anatomical region."""

from __future__ import annotations

import re
import time
from bisect import bisect_left, bisect_right
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from itertools import accumulate
from typing import Final

from petct_ext.ontology import RegionOntology
from petct_ext.reports.coordination import LIST_PATTERNS, NODES_IN, places_of_nodes
from petct_ext.reports.laterality import (
    ELLIPSIS,
    LEFT,
    RIGHT,
    continues_list,
    side_after,
    side_before,
    side_inside,
)
from petct_ext.reports.levels import (
    CODE,
    LEVEL,
    SACRAL_LEVEL,
    STATION_LIST,
    code_region,
    level_regions,
    listed_stations,
    sacral_region,
)
from petct_ext.reports.prefilter import PatternIndex
from petct_ext.reports.readable import readable_text, unwrap
from petct_ext.reports.spelling import SpellingCorrector

__all__ = ["MAX_SECONDS", "Mention", "MentionFinder", "find_mentions"]

# Words that name a place without speaking of it: the extent of the scan, references for uptake.
_NOT_A_MENTION: Final = re.compile(
    r"\b(?:(?:from\ )?(?:the\ )?(?:skull\ base|base\ of\ (?:the\ )?skull|vertex|orbits?|head|eyes?)"
    r"\ (?:through|to)\ (?:the\ )?(?:\w+[- ]){0,2}(?:thighs?|knees?|feet|toes|pelvis)"
    r"|(?:bone|lung|soft\ tissue|brain)\ windows?"
    r"|(?:mediastinal|hepatic|liver)\ (?:blood\ pool|background|reference)(?!\ SUV)"
    r"|(?:above|below|than|to|of)\ (?:the\ )?(?:mediastinal|liver|hepatic)"
    r"\ (?:blood\ pool|activity|background|uptake)"
    r"|(?:uptake|activity|avidity|intensity|accumulation|metabolism|SUV(?:max)?)(?:\ [a-z]+){0,3}"
    r"\ (?:above|below|than|to|as|exceed(?:s|ing))\ (?:that\ (?:of|in)\ )?(?:the\ )?(?:normal\ )?"
    r"(?:liver|hepatic|mediastin(?:um|al))\b(?!\ (?:node|nodal|lymph|mass|lesion|metasta))"
    r"|left\ upper\ extremity\ injection|mid[- ]thighs?)\b",
    flags=re.IGNORECASE | re.VERBOSE,
)
_SENTENCE_END: Final = re.compile(
    r"[.;:](?=\s)|\n\s*\n|\n(?=\s*(?:\d+[.)]|[-*•]))|\.(?=[A-Z][a-z])"
)

MAX_SECONDS: Final = 20.0
"""Time for the mentions of one report: 2 kB take some milliseconds, 1 MB some seconds."""
_NODES_OF: Final = {
    "mediastinum": "mediastinal_lymph_node",
    "mesentery": "mesenteric_lymph_node",
}
_SIDE_WORDS: Final = re.compile(r"\b(?:left|right|both|bilateral)\s?", flags=re.IGNORECASE)
_ELLIPSIS_REACH: Final = 160
_MAX_FINDERS: Final = 8


@dataclass(frozen=True, slots=True, order=True)
class Mention:
    """A span of text that names a region.

    Attributes:
        start: offset of the first character, counted from the start of the text.
        end: offset one past the last character, so that ``text[start:end]`` is the span.
        region: name of the region in the ontology.
    """

    start: int
    end: int
    region: str


def find_mentions(
    text: str, ontology: RegionOntology, *, seconds: float = MAX_SECONDS
) -> tuple[Mention, ...]:
    """Finds every mention of a region in ``text``.

    - Of two mentions of which one covers the other, the longer one wins, as it is more specific
      ("pelvic bones" is not "pelvis"); on equal spans a part wins over what contains it, and
      regions unrelated to each other are both kept ("hepatosplenomegaly").
    - Sides: "left", "right", "both" and "bilateral" before or after a region that has sides in the
      ontology (``left_<part>`` within it) turn it into that side; in lists a side holds
      until the next one. "Bilateral hilar nodes" yields the two sides and, with the same
      span, the region that contains them; :func:`petct_ext.labels.aggregation.exam_labels` counts a
      span once.
    - Lists share their head noun: "cervical and thoracic spine", "abdominal and pelvic nodes".
    - Node stations (4R, 7, 10L) and vertebral levels (T4-L2) are regions too.
    - A side alone stands for the last region with sides: "in the left hilum, also in the right".
    - "Lymph node" without a site is dropped where its sentence names a site.
    - Wrapped lines, odd spaces, quotes and markup do not matter, see
      :mod:`petct_ext.reports.readable`.

    Whether a region is said to be normal or abnormal is not decided here.

    Args:
        text: report text, unchanged. Offsets refer to it, so do not strip or lower it.
        ontology: regions to look for.
        seconds: give up after this time.

    Returns:
        Mentions in the order of ``start``, then ``end``, then ``region``.

    Raises:
        InputDataError: if the time is up; names the pattern that is to blame.

    Example:
        >>> text = "Uptake in the left lung; liver normal."
        >>> [(m.region, text[m.start:m.end]) for m in find_mentions(text, RegionOntology.default())]
        [('left_lungs', 'left lung'), ('liver', 'liver')]
    """
    return _finder(ontology).find(text, seconds=seconds)


class MentionFinder:
    """What :func:`find_mentions` needs to know of an ontology, prepared once.

    Args:
        ontology: regions to look for.
    """

    def __init__(self, ontology: RegionOntology) -> None:
        self.ontology = ontology
        self._spelling = SpellingCorrector(ontology)
        patterns = [(("region", name), p) for name in ontology for p in ontology.patterns(name)]
        patterns += [(("listed", name), p) for name, p in LIST_PATTERNS if name in ontology]
        patterns += [((kind, ""), p) for kind, p in _KINDS]
        self._index = PatternIndex(patterns)
        self._sides: dict[str, dict[str, str]] = {}
        for name in ontology:
            side, _, rest = name.partition("_")
            if side in (LEFT, RIGHT) and rest in ontology[name].within:
                self._sides.setdefault(rest, {})[side] = name

    def find(self, text: str, *, seconds: float = MAX_SECONDS) -> tuple[Mention, ...]:
        """Returns the mentions in ``text``; see :func:`find_mentions`.

        Args:
            text: report text, unchanged.
            seconds: give up after this time.

        Raises:
            InputDataError: if the time is up.
        """
        deadline_s = time.monotonic() + seconds
        unwrapped = unwrap(readable_text(text))
        corrected = self._spelling.correct(unwrapped.text)
        joined = corrected.text
        found = _resolve(self._all_matches(joined, deadline_s), self.ontology)
        found = _nodes_in_lists(found, joined, self.ontology)
        sided = [*_with_sides(found, joined, self._sides)]
        sided += _other_side(sided, joined, self._sides)
        kept = set(_without_vague_nodes(sided, joined, self.ontology))
        return tuple(
            sorted(
                Mention(*unwrapped.original(*corrected.original(m.start, m.end)), m.region)
                for m in kept
            )
        )

    def _all_matches(self, text: str, deadline_s: float) -> set[Mention]:
        found: set[Mention] = set()
        listed: list[Mention] = []
        codes: list[tuple[int, int, str]] = []
        ignored: list[tuple[int, int]] = []
        for start, end, (kind, name), match in self._index.find(text, deadline_s=deadline_s):
            if kind == "region":
                found.add(Mention(start, end, name))
            elif kind == "listed":
                listed.append(Mention(start, end, name))
            elif kind == "ignored":
                ignored.append((start, end))
            elif kind == "nodes_in":
                listed += [Mention(*x) for x in places_of_nodes(match)]
            else:
                codes += _CODES[kind](match)
        listed = [mention for mention in listed if mention.region in self.ontology]
        # The head noun decides: "mesenteric" before "nodes" is not the peritoneum.
        found = _outside(found, [(m.start, m.end) for m in listed])
        found.update(listed)
        found.update(Mention(*x) for x in codes if x[2] in self.ontology)
        return _outside(found, ignored)


_CODES: Final[Mapping[str, Callable[[re.Match[str]], list[tuple[int, int, str]]]]] = {
    "level": level_regions,
    "stations": listed_stations,
    "station": code_region,
    "sacral": sacral_region,
}
_KINDS: Final = (
    ("level", LEVEL),
    ("sacral", SACRAL_LEVEL),
    ("stations", STATION_LIST),
    ("station", CODE),
    ("nodes_in", NODES_IN),
    ("ignored", _NOT_A_MENTION),
)
_FINDERS: dict[int, MentionFinder] = {}


def _finder(ontology: RegionOntology) -> MentionFinder:
    # Keyed by identity: a mapping has no hash. The finder keeps the ontology, and so its id, alive.
    finder = _FINDERS.get(id(ontology))
    if finder is None:
        if len(_FINDERS) >= _MAX_FINDERS:
            _FINDERS.clear()
        finder = _FINDERS[id(ontology)] = MentionFinder(ontology)
    return finder


def _outside(found: set[Mention], spans: Iterable[tuple[int, int]]) -> set[Mention]:
    """Drops mentions that lie within one of the spans."""
    ordered = sorted(spans)
    if not ordered:
        return found
    starts = [start for start, _ in ordered]
    reach = list(accumulate((end for _, end in ordered), max))

    def is_inside(mention: Mention) -> bool:
        number = bisect_right(starts, mention.start)
        return number > 0 and reach[number - 1] >= mention.end

    return {mention for mention in found if not is_inside(mention)}


def _resolve(found: Iterable[Mention], ontology: RegionOntology) -> list[Mention]:
    """Keeps the longest of mentions that cover each other, the most specific of equal ones."""
    kept: list[Mention] = []
    reach = (-1, -1)  # end and start of the mention that reaches furthest
    for mention in sorted(found, key=lambda m: (m.start, -m.end, m.region)):
        end, start = reach
        if end > mention.end or (end == mention.end and start < mention.start):
            continue
        if mention.end > end:
            reach = (mention.end, mention.start)
        kept.append(mention)
    spans: dict[tuple[int, int], set[str]] = {}
    for mention in kept:
        spans.setdefault((mention.start, mention.end), set()).add(mention.region)
    return [
        m
        for m in kept
        if not any(m.region in ontology.containers(other) for other in spans[m.start, m.end])
    ]


def _nodes_in_lists(found: list[Mention], text: str, ontology: RegionOntology) -> list[Mention]:
    """Reads a place as its nodes where it stands in a list of sites of nodes.

    "Uptake in the mediastinum, left hilum and porta hepatis" speaks of mediastinal nodes.
    """
    if "lymph_node" not in ontology:
        return found
    sites = ontology.parts("lymph_node")
    result = list(found)
    for i, mention in enumerate(found):
        nodes = _NODES_OF.get(text[mention.start : mention.end].lower())
        if nodes is None or nodes not in ontology:
            continue
        before = i > 0 and found[i - 1].region in sites
        after = i + 1 < len(found) and found[i + 1].region in sites
        if (before and _is_link(text[found[i - 1].end : mention.start])) or (
            after and _is_link(text[mention.end : found[i + 1].start])
        ):
            result[i] = Mention(mention.start, mention.end, nodes)
    return result


def _is_link(between: str) -> bool:
    return continues_list(_SIDE_WORDS.sub("", between))


def _with_sides(
    found: list[Mention], text: str, sided: Mapping[str, Mapping[str, str]]
) -> Iterator[Mention]:
    previous_end, carried = -1, frozenset[str]()
    for mention in found:
        parts = sided.get(mention.region)
        if parts is None:
            if not _names_a_side(mention.region):
                carried = frozenset()
            previous_end = mention.end
            yield mention
            continue
        sides, start = side_before(text, mention.start)
        sides = sides or side_inside(text, mention.start, mention.end)
        if not sides and continues_list(text[max(0, previous_end) : mention.start]):
            sides = carried
        carried = sides
        sides = sides or side_after(text, mention.start, mention.end)
        previous_end = mention.end
        yield from _on_sides(Mention(start, mention.end, mention.region), sides, parts)


def _on_sides(
    mention: Mention, sides: frozenset[str], parts: Mapping[str, str]
) -> Iterator[Mention]:
    if len(sides) != 1:
        yield mention
    for side in sorted(sides):
        yield Mention(mention.start, mention.end, parts.get(side, mention.region))


def _names_a_side(region: str) -> bool:
    return region.startswith(("left_", "right_"))


def _other_side(
    found: list[Mention], text: str, sided: Mapping[str, Mapping[str, str]]
) -> Iterator[Mention]:
    """Mentions of a side alone: "uptake in the left hilum, also in the right"."""
    for match in ELLIPSIS.finditer(text):
        start, end = match.span("side")
        before = [m for m in found if match.start() - _ELLIPSIS_REACH < m.end <= match.start()]
        before = [m for m in before if not _SENTENCE_END.search(text, m.end, start)]
        if not before:
            continue
        last = max(before, key=lambda m: m.end)
        base = last.region.split("_", 1)[1] if _names_a_side(last.region) else last.region
        side = match["side"].lower()
        if base in sided and last.region != f"{side}_{base}" and side in sided[base]:
            yield Mention(start, end, sided[base][side])


def _without_vague_nodes(
    found: Iterable[Mention], text: str, ontology: RegionOntology
) -> list[Mention]:
    mentions = list(found)
    if "lymph_node" not in ontology or not any(m.region == "lymph_node" for m in mentions):
        return mentions
    sites = ontology.parts("lymph_node")
    ends = [match.start() for match in _SENTENCE_END.finditer(text)]
    sentence = {m: bisect_left(ends, m.start) for m in mentions}
    named = {sentence[m] for m in mentions if m.region in sites}
    return [m for m in mentions if m.region != "lymph_node" or sentence[m] not in named]
