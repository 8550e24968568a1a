"""Kinds of wording that a labeler has got wrong are read right: ``kinds_of_error.txt``."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from petct_ext.ontology import RegionOntology
from petct_ext.reports.items import SentenceTagger, tag_report

TAGGER = SentenceTagger(RegionOntology.default())
SENTENCES = Path(__file__).with_name("kinds_of_error.txt")


def cases() -> Iterator[Any]:
    kind = ""
    for line in SENTENCES.read_text(encoding="utf-8").splitlines():
        if line.startswith("## "):
            kind = line[3:]
        elif line and not line.startswith("#"):
            text, _, labels = line.rpartition(" | ")
            text = text.replace("\\n", "\n").replace("\\t", "\t")
            yield pytest.param(f"FINDINGS: {text}", labels, id=f"{kind}: {text[:40]}")


@pytest.mark.parametrize(("text", "labels"), cases())
def test_rules_read_it_right(text: str, labels: str) -> None:
    found: dict[str, float] = {}
    for item in tag_report("e", text, TAGGER):
        for mention in item["mentions"]:
            found[mention["region"]] = max(found.get(mention["region"], 0.0), mention["rule"])
    for entry in labels.split():
        region, _, label = entry.partition("=")
        if label:
            assert (found.get(region, 0.0) >= 0.5) == (label == "1"), (region, found)
        else:
            assert region not in found, found
