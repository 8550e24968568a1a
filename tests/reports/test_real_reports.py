"""Finding and judging mentions in real report text, measured as the benchmark does."""

from __future__ import annotations

import json

import pytest

from petct_ext.labels.agreement import binary_scores
from petct_ext.ontology import RegionOntology
from petct_ext.reports.mentions import find_mentions
from petct_ext.reports.rules import rule_probability
from petct_ext.reports.sections import split_sections
from petct_ext.reports.sentences import split_sentences
from tests.conftest import SHARED

REPORTS = SHARED / "reports" / "dev.jsonl"


@pytest.mark.shared
@pytest.mark.skipif(not REPORTS.is_file(), reason="needs ../shared/reports")
def test_nine_of_ten_mentions_are_found_and_most_are_judged_right() -> None:
    ontology = RegionOntology.default()
    found, probability, label = [], [], []
    for line in REPORTS.read_text().splitlines():
        report = json.loads(line)
        text = report["text"]
        mentions = find_mentions(text, ontology)
        sentences = [
            (section.name, *span)
            for section in split_sections(text)
            for span in split_sentences(text, section.start, section.end)
        ]
        for truth in report["mentions"]:
            start, end = truth["start"], truth["end"]
            found.append(
                any(
                    m.region == truth["region"] and m.start < end and start < m.end
                    for m in mentions
                )
            )
            name, a, b = next((s for s in sentences if s[1] <= start < s[2]), ("none", 0, 0))
            probability.append(rule_probability(text[a:b], start - a, end - a, section=name))
            label.append(truth["abnormal"])
    assert sum(found) / len(found) >= 0.9
    assert binary_scores(probability, label)["f1"] >= 0.85
