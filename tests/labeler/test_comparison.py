"""Labelers are compared on what they say of annotated texts, with intervals over texts."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest

from petct_ext.labeler.comparison import MentionLabeler, compare_labelers, list_errors
from petct_ext.ontology import RegionOntology
from petct_ext.reports.baseline import RegexLabeler
from petct_ext.reports.items import AnnotatedText
from petct_ext.reports.repeats import place_of_mention
from petct_ext.reports.rules import RuleLabeler


def annotated(name: str, text: str, *mentions: tuple[str, str, int]) -> AnnotatedText:
    spans = tuple(
        (text.index(word), text.index(word) + len(word), region, abnormal)
        for word, region, abnormal in mentions
    )
    return AnnotatedText(name, text, spans)


TEXTS = [
    annotated("a", "Avid mass in the left lung.", ("left lung", "left_lungs", 1)),
    annotated("b", "No uptake in the liver.", ("liver", "liver", 0)),
    annotated(
        "c",
        "Avid liver mass; the spleen shows no uptake.",
        ("liver", "liver", 1),
        ("spleen", "spleen", 0),
    ),
    annotated("d", "HISTORY: lung cancer. FINDINGS: Liver normal.", ("lung", "lungs", 0)),
]


class Always:
    """Says the same of every mention."""

    def predict(self, items: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
        """Returns 1 for every mention."""
        return [
            {**place_of_mention(item, mention), "probability": 1.0}
            for item in items
            for mention in item["mentions"]
        ]


@pytest.fixture(scope="module")
def table() -> Any:
    labelers: dict[str, MentionLabeler] = {
        "regex": RegexLabeler(),
        "rules": RuleLabeler(),
        "always": Always(),
    }
    found = compare_labelers(labelers, TEXTS, RegionOntology.default(), draws=50)
    return found.set_index(["labeler", "what"])


def test_perfect_labeler_scores_one_everywhere(table: Any) -> None:
    for what in ("mentions", "mentions_found", "micro"):
        assert table.loc[("rules", what), ["sensitivity", "specificity", "f1"]].tolist() == [1] * 3
    assert table.loc[("rules", "mentions"), "num"] == 5


def test_baseline_denies_the_whole_sentence(table: Any) -> None:
    assert table.loc[("regex", "mentions"), "sensitivity"] == 0.5
    assert table.loc[("regex", "mentions"), "specificity"] == 1.0


def test_mentions_in_other_sections_are_not_read(table: Any) -> None:
    assert table.loc[("always", "mentions"), "specificity"] == pytest.approx(1 / 3)


def test_intervals_hold_the_value(table: Any) -> None:
    row = table.loc[("regex", "micro")]
    assert row["f1_low"] <= row["f1"] <= row["f1_high"]
    assert np.isnan(table.loc[("regex", "neck"), "f1"])


def test_errors_show_the_sentence_that_caused_them() -> None:
    (error,) = list_errors(RegexLabeler(), TEXTS, RegionOntology.default())
    assert error["words"] == "liver"
    assert error["sentence"] == TEXTS[2].text
    assert (error["abnormal"], error["probability"]) == (1, 0.0)
