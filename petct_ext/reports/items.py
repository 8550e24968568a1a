"""Sentences with mentions: what the report labeler is trained on and what it labels.

An item is one sentence of the findings or the impression of a report::

    {"exam_id": ..., "section": "findings", "sentence": 3, "text": "No uptake in the liver.",
     "offset": 120, "mentions": [{"start": 137, "end": 142, "region": "liver",
                                  "label": 0, "rule": 0.04}]}

``offset`` is where the sentence begins; all offsets count from the start of the report, sentences
from 0. ``label`` is 1 abnormal, 0 not, None unknown; ``rule`` is the probability by rules.
"""

from __future__ import annotations

import json
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from petct_ext.errors import InputDataError
from petct_ext.files import read_json
from petct_ext.ontology import RegionOntology
from petct_ext.reports.headings import is_heading
from petct_ext.reports.mentions import MAX_SECONDS, find_mentions
from petct_ext.reports.readable import readable_text
from petct_ext.reports.rules import rule_probability
from petct_ext.reports.sections import TAGGED_SECTIONS, split_sections
from petct_ext.reports.sentences import split_sentences

__all__ = [
    "AnnotatedText",
    "SentenceTagger",
    "annotated_items",
    "items_of_texts",
    "load_report_items",
    "read_annotated_texts",
    "report_sentences",
    "tag_report",
]

Item = dict[str, Any]


def report_sentences(text: str) -> list[tuple[str, int, int]]:
    """Returns ``(section, start, end)`` of every sentence of findings and impression.

    Headings of body parts ("HEAD AND NECK:") are left out: they say nothing about the region.
    Markup and odd characters are read as spaces (:func:`petct_ext.reports.readable.readable_text`);
    offsets refer to the text as it is given.
    """
    text = readable_text(text)
    return [
        (section.name, start, end)
        for section in split_sections(text)
        if section.name in TAGGED_SECTIONS
        for start, end in split_sentences(text, section.start, section.end)
        if not is_heading(text[start:end])
    ]


def tag_report(
    exam_id: str,
    text: str,
    tagger: SentenceTagger,
    *,
    sentences: Sequence[tuple[str, int, int]] | None = None,
    max_seconds: float = MAX_SECONDS,
) -> list[Item]:
    """Finds the mentions of a report and returns its sentences that have some.

    Args:
        exam_id: pseudonymous id.
        text: the report, unchanged.
        tagger: finds the mentions.
        sentences: result of :func:`report_sentences`, if it is there already.
        max_seconds: time for the report.

    Returns:
        Items in the order of the text, labels None; empty for a report without text. Their text is
        the readable one, of the same length.

    Raises:
        InputDataError: if the time is up; names the exam.
    """
    items = []
    deadline_s = time.monotonic() + max_seconds
    text = readable_text(text)
    for number, (section, start, end) in enumerate(sentences or report_sentences(text)):
        sentence = text[start:end]
        mentions = [
            {
                "start": start + first,
                "end": start + last,
                "region": region,
                "label": None,
                "rule": rule,
            }
            for first, last, region, rule in _tag_in_time(exam_id, sentence, tagger, deadline_s)
        ]
        if mentions:
            items.append(_item(exam_id, section, number, sentence, start, mentions))
    return items


def _tag_in_time(
    exam_id: str, sentence: str, tagger: SentenceTagger, deadline_s: float
) -> tuple[tuple[int, int, str, float], ...]:
    left = deadline_s - time.monotonic()
    try:
        if left <= 0:
            raise InputDataError("its report has too much text for the time that is allowed.")
        return tagger(sentence, seconds=left)
    except InputDataError as error:
        raise InputDataError(f"exam {exam_id}: {error}") from None


def annotated_items(
    exam_id: str, text: str, annotations: Sequence[tuple[int, int, str, int]]
) -> tuple[list[Item], int]:
    """Returns the sentences of a report in which a reader has judged mentions.

    Args:
        exam_id: pseudonymous id.
        text: the report, unchanged.
        annotations: ``(start, end, region, abnormal)``, offsets into ``text``.

    Returns:
        Items that hold the judged mentions only, and the number of annotations outside findings and
        impression, which are not used: the labeler does not read other sections. A mention
        that crosses the end of a sentence gets an item of both.

    Raises:
        InputDataError: if offsets lie outside the text or mark nothing but white space; names the
            exam, the offsets and the length, not the text.
    """
    text = readable_text(text)
    sentences = report_sentences(text)
    grouped: dict[tuple[int, int], list[dict[str, Any]]] = {}
    outside = 0
    for start, end, region, abnormal in sorted(annotations):
        if not 0 <= start < end <= len(text) or not text[start:end].strip():
            raise InputDataError(
                f"annotations of exam {exam_id}: offsets {start} to {end} mark no text in a report "
                f"of {len(text)} characters; they count from 0 in the text of reports.csv."
            )
        first = next((i for i, (_, a, b) in enumerate(sentences) if a < end and start < b), None)
        if first is None:
            outside += 1
            continue
        last = max(i for i, (_, a, b) in enumerate(sentences) if a < end and start < b)
        mention = {"start": start, "end": end, "region": region, "label": int(abnormal)}
        grouped.setdefault((first, last), []).append(mention)
    items = []
    for (first, last), mentions in sorted(grouped.items()):
        section = sentences[first][0]
        begin = min(sentences[first][1], *(m["start"] for m in mentions))
        stop = max(sentences[last][2], *(m["end"] for m in mentions))
        sentence = text[begin:stop]
        for mention in mentions:
            span = (mention["start"] - begin, mention["end"] - begin)
            mention["rule"] = rule_probability(sentence, *span, section=section)
        items.append(_item(exam_id, section, first, sentence, begin, mentions))
    return items, outside


def load_report_items(
    path: str | Path, section: str, *, per_mention: bool = False, sort_by_length: bool = False
) -> list[Item]:
    """Reads one section of ``report_items.json``.

    Args:
        path: the file that ``scripts/prepare_reports.py`` writes.
        section: ``training``, ``validation``, ``test`` or ``all``.
        per_mention: whether each mention becomes an item of its own, so that sampling items
            samples mentions.
        sort_by_length: whether items come in the order of their length, so that batches need little
            padding.

    Raises:
        InputDataError: if the file or the section is missing, or the section is empty.
    """
    document = read_json(path)
    if not isinstance(document, dict) or section not in document:
        names = ", ".join(document) if isinstance(document, dict) else "no sections"
        raise InputDataError(
            f"{path} has no section {section!r} (it has {names}); run scripts/prepare_reports.py."
        )
    items: list[Item] = document[section]
    if not items:
        raise InputDataError(
            f"{path}: section {section!r} holds no mention; annotate more reports (annotations.csv)"
            " or use scripts/label_reports.py --labeler rules."
        )
    if per_mention:
        items = [{**item, "mentions": [m]} for item in items for m in item["mentions"]]
    return sorted(items, key=lambda item: len(item["text"])) if sort_by_length else items


def _item(
    exam_id: str, section: str, number: int, text: str, offset: int, mentions: list[dict[str, Any]]
) -> Item:
    return {
        "exam_id": exam_id,
        "section": section,
        "sentence": number,
        "text": text,
        "offset": offset,
        "mentions": mentions,
    }


class SentenceTagger:
    """Finds and judges the mentions of a sentence; sentences that repeat cost nothing.

    Reports repeat themselves ("The liver is unremarkable."), so this is much of the speed.

    Args:
        ontology: regions to look for.
        max_cached: how many sentences are remembered.
    """

    def __init__(self, ontology: RegionOntology, *, max_cached: int = 20_000) -> None:
        self.ontology = ontology
        self._max_cached = max_cached
        self._known: dict[str, tuple[tuple[int, int, str, float], ...]] = {}

    def __call__(
        self, sentence: str, *, seconds: float = MAX_SECONDS
    ) -> tuple[tuple[int, int, str, float], ...]:
        """Returns ``(start, end, region, probability by rules)``, offsets in the sentence.

        Args:
            sentence: any text.
            seconds: give up after this time.

        Raises:
            InputDataError: if the time is up.
        """
        known = self._known.get(sentence)
        if known is not None:
            return known
        found = tuple(
            (m.start, m.end, m.region, rule_probability(sentence, m.start, m.end))
            for m in find_mentions(sentence, self.ontology, seconds=seconds)
        )
        if len(self._known) >= self._max_cached:
            self._known.clear()
        self._known[sentence] = found
        return found


@dataclass(frozen=True, slots=True)
class AnnotatedText:
    """A report, or an excerpt of one, with the mentions that a reader has judged.

    Attributes:
        text_id: name of the text; where the file has none, its line number.
        text: unchanged.
        mentions: ``(start, end, region, abnormal)``, offsets into ``text``, abnormal 0 or 1.
    """

    text_id: str
    text: str
    mentions: tuple[tuple[int, int, str, int], ...]


def read_annotated_texts(path: str | Path) -> list[AnnotatedText]:
    """Reads a JSON lines file of annotated reports.

    Raises:
        InputDataError: if the file is missing or a line is wrong; names the line, not the text.
    """
    path = Path(path)
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise InputDataError(
            f"{path} cannot be read ({type(error).__name__}); give a JSONL file of annotated "
            "reports in UTF-8."
        ) from None
    texts = []
    for number, line in enumerate(lines, start=1):
        if line.strip():
            texts.append(_parse(line, number, path))
    if not texts:
        raise InputDataError(f"{path} holds no text; give one JSON object a line.")
    return texts


def items_of_texts(texts: Sequence[AnnotatedText]) -> tuple[list[dict[str, Any]], int]:
    """Returns the judged sentences of all texts and the number of mentions in other sections.

    Args:
        texts: see :func:`read_annotated_texts`; ``text_id`` becomes ``exam_id``.
    """
    items, outside = [], 0
    for text in texts:
        found, unused = annotated_items(text.text_id, text.text, text.mentions)
        items.extend(found)
        outside += unused
    return items, outside


def _parse(line: str, number: int, path: Path) -> AnnotatedText:
    try:
        document: Mapping[str, Any] = json.loads(line)
        mentions = tuple(
            (int(m["start"]), int(m["end"]), str(m["region"]), int(m["abnormal"]))
            for m in document["mentions"]
        )
        return AnnotatedText(str(document.get("id", number)), str(document["text"]), mentions)
    except (json.JSONDecodeError, KeyError, TypeError, ValueError, AttributeError) as error:
        raise InputDataError(
            f"{path}, line {number}: {type(error).__name__} ({error}); expected an object with "
            "text and mentions [{start, end, region, abnormal}]."
        ) from None
