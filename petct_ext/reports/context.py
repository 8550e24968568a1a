"""Which sentences belong to a mention beside its own.

"There is a nodule in the right lower lobe. It shows intense uptake." says of the lobe what neither
sentence says alone; under "Sites of hypermetabolic disease:" each item of the list is abnormal. The
paper's model reads one or more sentences for the same reason (Eyuboglu et al. 2021, Methods).
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from petct_ext.reports.headings import is_heading
from petct_ext.reports.sections import TAGGED_SECTIONS, split_sections
from petct_ext.reports.sentences import LIST_ITEM, split_sentences
from petct_ext.reports.table_lines import is_table_head

__all__ = ["Context", "ReportSentence", "contexts_of", "report_sentences"]

_MOST_FOLLOWING: Final = 3
_LONGEST_HEAD: Final = 160
_LONGEST: Final = 300

_BARE_WORDS: Final = 6
_MARK: Final = re.compile(r"\s*[-*•‣◦]\s")
_PARAGRAPH: Final = re.compile(r"\n[ \t\r]*\n")
# What judges a region: the rest ("It measures 2 cm.") is left out, it only costs time.
_JUDGES: Final = re.compile(
    r"""\b(?:\w*uptake\w*|activit\w+|\w*avid\w*|\w*metabol\w*|accumulat\w+|SUV\w*|tracer|FDG|\w*glyc\w+
    |take[sn]?\ up|physiologic\w*|normal\w*|unremarkable|abnormal\w*|positive|negative|involve\w*
    |diseas\w*|metasta\w*|malignan\w*|tumou?r\w*|recurren\w*|resolved|resolution|photopeni\w+|hot|cold
    |suspicious|benign|inflammat\w+|active|inactive|deauville|background|intens\w+|foc(?:us|i|al)
    |clear|patholog\w+|lesions?|spread|deposits?|today|current|prior)\b""",
    flags=re.IGNORECASE | re.VERBOSE,
)
# Speaks of what was not named so far, and so not of the sentence before.
_OF_OTHERS: Final = re.compile(
    r"\b(?:other|others|otherwise|elsewhere|remainder|rest of|remaining|additional(?:ly)?|further"
    r"|also|second|another|contralateral|distant|primary|port|catheter|widespread|disseminated"
    r"|(?:described|mentioned|noted|seen) (?:above|elsewhere)|study|scan|examination|exam|patient"
    r"|no (?:\w+ ){0,3}(?:metasta\w+|new))\b",
    flags=re.IGNORECASE,
)
# Speaks of another place that no region is known for ("uptake at the port"), or of another time.
_ELSEWHERE: Final = re.compile(
    r"\b(?:at|in|within|around|over) (?:the|a|an) (?!(?:lesion|nodule|mass|node|finding|area|region"
    r"|latter|same|gland|organ|center|centre|periphery|wall|rim|interval|range|order|setting|context"
    r"|case|prior|previous|current|present|delayed|late|early|PET|CT|study|images?)\b)\w+"
    r"|^(?:prior|previous)\w*\b",
    flags=re.IGNORECASE,
)
_NEW_FINDING: Final = re.compile(
    r"\s*(?:there (?:is|are)|we see|note is made of)?\s*(?:also )?(?:an?|new|multiple|several"
    r"|numerous|few|scattered|two|three|small|large|tiny)\b(?:[ ,][\w.-]+){0,7}? (?:nodules?"
    r"|mass(?:es)?|lesions?|(?:lymph )?nodes?|lymphadenopathy|adenopathy|cysts?|foc(?:us|i)"
    r"|effusions?|collections?)\b",
    flags=re.IGNORECASE,
)


# No item of a list begins so.
_STATEMENT: Final = re.compile(r"(?:There|No|The|It|This|These|Otherwise|Normal)\s")


@dataclass(frozen=True, slots=True)
class ReportSentence:
    """A sentence of findings or impression.

    Attributes:
        section: ``findings`` or ``impression``.
        start: offset of its first character in the report.
        end: offset one past its last character.
        block: number of the stretch of text between two headings that it stands in.
        is_heading: whether it is nothing but the heading of a broad part of the body ("CHEST:"),
            which speaks of the region only if sentences without a region follow.
    """

    section: str
    start: int
    end: int
    block: int
    is_heading: bool


@dataclass(frozen=True, slots=True)
class Context:
    """What is read with a sentence.

    Attributes:
        lead: head of the list or of the table that the sentence stands in, or else the sentence
            before it; "" if neither says anything.
        follow: the following sentences that speak of the same region, joined by spaces.
    """

    lead: str = ""
    follow: str = ""


def report_sentences(text: str) -> list[ReportSentence]:
    """Returns every sentence of findings and impression, headings of body parts included.

    Args:
        text: a readable text (:func:`petct_ext.reports.readable.readable_text`).
    """
    return [
        ReportSentence(section.name, start, end, block, is_heading(text[start:end]))
        for block, section in enumerate(split_sections(text))
        if section.name in TAGGED_SECTIONS
        for start, end in split_sentences(text, section.start, section.end)
    ]


def contexts_of(
    text: str, sentences: Sequence[ReportSentence], has_region: Sequence[bool]
) -> list[Context]:
    """Finds what is read with each sentence.

    A sentence without a region belongs to the sentence with a region before it, in the same
    paragraph and list item, unless it speaks of something else ("No other uptake.", "There is a
    new nodule."). Behind the heading of a part of the body it belongs to that part. A line that
    ends in a colon and judges ("Sites of hypermetabolic disease:") is read with every item of the
    list below it, and so is the head of a table ("Site, SUVmax").

    Args:
        text: the readable report.
        sentences: result of :func:`report_sentences`.
        has_region: whether each of them names a region.

    Returns:
        One context per sentence; empty for those without a region.
    """
    reader = _Reader(text, sentences, has_region)
    for number in range(len(sentences)):
        reader.read(number)
    return [
        Context(lead, " ".join(follow))
        for lead, follow in zip(reader.leads, reader.follows, strict=True)
    ]


class _Reader:
    """Goes through the sentences and keeps what the next one may belong to."""

    def __init__(
        self, text: str, sentences: Sequence[ReportSentence], has_region: Sequence[bool]
    ) -> None:
        self._words = [" ".join(text[s.start : s.end].split()) for s in sentences]
        self._sentences, self._has_region, self._text = sentences, has_region, text
        self.leads = ["" for _ in sentences]
        self.follows: list[list[str]] = [[] for _ in sentences]
        self._forget()

    def _forget(self) -> None:
        self._head = ""  # of a list
        self._head_has_items = False
        self._head_has_marks = False
        self._owner: int | None = None  # a sentence with a region that others may follow
        self._opener = ""  # a sentence before the first region of a paragraph

    def read(self, number: int) -> None:
        sentence, words = self._sentences[number], self._words[number]
        before = self._sentences[number - 1] if number else None
        if before is None or before.block != sentence.block:
            self._forget()
            gap = ""
        else:
            gap = self._text[before.end : sentence.start]
        new_paragraph = bool(_PARAGRAPH.search(gap))
        is_item = LIST_ITEM.match(words) is not None
        self._leave(number, "\n" in gap, new_paragraph=new_paragraph, is_item=is_item)
        if _is_head(words):
            self._begin(number, words)
        elif self._has_region[number]:
            self._name(number, "\n" in gap, is_item=is_item)
        else:
            self._follow(number, words)

    def _leave(self, number: int, new_line: bool, *, new_paragraph: bool, is_item: bool) -> None:
        """Forgets what ends before a sentence."""
        directly_below = self._owner == number - 1 and _is_head(self._words[number - 1])
        is_below = (
            self._owner is not None
            and _is_bare(self._words[self._owner])
            and (is_item and _MARK.match(self._words[number]) is not None)
        )
        if (new_paragraph or is_item) and not directly_below and not is_below:
            self._owner, self._opener = None, ""
        is_over = new_paragraph or (self._head_has_marks and not is_item)
        is_over |= not is_item and _STATEMENT.match(self._words[number]) is not None
        if self._head_has_items and new_line and is_over:
            self._head = ""

    def _begin(self, number: int, words: str) -> None:
        """A heading: of a region, of a list, or of both ("Avid nodes:")."""
        judges = _JUDGES.search(words) is not None
        self._head = words if judges and not self._sentences[number].is_heading else ""
        self._head_has_items = self._head_has_marks = False
        self._owner = number if self._has_region[number] else None
        self._opener = ""

    def _name(self, number: int, new_line: bool, *, is_item: bool) -> None:
        if self._head and (new_line or not self._head_has_items):
            self._head_has_items = True
            self._head_has_marks |= is_item
        self.leads[number] = self._head or self._opener
        self._owner, self._opener = number, ""

    def _follow(self, number: int, words: str) -> None:
        owner = self._owner
        if owner is None:
            judges = _JUDGES.search(words) and not _OF_OTHERS.search(words)
            self._opener = words if judges and len(words) <= _LONGEST else ""
            return
        of_heading = _is_head(self._words[owner])
        is_new = not of_heading and _NEW_FINDING.match(words) is not None
        if is_new or _OF_OTHERS.search(words):
            self._owner = None
        elif _ELSEWHERE.search(words):
            return
        elif _JUDGES.search(words) and len(self.follows[owner]) < _MOST_FOLLOWING:
            self.follows[owner].append(words[:_LONGEST])


def _is_bare(words: str) -> bool:
    """Whether a numbered item is a name alone ("3) Pancreas"), whose items stand below it."""
    number = LIST_ITEM.match(words)
    is_marked = number is not None and _MARK.match(words) is None
    return is_marked and len(words.split()) <= _BARE_WORDS and _JUDGES.search(words) is None


def _is_head(words: str) -> bool:
    return len(words) <= _LONGEST_HEAD and (
        words.endswith(":") or is_table_head(words) or is_heading(words)
    )
