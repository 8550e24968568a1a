"""Annotated texts are read line by line, and a wrong line is named."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from petct_ext.errors import InputDataError
from petct_ext.ontology import RegionOntology
from petct_ext.reports.items import SentenceTagger, items_of_texts, read_annotated_texts

TEXT = "HISTORY: liver cancer. FINDINGS: Liver normal."


def write(path: Path, *lines: object) -> Path:
    path.write_text("\n".join(x if isinstance(x, str) else json.dumps(x) for x in lines))
    return path


def mention(start: int, end: int, abnormal: int = 0) -> dict[str, object]:
    return {"start": start, "end": end, "region": "liver", "abnormal": abnormal}


def test_mentions_outside_of_findings_are_counted_not_used(tmp_path: Path) -> None:
    line = {"id": "t", "text": TEXT, "mentions": [mention(9, 14), mention(33, 38)]}
    texts = read_annotated_texts(write(tmp_path / "a.jsonl", line, ""))
    items, outside = items_of_texts(texts, SentenceTagger(RegionOntology.default()))
    assert (len(items), outside) == (1, 1)
    assert items[0]["exam_id"] == "t"


@pytest.mark.parametrize("line", ["{", '{"text": "a"}', '{"text": "a", "mentions": [{}]}', "3"])
def test_wrong_line_is_named(line: str, tmp_path: Path) -> None:
    with pytest.raises(InputDataError, match=r"a\.jsonl, line 2"):
        read_annotated_texts(write(tmp_path / "a.jsonl", {"text": TEXT, "mentions": []}, line))


def test_missing_or_empty_file_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputDataError, match="cannot be read"):
        read_annotated_texts(tmp_path / "none.jsonl")
    with pytest.raises(InputDataError, match="holds no text"):
        read_annotated_texts(write(tmp_path / "a.jsonl", ""))
