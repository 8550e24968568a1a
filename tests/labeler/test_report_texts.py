"""Loose report files are read or refused, and labels show their words."""

from __future__ import annotations

from pathlib import Path

import pytest

from petct_ext.errors import InputDataError
from petct_ext.labeler.prediction import label_files
from petct_ext.labeler.wording import describe_mentions
from petct_ext.ontology import RegionOntology
from petct_ext.reports.rules import RuleLabeler
from petct_ext.reports.texts import read_report_text


def test_byte_order_mark_is_left_out(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_bytes(b"\xef\xbb\xbfLiver normal.")
    assert read_report_text(tmp_path / "a.txt") == "Liver normal."


@pytest.mark.parametrize(
    ("content", "message"),
    [(None, "is no file"), (b" \n", "is empty")],
)
def test_file_without_a_report_is_refused(
    tmp_path: Path, content: bytes | None, message: str
) -> None:
    if content is not None:
        (tmp_path / "a.txt").write_bytes(content)
    with pytest.raises(InputDataError, match=message):
        read_report_text(tmp_path / "a.txt")


def test_sentences_that_were_read_with_a_mention_are_shown(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text("FINDINGS: Nodule in the liver. It is avid.")
    found = label_files([tmp_path / "a.txt"], RuleLabeler(), RegionOntology.default())
    name = str(tmp_path / "a.txt")
    lines = describe_mentions(
        found.texts[name], found.labels[name], found.mentions[name], contexts=found.contexts[name]
    )
    (line,) = [line for line in lines if " liver " in line]
    assert line.endswith("with 'It is avid.'")


def test_every_label_shows_the_words_that_caused_it() -> None:
    text = "Uptake in the liver."
    mention = {"start": 14, "end": 19, "region": "liver", "probability": 0.9}
    lines = describe_mentions(text, {"abdomen": 0.9, "liver": 0.9}, [mention])
    assert "(from its parts)" in lines[0]
    assert "0.90 'Uptake in the [liver] .'" in lines[1]
