"""Splits a report into history, technique, comparison, findings and impression."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final

__all__ = ["TAGGED_SECTIONS", "Section", "is_heading", "split_sections"]

TAGGED_SECTIONS: Final = ("findings", "impression")
"""Sections that say what this exam shows; regions are looked for in these only."""

_CORES: Final = {
    "history": r"""(?:(?:brief|pertinent|relevant|oncologic(?:al)?)\ )?(?:
        (?:stated\ )?reason\ for\ (?:the\ |this\ )?(?:request|exam(?:ination)?|study|referral|scan
            |visit)
        |clinical(?:\ (?:history|information|data|indications?|details|statement|context
            |presentation|background|question|diagnosis|summary))?
        |(?:patient\ |medical\ )?history(?:\ of\ present\ illness)?
        |indications?(?:\ (?:and|&)\ history)?|history\ (?:and|&)\ indications?
        |referral\ diagnosis|request)""",
    "technique": r"""(?:(?:PET/?-?CT|PET|CT|imaging|scan(?:ning)?|study)\ )?(?:
        techni(?:que|cal(?:\ (?:details|factors|information))?)|procedures?|protocol|methods?
        |examinations?|exam|study|radiopharmaceutical|(?:radio)?tracer|injected\ (?:dose|activity)
        |description\ of\ procedure|scan\ region|attenuation\ correction|administration\ time
        |blood\ (?:glucose|sugar)(?:\ level)?|medications?|contrast)""",
    "comparison": r"""(?:comparisons?(?:\ (?:studies|study|exams?|imaging|scans?))?
        |prior\ (?:studies|study|exams?|imaging)|compared\ (?:to|with))""",
    "findings": r"""(?:(?:F-?18[- ]?)?(?:FDG[- ]?)?(?:PET\ ?[-/]?\ ?CT|PET|CT|scan|imaging
        |oncologic(?:al)?|other|additional|incidental|general|significant|pertinent)\ )?
        (?:findings?|observations?)|report|results?|description(?:\ of\ findings)?""",
    "impression": r"""(?:(?:PET\ ?[-/]?\ ?CT|PET|overall|final|diagnostic|radiolog(?:y|ic|ical))\ )?
        (?:impressions?|conclusions?|opinion|interpretation|assessment|IMP)
        (?:\ (?:and|&|/)\ recommendations?)?|summary(?:\ of\ findings)?|in\ summary""",
}
_ZONE: Final = (
    r"head|neck|brain|face|skull\ base|chest|thorax|thoracic|lungs?|mediastinum|heart"
    r"|cardiovascular|breasts?|abdomen|abdominal|pelvis|pelvic|liver|spleen|adrenals?|kidneys?"
    r"|bowel|gastrointestinal|genitourinary|musculoskeletal|bones?|osseous(?:\ structures)?"
    r"|skeleton|skeletal|spine|extremities|lymph\ nodes?|lymphatics?|soft\ tissues?|skin"
    r"|physiologic(?:\ uptake)?|lines\ and\ tubes"
)
_BROAD: Final = (
    r"head|neck|brain|chest|thorax|abdomen|pelvis|extremities|lower|upper|musculo-?skeletal"
)
_LIST_MARK: Final = r"(?:[#*_>\ \t]{0,40})(?:(?:\d{1,2}|[A-Z])[.)][\ \t]{0,20})?(?:\*\*)?"
# A heading opens a line and ends with a colon or with the line ...
_LINE_HEADING: Final = re.compile(
    rf"^(?=[^\n]{{0,60}}[A-Za-z])(?P<indent>{_LIST_MARK})(?:"
    + "|".join(f"(?P<{name}>{core})" for name, core in _CORES.items())
    + rf"|(?P<zone>(?:{_ZONE})(?:\ ?(?:,|/|&|and|,\ and)\ ?(?:{_ZONE})){{0,4}}))"
    + r"(?:\*\*)?[ \t]{0,40}(?:[:：](?:\*\*)?|(?=\r?$)|[ \t][-–—](?=[ \t]|\r?$))",  # noqa: RUF001
    flags=re.IGNORECASE | re.MULTILINE | re.VERBOSE,
)
# ... or stands inside a line, in capitals and with a colon, as where line ends were lost.
_INLINE_HEADING: Final = re.compile(
    r"(?<=[\s.])(?:"
    + "|".join(
        rf"(?P<{name}>{words})"
        for name, words in {
            "history": r"(?:CLINICAL )?(?:HISTORY|INDICATIONS?|INFORMATION)"
            r"|REASON FOR [A-Z ]{4,20}",
            "technique": r"(?:PET/?CT )?(?:TECHNIQUE|PROCEDURE|PROTOCOL)",
            "comparison": r"COMPARISONS?",
            "findings": r"(?:[A-Z/]{2,12} )?FINDINGS?",
            "impression": r"(?:[A-Z/]{2,12} )?"
            r"(?:IMPRESSION|CONCLUSION|SUMMARY|INTERPRETATION|OPINION)S?",
        }.items()
    )
    + r")\s*:"
)
_HEADING_ONLY: Final = re.compile(
    rf"\s*(?:[-•‣◦][ \t]{{1,20}})?{_LIST_MARK}(?:{_BROAD})(?:[ ,/&]+(?:and[ ])?(?:{_BROAD})){{0,4}}"
    r"(?:\s*:|[ ]+-)\s*",
    flags=re.IGNORECASE,
)
_NEXT_ITEM: Final = re.compile(r"\n(?=[ \t]*(?:\n|\(?\d{1,2}[.)]\s|[-*•]\s))")


@dataclass(frozen=True, slots=True)
class Section:
    """A stretch of a report.

    Attributes:
        name: ``history``, ``technique``, ``comparison``, ``findings`` or ``impression``.
        start: offset of the first character after the heading.
        end: offset one past the last character.
    """

    name: str
    start: int
    end: int


@dataclass(frozen=True, slots=True)
class _Heading:
    name: str
    start: int
    end: int


def split_sections(text: str) -> tuple[Section, ...]:
    """Finds the sections of a report.

    A heading opens a line ("IMPRESSION:", "Clinical information", "3. Findings -") or stands
    inside one in capitals with a colon. Rules where reports differ:

    - Headings of body parts ("HEAD AND NECK:") belong to the findings; after an impression heading
      they belong to the impression.
    - No heading at all: everything is findings. Otherwise text before the first heading (letter
      head, technique) belongs to no section.
    - Headings, but neither findings nor impression: from the first numbered item or blank line
      after the last heading on, everything is findings.
    - "Comparison:" inside findings or impression covers its own line only.

    Args:
        text: the report, unchanged.

    Returns:
        Sections in the order of the text, none of them empty; several may have the same name.
        Empty for a report without text.

    Example:
        >>> text = "HISTORY: cough. FINDINGS: Lungs clear."
        >>> [(s.name, text[s.start:s.end]) for s in split_sections(text)]
        [('history', ' cough. '), ('findings', ' Lungs clear.')]
    """
    headings = _find_headings(text)
    if not headings:
        return (Section("findings", 0, len(text)),) if text.strip() else ()
    ends = [heading.start for heading in headings[1:]] + [len(text)]
    sections: list[Section] = []
    for heading, end in zip(headings, ends, strict=True):
        name = heading.name
        previous = sections[-1].name if sections else ""
        if name == "zone":
            # The words of the heading stay in the text: "Liver: normal." speaks of the liver.
            name = previous if previous in TAGGED_SECTIONS else "findings"
            sections.append(Section(name, heading.start, end))
        elif name == "comparison" and previous in TAGGED_SECTIONS:
            line_end = text.find("\n", heading.end, end)
            line_end = end if line_end < 0 else line_end
            sections.append(Section(name, heading.end, line_end))
            sections.append(Section(previous, line_end, end))
        else:
            sections.append(Section(name, heading.end, end))
    if not any(section.name in TAGGED_SECTIONS for section in sections):
        sections = _open_findings(text, sections)
    return _merge([s for s in sections if text[s.start : s.end].strip()])


def is_heading(sentence: str) -> bool:
    """Whether a sentence is nothing but the heading of a broad body part ("Abdomen/Pelvis:").

    Such words say where the next sentences are, not that the region is normal or abnormal.

    Example:
        >>> is_heading("HEAD AND NECK:"), is_heading("Neck: normal.")
        (True, False)
    """
    return _HEADING_ONLY.fullmatch(sentence) is not None


def _find_headings(text: str) -> list[_Heading]:
    found = [
        _Heading(match.lastgroup or "", match.start(), match.end())
        for match in _INLINE_HEADING.finditer(text)
    ]
    for match in _LINE_HEADING.finditer(text):
        (name,) = (key for key in (*_CORES, "zone") if match[key] is not None)
        found.append(_Heading(name, match.start(), match.end()))
    found.sort(key=lambda heading: (heading.start, -heading.end))
    kept: list[_Heading] = []
    for heading in found:
        if not kept or heading.start >= kept[-1].end:
            kept.append(heading)
    return kept


def _open_findings(text: str, sections: list[Section]) -> list[Section]:
    """Ends the last section where a list or a new paragraph begins; the rest is findings."""
    last = sections[-1]
    body = re.search(r"\S", text[last.start : last.end])
    offset = last.start + (body.start() if body else 0)
    item = _NEXT_ITEM.search(text, offset, last.end)
    if item is None:
        return sections
    return [
        *sections[:-1],
        Section(last.name, last.start, item.start()),
        Section("findings", item.start(), last.end),
    ]


def _merge(sections: list[Section]) -> tuple[Section, ...]:
    """Joins neighbors of the same name that touch each other."""
    merged: list[Section] = []
    for section in sections:
        if merged and merged[-1].name == section.name and merged[-1].end == section.start:
            merged[-1] = Section(section.name, merged[-1].start, section.end)
        else:
            merged.append(section)
    return tuple(merged)
