"""Sections are found in the spellings of several departments."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from petct_ext.reports.headings import is_heading
from petct_ext.reports.sections import split_sections


def sections(text: str) -> list[tuple[str, str]]:
    return [(s.name, " ".join(text[s.start : s.end].split())) for s in split_sections(text)]


@pytest.mark.parametrize(
    ("heading", "name"),
    [
        ("CLINICAL HISTORY:", "history"),
        ("Clinical information", "history"),
        ("Reason for this exam:", "history"),
        ("STATED REASON FOR REQUEST:", "history"),
        ("INDICATION:", "history"),
        ("Technique:", "technique"),
        ("PROCEDURE:", "technique"),
        ("Comparison", "comparison"),
        ("PRIOR STUDIES:", "comparison"),
        ("FINDINGS:", "findings"),
        ("PET/CT Findings:", "findings"),
        ("Other findings:", "findings"),
        ("**Findings:**", "findings"),
        ("IMPRESSION:", "impression"),
        ("CONCLUSION -", "impression"),
        ("Impression and recommendation:", "impression"),
        ("INTERPRETATION:", "impression"),
        ("OPINION", "impression"),
    ],
)
def test_usual_spellings_of_headings_are_known(heading: str, name: str) -> None:
    assert sections(f"{heading}\nSome words follow here.") == [(name, "Some words follow here.")]


def test_report_without_headings_is_findings() -> None:
    assert sections("Liver normal.") == [("findings", "Liver normal.")]


@pytest.mark.parametrize("text", ["", " \n\t "])
def test_report_without_text_has_no_section(text: str) -> None:
    assert split_sections(text) == ()


def test_letter_head_before_the_first_heading_is_a_title() -> None:
    assert sections("Hospital of X, lung department\nFINDINGS: Clear.") == [
        ("title", "Hospital of X, lung department"),
        ("findings", "Clear."),
    ]


def test_headings_of_body_parts_open_the_findings() -> None:
    text = "HISTORY: Lymphoma.\nHEAD AND NECK: Normal.\nCHEST: Nodes.\nIMPRESSION: Active."
    assert sections(text) == [
        ("history", "Lymphoma."),
        ("findings", "HEAD AND NECK: Normal. CHEST: Nodes."),
        ("impression", "Active."),
    ]


def test_body_part_in_the_impression_stays_there() -> None:
    assert sections("IMPRESSION:\n1. Chest: nodes.\nLiver: normal.")[-1][0] == "impression"
    assert {name for name, _ in sections("IMPRESSION:\n1. Chest: nodes.\nLiver: normal.")} == {
        "impression"
    }


def test_comparison_inside_findings_covers_its_line_only() -> None:
    text = "Findings:\n Comparison: previous PET/CT.\n No uptake.\nImpression:\n Normal."
    assert [name for name, _ in sections(text)] == ["comparison", "findings", "impression"]


def test_headings_in_capitals_are_found_inside_a_line() -> None:
    text = "HISTORY: Cough. TECHNIQUE: FDG. FINDINGS: Clear. IMPRESSION: Normal."
    assert [name for name, _ in sections(text)] == [
        "history", "technique", "findings", "impression",
    ]  # fmt: skip


def test_list_after_the_history_is_findings_if_nothing_else_is() -> None:
    text = "History: mass at the lung apex.\n1. Metastatic nodes.\n2. Gallstones."
    assert sections(text) == [
        ("history", "mass at the lung apex."),
        ("findings", "1. Metastatic nodes. 2. Gallstones."),
    ]


@pytest.mark.parametrize(
    ("sentence", "expected"),
    [
        ("HEAD AND NECK:", True),
        ("Abdomen/Pelvis:", True),
        ("- Chest:", True),
        ("Chest -", True),
        ("Chest: clear", False),
        ("Liver:", False),
    ],
)
def test_headings_of_broad_body_parts_are_no_statement(sentence: str, expected: bool) -> None:
    assert is_heading(sentence) is expected


@given(st.text(alphabet=st.sampled_from("FINDINGS: IMPRESSION:\n liver.HISTORY-1)"), max_size=120))
def test_sections_never_overlap_and_lie_in_the_text(text: str) -> None:
    end = 0
    for section in split_sections(text):
        assert end <= section.start < section.end <= len(text)
        end = section.end
