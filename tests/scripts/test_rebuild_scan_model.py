"""Weights that ship come from artificial patients only."""

from __future__ import annotations

import sys
from pathlib import Path

from tests.conftest import REPOSITORY
from tests.forks import run_forked


def test_cohort_of_patients_is_refused(tmp_path: Path) -> None:
    script = REPOSITORY / "scripts" / "rebuild_scan_model.py"
    done = run_forked(
        [sys.executable, str(script), "--work", str(tmp_path), "--out", str(tmp_path / "models")]
    )
    assert done.returncode == 2
    assert done.stderr == (
        f"error: {tmp_path}/phantom is no artificial cohort; weights that ship are trained on no "
        "other.\n"
    )
    assert not (tmp_path / "models").exists()
