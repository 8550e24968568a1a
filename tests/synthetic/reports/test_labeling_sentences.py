"""Training sentences: exact spans, known regions, variety, and the same for the same seed."""

from __future__ import annotations

import numpy as np
import pytest

from petct_ext.ontology import RegionOntology
from petct_ext.synthetic.reports.contexts import generate_contexts
from petct_ext.synthetic.reports.labeling_sentences import (
    LabelingSentence,
    generate_labeling_sentences,
    handwritten_sentences,
    vary_places,
)


@pytest.fixture(scope="module")
def generated() -> list[LabelingSentence]:
    return generate_labeling_sentences(np.random.default_rng(0), 600)


def words(sentence: LabelingSentence) -> list[str]:
    return [sentence["text"][m["start"] : m["end"]] for m in sentence["mentions"]]


def test_generated_spans_hold_words_and_known_regions(generated: list[LabelingSentence]) -> None:
    ontology = RegionOntology.default()
    for sentence in generated:
        assert sentence["mentions"]
        assert all(w and w == w.strip() for w in words(sentence))
        assert all(m["region"] in ontology for m in sentence["mentions"])
        assert not any(c in sentence["text"] for c in "{}\ue000\ue001\ue002")


def test_generated_text_is_varied_and_both_labels_are_common(
    generated: list[LabelingSentence],
) -> None:
    labels = [m["abnormal"] for s in generated for m in s["mentions"]]
    assert 0.3 < np.mean(labels) < 0.7
    assert len({s["text"] for s in generated}) > 580
    several = [s for s in generated if len({m["abnormal"] for m in s["mentions"]}) == 2]
    assert len(several) > 60


def test_same_seed_gives_same_sentences(generated: list[LabelingSentence]) -> None:
    assert generate_labeling_sentences(np.random.default_rng(0), 20) == generated[:20]


def test_more_than_four_hundred_sentences_were_written_by_hand() -> None:
    written = handwritten_sentences(RegionOntology.default())
    assert len({s["text"] for s in written}) >= 400
    for sentence in written:
        assert all(w and w == w.strip() for w in words(sentence)), sentence["text"]
        assert all(m["abnormal"] in (0, 1) for m in sentence["mentions"])


def test_varied_places_keep_labels_and_exact_spans() -> None:
    rng = np.random.default_rng(2)
    for sentence in handwritten_sentences(RegionOntology.default())[:100]:
        varied = vary_places(sentence, rng, chance=1.0)
        assert [m["abnormal"] for m in varied["mentions"]] == [
            m["abnormal"] for m in sorted(sentence["mentions"], key=lambda m: m["start"])
        ]
        assert all(w and w == w.strip() for w in words(varied))


def test_organs_stay_where_they_are() -> None:
    sentence = {
        "text": "Excretion in the kidneys.",
        "mentions": [{"start": 17, "end": 24, "region": "kidney", "abnormal": 0}],
    }
    assert vary_places(sentence, np.random.default_rng(0), chance=1.0)["text"] == sentence["text"]


def test_findings_in_context_name_one_region_in_their_own_sentence() -> None:
    ontology = RegionOntology.default()
    findings = generate_contexts(np.random.default_rng(3), 300)
    assert findings == generate_contexts(np.random.default_rng(3), 300)
    for finding in findings:
        start, end = finding["own"]
        (mention,) = finding["mentions"]
        assert mention["region"] in ontology
        assert start <= mention["start"] < mention["end"] <= end
    with_more = [f for f in findings if f["own"] != [0, len(f["text"])]]
    assert len(with_more) == len(findings)
    assert 0.4 < np.mean([f["mentions"][0]["abnormal"] for f in findings]) < 0.6
