"""Slips in the names of organs are mended; other words, and the way back, stay as they are."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from petct_ext.ontology import RegionOntology
from petct_ext.reports.mentions import find_mentions
from petct_ext.reports.spelling import SpellingCorrector

ONTOLOGY = RegionOntology.default()
CORRECTOR = SpellingCorrector(ONTOLOGY)


@pytest.mark.parametrize(
    ("wrong", "right"),
    [
        ("blader", "bladder"),
        ("mediastnal", "mediastinal"),
        ("pancraes", "pancreas"),
        ("sternumm", "sternum"),
        ("stomech", "stomach"),
        ("right uper lobe", "right upper lobe"),
    ],
)
def test_one_slip_is_mended(wrong: str, right: str) -> None:
    assert CORRECTOR.correct(f"In the {wrong}.").text == f"In the {right}."


@pytest.mark.parametrize(
    "words",
    ["The interval is stable", "the renal pelvis", "adrenal", "plural effusions", "Ventral hernia"],
)
def test_right_words_stay(words: str) -> None:
    assert CORRECTOR.correct(words).text == words


def test_mention_is_what_stands_in_the_report() -> None:
    text = "Avid node in the strenum and the mediastnal fat, blader."
    found = {text[m.start : m.end]: m.region for m in find_mentions(text, ONTOLOGY)}
    assert found["strenum"] == "sternum"
    assert found["blader"] == "bladder"


@given(st.text(alphabet="abdelmnstir ", max_size=60))
def test_way_back_stays_in_the_text_and_in_order(text: str) -> None:
    corrected = CORRECTOR.correct(text)
    previous = 0
    for start in range(len(corrected.text)):
        first, last = corrected.original(start, start + 1)
        assert 0 <= previous <= first < last <= len(text)
        previous = first
