"""Finds where a report names an anatomical region."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

from petct_ext.ontology import RegionOntology
from petct_ext.reports.coordination import coordinated_regions
from petct_ext.reports.laterality import (
    LEFT,
    RIGHT,
    continues_list,
    side_after,
    side_before,
    side_inside,
)
from petct_ext.reports.levels import station_regions, vertebral_regions

__all__ = ["Mention", "MentionFinder", "find_mentions", "place_of_mention"]

# Words that name a place without speaking of it: the extent of the scan, references for uptake.
_NOT_A_MENTION: Final = re.compile(
    r"\b(?:(?:from\ )?(?:the\ )?(?:skull\ base|base\ of\ (?:the\ )?skull|vertex|orbits?|head|eyes?)"
    r"\ (?:through|to)\ (?:the\ )?(?:\w+[- ]){0,2}(?:thighs?|knees?|feet|toes|pelvis)"
    r"|(?:bone|lung|soft\ tissue|brain)\ windows?"
    r"|(?:mediastinal|hepatic|liver)\ (?:blood\ pool|background|reference)(?!\ SUV)"
    r"|(?:above|below|than|to|of)\ (?:the\ )?(?:mediastinal|liver|hepatic)"
    r"\ (?:blood\ pool|activity|background|uptake)"
    r"|left\ upper\ extremity\ injection|mid[- ]thighs?)\b",
    flags=re.IGNORECASE | re.VERBOSE,
)
_SENTENCE_END: Final = re.compile(
    r"[.;:](?=\s)|\n\s*\n|\n(?=\s*(?:\d+[.)]|[-*•]))|\.(?=[A-Z][a-z])"
)

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


def place_of_mention(item: Mapping[str, Any], mention: Mapping[str, Any]) -> dict[str, Any]:
    """Returns the columns of the table MENTIONS that say where a mention stands.

    Args:
        item: sentence of a report, see :mod:`petct_ext.data.report_items`.
        mention: one of its mentions.
    """
    return {
        "exam_id": item["exam_id"],
        "section": item["section"],
        "sentence": item["sentence"],
        "start": mention["start"],
        "end": mention["end"],
        "region": mention["region"],
    }


def find_mentions(text: str, ontology: RegionOntology) -> tuple[Mention, ...]:
    """Finds every mention of a region in ``text``.

    - Of two mentions of which one covers the other, the longer one wins, as it is more specific
      ("pelvic bones" is not "pelvis"); on equal spans a part wins over what contains it, and
      regions unrelated to each other are both kept ("hepatosplenomegaly").
    - Sides: "left", "right", "both" and "bilateral" before or after a region that has sides in the
      ontology (``left_<part>`` within it) turn it into that side; in lists a side holds
      until the next one. "Bilateral hilar nodes" yields the two sides and, with the same
      span, the region that contains them; :func:`petct_ext.labels.exam_labels` counts a
      span once.
    - Lists share their head noun: "cervical and thoracic spine", "abdominal and pelvic nodes".
    - Node stations (4R, 7, 10L) and vertebral levels (T4-L2) are regions too.
    - "Lymph node" without a site is dropped where its sentence names a site.

    Whether a region is said to be normal or abnormal is not decided here.

    Args:
        text: report text, unchanged. Offsets refer to it, so do not strip or lower it.
        ontology: regions to look for.

    Returns:
        Mentions in the order of ``start``, then ``end``, then ``region``.

    Example:
        >>> text = "Uptake in the left lung; liver normal."
        >>> [(m.region, text[m.start:m.end]) for m in find_mentions(text, RegionOntology.default())]
        [('left_lungs', 'left lung'), ('liver', 'liver')]
    """
    return _finder(ontology).find(text)


class MentionFinder:
    """What :func:`find_mentions` needs to know of an ontology, prepared once.

    Args:
        ontology: regions to look for.
    """

    def __init__(self, ontology: RegionOntology) -> None:
        self.ontology = ontology
        self._patterns = [(name, p) for name in ontology for p in ontology.patterns(name)]
        self._sides: dict[str, dict[str, str]] = {}
        for name in ontology:
            side, _, rest = name.partition("_")
            if side in (LEFT, RIGHT) and rest in ontology[name].within:
                self._sides.setdefault(rest, {})[side] = name

    def find(self, text: str) -> tuple[Mention, ...]:
        """Returns the mentions in ``text``; see :func:`find_mentions`."""
        found = _resolve(self._all_matches(text), self.ontology)
        sided = _with_sides(found, text, self._sides)
        return tuple(sorted(set(_without_vague_nodes(sided, text, self.ontology))))

    def _all_matches(self, text: str) -> set[Mention]:
        found = {
            Mention(match.start(), match.end(), region)
            for region, pattern in self._patterns
            for match in pattern.finditer(text)
            if match.end() > match.start()
        }
        listed = [Mention(*x) for x in coordinated_regions(text) if x[2] in self.ontology]
        for mention in listed:
            # The head noun decides: "mesenteric" before "nodes" is not the peritoneum.
            found = {m for m in found if not (mention.start <= m.start and m.end <= mention.end)}
        found.update(listed)
        codes = [*vertebral_regions(text), *station_regions(text)]
        found.update(Mention(*x) for x in codes if x[2] in self.ontology)
        for ignored in _NOT_A_MENTION.finditer(text):
            first, last = ignored.span()
            found = {m for m in found if not (first <= m.start and m.end <= last)}
        return found


_FINDERS: dict[int, MentionFinder] = {}


def _finder(ontology: RegionOntology) -> MentionFinder:
    # Keyed by identity: a mapping has no hash. The finder keeps the ontology, and so its id, alive.
    finder = _FINDERS.get(id(ontology))
    if finder is None:
        if len(_FINDERS) >= _MAX_FINDERS:
            _FINDERS.clear()
        finder = _FINDERS[id(ontology)] = MentionFinder(ontology)
    return finder


def _resolve(found: Iterable[Mention], ontology: RegionOntology) -> list[Mention]:
    """Keeps the longest of mentions that cover each other, the most specific of equal ones."""
    ordered = sorted(found, key=lambda m: (m.start, -m.end, m.region))
    kept: list[Mention] = []
    for mention in ordered:
        around = [m for m in kept if m.start <= mention.start and mention.end <= m.end]
        longer = any(m.end - m.start > mention.end - mention.start for m in around)
        if not longer:
            kept.append(mention)
    spans: dict[tuple[int, int], set[str]] = {}
    for mention in kept:
        spans.setdefault((mention.start, mention.end), set()).add(mention.region)
    return [
        m
        for m in kept
        if not any(m.region in ontology.containers(other) for other in spans[m.start, m.end])
    ]


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


def _without_vague_nodes(
    found: Iterable[Mention], text: str, ontology: RegionOntology
) -> list[Mention]:
    mentions = list(found)
    if "lymph_node" not in ontology or not any(m.region == "lymph_node" for m in mentions):
        return mentions
    sites = ontology.parts("lymph_node")
    ends = [match.start() for match in _SENTENCE_END.finditer(text)]
    sentence = {m: sum(end < m.start for end in ends) for m in mentions}
    named = {sentence[m] for m in mentions if m.region in sites}
    return [m for m in mentions if m.region != "lymph_node" or sentence[m] not in named]
