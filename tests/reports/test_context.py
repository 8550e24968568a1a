"""A mention is read with the sentences that belong to it, and with no others."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from petct_ext.ontology import RegionOntology
from petct_ext.reports.items import SentenceTagger, annotated_items, tag_report
from petct_ext.reports.readable import readable_text
from petct_ext.reports.rules import RuleLabeler
from tests.reports.two_sentences import headed_findings, listed_findings, two_sentence_findings

TAGGER = SentenceTagger(RegionOntology.default())


def around(text: str) -> list[tuple[str, str, str]]:
    """Lead, sentence and follow of each item."""
    found = []
    for item in tag_report("e", f"FINDINGS: {text}", TAGGER):
        first, last = item["own"]
        whole = item["text"]
        found.append((whole[:first].strip(), whole[first:last], whole[last:].strip()))
    return found


@pytest.mark.parametrize(
    ("text", "follow"),
    [
        ("Node in the left axilla. It is avid.", "It is avid."),
        ("Node in the left axilla. It measures 9 mm. It is avid.", "It is avid."),
        ("Node in the left axilla, 9 mm. SUVmax 7.1. Liver normal.", "SUVmax 7.1."),
        ("Node in the left axilla.\n\nThere is intense uptake.", ""),
        ("Node in the left axilla. No other uptake. It is avid.", ""),
        ("Node in the left axilla. There is a new avid nodule. It is avid.", ""),
        ("1. Node in the left axilla.\n2. Uptake is intense.", ""),
        ("Node in the left axilla. The liver is hot. It is avid.", ""),
        ("LIVER:\nFDG uptake is increased.", "FDG uptake is increased."),
        ("LIVER:\n\nFDG uptake is increased.", "FDG uptake is increased."),
        ("CHEST: There is a new avid nodule.", "There is a new avid nodule."),
    ],
)
def test_what_follows(text: str, follow: str) -> None:
    assert around(text)[0][2] == follow


@pytest.mark.parametrize(
    ("text", "leads"),
    [
        ("Sites of avid disease:\n- liver\n- spleen", ["Sites of avid disease:"] * 2),
        ("Sites of avid disease:\nLiver\nSpleen\n\nKidneys", [*["Sites of avid disease:"] * 2, ""]),
        ("Avid lesions:\n- liver\nThe spleen is normal.", ["Avid lesions:", ""]),
        ("Measurements in mm:\n- liver", [""]),
        ("There is abnormal uptake. It lies in the liver.", ["There is abnormal uptake."]),
        ("Site SUVmax\nLiver 8.1\nSpleen 1.2", ["Site SUVmax"] * 2),
    ],
)
def test_what_leads(text: str, leads: list[str]) -> None:
    assert [lead for lead, _, _ in around(text)] == leads


def test_heading_of_a_broad_part_says_nothing_alone() -> None:
    (item,) = tag_report("e", "FINDINGS:\nCHEST:\nAvid mass of the left upper lobe.", TAGGER)
    assert [m["region"] for m in item["mentions"]] == ["left_upper_lobe"]
    (item,) = tag_report("e", "FINDINGS:\nCHEST:\nNo abnormal uptake.", TAGGER)
    assert [(m["region"], m["rule"] < 0.1) for m in item["mentions"]] == [("chest", True)]


PARTS = (
    *(
        "Node in the left axilla.",
        "It is avid.",
        "Avid lesions:",
        "- liver",
        "\n",
        "\n\n",
        "CHEST:",
    ),
    *("Spleen\u00a0normal.", "1. Hot.", "No other uptake.", "Site SUVmax"),
)


@given(st.lists(st.sampled_from(PARTS), max_size=14))
def test_offsets_lead_to_the_words_whatever_the_context(parts: list[str]) -> None:
    text = readable_text("FINDINGS: " + " ".join(parts))
    for item in tag_report("e", text, TAGGER):
        first, last = item["own"]
        assert text[item["offset"] + first : item["offset"] + last] == item["text"][first:last]
        for mention in item["mentions"]:
            start, end = (mention[k] - item["offset"] for k in ("start", "end"))
            assert first <= start < end <= last
            assert item["text"][start:end] == text[mention["start"] : mention["end"]]


def test_judged_mentions_have_the_context_of_those_that_are_found() -> None:
    text = "FINDINGS: There is a nodule in the liver. It is avid."
    (found,) = tag_report("e", text, TAGGER)
    start = text.index("liver")
    (judged,), _ = annotated_items("e", text, [(start, start + 5, "liver", 1)], TAGGER)
    assert judged["text"] == found["text"]
    assert judged["mentions"][0]["rule"] == found["mentions"][0]["rule"] > 0.9


def probabilities(texts: list[str]) -> list[dict[str, float]]:
    items = [i for n, text in enumerate(texts) for i in tag_report(str(n), text, TAGGER)]
    found: list[dict[str, float]] = [{} for _ in texts]
    for row in RuleLabeler().predict(items):
        of_text = found[int(row["exam_id"])]
        of_text[row["region"]] = max(of_text.get(row["region"], 0.0), row["probability"])
    return found


def test_rules_read_findings_of_two_sentences_both_ways() -> None:
    cases = [*two_sentence_findings(), *headed_findings()]
    found = probabilities([text for text, _, _ in cases])
    right = [
        (said.get(region, 0.0) >= 0.5) == bool(label)
        for said, (_, region, label) in zip(found, cases, strict=True)
    ]
    assert sum(right) >= 0.98 * len(right)


def test_rules_read_lists_under_a_head() -> None:
    cases = list(listed_findings())
    found = probabilities([text for text, _ in cases])
    right = [
        region in said and (said[region] >= 0.5) == bool(label)
        for said, (_, labels) in zip(found, cases, strict=True)
        for region, label in labels.items()
    ]
    assert sum(right) >= 0.98 * len(right)
