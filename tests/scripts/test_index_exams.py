"""The script: exit codes, the table of reasons, and nothing that names a patient on the screen."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.conftest import REPOSITORY
from tests.dicom.slices import write_slices
from tests.forks import LIGHT, run_forked


def write_exam(folder: Path, uid: str, *, has_ct: bool = True) -> None:
    facts: dict[str, Any] = {"StudyInstanceUID": uid, "PatientID": f"SECRET-{uid}"}
    for number, modality in enumerate(("PT", "CT")[: 1 + has_ct]):
        write_slices(
            folder / "Doe_Jane",
            modality=modality,
            heights_mm=tuple(np.arange(20) * 3.0),
            series=f"{uid}.{number}",
            **facts,
        )


def index(folder: Path, *options: str) -> subprocess.CompletedProcess[str]:
    script = REPOSITORY / "scripts" / "index_exams.py"
    command = [sys.executable, str(script), "dicom", "--work", "work", "--workers", "1", *options]
    return run_forked(command, folder=folder, modules=LIGHT)


def test_all_usable_is_0(tmp_path: Path) -> None:
    write_exam(tmp_path / "dicom", "1.2.3")
    done = index(tmp_path)
    assert done.returncode == 0, done.stderr
    assert done.stdout == "1 of 1 exams can be used -> work/exams.csv\n"


def test_some_unusable_is_3_with_a_count_per_reason(tmp_path: Path) -> None:
    write_exam(tmp_path / "dicom", "1.2.3")
    write_exam(tmp_path / "dicom", "1.2.4", has_ct=False)
    done = index(tmp_path, "--shift-dates", "--log-file", "work/log.txt")
    assert done.returncode == 3, done.stderr
    assert done.stdout.splitlines()[1:] == ["     1  has no CT series"]
    said = done.stdout + done.stderr + (tmp_path / "work" / "log.txt").read_text()
    for secret in ("SECRET", "Doe", "1.2.4", "1950"):
        assert secret not in said


def test_none_usable_is_2_in_one_line(tmp_path: Path) -> None:
    write_exam(tmp_path / "dicom", "1.2.4", has_ct=False)
    done = index(tmp_path)
    assert done.returncode == 2
    (line,) = [text for text in done.stderr.splitlines() if text.startswith("error: ")]
    assert "none of the 1 PET studies" in line


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
def test_work_folder_without_permission_is_refused(tmp_path: Path) -> None:
    write_exam(tmp_path / "dicom", "1.2.3")
    (tmp_path / "work").mkdir(mode=0o500)
    assert index(tmp_path).returncode == 2
