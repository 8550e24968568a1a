"""Compares report labelers on annotated reports, and scores what the tagger finds.

Letters in shapes: M mentions, T texts, R regions.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, Protocol

import numpy as np
import numpy.typing as npt
import pandas as pd

from petct_ext.arrays import Floats
from petct_ext.labeler.given_predictions import GivenPredictions
from petct_ext.labels.aggregation import region_probabilities
from petct_ext.labels.agreement import binary_scores
from petct_ext.ontology import RegionOntology
from petct_ext.reports.items import AnnotatedText, SentenceTagger, items_of_texts, tag_report

__all__ = [
    "MentionLabeler",
    "compare_labelers",
    "label_texts",
    "list_errors",
    "score_tagging",
]

SCORES: Final = ("sensitivity", "specificity", "f1", "auroc")
_MENTIONS: Final = "mentions"
"""Row of the table: annotated mentions, at the places where the reader marked them."""
_FOUND: Final = "mentions_found"
"""Row: annotated mentions as the labeler finds them itself; one it misses has probability 0."""
_MICRO: Final = "micro"
_MACRO: Final = "macro"


class MentionLabeler(Protocol):
    """Whatever turns items of reports into mentions with a probability."""

    def predict(self, items: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
        """Returns rows of the table MENTIONS, sorted by exam and place."""
        ...


@dataclass(frozen=True, slots=True)
class LabeledTexts:
    """What a labeler says of annotated texts.

    Attributes:
        mention_text: number of the text of each mention (M,).
        mention_label: 1 abnormal, 0 not (M,).
        mention_prob: probability at the annotated places (M,); 0 outside findings and impression.
        found_prob: probability of the mention that the labeler found there (M,), 0 if none.
        region_label, region_prob: the main regions per text (T, R).
        regions: names of the R regions.
    """

    mention_text: npt.NDArray[np.int64]
    mention_label: Floats
    mention_prob: Floats
    found_prob: Floats
    region_label: Floats
    region_prob: Floats
    regions: tuple[str, ...]


def label_texts(
    labeler: MentionLabeler, texts: Sequence[AnnotatedText], ontology: RegionOntology
) -> LabeledTexts:
    """Lets a labeler judge the annotated mentions and, on its own, the whole texts.

    A region is abnormal in a text if an abnormal mention names it or a part of it; the labeler's
    probability is the noisy-or over all mentions that it found (see
    :func:`petct_ext.labels.aggregation.region_probabilities`), 0 for a region without any.

    Args:
        labeler: see :class:`MentionLabeler`.
        texts: with unique ids.
        ontology: its main regions are compared.
    """
    tagger = SentenceTagger(ontology)
    at = {
        (row["exam_id"], row["start"], row["end"], row["region"]): row["probability"]
        for row in labeler.predict(items_of_texts(texts, tagger)[0])
    }
    found = _found(labeler, texts, tagger)
    judged = [(number, text, m) for number, text in enumerate(texts) for m in text.mentions]
    regions = ontology.main_regions()
    return LabeledTexts(
        mention_text=np.array([number for number, _, _ in judged], dtype=np.int64),
        mention_label=np.array([m[3] for _, _, m in judged], dtype=float),
        mention_prob=np.array([at.get((t.text_id, *m[:3]), 0.0) for _, t, m in judged]),
        found_prob=np.array([_match(found[t.text_id], m) for _, t, m in judged]),
        region_label=np.array([_truth(text, regions, ontology) for text in texts]),
        region_prob=np.array([_probability(found[t.text_id], regions, ontology) for t in texts]),
        regions=regions,
    )


def _found(
    labeler: MentionLabeler, texts: Sequence[AnnotatedText], tagger: SentenceTagger
) -> dict[str, list[dict[str, Any]]]:
    """What a labeler says of whole texts: of what our tagger finds, or of what it found itself."""
    if isinstance(labeler, GivenPredictions):
        return {text.text_id: labeler.found(text.text_id) for text in texts}
    tagged = [item for t in texts for item in tag_report(t.text_id, t.text, tagger)]
    found: dict[str, list[dict[str, Any]]] = {text.text_id: [] for text in texts}
    for row in labeler.predict(tagged):
        found[row["exam_id"]].append(row)
    return found


def compare_labelers(
    labelers: Mapping[str, MentionLabeler],
    texts: Sequence[AnnotatedText],
    ontology: RegionOntology,
    *,
    draws: int = 1000,
    seed: int = 0,
) -> pd.DataFrame:
    """Scores labelers on annotated texts.

    Args:
        labelers: by name.
        texts: annotated reports.
        ontology: regions.
        draws: bootstrap draws over texts for the 95 % percentile intervals; 0 leaves them out.
        seed: of the draws, the same for all labelers.

    Returns:
        One row per labeler and ``what``: ``mentions`` (at the annotated places),
        ``mentions_found`` (as the labeler finds them; a missed one counts with probability 0),
        ``micro`` (all main regions of all texts pooled), ``macro`` (mean over regions where
        defined), and each main region. Columns ``num``, ``num_abnormal`` and, for each of
        sensitivity, specificity, f1, auroc: the value, ``_low`` and ``_high`` (NaN where not
        defined); decisions at 0.5.
    """
    rows = []
    for name, labeler in labelers.items():
        labeled = label_texts(labeler, texts, ontology)
        points = dict(_score_all(labeled, np.arange(len(texts))))
        intervals = _intervals(labeled, len(texts), draws, seed)
        for what, scores in points.items():
            row: dict[str, Any] = {"labeler": name, "what": what}
            row |= {key: scores[key] for key in ("num", "num_abnormal")}
            for key in SCORES:
                low, high = intervals.get((what, key), (np.nan, np.nan))
                row |= {key: scores[key], f"{key}_low": low, f"{key}_high": high}
            rows.append(row)
    return pd.DataFrame(rows)


def list_errors(
    labeler: MentionLabeler,
    texts: Sequence[AnnotatedText],
    ontology: RegionOntology,
    *,
    threshold: float = 0.5,
) -> list[dict[str, Any]]:
    """Returns the annotated mentions that a labeler judges wrongly, with their sentences.

    The rows hold report text: keep them as private as the reports.

    Returns:
        Rows ``exam_id, section, start, end, region, abnormal, probability, words, sentence``, the
        most certain error first.
    """
    items = items_of_texts(texts, SentenceTagger(ontology))[0]
    at = {
        (row["exam_id"], row["start"], row["end"], row["region"]): row["probability"]
        for row in labeler.predict(items)
    }
    errors = []
    for item in items:
        for mention in item["mentions"]:
            start, end, region = mention["start"], mention["end"], mention["region"]
            probability = at[item["exam_id"], start, end, region]
            if (probability >= threshold) == bool(mention["label"]):
                continue
            first = start - item["offset"]
            errors.append(
                {
                    "exam_id": item["exam_id"],
                    "section": item["section"],
                    "start": start,
                    "end": end,
                    "region": region,
                    "abnormal": mention["label"],
                    "probability": round(probability, 4),
                    "words": item["text"][first : first + end - start],
                    "sentence": " ".join(item["text"].split()),
                }
            )
    return sorted(errors, key=lambda row: -abs(row["probability"] - row["abnormal"]))


def _match(found: Sequence[Mapping[str, Any]], mention: tuple[int, int, str, int]) -> float:
    start, end, region, _ = mention
    return max(
        (
            float(row["probability"])
            for row in found
            if row["region"] == region and row["start"] < end and start < row["end"]
        ),
        default=0.0,
    )


def _truth(text: AnnotatedText, regions: Sequence[str], ontology: RegionOntology) -> list[float]:
    abnormal = {region for _, _, region, label in text.mentions if label and region in ontology}
    closed = abnormal.union(*(ontology.containers(name) for name in abnormal))
    return [float(name in closed) for name in regions]


def _probability(
    found: Sequence[Mapping[str, Any]], regions: Sequence[str], ontology: RegionOntology
) -> list[float]:
    spans = [(row["start"], row["end"], row["region"], row["probability"]) for row in found]
    labels = region_probabilities(spans, ontology)
    return [float(labels.get(name, 0.0)) for name in regions]


def _score_all(
    labeled: LabeledTexts, texts: npt.NDArray[np.int64]
) -> Iterator[tuple[str, dict[str, float]]]:
    """Yields every row of a labeler for a draw of texts (numbers, with repeats)."""
    counts = np.bincount(texts, minlength=len(labeled.region_label))
    mentions = np.repeat(np.arange(len(labeled.mention_text)), counts[labeled.mention_text])
    label = labeled.mention_label[mentions]
    yield _MENTIONS, binary_scores(labeled.mention_prob[mentions], label)
    yield _FOUND, binary_scores(labeled.found_prob[mentions], label)
    truth, prob = labeled.region_label[texts], labeled.region_prob[texts]
    pooled = binary_scores(prob.ravel(), truth.ravel())
    yield _MICRO, pooled
    each = [binary_scores(prob[:, i], truth[:, i]) for i in range(len(labeled.regions))]
    table = np.array([[scores[key] for key in SCORES] for scores in each])
    defined = ~np.isnan(table)
    sums = np.where(defined, table, 0.0).sum(axis=0)
    with np.errstate(invalid="ignore"):
        means = sums / defined.sum(axis=0)
    size = {key: pooled[key] for key in ("num", "num_abnormal")}
    yield _MACRO, {**size, **dict(zip(SCORES, means.tolist(), strict=True))}
    yield from zip(labeled.regions, each, strict=True)


def _intervals(
    labeled: LabeledTexts, num_texts: int, draws: int, seed: int
) -> dict[tuple[str, str], tuple[float, float]]:
    rng = np.random.default_rng(seed)
    values: dict[tuple[str, str], list[float]] = {}
    for _ in range(draws):
        for what, scores in _score_all(labeled, rng.integers(num_texts, size=num_texts)):
            for key in SCORES:
                if not np.isnan(scores[key]):
                    values.setdefault((what, key), []).append(scores[key])
    return {
        key: (float(np.percentile(given, 2.5)), float(np.percentile(given, 97.5)))
        for key, given in values.items()
    }


def score_tagging(
    texts: Sequence[AnnotatedText], ontology: RegionOntology, *, draws: int = 1000, seed: int = 0
) -> pd.DataFrame:
    """Compares the mentions that are found with those that a reader has marked.

    Annotations in history, technique and comparison are left out: nothing is tagged there.

    Args:
        texts: annotated reports.
        ontology: regions.
        draws: bootstrap draws over texts for the 95 % percentile intervals.
        seed: of the draws.

    Returns:
        Rows ``recall`` (the reader's words are tagged with his region), ``recall_related`` (or with
        a region that contains it or is a part of it) and ``precision`` (tagged words overlap an
        annotation), columns ``what, num, value, low, high``. Precision is a lower bound where
        the reader has not marked every mention.
    """
    tagger = SentenceTagger(ontology)
    counts = np.array([_counts(text, tagger, ontology) for text in texts], dtype=float)
    rng = np.random.default_rng(seed)
    drawn = counts[rng.integers(len(texts), size=(draws, len(texts)))].sum(axis=1)
    rows = []
    for what, hits, total in (("recall", 0, 2), ("recall_related", 1, 2), ("precision", 3, 4)):
        sums = counts.sum(axis=0)
        values = drawn[:, hits] / np.maximum(drawn[:, total], 1.0)
        low, high = np.percentile(values, [2.5, 97.5]) if draws else (np.nan, np.nan)
        value = sums[hits] / sums[total] if sums[total] else np.nan
        rows.append({"what": what, "num": sums[total], "value": value, "low": low, "high": high})
    return pd.DataFrame(rows)


def _counts(
    text: AnnotatedText, tagger: SentenceTagger, ontology: RegionOntology
) -> tuple[int, int, int, int, int]:
    """Found with the same region, with a related one, of; tagged words that are marked, of."""
    tagged = [m for i in tag_report(text.text_id, text.text, tagger) for m in i["mentions"]]
    judged = [m for i in items_of_texts([text], tagger)[0] for m in i["mentions"]]
    same = related = 0
    for mention in judged:
        name = mention["region"]
        around = {name} | ontology.containers(name) | ontology.parts(name)
        found = {
            m["region"]
            for m in tagged
            if m["start"] < mention["end"] and mention["start"] < m["end"]
        }
        same += name in found
        related += bool(found & around)
    marked = sum(
        any(m["start"] < end and start < m["end"] for start, end, _, _ in text.mentions)
        for m in tagged
    )
    return same, related, len(judged), marked, len(tagged)
