"""Markup and odd characters are blanked without moving a character."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from petct_ext.ontology import RegionOntology
from petct_ext.reports.mentions import find_mentions
from petct_ext.reports.readable import readable_text, unwrap
from petct_ext.reports.sections import split_sections

ONTOLOGY = RegionOntology.default()
MARKUP = st.sampled_from(
    [
        "<br>",
        "<p>",
        "</p>",
        "&nbsp;",
        "&lt;",
        "&amp;",
        "<",
        ">",
        "&",
        ";",
        "{\\rtf1 ",
        "\\par ",
        "}",
        "\\'e9",
        "{\\fonttbl",
        "\xa0",
        "“",
        "\x00",
        "\x85",
        "\n",
        " ",
        "liver",
        "left",
        "lung",
        "<!--",
        "-->",
        "<style>",
        "</style>",
        "\\",
    ]
)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("FINDINGS:<br>Liver&nbsp;normal.", "FINDINGS: Liver normal."),
        ("<p>Node &lt; 5 mm</p>", "Node 5 mm"),
        ("Node < 5 mm and > 3 mm", "Node < 5 mm and > 3 mm"),
        ("{\\rtf1{\\fonttbl{\\f0 Arial;}}\\b Left\\b0  lung.\\par}", "Left lung."),
        ("left\u00a0lung \u2013 \u201cnodule\u201d\x07", 'left lung - "nodule"'),
        ("<style>p {color: red}</style>Liver", "Liver"),
    ],
)
def test_traces_of_other_systems_become_spaces(text: str, expected: str) -> None:
    readable = readable_text(text)
    assert len(readable) == len(text)
    assert " ".join(readable.split()) == expected


@given(st.lists(MARKUP | st.text(max_size=3), max_size=30))
def test_length_is_kept_and_a_second_time_changes_nothing(pieces: list[str]) -> None:
    text = "".join(pieces)
    readable = readable_text(text)
    assert len(readable) == len(text)
    assert readable_text(readable) == readable


@settings(deadline=None)  # the first call prepares the patterns
@given(st.lists(MARKUP, max_size=30))
def test_mentions_of_marked_up_text_slice_the_original(pieces: list[str]) -> None:
    text = "".join(pieces)
    for mention in find_mentions(text, ONTOLOGY):
        assert 0 <= mention.start < mention.end <= len(text)
        assert text[mention.start : mention.end].strip()


@given(st.text(alphabet="ab \n\t1.)-", max_size=60))
def test_unwrapped_text_leads_back_to_the_original(text: str) -> None:
    unwrapped = unwrap(text)
    for i, character in enumerate(unwrapped.text):
        start, end = unwrapped.original(i, i + 1)
        assert text[start:end] == character or bool(text[start:end].strip()) == bool(
            character.strip()
        )


def test_region_is_found_across_a_wrapped_line_and_a_tag() -> None:
    for text in ("in the left upper\n   lobe", "in the left&nbsp;upper<b> lobe</b>"):
        (mention,) = find_mentions(text, ONTOLOGY)
        assert mention.region == "left_upper_lobe"
        assert text[mention.start :].startswith("left")


@pytest.mark.parametrize("unit", ["\n", " ", " \n", "<a ", "&", "{\\rtf1 {\\fonttbl ", "(", "1) "])
def test_a_megabyte_of_anything_is_read_in_bounded_time(unit: str) -> None:
    text = unit * (200_000 // len(unit))
    assert len(readable_text(text)) == len(text)
    split_sections(text)
