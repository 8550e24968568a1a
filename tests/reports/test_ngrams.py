"""Frequent words that no region is named by are proposed."""

from __future__ import annotations

from petct_ext.ontology import RegionOntology
from petct_ext.reports.ngrams import count_untagged_ngrams

ONTOLOGY = RegionOntology.default()


def test_frequent_words_outside_mentions_are_proposed() -> None:
    texts = ["HISTORY: zebra. FINDINGS: Uptake in the quokka organ. Liver normal."] * 40
    found = {ngram.words: ngram.count for ngram in count_untagged_ngrams(texts, ONTOLOGY)}
    assert found == {"quokka organ": 40}


def test_rare_words_are_not() -> None:
    assert count_untagged_ngrams(["Uptake in the quokka."] * 34, ONTOLOGY) == []


def test_word_beside_a_region_names_it() -> None:
    (ngram,) = count_untagged_ngrams(["Uptake in liver zork."] * 35, ONTOLOGY)
    assert (ngram.words, ngram.beside, ngram.share) == ("zork", "liver", 1.0)
