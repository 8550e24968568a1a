"""Sentences with mentions: what the report labeler is trained on and what it labels.

An item is one sentence of the findings or the impression of a report, with its context::

    {"exam_id": ..., "section": "findings", "sentence": 3,
     "text": "There is a nodule in the liver. It is not avid.", "own": [0, 31], "offset": 120,
     "mentions": [{"start": 145, "end": 150, "region": "liver", "label": 0, "rule": 0.04}]}

``text`` holds the sentence and what is read with it (:mod:`petct_ext.reports.context`), ``own`` is
the place of the sentence itself in it. Offsets of mentions count from the start of the report;
less ``offset`` they are places in ``text``. ``label`` is 1 abnormal, 0 not, None unknown; ``rule``
is the probability by rules.
"""

from __future__ import annotations

import json
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, TypeVar

from petct_ext.errors import InputDataError
from petct_ext.files import read_json
from petct_ext.ontology import RegionOntology
from petct_ext.reports.checkboxes import without_unticked
from petct_ext.reports.context import Context, ReportSentence, contexts_of, report_sentences
from petct_ext.reports.mentions import MAX_SECONDS, Mention, find_mentions
from petct_ext.reports.readable import readable_text
from petct_ext.reports.rules import rule_probability

__all__ = [
    "AnnotatedText",
    "SentenceTagger",
    "annotated_items",
    "items_of_texts",
    "load_report_items",
    "read_annotated_texts",
    "tag_report",
]

Item = dict[str, Any]
Places = tuple[tuple[int, int, str], ...]
_K = TypeVar("_K")
_V = TypeVar("_V")


def tag_report(
    exam_id: str, text: str, tagger: SentenceTagger, *, max_seconds: float = MAX_SECONDS
) -> list[Item]:
    """Finds the mentions of a report and returns its sentences that have some.

    Args:
        exam_id: pseudonymous id.
        text: the report, unchanged.
        tagger: finds the mentions.
        max_seconds: time for the report.

    Returns:
        Items in the order of the text, labels None; empty for a report without text. Their text is
        the readable one.

    Raises:
        InputDataError: if the time is up; names the exam.
    """
    items = []
    text = without_unticked(readable_text(text))
    sentences = report_sentences(text)
    found = _find_in_time(exam_id, text, sentences, tagger, max_seconds)
    contexts = contexts_of(text, sentences, [bool(mentions) for mentions in found])
    for number, (sentence, mentions, context) in enumerate(
        zip(sentences, found, contexts, strict=True)
    ):
        if not mentions or (sentence.is_heading and not context.follow):
            continue
        whole, own = _with_context(text[sentence.start : sentence.end], context)
        spans = [(m.start, m.end, m.region) for m in mentions]
        places = [
            {
                "start": sentence.start + start,
                "end": sentence.start + end,
                "region": region,
                "label": None,
                "rule": rule,
            }
            for (start, end, region), rule in zip(
                spans, tagger.judge(whole, own, spans), strict=True
            )
        ]
        items.append(_item(exam_id, number, sentence, whole, own, places))
    return items


def _find_in_time(
    exam_id: str,
    text: str,
    sentences: Sequence[ReportSentence],
    tagger: SentenceTagger,
    max_seconds: float,
) -> list[tuple[Mention, ...]]:
    deadline_s = time.monotonic() + max_seconds
    found = []
    for sentence in sentences:
        left = deadline_s - time.monotonic()
        try:
            found.append(tagger.find(text[sentence.start : sentence.end], seconds=max(left, 0.0)))
        except InputDataError as error:
            reason = str(error)
            if left < max_seconds / 2:  # not this sentence alone
                reason = "its report has too much text for the time that is allowed."
            raise InputDataError(f"exam {exam_id}: {reason}") from None
    return found


def _with_context(sentence: str, context: Context) -> tuple[str, tuple[int, int]]:
    """Returns the text that is judged and the place of the sentence in it."""
    lead = f"{context.lead} " if context.lead else ""
    follow = f" {context.follow}" if context.follow else ""
    return f"{lead}{sentence}{follow}", (len(lead), len(lead) + len(sentence))


def annotated_items(
    exam_id: str,
    text: str,
    annotations: Sequence[tuple[int, int, str, int]],
    tagger: SentenceTagger,
) -> tuple[list[Item], int]:
    """Returns the sentences of a report in which a reader has judged mentions.

    Args:
        exam_id: pseudonymous id.
        text: the report, unchanged.
        annotations: ``(start, end, region, abnormal)``, offsets into ``text``.
        tagger: finds the mentions that tell which sentences belong to which; a place that a reader
            has marked counts as well.

    Returns:
        Items that hold the judged mentions only, and the number of annotations outside findings and
        impression, which are not used: the labeler does not read other sections. A mention
        that crosses the end of a sentence gets an item of both.

    Raises:
        InputDataError: if offsets lie outside the text or mark nothing but white space; names the
            exam, the offsets and the length, not the text.
    """
    given = readable_text(text)
    text = without_unticked(given)
    sentences = report_sentences(text)
    grouped: dict[tuple[int, int], list[dict[str, Any]]] = {}
    outside = 0
    for start, end, region, abnormal in sorted(annotations):
        if not 0 <= start < end <= len(text) or not given[start:end].strip():
            raise InputDataError(
                f"annotations of exam {exam_id}: offsets {start} to {end} mark no text in a report "
                f"of {len(text)} characters; they count from 0 in the text of reports.csv."
            )
        touched = [i for i, s in enumerate(sentences) if s.start < end and start < s.end]
        if not touched or not text[start:end].strip():
            outside += 1
            continue
        mention = {"start": start, "end": end, "region": region, "label": int(abnormal)}
        grouped.setdefault((touched[0], touched[-1]), []).append(mention)
    marked = {i for first, last in grouped for i in range(first, last + 1)}
    has_region = [
        i in marked or bool(tagger.find(text[s.start : s.end])) for i, s in enumerate(sentences)
    ]
    contexts = contexts_of(text, sentences, has_region)
    items = []
    for (first, last), mentions in sorted(grouped.items()):
        begin = min(sentences[first].start, *(m["start"] for m in mentions))
        stop = max(sentences[last].end, *(m["end"] for m in mentions))
        context = Context(contexts[first].lead, contexts[last].follow)
        whole, own = _with_context(text[begin:stop], context)
        sentence = replace(sentences[first], start=begin, end=stop)
        spans = [(m["start"] - begin, m["end"] - begin, m["region"]) for m in mentions]
        for mention, rule in zip(mentions, tagger.judge(whole, own, spans), strict=True):
            mention["rule"] = rule
        items.append(_item(exam_id, first, sentence, whole, own, mentions))
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
    exam_id: str,
    number: int,
    sentence: ReportSentence,
    whole: str,
    own: tuple[int, int],
    mentions: list[dict[str, Any]],
) -> Item:
    return {
        "exam_id": exam_id,
        "section": sentence.section,
        "sentence": number,
        "text": whole,
        "own": list(own),
        "offset": sentence.start - own[0],
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
        self._found: dict[str, tuple[Mention, ...]] = {}
        self._judged: dict[tuple[str, tuple[int, int], Places], tuple[float, ...]] = {}

    def find(self, sentence: str, *, seconds: float = MAX_SECONDS) -> tuple[Mention, ...]:
        """Returns the mentions of a sentence, offsets in the sentence.

        Args:
            sentence: any text.
            seconds: give up after this time.

        Raises:
            InputDataError: if the time is up.
        """
        known = self._found.get(sentence)
        if known is None:
            known = find_mentions(sentence, self.ontology, seconds=seconds)
            _remember(self._found, sentence, known, self._max_cached)
        return known

    def judge(
        self, text: str, own: tuple[int, int], spans: Sequence[tuple[int, int, str]]
    ) -> tuple[float, ...]:
        """Returns the probability by rules of each mention.

        Args:
            text: a sentence with what is read with it.
            own: place of the sentence in it.
            spans: start, end and region of mentions, offsets in the sentence.
        """
        key = (text, own, tuple(spans))
        known = self._judged.get(key)
        if known is None:
            known = tuple(
                rule_probability(text, own[0] + start, own[0] + end, own=own)
                for start, end, _ in spans
            )
            _remember(self._judged, key, known, self._max_cached)
        return known


def _remember(known: dict[_K, _V], key: _K, value: _V, most: int) -> None:
    if len(known) >= most:
        known.clear()
    known[key] = value


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


def items_of_texts(
    texts: Sequence[AnnotatedText], tagger: SentenceTagger
) -> tuple[list[dict[str, Any]], int]:
    """Returns the judged sentences of all texts and the number of mentions in other sections.

    Args:
        texts: see :func:`read_annotated_texts`; ``text_id`` becomes ``exam_id``.
        tagger: as in :func:`annotated_items`.
    """
    items, outside = [], 0
    for text in texts:
        found, unused = annotated_items(text.text_id, text.text, text.mentions, tagger)
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
