"""A CT of another frame of reference is used only where something says that it lies on the PET."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from petct_ext.cohort.index import index_exams
from petct_ext.cohort.preparation import prepare_exams
from petct_ext.dicom.checking import registration
from petct_ext.dicom.checking.alignment import Alignment
from petct_ext.dicom.checking.check import CheckState
from petct_ext.dicom.checking.registration import registration_check
from petct_ext.dicom.volumes.exam_reading import GridChoice
from petct_ext.errors import InputDataError
from tests.dicom.exams import write_exam

EMPTY = np.zeros((4, 4, 4), np.float32)


def check(kind: registration.Registration) -> tuple[CheckState, bool, str]:
    found = registration_check(EMPTY, EMPTY, (4.0, 4.0, 4.0), kind)
    return found.state, found.is_hard, found.text


def test_stated_and_assumed() -> None:
    assert check("stated")[:2] == (CheckState.FINE, False)
    state, is_hard, text = check("assumed")
    assert (state, is_hard) == (CheckState.NOT_FINE, False)
    assert "assumed (--assume-registered)" in text


def test_without_itk_the_exam_is_held_back(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(registration, "has_itk", lambda: False)
    state, is_hard, text = check("unknown")
    assert (state, is_hard) == (CheckState.NOT_FINE, True)
    assert "pip install 'petct_ext[itk]'" in text


@pytest.mark.parametrize(
    ("measured", "shift_mm"), [*((state, 8.0) for state in CheckState), (CheckState.FINE, 16.0)]
)
def test_what_is_measured_decides(
    monkeypatch: pytest.MonkeyPatch, measured: CheckState, shift_mm: float
) -> None:
    monkeypatch.setattr(registration, "has_itk", lambda: True)
    monkeypatch.setattr(
        registration,
        "measure_alignment",
        lambda *_: Alignment((0.0, 0.0, shift_mm), 0.5, measured, "40 mm to the head"),
    )
    state, is_hard, text = check("unknown")
    is_fine = measured is CheckState.FINE and shift_mm < 10  # here nobody else says so
    assert (state, is_hard) == (CheckState.FINE if is_fine else CheckState.NOT_FINE, not is_fine)
    assert "40 mm to the head" in text


def test_cohort_is_held_back_until_someone_assumes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(registration, "has_itk", lambda: False)
    write_exam(tmp_path / "dicom", "1.2", FrameOfReferenceUID="1.2.8")
    work, grid = tmp_path / "work", GridChoice(8, 20.0)
    exams = index_exams(tmp_path / "dicom", work, salt="a secret")
    assert exams.ct_match.tolist() == ["another_frame_of_reference"]
    with pytest.raises(InputDataError, match=r"another frame of reference \(0020,0052\)"):
        prepare_exams(work, grid=grid)
    index_exams(tmp_path / "dicom", work, salt="a secret", assume_registered=True)
    table = prepare_exams(work, grid=grid)
    assert table.status.tolist() == ["ok"]
    assert "assumed (--assume-registered)" in table.warnings[0]
