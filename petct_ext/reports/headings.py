"""Headings of reports in their usual spellings."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final

__all__ = ["Heading", "find_headings", "is_heading"]

_EXAM: Final = (
    r"(?:(?:whole[- ]?body\ )?(?:F-?18[- ]?|18-?F[- ]?)?(?:FDG[- ]?)?"
    r"(?:PET\ ?[-/]?\ ?CT|PET|CT)(?:\ (?:scan|study|exam(?:ination)?))?\ )"
)
_FINDINGS: Final = r"findings?|observations?|hallazgos|befund(?:e|ung)?|r[ée]sultats?"
_IMPRESSIONS: Final = (
    r"impressions?|conclusions?|opinions?|interpretations?|assessments?|IMP|diagnos[ie]s"
    r"|beurteilung|zusammenfassung|impresi[óo]n|conclusi[óo]n"
)
_CORES: Final = {
    # One heading for both is read as findings: the body stands there.
    "findings": rf"""(?:{_EXAM}|(?:scan|image|imaging|oncologic(?:al)?|other|additional|incidental
            |general|significant|pertinent|relevant|key|abnormal|normal|detailed)\ )?
        (?:{_FINDINGS})
        (?:\ ?(?:/|&|and|und|y)\ ?(?:impressions?|conclusions?|opinions?|interpretations?))?
        |(?:narrative|discussion)(?:\ (?:&|and)\ impressions?)?
        |(?:body\ of\ (?:the\ )?)?report(?:\ body|\ text)?|(?:scan|imaging|radiology)\ report
        |results?(?:\ of\ (?:the\ )?(?:exam(?:ination)?|study|scan))?|description(?:\ of\ findings)?
        |(?:the\ )?(?:study|scan|exam(?:ination)?)\ shows(?:\ the\ following)?
        |addend(?:um|a)(?:\ (?:\#?\d{{1,2}}|\d{{1,4}}[-/.]\d{{1,2}}[-/.]\d{{1,4}}))?""",
    "impression": rf"""(?:{_EXAM}|(?:overall|final|diagnostic|radiolog(?:y|ic|ical)|image)\ )?
        (?:{_IMPRESSIONS})
        (?:\ ?(?:and|&|/)\ ?(?:recommendations?|findings?|plan))?
        |summary(?:\ (?:of\ (?:the\ )?findings|and\ conclusions?))?|in\ summary""",
    "history": r"""(?:(?:brief|pertinent|relevant|oncologic(?:al)?)\ )?(?:
        (?:stated\ )?reason\ for\ (?:the\ |this\ )?(?:request|exam(?:ination)?|study|referral|scan
            |visit)
        |clinical(?:\ (?:history|information|info|data|indications?|details|statement|context
            |presentation|background|question|diagnosis|summary|notes?))?
        |(?:patient\ |medical\ )?history(?:\ of\ present\ illness)?
        |indications?(?:\ (?:and|&)\ history|\ for\ (?:the\ )?(?:exam(?:ination)?|study|scan))?
        |history\ (?:and|&)\ indications?
        |referral\ diagnosis|request|anamnese|indikation|fragestellung|klinische\ angaben
        |indicaci[óo]n|datos\ cl[íi]nicos)""",
    "technique": r"""(?:(?:PET/?-?CT|PET|CT|imaging|scan(?:ning)?|study)\ )?(?:
        techni(?:que|k|cal(?:\ (?:details|factors|information))?)|t[ée]cnica|procedures?|protocol
        |methods?|examinations?|exam|study|radiopharmaceutical|(?:radio)?tracer
        |injected\ (?:dose|activity)|description\ of\ procedure|scan\ region
        |attenuation\ correction|administration\ time|blood\ (?:glucose|sugar)(?:\ level)?
        |medications?|contrast)""",
    "comparison": r"""(?:comparisons?(?:\ (?:studies|study|exams?|imaging|scans?|date))?
        |prior\ (?:studies|study|exams?|imaging)|compared\ (?:to|with)|vergleich
        |comparaci[óo]n)""",
}
_ZONE: Final = (
    r"head|neck|brain|face|skull\ base|chest|thorax|thoracic|lungs?|mediastinum|heart"
    r"|cardiovascular|breasts?|abdomen|abdominal|pelvis|pelvic|liver|spleen|adrenals?|kidneys?"
    r"|bowel|gastrointestinal|genitourinary|musculoskeletal|bones?|osseous(?:\ structures)?"
    r"|skeleton|skeletal|spine|extremities|(?:lymph\ )?nodes?|lymphatics?|soft\ tissues?|skin"
    r"|physiologic(?:\ uptake)?|lines\ and\ tubes"
)
_BROAD: Final = (
    r"head|neck|brain|chest|thorax|abdomen|pelvis|extremities|lower|upper|musculo-?skeletal"
)
_LIST_MARK: Final = r"(?:[#*_>\ \t]{0,40})(?:(?:\d{1,2}|[A-Z])[.)][\ \t]{0,20})?(?:\*\*|__)?"
_BOLD: Final = r"(?:\*\*|__)?"
# A heading opens a line and ends with a colon, an equals sign, a dash or with the line ...
_LINE_HEADING: Final = re.compile(
    rf"^(?=[^\n]{{0,60}}[A-Za-z])(?P<indent>{_LIST_MARK})(?:"
    + "|".join(f"(?P<{name}>{core})" for name, core in _CORES.items())
    + rf"|(?P<zone>(?:{_ZONE})(?:\ ?(?:,|/|&|and|,\ and)\ ?(?:{_ZONE})){{0,4}}))"
    + rf"{_BOLD}[ \t]{{0,40}}"
    + rf"(?:[:：=]{_BOLD}|(?=\r?$)|[ \t][-–—](?=[ \t]|\r?$)|[.](?=[ \t]*\r?$))",  # noqa: RUF001
    flags=re.IGNORECASE | re.MULTILINE | re.VERBOSE,
)
_INLINE_WORDS: Final = {
    "history": r"(?:CLINICAL )?(?:HISTORY|INDICATIONS?|INFORMATION|DETAILS)"
    r"|REASON FOR [A-Z ]{4,20}",
    "technique": r"(?:PET/?CT )?(?:TECHNIQUE|PROCEDURE|PROTOCOL)",
    "comparison": r"COMPARISONS?",
    "findings": r"(?:[A-Z/]{2,12} )?FINDINGS?(?: ?/ ?IMPRESSION)?|NARRATIVE|DISCUSSION",
    "impression": r"(?:[A-Z/]{2,12} )?(?:IMPRESSION|CONCLUSION|SUMMARY|INTERPRETATION|OPINION)S?",
}
_INLINE: Final = "|".join(rf"(?P<{name}>{words})" for name, words in _INLINE_WORDS.items())
# ... or stands inside a line, in capitals and with a colon, as where line ends were lost;
# behind the end of a sentence in any letters.
_INLINE_HEADING: Final = re.compile(rf"(?<=[\s.])(?:{_INLINE})\s*[:=]")
_SENTENCE_HEADING: Final = re.compile(rf"(?<=[.;!?]\s)(?:{_INLINE})\s?:", flags=re.IGNORECASE)
# "F I N D I N G S"
_SPACED: Final = re.compile(
    r"^[#*_> \t]{0,20}(?P<word>[A-Za-z](?: [A-Za-z]){4,20})[ \t]*(?::|(?=\r?$))", flags=re.MULTILINE
)
_HEADING_ONLY: Final = re.compile(
    rf"\s*(?:[-•‣◦][ \t]{{1,20}})?{_LIST_MARK}(?:{_BROAD})(?:[ ,/&]+(?:and[ ])?(?:{_BROAD})){{0,4}}"
    r"(?:\s*:|[ ]+-)\s*",
    flags=re.IGNORECASE,
)


@dataclass(frozen=True, slots=True)
class Heading:
    """A heading of a report.

    Attributes:
        name: ``history``, ``technique``, ``comparison``, ``findings``, ``impression``, or ``zone``
            for a part of the body.
        start: offset of its first character.
        end: offset behind its colon.
    """

    name: str
    start: int
    end: int


def find_headings(text: str) -> list[Heading]:
    """Returns the headings of a report in the order of the text; none overlaps another.

    A heading opens a line ("IMPRESSION:", "Clinical information", "3. Findings -", "**Report** =",
    "F I N D I N G S") or stands inside one: in capitals with a colon, or in any letters behind the
    end of a sentence.
    """
    found = [
        Heading(match.lastgroup or "", match.start(), match.end())
        for pattern in (_INLINE_HEADING, _SENTENCE_HEADING)
        for match in pattern.finditer(text)
    ]
    found += [
        Heading(_name_of(match), match.start(), match.end())
        for match in _LINE_HEADING.finditer(text)
    ]
    for match in _SPACED.finditer(text):
        joined = _LINE_HEADING.fullmatch(match["word"].replace(" ", ""))
        if joined is not None:
            found.append(Heading(_name_of(joined), match.start(), match.end()))
    found.sort(key=lambda heading: (heading.start, -heading.end))
    kept: list[Heading] = []
    for heading in found:
        if not kept or heading.start >= kept[-1].end:
            kept.append(heading)
    return kept


def is_heading(sentence: str) -> bool:
    """Whether a sentence is nothing but the heading of a broad body part ("Abdomen/Pelvis:").

    Such words say where the next sentences are, not that the region is normal or abnormal.

    Example:
        >>> is_heading("HEAD AND NECK:"), is_heading("Neck: normal.")
        (True, False)
    """
    return _HEADING_ONLY.fullmatch(sentence) is not None


def _name_of(line_heading: re.Match[str]) -> str:
    (name,) = (key for key in (*_CORES, "zone") if line_heading[key] is not None)
    return name
