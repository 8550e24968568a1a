"""The scripts around reports: help, a run, and one line with exit code 2 for bad input."""

from __future__ import annotations

import runpy
import sys
from pathlib import Path

import pytest

from tests.reports.phantom_reports import write_phantom_reports

SCRIPTS = Path(__file__).parents[2] / "scripts"


def run(monkeypatch: pytest.MonkeyPatch, script: str, *arguments: object) -> None:
    monkeypatch.setattr(sys, "argv", [script, *map(str, arguments)])
    with pytest.raises(SystemExit, match="0"):
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


@pytest.mark.parametrize(
    ("script", "arguments", "message"),
    [
        ("prepare_reports.py", ("--cohort", "absent", "--work", "absent"), "absent/reports.csv"),
        ("prepare_reports.py", ("--cohort", "x"), "required: --work"),
        ("label_reports.py", (), "give either --work FOLDER or --text FILE"),
        ("label_reports.py", ("--text", __file__), "--text needs --model-dir FOLDER"),
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
