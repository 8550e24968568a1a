"""Preparation from the command line: what is printed, and the exit code."""

from __future__ import annotations

import runpy
import sys
from pathlib import Path

import pytest

from tests.conftest import REPOSITORY
from tests.dicom.exams import write_cohort


def call(monkeypatch: pytest.MonkeyPatch, script: str, *arguments: object, code: int = 0) -> None:
    monkeypatch.setattr(sys, "argv", [script, *map(str, arguments)])
    with pytest.raises(SystemExit, match=rf"^{code}$"):
        runpy.run_path(str(REPOSITORY / "scripts" / f"{script}.py"), run_name="__main__")


def test_failed_exams_are_told_in_a_table_with_exit_code_3(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    work = write_cohort(tmp_path, {"E1": {}, "E2": {"PatientWeight": None}})
    options = ("--work", work, "--in-plane", 8, "--fov-mm", 40, "--workers", 0)
    call(monkeypatch, "prepare_exams", *options, code=3)
    told = capsys.readouterr().out
    assert "1 exam(s) failed:\n  E2  Patient's Weight (0010,1030) is missing" in told
    assert "1 of 2 exams prepared" in told
    call(monkeypatch, "prepare_exams", *options, "--suv", "optional")
    assert "1 exam(s) without SUV, kept in the PET's own units:\n  E2  " in capsys.readouterr().out
    (tmp_path / "weights.csv").write_text("exam_id,weight_kg\nE2,70\n")
    supplied = (*options, "--suv-overrides", tmp_path / "weights.csv", "--verify")
    call(monkeypatch, "prepare_exams", *supplied)
    assert "2 of 2 exams prepared" in capsys.readouterr().out
    call(monkeypatch, "check_exams", "--work", work, "--workers", 0)
    assert "2 of 2 exams have something to look at" in capsys.readouterr().out


def test_jobs_of_a_cluster_write_the_same_tables(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("submitit")
    work = write_cohort(tmp_path, {"E1": {}, "E2": {}, "E3": {"PatientWeight": None}})
    options = ("--work", work, "--in-plane", 8, "--fov-mm", 40, "--workers", 0)
    call(monkeypatch, "prepare_exams", *options, "--cluster", "local", "--jobs", 2, code=3)
    on_cluster = (work / "prepared.csv").read_text()
    call(monkeypatch, "prepare_exams", *options, code=3)
    assert (work / "prepared.csv").read_text() == on_cluster
