"""Sentences survive abbreviations, numbers, lists and wrapped lines."""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from petct_ext.reports.sentences import split_sentences


def sentences(text: str) -> list[str]:
    return [" ".join(text[a:b].split()) for a, b in split_sentences(text)]


@pytest.mark.parametrize(
    "text",
    [
        "Node with SUVmax 3.5 in the left axilla.",
        "Discussed with Dr. Smith at 10 a.m. today.",
        "Mass of 1.2 x 3.4 cm in the liver.",
        "Lesion of approx. 3 cm in the spleen.",
        "Uptake (SUV max. 3.5) above blood pool.",
        "1. Left hilar node.",
        "Hypermetabolic node in the\nleft axilla.",
        "Uptake with\nSUVmax 4.2 in the liver.",
        "Nodes in the left neck,\nRight neck is clear.",
    ],
)
def test_one_sentence_stays_one(text: str) -> None:
    assert sentences(text) == [" ".join(text.split())]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("Liver normal. Spleen normal.", ["Liver normal.", "Spleen normal."]),
        ("1. Nodes. 2. Liver ok.", ["1. Nodes.", "2. Liver ok."]),
        ("1. Left node\n2. Liver ok", ["1. Left node", "2. Liver ok"]),
        ("- Left node\n- Liver ok", ["- Left node", "- Liver ok"]),
        ("Nodes are noted.Physiologic uptake.", ["Nodes are noted.", "Physiologic uptake."]),
        ("Uptake in liver\n\nno nodes", ["Uptake in liver", "no nodes"]),
        ("Maximum SUV of 2.7\nThere is uptake.", ["Maximum SUV of 2.7", "There is uptake."]),
        ("CHEST: Clear lungs.", ["CHEST:", "Clear lungs."]),
        ("- Chest: Clear lungs.", ["- Chest:", "Clear lungs."]),
        ("Chest - Clear lungs.", ["Chest -", "Clear lungs."]),
        ("MSK: neg\nBM: avid", ["MSK: neg", "BM: avid"]),
        ("1.Avid node, SUV 5.2.2.No mets seen.", ["1.Avid node, SUV 5.2.", "2.No mets seen."]),
        ("Clear liver/spleen.3.Stable nodule.", ["Clear liver/spleen.", "3.Stable nodule."]),
        ("Pool SUV 2.1. Right hilum 3.9.", ["Pool SUV 2.1.", "Right hilum 3.9."]),
    ],
)
def test_sentences_end_where_a_reader_ends_them(text: str, expected: list[str]) -> None:
    assert sentences(text) == expected


def test_only_the_given_part_is_split() -> None:
    text = "Ignored. Liver normal. Ignored."
    assert [text[a:b] for a, b in split_sentences(text, 9, 22)] == ["Liver normal."]


def test_very_long_lines_are_split_in_bounded_time() -> None:
    assert len(split_sentences("Liver is normal. " * 20_000)) == 20_000


@given(st.text(alphabet=st.sampled_from("ab AB.3\n\t1)(-:;, é\u00a0"), max_size=80))
def test_spans_hold_every_visible_character_once(text: str) -> None:
    spans = split_sentences(text)
    assert all(a < b for a, b in spans)
    assert all(first[1] <= second[0] for first, second in pairwise(spans))
    assert "".join("".join(text[a:b].split()) for a, b in spans) == "".join(text.split())
