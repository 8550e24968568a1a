"""The command that looks into a report labeler."""

from __future__ import annotations

import json
import runpy
import sys
from pathlib import Path

import pandas as pd
import pytest

from petct_ext.tables.schemas import REPORTS, write_table
from tests.conftest import REPOSITORY
from tests.labeler.tiny_labeler import ORGANS, sentence, write_labeler

SCRIPT = REPOSITORY / "scripts" / "inspect_labeler.py"


@pytest.fixture(scope="module")
def model_dir(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_labeler(tmp_path_factory.mktemp("labeler"))


def run(monkeypatch: pytest.MonkeyPatch, *arguments: object, code: str = "0") -> None:
    monkeypatch.setattr(sys, "argv", ["inspect_labeler.py", *map(str, arguments)])
    with pytest.raises(SystemExit, match=code):
        runpy.run_path(str(SCRIPT), run_name="__main__")


def test_judged_mentions_of_a_cohort_go_into_its_private_folder(
    tmp_path: Path, model_dir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    private = tmp_path / "private"
    private.mkdir()
    items = [sentence(organ, abnormal=True, label=1) for organ in ORGANS]
    (private / "report_items.json").write_text(json.dumps({"test": items}))
    run(monkeypatch, "--work", tmp_path, "--model-dir", model_dir)
    assert "judged abnormal" in (private / "labeler_inspection" / "sentences.html").read_text()


def test_reports_are_tagged_first(
    tmp_path: Path, model_dir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "one.txt").write_text("FINDINGS: There is no uptake in the liver.")
    row = {"study_instance_uid": "1.2", "text": "FINDINGS: Intense mass in the spleen."}
    write_table(pd.DataFrame([row]), tmp_path / "reports.csv", REPORTS)
    reports = ("--reports", tmp_path / "one.txt", tmp_path / "reports.csv")
    run(monkeypatch, *reports, "--model-dir", model_dir, "--out", tmp_path / "out")
    page = (tmp_path / "out" / "sentences.html").read_text()
    assert page.count("not judged") == 2


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((), "give either --work FOLDER or --reports FILE"),
        (("--reports", "x.txt"), "--reports needs --model-dir FOLDER"),
        (("--work", "absent"), "report_items.json does not exist"),
    ],
)
def test_bad_input_is_told_in_one_line(
    arguments: tuple[str, ...],
    message: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    run(monkeypatch, *arguments, code="2")
    told = capsys.readouterr().err
    assert message in told
    assert len(told.splitlines()) == 1
