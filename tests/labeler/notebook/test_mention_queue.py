"""The order of mentions depends on the seed, asks uncertain ones first, and repeats come last."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from petct_ext.errors import InputDataError
from petct_ext.labeler.notebook import Candidate, find_candidates, order_candidates
from petct_ext.labeler.notebook.mention_queue import surroundings
from petct_ext.ontology import RegionOntology

TEXTS = {
    "1": "HISTORY: Liver cancer.\nFINDINGS: The lungs are clear. Mass of 12 mm in the chest.",
    "2": "FINDINGS: The lungs are clear. Mass of 15 mm in the chest.\nIMPRESSION: Chest mass.",
}


def test_only_findings_and_impression_are_asked(ontology: RegionOntology) -> None:
    found = find_candidates(TEXTS, ontology)
    words = [(c.study_instance_uid, c.region, TEXTS[c.study_instance_uid][c.start : c.end])
             for c in found]  # fmt: skip
    assert words == [
        ("1", "lungs", "lungs"),
        ("1", "chest", "chest"),
        ("2", "lungs", "lungs"),
        ("2", "chest", "chest"),
        ("2", "chest", "Chest"),
    ]


@pytest.mark.parametrize("order", ["random", "uncertainty"])
def test_the_order_depends_on_the_seed_and_not_on_the_files(order: str) -> None:
    many = [Candidate("1", n, n + 1, f"r{n}", 0.5) for n in range(30)]

    def ordered(seed: int, candidates: list[Candidate]) -> list[Candidate]:
        rng = np.random.default_rng(seed)
        return order_candidates(candidates, TEXTS, order=order, rng=rng)  # type: ignore[arg-type]

    assert ordered(1, many) == ordered(1, many[::-1])
    assert ordered(1, many) != ordered(2, many)


@given(st.lists(st.floats(0, 1), min_size=1, max_size=20))
def test_uncertain_mentions_come_first(probabilities: list[float]) -> None:
    asked = [Candidate("1", n, n + 1, f"r{n}", p) for n, p in enumerate(probabilities)]
    rng = np.random.default_rng(0)
    ordered = order_candidates(asked, TEXTS, order="uncertainty", rng=rng)
    distances = [abs((c.probability or 0.0) - 0.5) for c in ordered]
    assert distances == sorted(distances)
    assert sorted(c.key for c in ordered) == sorted(c.key for c in asked)


def test_mentions_in_the_same_words_come_last(ontology: RegionOntology) -> None:
    texts = {str(n): f"FINDINGS: The lungs are clear ({n} mm)." for n in range(9)}
    texts["x"] = "FINDINGS: Uptake in the chest."
    found = find_candidates(texts, ontology)
    for seed in range(5):
        rng = np.random.default_rng(seed)
        ordered = order_candidates(found, texts, order="random", rng=rng)
        assert {c.region for c in ordered[:2]} == {"lungs", "chest"}


def test_uncertainty_needs_probabilities() -> None:
    rng = np.random.default_rng(0)
    with pytest.raises(InputDataError, match="has no probability; label the reports"):
        order_candidates([Candidate("1", 0, 1, "chest")], TEXTS, order="uncertainty", rng=rng)


def test_surroundings_slice_the_report() -> None:
    text = TEXTS["1"]
    start = text.index("chest")
    section, sentences, index = surroundings(text, start, start + 5)
    first, last = sentences[index]
    assert section == "findings"
    assert text[first:last] == "Mass of 12 mm in the chest."
    assert [text[a:b] for a, b in sentences[:index]] == ["The lungs are clear."]


def test_a_mention_in_no_sentence_is_its_own() -> None:
    text = TEXTS["1"]
    section, sentences, index = surroundings(text, 9, 14)
    assert section == ""
    assert sentences[index] == (9, 14)
    assert sentences[index + 1 :]
