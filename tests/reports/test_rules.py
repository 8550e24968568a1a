"""What the rules make of a sentence. The mention is marked with brackets."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from petct_ext.reports.rules import assert_mention, rule_probability


def unmark(marked: str) -> tuple[str, int, int]:
    start, end = marked.index("["), marked.index("]") - 1
    return marked.replace("[", "").replace("]", ""), start, end


@pytest.mark.parametrize(
    ("marked", "assertion"),
    [
        ("No hypermetabolic focus in the [liver].", "negated"),
        ("No axillary, hilar, or [mediastinal] lymphadenopathy.", "negated"),
        ("The [left lung] nodule demonstrates no significant uptake.", "negated"),
        ("No uptake in the lungs, but intense uptake in the [liver].", "abnormal"),
        ("No abnormal uptake except in the [liver].", "abnormal"),
        ("Focus in the [thyroid] without CT correlate, SUVmax 5.4.", "abnormal"),
        ("Hypermetabolic node in the [left axilla].", "abnormal"),
        ("The spleen and the [liver] are unremarkable.", "normal"),
        ("Physiologic uptake in the [myocardium].", "physiologic"),
        ("Uptake in the [hilar] nodes has resolved.", "historical"),
        ("Faint uptake in the [hilar] nodes, likely reactive.", "uncertain"),
        ("Simple cyst of the [kidney].", "incidental"),
        ("Stable 4 mm nodule in the [right lower lobe].", "incidental"),
        ("The [pancreas] fails to demonstrate abnormal uptake.", "negated"),
        ("[Spleen] w/o focal lesion.", "negated"),
        ("[Skull]: no suspicious lesion.", "negated"),
        ("Lipoma of the [left shoulder], no uptake.", "negated"),
        ("Nodules in both [lungs], none of them avid.", "negated"),
        ("Incidental non-avid [renal] cyst.", "negated"),
        ("Avid mass in the [liver], no other lesion.", "abnormal"),
        ("[Right axilla] SUV 5, left axilla not avid.", "abnormal"),
        ("Right axilla SUV 5, [left axilla] not avid.", "negated"),
        ("Other than the avid [sigmoid] mass, the bowel is free of disease.", "abnormal"),
        ("Cystic mass of the [mediastinum], with increased uptake.", "abnormal"),
        ("The marrow is now diffusely involved, also the [spleen].", "abnormal"),
        ("Diffuse [bowel] uptake from metformin.", "physiologic"),
        ("Deauville 2 uptake in the [mediastinum].", "physiologic"),
        ("Avid node next to the [stomach].", "unstated"),
        ("Avid node between the spleen and the [left kidney].", "unstated"),
        ("The [liver] was imaged.", "unstated"),
    ],
)
def test_assertions_of_typical_sentences(marked: str, assertion: str) -> None:
    assert str(assert_mention(*unmark(marked))) == assertion


def test_probabilities_rank_the_assertions() -> None:
    marked = [
        "The [liver] is unremarkable.",
        "Cyst of the [liver].",
        "The [liver] was imaged.",
        "Lesion of the [liver].",
        "Uptake in the [liver], possibly inflammatory.",
        "Hypermetabolic lesion in the [liver].",
    ]
    values = [rule_probability(*unmark(text)) for text in marked]
    assert values == sorted(values)
    assert len(set(values)) == len(values)


def test_other_sections_do_not_speak_of_this_exam() -> None:
    text, start, end = unmark("Hypermetabolic mass in the [liver].")
    assert rule_probability(text, start, end, section="history") < 0.01


def test_many_normal_regions_do_not_make_the_body_abnormal() -> None:
    normal = rule_probability(*unmark("The [liver] is unremarkable."))
    assert 1 - (1 - normal) ** 50 < 0.5


@given(st.text(max_size=60), st.integers(0, 60), st.integers(1, 10))
def test_any_text_gets_a_probability(text: str, start: int, length: int) -> None:
    start = min(start, len(text))
    assert 0.0 <= rule_probability(text, start, min(len(text), start + length)) <= 1.0
