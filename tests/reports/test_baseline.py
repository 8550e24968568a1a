"""The baselines judge by words alone and have the interface of the trained labeler."""

from __future__ import annotations

import pytest

from petct_ext.ontology import RegionOntology
from petct_ext.reports.baseline import RegexLabeler
from petct_ext.reports.items import SentenceTagger, tag_report
from petct_ext.reports.rules import RuleLabeler


@pytest.mark.parametrize(
    ("sentence", "abnormal"),
    [
        ("Hypermetabolic liver lesion.", 1.0),
        ("No uptake in the liver.", 0.0),
        ("The liver is UNREMARKABLE.", 0.0),
        ("Nodule in the knot.", 1.0),
        ("Avid lung mass, normal liver.", 0.0),
    ],
)
def test_one_word_of_negation_denies_the_whole_sentence(sentence: str, abnormal: float) -> None:
    assert RegexLabeler().probability(sentence) == abnormal


def test_history_says_nothing_of_this_exam() -> None:
    assert RegexLabeler().probability("Lung cancer.", section="history") == 0.0


def test_both_baselines_return_a_row_per_mention_in_order() -> None:
    tagger = SentenceTagger(RegionOntology.default())
    text = "Hypermetabolic liver mass. No uptake in the spleen."
    items = tag_report("b", text, tagger) + tag_report("a", text, tagger)
    for labeler in (RegexLabeler(), RuleLabeler()):
        rows = labeler.predict(items)
        assert [(r["exam_id"], r["region"], r["probability"] >= 0.5) for r in rows] == [
            ("a", "liver", True),
            ("a", "spleen", False),
            ("b", "liver", True),
            ("b", "spleen", False),
        ]
