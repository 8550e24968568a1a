"""Items hold sentences with mentions; annotations keep their place and their label."""

from __future__ import annotations

import json
import math
from pathlib import Path

import pytest
import torch

from petct_ext.errors import InputDataError
from petct_ext.keys import MENTION_LABEL, MENTION_PLACES, MENTION_TOKENS, TOKEN_IDS
from petct_ext.labeler.batches import CollateWindows
from petct_ext.labeler.tokens import TokenizeReportd
from petct_ext.labeler.vocabulary import learn_vocabulary
from petct_ext.ontology import RegionOntology
from petct_ext.reports.items import (
    SentenceTagger,
    annotated_items,
    load_report_items,
    tag_report,
)

TEXT = (
    "HISTORY: Lung cancer.\nFINDINGS:\nCHEST: Uptake in the left lung. Nothing else to say.\n"
    "IMPRESSION: Liver normal."
)
TAGGER = SentenceTagger(RegionOntology.default())


def span(word: str) -> tuple[int, int]:
    return TEXT.index(word), TEXT.index(word) + len(word)


def test_mentions_of_findings_and_impression_only_are_tagged() -> None:
    items = tag_report("a", TEXT, TAGGER)
    found = [(i["section"], TEXT[m["start"] : m["end"]]) for i in items for m in i["mentions"]]
    assert found == [("findings", "left lung"), ("impression", "Liver")]


def test_item_text_begins_at_its_offset() -> None:
    for item in tag_report("a", TEXT, TAGGER):
        assert TEXT[item["offset"] :].startswith(item["text"])
        assert all(m["label"] is None and 0 <= m["rule"] <= 1 for m in item["mentions"])


def test_report_without_text_has_no_items() -> None:
    assert tag_report("a", "  ", TAGGER) == []


def test_annotation_keeps_its_label_and_place() -> None:
    start, end = span("left lung")
    (item,), outside = annotated_items("a", TEXT, [(start, end, "left_lungs", 1)], TAGGER)
    assert item["text"] == "Uptake in the left lung."
    assert item["mentions"][0]["label"] == 1
    assert item["mentions"][0]["rule"] > 0.9
    assert outside == 0


def test_annotation_in_the_history_is_counted_not_used() -> None:
    assert annotated_items("a", TEXT, [(*span("Lung"), "lungs", 0)], TAGGER) == ([], 1)


def test_annotation_across_sentences_keeps_both() -> None:
    start, end = span("lung. Nothing")
    (item,), _ = annotated_items("a", TEXT, [(start, end, "lungs", 1)], TAGGER)
    assert item["text"] == "Uptake in the left lung. Nothing else to say."


@pytest.mark.parametrize(("start", "end"), [(-1, 3), (5, 5), (9, 4), (0, 9999), (21, 22)])
def test_offsets_that_mark_no_text_are_refused(start: int, end: int) -> None:
    with pytest.raises(InputDataError, match=r"of exam a: offsets .* mark no text in a report of"):
        annotated_items("a", TEXT, [(start, end, "lungs", 1)], TAGGER)


@pytest.fixture
def items_file(tmp_path: Path) -> Path:
    items = tag_report("a", TEXT, TAGGER)
    path = tmp_path / "report_items.json"
    path.write_text(json.dumps({"all": items, "training": items, "test": []}))
    return path


def test_items_can_be_split_by_mention_and_sorted(items_file: Path) -> None:
    items = load_report_items(items_file, "all", per_mention=True, sort_by_length=True)
    assert [len(i["mentions"]) for i in items] == [1, 1]
    assert [i["text"] for i in items] == ["Liver normal.", "Uptake in the left lung."]


@pytest.mark.parametrize(
    ("section", "message"),
    [("test", "holds no mention; annotate more"), ("valid", "no section 'valid'")],
)
def test_empty_and_missing_sections_are_refused(
    items_file: Path, section: str, message: str
) -> None:
    with pytest.raises(InputDataError, match=message):
        load_report_items(items_file, section)


def test_batch_pads_tokens_and_points_to_rows() -> None:
    tokenize = TokenizeReportd(learn_vocabulary([TEXT] * 3, size=200))
    batch = CollateWindows(0)([tokenize(item) for item in tag_report("a", TEXT, TAGGER)])
    assert batch[TOKEN_IDS].dtype == torch.int64
    assert batch[MENTION_TOKENS][:, 0].tolist() == [0, 1]
    assert batch[TOKEN_IDS][1, -1] == 0
    assert [m["region"] for m in batch[MENTION_PLACES]] == ["left_lungs", "liver"]
    assert all(math.isnan(x) for x in batch[MENTION_LABEL].flatten().tolist())
