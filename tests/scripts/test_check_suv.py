"""The arithmetic of SUV is shown for any PET series, and refusals are told."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.dicom.exams import write_exam
from tests.scripts.test_prepare_exams import call


def test_factor_and_audit_are_shown_and_refusals_told_with_exit_code_3(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    write_exam(tmp_path / "a", "1.2.3")
    call(monkeypatch, "check_suv", tmp_path, "--audit")
    told = capsys.readouterr().out
    assert "PET series 1 of 1: " in told
    assert "factor " in told
    assert "(0018,1074) RadionuclideTotalDose: " in told
    assert "uptake time: " in told
    write_exam(tmp_path / "b", "1.2.4", PatientWeight=None)
    call(monkeypatch, "check_suv", tmp_path, code=3)
    assert "REFUSED: Patient's Weight (0010,1030) is missing" in capsys.readouterr().out
    call(monkeypatch, "check_suv", tmp_path / "b", code=2)
    message = "error: no SUVbw from 1 PET series; the reasons stand above."
    assert message in capsys.readouterr().err.splitlines()
