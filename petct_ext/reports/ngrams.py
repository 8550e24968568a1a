"""Frequent words that no region is named by: what an ontology may lack."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

from petct_ext.ontology import RegionOntology
from petct_ext.reports.mentions import find_mentions
from petct_ext.reports.readable import readable_text
from petct_ext.reports.sections import TAGGED_SECTIONS, split_sections
from petct_ext.reports.sentences import split_sentences

__all__ = ["UntaggedNgram", "count_untagged_ngrams"]

_WORD: Final = re.compile(r"[a-z][a-z'-]+")
# Function words and the words of findings themselves: a place does not begin or end with them.
_STOP: Final = frozenset(
    [
        "a",
        "about",
        "above",
        "after",
        "again",
        "all",
        "also",
        "although",
        "an",
        "and",
        "any",
        "appear",
        "appears",
        "are",
        "area",
        "areas",
        "as",
        "at",
        "avid",
        "be",
        "been",
        "being",
        "below",
        "between",
        "both",
        "but",
        "by",
        "can",
        "cm",
        "compared",
        "compatible",
        "consistent",
        "could",
        "decreased",
        "demonstrate",
        "demonstrated",
        "demonstrates",
        "demonstrating",
        "diffuse",
        "disease",
        "due",
        "evidence",
        "fdg",
        "findings",
        "focal",
        "foci",
        "focus",
        "for",
        "from",
        "has",
        "have",
        "having",
        "hypermetabolic",
        "identified",
        "if",
        "image",
        "in",
        "increased",
        "intense",
        "interval",
        "into",
        "is",
        "it",
        "its",
        "lesion",
        "lesions",
        "likely",
        "located",
        "mass",
        "max",
        "maximum",
        "may",
        "measuring",
        "mild",
        "mildly",
        "mm",
        "moderate",
        "moderately",
        "multiple",
        "near",
        "new",
        "no",
        "nodule",
        "nodules",
        "non",
        "nor",
        "normal",
        "not",
        "noted",
        "now",
        "of",
        "on",
        "or",
        "other",
        "physiologic",
        "previously",
        "prior",
        "related",
        "represent",
        "scan",
        "seen",
        "several",
        "should",
        "showed",
        "showing",
        "shows",
        "significant",
        "similar",
        "since",
        "slice",
        "small",
        "stable",
        "study",
        "such",
        "suggest",
        "suggestive",
        "suspicious",
        "suv",
        "suvmax",
        "than",
        "that",
        "the",
        "there",
        "these",
        "they",
        "this",
        "those",
        "to",
        "tracer",
        "unchanged",
        "uptake",
        "upon",
        "was",
        "were",
        "which",
        "while",
        "with",
        "within",
        "without",
    ]
)


@dataclass(frozen=True, slots=True)
class UntaggedNgram:
    """Words that reports use and no mention holds.

    Attributes:
        words: one to three words in lower case.
        count: how often they occur outside mentions.
        beside: region whose mentions they most often stand directly beside, "" if none.
        share: share of the occurrences beside that region, in [0, 1]. High: rather a synonym of it
            or a word that qualifies it; low: rather a region of its own, or no region.
    """

    words: str
    count: int
    beside: str
    share: float


def count_untagged_ngrams(
    texts: Iterable[str], ontology: RegionOntology, *, min_count: int = 35, longest: int = 3
) -> list[UntaggedNgram]:
    """Counts k-grams of findings and impressions that lie outside all mentions.

    k-grams do not cross punctuation, and begin and end with a word that may name a place. One that
    only ever occurs within a longer one that is listed too is left out.

    Args:
        texts: reports.
        ontology: regions that are looked for already.
        min_count: how often a k-gram must occur.
        longest: greatest k.

    Returns:
        k-grams in the order of falling count, for a person to decide about.
    """
    counts: Counter[str] = Counter()
    beside: dict[str, Counter[str]] = {}
    for text in texts:
        readable = readable_text(text)
        for section in split_sections(readable):
            if section.name in TAGGED_SECTIONS:
                for start, end in split_sentences(readable, section.start, section.end):
                    _count(readable[start:end], ontology, longest, counts, beside)
    frequent = {words: n for words, n in counts.items() if n >= min_count}
    within = {
        part
        for words, n in frequent.items()
        for part in _parts(words.split())
        if frequent.get(part) == n
    }
    return [
        _ngram(words, n, beside.get(words, Counter()))
        for words, n in sorted(frequent.items(), key=lambda item: (-item[1], item[0]))
        if words not in within
    ]


def _parts(words: list[str]) -> set[str]:
    """Shorter k-grams inside a k-gram."""
    return {
        " ".join(words[i : i + k]) for k in range(1, len(words)) for i in range(len(words) - k + 1)
    }


def _count(
    sentence: str,
    ontology: RegionOntology,
    longest: int,
    counts: Counter[str],
    beside: dict[str, Counter[str]],
) -> None:
    mentions = find_mentions(sentence, ontology)
    edges: dict[int, set[str]] = {}
    for mention in mentions:
        edges.setdefault(mention.start - 1, set()).add(mention.region)
        edges.setdefault(mention.end + 1, set()).add(mention.region)
    for run in _runs(sentence, [(m.start, m.end) for m in mentions]):
        for k in range(1, longest + 1):
            for part in (run[i : i + k] for i in range(len(run) - k + 1)):
                if part[0][2] in _STOP or part[-1][2] in _STOP:
                    continue
                words = " ".join(word for _, _, word in part)
                counts[words] += 1
                close = edges.get(part[0][0], set()) | edges.get(part[-1][1], set())
                beside.setdefault(words, Counter()).update(close)


def _runs(sentence: str, taken: list[tuple[int, int]]) -> list[list[tuple[int, int, str]]]:
    """Words in a row, outside mentions and without punctuation between them."""
    runs: list[list[tuple[int, int, str]]] = [[]]
    for match in _WORD.finditer(sentence.lower()):
        start, end = match.span()
        if any(a < end and start < b for a, b in taken):
            runs.append([])
            continue
        if runs[-1] and sentence[runs[-1][-1][1] : start].strip():
            runs.append([])
        runs[-1].append((start, end, match[0]))
    return runs


def _ngram(words: str, count: int, beside: Counter[str]) -> UntaggedNgram:
    region, times = beside.most_common(1)[0] if beside else ("", 0)
    return UntaggedNgram(words, count, region, round(times / count, 2))
