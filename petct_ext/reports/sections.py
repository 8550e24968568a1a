"""Splits a report into history, technique, comparison, findings and impression."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final

from petct_ext.reports.headings import Heading, find_headings

__all__ = ["TAGGED_SECTIONS", "Section", "read_share", "split_sections"]

TAGGED_SECTIONS: Final = ("findings", "impression")
"""Sections that say what this exam shows; regions are looked for in these only."""

_OTHERS: Final = ("history", "technique", "comparison", "title")

# What a sentence of each kind holds. A statement of findings holds words of _STATEMENT and none of
# these.
_CUE_WORDS: Final = {
    "technique": r"""mCi|MBq|inject\w+|intravenous\w*|administ\w+|glucose|blood\ sugar|mg/dL|mmol
        |fast(?:ed|ing)|acquired|acquisition|images?\ (?:were|was)|imaging\ (?:was|from|of|began)
        |scanner|scanned|reconstruct\w*|attenuation\ correct\w*|low[-\ ]dose|oral\ contrast
        |minutes\ (?:after|post|later)|uptake\ (?:time|period|phase)|skull\ base\ to|vertex\ to
        |mid[-\ ]?thighs?|protocol|obtained|performed|radiopharmaceutical|tracer\ (?:dose|was)""",
    "history": r"""year[-\ ]old|y/o|history|s/p|status\ post|diagnosed|(?:re)?staging|referred
        |follow[-\ ]?up\ (?:of|for)|evaluat\w+|rule\ out|biops\w+|chemotherapy|surgery|treated
        |patient\ (?:is|was|with|has|had)|presents?|presented|underwent|recently|known""",
    "comparison": r"""comparison|compared|prior|previous\w*|none|dated|outside|not\ available
        |available\ for|\d{1,2}[-/.]\d{1,2}[-/.]\d{2,4}""",
    "title": r"""hospital|department|clinic|institute|centre|center|radiology|tel|phone|fax|name|mrn
        |dob|born|accession|referr(?:er|ing)|physician|signed|dictated|transcribed|page""",
}
_CUES: Final = {
    kind: re.compile(rf"\b(?:{words})\b", flags=re.IGNORECASE | re.VERBOSE)
    for kind, words in _CUE_WORDS.items()
}
_STATEMENT: Final = re.compile(
    r"""\b(?:\w*avid\w*|hyper-?metabol\w*|hypo-?metabol\w*|uptake|activity|accumulat\w*|SUV\w*
    |metasta\w*|mass(?:es)?|nod(?:ul\w*|es?|al)|lesions?|adenopathy|lymphadenopathy|foc(?:us|i|al)
    |no\ evidence|unremarkable|normal\w*|physiologic\w*|increased|enlarged|there\ (?:is|are)|shows?
    |demonstrates?|effusions?|abnormal\w*|malignan\w*|tumou?rs?|thicken\w*|resolved)\b""",
    flags=re.IGNORECASE | re.VERBOSE,
)
_TITLE_WORDS: Final = 14
_TITLE: Final = re.compile(
    r"\b(?:PET|CT|FDG|scan|study|report|exam\w*|imaging|hospital|department|dept|clinic|institute"
    r"|cent(?:re|er)|radiology|nuclear|medicine|date|patient|name|born|mrn|dr|whole[- ]body"
    r"|\d{4})\b",
    flags=re.IGNORECASE,
)
# Where a unit of text begins: behind a blank line, at a list item, a new line, a new sentence.
_CUT: Final = re.compile(
    r"(?P<blank>\n[ \t\r]*\n\s*)|(?P<item>\n(?=[ \t]*(?:\(?\d{1,2}[.)]\s|[-*•]\s)))|(?P<line>\n)"
    r"|(?P<stop>[.!?]\s+(?=[A-Z]))"
)


@dataclass(frozen=True, slots=True)
class Section:
    """A stretch of a report.

    Attributes:
        name: ``history``, ``technique``, ``comparison``, ``findings``, ``impression``, or ``title``
            for what stands above a report and says nothing of the exam.
        start: offset of the first character after the heading.
        end: offset one past the last character.
    """

    name: str
    start: int
    end: int


def split_sections(text: str) -> tuple[Section, ...]:
    """Finds the sections of a report (headings: :func:`petct_ext.reports.headings.find_headings`).

    Text that no heading claims is findings, unless it is clearly something else. Rules where
    reports differ:

    - Headings of body parts ("HEAD AND NECK:") belong to the findings; after an impression heading
      they belong to the impression.
    - Text before the first heading is findings from the first line on that is neither a title, a
      letter head, history, technique nor comparison.
    - Without findings of their own, reports have them behind the history, technique or comparison:
      from the first paragraph, list item, line or sentence on that states a finding.
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
    headings = find_headings(text)
    if not headings:
        return (Section("findings", 0, len(text)),) if text.strip() else ()
    sections = _preamble(text, headings[0])
    for heading, end in zip(headings, [*(h.start for h in headings[1:]), len(text)], strict=True):
        sections += _of_heading(text, heading, end, sections[-1].name if sections else "")
    sections = [s for s in sections if text[s.start : s.end].strip()]
    if not any(section.name == "findings" for section in sections):
        sections = [part for section in sections for part in _opened(text, section)]
    if not any(section.name in TAGGED_SECTIONS for section in sections):
        sections = _last_paragraphs(text, sections)
    return _merge(sections)


def read_share(text: str, sections: tuple[Section, ...]) -> float:
    """Returns which share of a report is read, in [0, 1]; NaN if there is nothing to read.

    Args:
        text: the report.
        sections: its sections.

    Returns:
        Letters and digits of findings and impression, divided by those outside of history,
        technique, comparison, title and headings.
    """
    size = dict.fromkeys((*TAGGED_SECTIONS, *_OTHERS), 0)
    for section in sections:
        size[section.name] += _letters(text[section.start : section.end])
    headings = sum(_letters(text[h.start : h.end]) for h in find_headings(text) if h.name != "zone")
    read = size["findings"] + size["impression"]
    rest = _letters(text) - headings - sum(size[name] for name in _OTHERS)
    return min(1.0, read / max(read, rest)) if read or rest > 0 else float("nan")


def _letters(text: str) -> int:
    return sum(character.isalnum() for character in text)


def _of_heading(text: str, heading: Heading, end: int, previous: str) -> list[Section]:
    name = heading.name
    if name == "zone":
        # The words of the heading stay in the text: "Liver: normal." speaks of the liver.
        name = previous if previous in TAGGED_SECTIONS else "findings"
        return [Section(name, heading.start, end)]
    if name == "comparison" and previous in TAGGED_SECTIONS:
        line_end = text.find("\n", heading.end, end)
        line_end = end if line_end < 0 else line_end
        return [Section(name, heading.end, line_end), Section(previous, line_end, end)]
    return [Section(name, heading.end, end)]


def _preamble(text: str, first: Heading) -> list[Section]:
    """Returns what stands before the first heading: a title, then findings if there are any.

    Before the heading of a part of the body stand other parts, unless a line is clearly a title.
    """
    position, end = 0, first.start
    for line in text[:end].splitlines(keepends=True):
        is_title = _is_title(line) and (first.name != "zone" or _TITLE.search(line) is not None)
        if line.strip() and not is_title:
            return [Section("title", 0, position), Section("findings", position, end)]
        position += len(line)
    return [Section("title", 0, end)]


def _is_title(line: str) -> bool:
    if any(cue.search(line) for cue in _CUES.values()):
        return not _is_statement(line, *_CUES)
    is_sentence = line.rstrip().endswith((".", ";", "!", "?"))
    return not is_sentence and len(line.split()) <= _TITLE_WORDS and not _STATEMENT.search(line)


def _is_statement(unit: str, *kinds: str) -> bool:
    """Whether a unit says what an exam shows and holds no cue of some other kinds of text."""
    return bool(_STATEMENT.search(unit)) and not any(_CUES[kind].search(unit) for kind in kinds)


def _opened(text: str, section: Section) -> list[Section]:
    """Splits history, technique or comparison where findings begin, if they do."""
    if section.name not in ("history", "technique", "comparison"):
        return [section]
    cuts = _cuts(text, section)
    ends = [cut.start() for cut in cuts[1:]] + [section.end]
    for cut, end in zip(cuts, ends, strict=False):  # without a cut there is one end too many
        unit = text[cut.end() : end]
        if _begins_findings(unit, cut.lastgroup or "", section.name):
            return _split(section, cut.end())
    return [section]


def _cuts(text: str, section: Section) -> list[re.Match[str]]:
    """Returns where units of a section begin, behind its first one."""
    body = re.search(r"\S", text[section.start : section.end])
    offset = section.start + (body.start() if body else 0)
    return list(_CUT.finditer(text, offset, section.end))


def _split(section: Section, place: int) -> list[Section]:
    return [
        Section(section.name, section.start, place),
        Section("findings", place, section.end),
    ]


def _begins_findings(unit: str, cut: str, kind: str) -> bool:
    """Whether findings begin with a unit: the weaker the cut before it, the more it has to say."""
    if not unit.strip():
        return False
    if cut in ("blank", "item"):
        return not _CUES[kind].search(unit) or _is_statement(unit, "technique", "history")
    if cut == "line":
        return _is_statement(unit, kind, "technique")
    return _is_statement(unit, "history", "technique", "comparison")


def _last_paragraphs(text: str, sections: list[Section]) -> list[Section]:
    """Ends the last section where a list or a new paragraph begins; the rest is findings."""
    if not sections:
        return sections
    for cut in _cuts(text, sections[-1]):
        if cut.lastgroup in ("blank", "item"):
            return [*sections[:-1], *_split(sections[-1], cut.end())]
    return sections


def _merge(sections: list[Section]) -> tuple[Section, ...]:
    """Joins neighbors of the same name that touch each other."""
    merged: list[Section] = []
    for section in sections:
        if merged and merged[-1].name == section.name and merged[-1].end == section.start:
            merged[-1] = Section(section.name, merged[-1].start, section.end)
        else:
            merged.append(section)
    return tuple(merged)
