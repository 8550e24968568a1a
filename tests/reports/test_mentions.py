"""Mentions, given as sentences in which the expected spans are marked.

``[left lung](left_lungs)`` means: the words "left lung" are a mention of ``left_lungs``.
"""

from __future__ import annotations

import re
import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from petct_ext.ontology import RegionOntology
from petct_ext.reports.mentions import Mention, find_mentions

MARK = re.compile(r"\[(?P<text>[^]]+)\]\((?P<regions>[\w,]+)\)")


def parse(marked: str) -> tuple[str, list[Mention]]:
    """Splits a marked sentence into its plain text and the mentions marked in it."""
    text, end = "", 0
    mentions: list[Mention] = []
    for match in MARK.finditer(marked):
        text += marked[end : match.start()]
        start, stop = len(text), len(text) + len(match["text"])
        mentions.extend(Mention(start, stop, region) for region in match["regions"].split(","))
        text += match["text"]
        end = match.end()
    return text + marked[end:], sorted(mentions)


WORDS = (
    "left right bilateral and , hilar mediastinal nodes of the neck lymph node T4 - L2 liver "
    "4R station level II upper lobe lobes ( ) . cervical spine pelvic iliac"
)


@pytest.mark.parametrize(
    "marked",
    [
        pytest.param("No abnormal uptake.", id="none"),
        pytest.param("Uptake in the [left lung](left_lungs).", id="side-before"),
        pytest.param("[LUNGS](lungs) and [RIGHT LUNG](right_lungs) clear.", id="any-case"),
        pytest.param("[Pelvic bones](pelvic_skeleton) are clear.", id="longer-wins"),
        pytest.param("[Hepatosplenomegaly](liver,spleen).", id="two-regions-in-a-word"),
        pytest.param("Livery and spleens' plunger.", id="word-boundaries"),
        pytest.param(
            "An [inguinal](right_inguinal_lymph_node) node on the right.", id="side-after"
        ),
        pytest.param(
            "[bilateral hilar](hilar_lymph_node,left_hilar_lymph_node,right_hilar_lymph_node) "
            "nodes",
            id="bilateral",
        ),
        pytest.param(
            "[left supraclavicular](left_supraclavicular_lymph_node), "
            "[mediastinal](mediastinal_lymph_node) and [right hilar](right_hilar_lymph_node) nodes",
            id="coordinated-list",
        ),
        pytest.param(
            "[left supraclavicular](left_supraclavicular_lymph_node) and "
            "[axillary](left_axillary_lymph_node) nodes",
            id="side-holds-in-a-list",
        ),
        pytest.param(
            "[Left adrenal gland](left_adrenal_gland). [Adrenal glands](adrenal_gland) normal.",
            id="side-ends-with-the-sentence",
        ),
        pytest.param(
            "[Cervical](cervical_lymph_node), [abdominal](abdominal_lymph_node) and "
            "[pelvic lymph nodes](pelvic_lymph_node)",
            id="list-of-nodes",
        ),
        pytest.param(
            "[cervical](cervical_spine), [thoracic](thoracic_spine) and "
            "[lumbar spine](lumbar_spine)",
            id="list-of-spine",
        ),
        pytest.param("Nodes in the [mediastinum](mediastinal_lymph_node).", id="nodes-in-a-place"),
        pytest.param(
            "Stations [4R](paratracheal_lymph_node), [7](carinal_lymph_node) and "
            "[10L](left_hilar_lymph_node)",
            id="stations",
        ),
        pytest.param("Lesions [T4-L2](lumbar_spine,thoracic_spine).", id="vertebral-range"),
        pytest.param("[L2/L3](lumbar_spine) and [T9](thoracic_spine)", id="vertebral-levels"),
        pytest.param("Staged T2 N1 M0.", id="stage-is-no-vertebra"),
        pytest.param("Scan from skull base to mid thigh.", id="extent-is-no-mention"),
        pytest.param("[left level IB lymph node](left_cervical_lymph_node)", id="neck-level"),
        pytest.param("[lymph nodes](lymph_node) are enlarged", id="nodes-without-a-site"),
        pytest.param("[RUL](right_upper_lobe), [LLL](left_lower_lobe)", id="abbreviations"),
        pytest.param(
            "[left upper and lower lobes](left_lower_lobe,left_upper_lobe)", id="two-lobes"
        ),
    ],
)
def test_finds_the_marked_mentions(marked: str) -> None:
    text, expected = parse(marked)
    assert list(find_mentions(text, RegionOntology.default())) == expected


def test_another_ontology_finds_its_own_regions(ontology: RegionOntology) -> None:
    text = "The left lung and the hilar lymph nodes."
    assert [m.region for m in find_mentions(text, ontology)] == ["left_lung", "hilar_nodes"]


def test_offsets_cut_the_mention_out_of_the_text() -> None:
    text = "Ünïcode first: the left lung."
    (mention,) = find_mentions(text, RegionOntology.default())
    assert text[mention.start : mention.end] == "left lung"


def test_every_synonym_of_the_ontology_is_found() -> None:
    """Synonyms are for people, but nobody should look for one in vain."""
    ontology = RegionOntology.default()
    found = total = 0
    for name in ontology:
        for synonym in ontology[name].synonyms:
            total += 1
            named = {m.region for m in find_mentions(synonym, ontology)}
            found += any(name == r or name in ontology.containers(r) for r in named)
    assert found / total > 0.9


@settings(max_examples=60)
@given(
    st.lists(
        st.sampled_from(WORDS.split()),
        max_size=40,
    )
)
def test_mentions_of_any_word_salad_are_sorted_and_slice_the_text(words: list[str]) -> None:
    text = " ".join(words)
    mentions = find_mentions(text, RegionOntology.default())
    assert list(mentions) == sorted(set(mentions))
    assert all(
        0 <= m.start < m.end <= len(text) and text[m.start : m.end].strip() for m in mentions
    )


@pytest.mark.parametrize("unit", ["left ", "lymph nodes of the ", "T4-", "and, ", "(", "no "])
def test_repetition_does_not_blow_up_the_search(unit: str) -> None:
    began = time.perf_counter()
    find_mentions(unit * 2000, RegionOntology.default())
    assert time.perf_counter() - began < 5.0
