"""The scripts around reports: help, a run, and one line with exit code 2 for bad input."""

from __future__ import annotations

import runpy
import sys
from pathlib import Path

import pandas as pd
import pytest

from petct_ext.labeler.prediction import shipped_model
from tests.conftest import REPOSITORY
from tests.reports.phantom_reports import write_phantom_reports

SCRIPTS = REPOSITORY / "scripts"


def run(monkeypatch: pytest.MonkeyPatch, script: str, *arguments: object, code: int = 0) -> None:
    monkeypatch.setattr(sys, "argv", [script, *map(str, arguments)])
    with pytest.raises(SystemExit, match=str(code)):
        runpy.run_path(str(SCRIPTS / script), run_name="__main__")


def test_rules_label_a_cohort_and_a_text_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    cohort, work = write_phantom_reports(tmp_path, num_patients=6)
    folders = ("--cohort", cohort, "--work", work)
    run(monkeypatch, "prepare_reports.py", *folders, "--labeler", "rules")
    hand = ("--hand-labels", cohort / "hand_labels.csv")
    run(monkeypatch, "label_reports.py", "--work", work, "--labeler", "rules", *hand)
    assert "labeled by rules, without a model" in capsys.readouterr().out
    assert (work / "label_audit.csv").is_file()
    (tmp_path / "report.txt").write_text("FINDINGS: Hypermetabolic mass in the liver.")
    run(monkeypatch, "label_reports.py", "--text", tmp_path / "report.txt", "--labeler", "rules")
    assert "Hypermetabolic mass in the [liver]" in capsys.readouterr().out


def test_problems_are_listed_by_exam_and_the_rest_is_labeled(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    cohort, work = write_phantom_reports(tmp_path, num_patients=6)
    folders = ("--cohort", cohort, "--work", work)
    table = pd.read_csv(cohort / "reports.csv", dtype=str)
    table.loc[2, "text"] = "caf\x81"
    (cohort / "reports.csv").write_bytes(table.to_csv(index=False).encode("latin-1"))
    with (cohort / "reports.csv").open("ab") as file:
        file.write(b'9.9,"never closed\n')
    run(monkeypatch, "prepare_reports.py", *folders, "--labeler", "rules", code=3)
    run(monkeypatch, "label_reports.py", "--work", work, "--labeler", "rules", code=3)
    assert "report_problems.csv" in capsys.readouterr().out
    problems = pd.read_csv(work / "private" / "report_problems.csv", dtype=str).fillna("")
    identifiers = pd.read_csv(work / "private" / "identifiers.csv", dtype=str)
    lost = identifiers.set_index("study_instance_uid").loc[table.loc[2, "study_instance_uid"]]
    assert problems.set_index("exam_id").loc[lost["exam_id"], "problem"].startswith("column 'text'")
    labels = pd.read_csv(work / "labels.csv", dtype={"exam_id": str}).set_index("exam_id")
    assert sorted(labels.index) == sorted(identifiers["exam_id"])
    assert labels.index[labels["liver"].isna()].tolist() == [lost["exam_id"]]


def test_text_file_that_cannot_be_read_costs_only_itself(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "good.txt").write_text("Hypermetabolic mass in the liver.")
    (tmp_path / "empty.txt").write_text("")
    (tmp_path / "history.txt").write_text("HISTORY: lung cancer.")
    files = [tmp_path / f"{name}.txt" for name in ("empty", "good", "history", "absent")]
    run(monkeypatch, "label_reports.py", "--text", *files, "--labeler", "rules", code=3)
    told = capsys.readouterr()
    assert "Hypermetabolic mass in the [liver]" in told.out
    for reason in ("empty.txt is empty", "history.txt: neither findings", "absent.txt is no file"):
        assert reason in told.err


@pytest.mark.slow
def test_text_is_labeled_by_the_shipped_model_or_it_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "report.txt").write_text("FINDINGS: Hypermetabolic mass in the liver.")
    run(monkeypatch, "label_reports.py", "--text", tmp_path / "report.txt")
    told = capsys.readouterr().out
    expected = "labeled by rules: the encoder of the shipped model is not installed"
    assert (f"labeled by the model in {shipped_model()}" if shipped_model() else expected) in told
    assert "Hypermetabolic mass in the [liver]" in told


@pytest.mark.parametrize(
    ("script", "arguments", "message"),
    [
        ("prepare_reports.py", ("--cohort", "absent", "--work", "absent"), "absent/reports.csv"),
        ("prepare_reports.py", ("--cohort", "x"), "required: --work"),
        ("label_reports.py", (), "give either --work FOLDER or --text FILE"),
        (
            "label_reports.py",
            ("--text", "absent.txt", "--labeler", "rules"),
            "absent.txt is no file",
        ),
        (
            "label_reports.py",
            ("--text", __file__, "--model-dir", "absent"),
            "does not exist; train",
        ),
    ],
)
def test_bad_input_is_told_in_one_line_with_exit_code_2(
    script: str,
    arguments: tuple[str, ...],
    message: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setattr(sys, "argv", [script, *arguments])
    with pytest.raises(SystemExit, match="2"):
        runpy.run_path(str(SCRIPTS / script), run_name="__main__")
    told = capsys.readouterr().err
    assert len(told.splitlines()) == 1
    assert message in told
