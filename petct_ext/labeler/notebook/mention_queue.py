"""Which mentions a reader is asked about, and in which order."""

from __future__ import annotations

import logging
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from petct_ext.errors import InputDataError
from petct_ext.ontology import RegionOntology
from petct_ext.reports.context import report_sentences
from petct_ext.reports.items import SentenceTagger
from petct_ext.reports.readable import readable_text
from petct_ext.reports.reading import read_report

__all__ = ["Candidate", "Order", "find_candidates", "order_candidates", "surroundings"]

_LOGGER = logging.getLogger(__name__)

Order = Literal["uncertainty", "random"]

_AROUND = 60
"""Characters on both sides of a mention that make it the same as another one."""


@dataclass(frozen=True, slots=True)
class Candidate:
    """A tagged mention that may be judged.

    Attributes:
        study_instance_uid: the report's study.
        start: offset of the mention in the report.
        end: offset one past its last character.
        region: name in the ontology.
        probability: of an abnormal mention, by a model; None if there is none.
    """

    study_instance_uid: str
    start: int
    end: int
    region: str
    probability: float | None = None

    @property
    def key(self) -> tuple[str, int, int, str]:
        """What tells the mention from all others."""
        return self.study_instance_uid, self.start, self.end, self.region


def find_candidates(texts: Mapping[str, str], ontology: RegionOntology) -> list[Candidate]:
    """Tags the findings and impressions of reports.

    Args:
        texts: report of each study, unchanged.
        ontology: regions to look for.

    Returns:
        The mentions in the order of the reports and of their text, without probabilities.
    """
    tagger = SentenceTagger(ontology)
    found: list[Candidate] = []
    for study, text in texts.items():
        items, status = read_report(study, text, tagger)
        if status.message:  # one odd report must not end a sitting
            _LOGGER.warning("a report is not asked: %s", status.message)
        found.extend(
            Candidate(study, mention["start"], mention["end"], mention["region"])
            for item in items
            for mention in item["mentions"]
        )
    return found


def order_candidates(
    candidates: Iterable[Candidate],
    texts: Mapping[str, str],
    *,
    order: Order,
    rng: np.random.Generator,
) -> list[Candidate]:
    """Puts mentions into the order in which they are asked.

    Reports repeat themselves, so a mention of a region in the same words (digits and case aside)
    as an earlier one comes after all that are new.

    Args:
        candidates: mentions.
        texts: report of each study.
        order: ``uncertainty`` begins with the probabilities nearest to 0.5; ``random`` is what a
            test set needs, for whose scores the chosen mentions must be a fair sample.
        rng: decides ties, or all.

    Raises:
        InputDataError: if probabilities are needed and a mention has none.
    """
    # Sorted first, so that the order depends on the seed and not on that of the files.
    candidates = sorted(candidates, key=lambda c: c.key)
    shuffled = [candidates[i] for i in rng.permutation(len(candidates))]
    if order == "uncertainty":
        shuffled.sort(key=_distance)
    seen: set[tuple[str, str]] = set()
    fresh: list[Candidate] = []
    repeated: list[Candidate] = []
    for candidate in shuffled:
        words = (candidate.region, _words_around(texts[candidate.study_instance_uid], candidate))
        (repeated if words in seen else fresh).append(candidate)
        seen.add(words)
    return fresh + repeated


def surroundings(text: str, start: int, end: int) -> tuple[str, Sequence[tuple[int, int]], int]:
    """Returns the section, all sentences of that report, and the index of a mention's sentence.

    A mention outside every sentence is a sentence of its own, put in its place.
    """
    sentences = report_sentences(readable_text(text))
    spans = [(sentence.start, sentence.end) for sentence in sentences]
    for index, (first, last) in enumerate(spans):
        if first < end and start < last:
            # Judged mentions may cross the end of a sentence.
            spans[index] = (min(first, start), max(last, end))
            return sentences[index].section, spans, index
    before = [span for span in spans if span[1] <= start]
    after = [span for span in spans if span[0] >= end]
    return "", [*before, (start, end), *after], len(before)


def _distance(candidate: Candidate) -> float:
    if candidate.probability is None:
        raise InputDataError(
            f"the mention at characters {candidate.start} to {candidate.end} has no probability; "
            "label the reports with a model first, or choose order='random'."
        )
    return abs(candidate.probability - 0.5)


def _words_around(text: str, candidate: Candidate) -> str:
    around = text[max(0, candidate.start - _AROUND) : candidate.end + _AROUND]
    return re.sub(r"\W+", " ", re.sub(r"\d+", "0", around)).lower()
