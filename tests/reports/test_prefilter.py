"""The prefilter finds what a plain loop over the patterns finds, and gives up in time."""

from __future__ import annotations

import re
import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from petct_ext.errors import InputDataError
from petct_ext.ontology import Region, RegionOntology
from petct_ext.reports.mentions import find_mentions
from petct_ext.reports.prefilter import PatternIndex, first_letters, is_guarded

ONTOLOGY = RegionOntology.default()
PATTERNS = [(name, pattern) for name in ONTOLOGY for pattern in ONTOLOGY.patterns(name)]
INDEX = PatternIndex(PATTERNS)
SYNONYMS = sorted({s for name in ONTOLOGY for s in ONTOLOGY[name].synonyms})
LINKS = "left right upper lower both and or of the . , - / ( ) no in level 2 IIa T4 L2 4R"
PIECES = [*SYNONYMS, *LINKS.split(), "of the pancreas", "lymph nodes", "nodal", "bone", "lobes"]
PIECES += ["cancer", "\u017fpleen", "L\u0130VER", "\u00c5"]  # letters that fold to ASCII ones


def loop(text: str) -> set[tuple[int, int, str]]:
    return {
        (match.start(), match.end(), name)
        for name, pattern in PATTERNS
        for match in pattern.finditer(text)
        if match.end() > match.start()
    }


def indexed(text: str) -> set[tuple[int, int, str]]:
    return {(start, end, name) for start, end, name, _ in INDEX.find(text)}


@settings(max_examples=150, deadline=None)
@given(
    st.lists(st.tuples(st.sampled_from(PIECES), st.sampled_from([" ", " ", "-", "", "\n", "/"]))),
    st.booleans(),
)
def test_index_finds_the_spans_of_the_plain_loop(
    pieces: list[tuple[str, str]], upper: bool
) -> None:
    text = "".join(word + link for word, link in pieces)
    text = text.upper() if upper else text
    assert indexed(text) == loop(text)


@settings(max_examples=100, deadline=None)
@given(st.text(max_size=60))
def test_index_agrees_with_the_loop_on_any_characters(text: str) -> None:
    mixed = f"{text}liver {text} left lung{text}"
    assert indexed(mixed) == loop(mixed)


def test_every_pattern_of_the_ontology_is_indexed() -> None:
    """Else it would run over the whole text: correct, but slow."""
    assert [name for name, pattern in PATTERNS if first_letters(pattern) is None] == []


@pytest.mark.parametrize(
    ("pattern", "expected"),
    [
        (r"\b(?:liver|lungs?)\b", {"liver", "lung", "lungs"}),
        (r"\b(?:[RL]UL)\b", {"rul", "lul"}),
        (r"\b(?:thym\w+)\b", {"thym"}),
        (r"\b(?:(?<=left )base)\b", {"base"}),
        (r"\b(?:a{2,3}b)\b", {"aab", "aaab"}),
        (r"\b(?:\w+ node)\b", None),
        (r"\b(?:-node)\b", None),
        (r"liver", None),
    ],
)
def test_beginnings_are_read_off_the_pattern(pattern: str, expected: set[str] | None) -> None:
    assert first_letters(re.compile(pattern, re.IGNORECASE)) == expected


@pytest.mark.parametrize(
    ("pattern", "expected"),
    [(r"(?:a+)+b", True), (r"(?:a|aa)+b", True), (r"\w+\w+", True), (r"thym\w+", False)],
)
def test_patterns_that_may_explode_are_guarded(pattern: str, expected: bool) -> None:
    assert is_guarded(re.compile(pattern)) is expected


@pytest.mark.parametrize("pattern", [r"(?:a|aa)+[bd]", r"(?:aa|a)+[xyz]"])
def test_exploding_pattern_is_stopped_and_named(pattern: str) -> None:
    ontology = RegionOntology([Region("a", (), (pattern,))])
    began = time.perf_counter()
    with pytest.raises(InputDataError, match="finding regions took too long at pattern"):
        find_mentions("a" * 60 + " c", ontology, seconds=0.3)
    assert time.perf_counter() - began < 3
    assert find_mentions("none here", RegionOntology.default(), seconds=1.0) == ()


def test_no_time_left_is_told() -> None:
    with pytest.raises(InputDataError, match=r"took too long in a stretch of 5 characters"):
        find_mentions("liver", ONTOLOGY, seconds=-1)


@pytest.mark.slow
@settings(max_examples=200, deadline=None)
@given(
    st.lists(st.sampled_from(PIECES), min_size=1, max_size=4),
    st.sampled_from([" ", "-", "", ", ", " and "]),
)
def test_fuzzed_repetition_stays_within_the_time_of_a_report(units: list[str], link: str) -> None:
    text = (link.join(units) + link) * (20_000 // (len(link.join(units)) + 1))
    began = time.perf_counter()
    find_mentions(text, ONTOLOGY)
    assert time.perf_counter() - began < 10


def test_no_pattern_of_the_ontology_needs_guarding() -> None:
    assert [p.pattern for _, p in PATTERNS if is_guarded(p)] == []
