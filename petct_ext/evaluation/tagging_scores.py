"""How many annotated mentions the tagger finds: a region that is never tagged is never labeled."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd

from petct_ext.data.annotated_texts import AnnotatedText, items_of_texts
from petct_ext.data.report_items import SentenceTagger, tag_report
from petct_ext.ontology import RegionOntology

__all__ = ["score_tagging"]


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
    judged = [m for i in items_of_texts([text])[0] for m in i["mentions"]]
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
