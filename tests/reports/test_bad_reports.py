"""Bad reports: a clear message each, all others labeled, nothing lost, and a bounded time."""

from __future__ import annotations

import time
from pathlib import Path

import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from petct_ext.errors import InputDataError
from petct_ext.labeler.report_files import items_to_label, read_reports
from petct_ext.ontology import RegionOntology
from petct_ext.reports.items import SentenceTagger, tag_report
from petct_ext.reports.mentions import MAX_SECONDS

ONTOLOGY = RegionOntology.default()
AVID = b"Hypermetabolic mass in the left lung."
REPORTS = {
    "empty": b"",
    "blank": b" \r\n\t ",
    "history": b"HISTORY: Lung cancer.\nTECHNIQUE: Whole body PET/CT.",
    "megabyte": b"FINDINGS: " + b"The liver is normal. " * 48_000 + AVID,
    "no_stop": b"FINDINGS: " + b"liver and spleen " * 6_000,
    "cp1252": b"FINDINGS: \x93Hot\x94 node \x96 left lung.",
    "html": b"<p><b>FINDINGS</b></p><p>Hypermetabolic&nbsp;mass in the left<br>lung.</p>",
    "rtf": rb"{\rtf1\ansi{\fonttbl\f0 Liver;}\f0 FINDINGS:\par Mass in the left lung.}",
    "control": b"FINDINGS:\x00\x07 Hypermetabolic\x0b mass in the left\x1f lung.",
    "no_region": b"FINDINGS: Nothing to tell.",
    "good": b"FINDINGS: " + AVID,
}
READABLE = ("megabyte", "cp1252", "html", "rtf", "control", "good")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("reports")
    for name, content in REPORTS.items():
        (folder / f"{name}.txt").write_bytes(content)
    return folder


def test_every_bad_report_is_named_and_the_others_are_labeled(folder: Path) -> None:
    status = folder / "out" / "status.csv"
    items = items_to_label(ONTOLOGY, items="none", reports=folder, status=status)
    table = pd.read_csv(status, dtype=str, keep_default_na=False)
    state = dict(zip(table["exam_id"], table["status"], strict=True))
    message = dict(zip(table["exam_id"], table["message"], strict=True))
    silent = {"empty": "empty", "blank": "empty", "history": "no findings"}
    assert state == dict.fromkeys(REPORTS, "labeled") | silent | {"no_region": "no region"}
    assert message["empty"].startswith("the report is empty")
    assert message["history"] == "neither findings nor impression has text"
    assert "not UTF-8" in message["cp1252"]
    places = [(i["exam_id"], i["text"]) for i in items]
    places += [(copy["exam_id"], i["text"]) for i in items for copy in i["copies"]]
    for name in READABLE:
        told = [text for exam, text in places if exam == name]
        assert any("left" in text and "lung" in text for text in told), name


def test_mentions_slice_the_text_as_it_was_given(folder: Path) -> None:
    texts = read_reports(folder).texts
    tagger = SentenceTagger(ONTOLOGY)
    for name in ("cp1252", "html", "rtf", "control"):
        mentions = [m for i in tag_report(name, texts[name], tagger) for m in i["mentions"]]
        (words,) = [texts[name][m["start"] : m["end"]] for m in mentions if "lung" in m["region"]]
        assert words.startswith("left"), words
        assert words.endswith("lung"), words


def test_report_that_takes_too_long_is_named() -> None:
    text = " ".join(f"No uptake in the liver in region {i}." for i in range(4_000))
    with pytest.raises(InputDataError, match="exam e7: its report has too much text for the time"):
        tag_report("e7", text, SentenceTagger(ONTOLOGY), max_seconds=0.05)


UNITS = [
    *["no ", "not ", "without ", "no abnormal uptake ", "avid ", "non-avid ", "previously noted "],
    *["liver ", "left ", "right ", "nodes ", "hilar ", "T4-", "L2 ", "4R/", "levels II-", "and "],
    *["other than ", "although ", "between the ", "next to ", ", ", "; ", ": ", ". ", "- ", "1. "],
    *["increased ", "SUV 3.5 ", "no longer ", "is ", "a ", "\n", "<b>", "&nbsp;", "\\par ", "("],
]


@settings(max_examples=30, deadline=None)
@given(units=st.lists(st.sampled_from(UNITS), min_size=1, max_size=6), tail=st.text(max_size=5))
def test_no_repetition_drives_patterns_or_rules_into_backtracking(
    units: list[str], tail: str
) -> None:
    unit = "".join(units)
    text = unit * (20_000 // len(unit)) + tail
    began = time.process_time()
    tag_report("e", text, SentenceTagger(ONTOLOGY))
    assert time.process_time() - began < MAX_SECONDS / 4
