"""Which series become the PET and the CT of an exam."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from petct_ext.dicom.exam import ExamChoice, choose_series, group_by_study
from petct_ext.dicom.headers import find_files, read_headers
from petct_ext.errors import InputDataError
from tests.dicom.slices import write_slices

HEIGHTS = tuple(np.arange(20) * 3.0)


def choose(folder: Path) -> ExamChoice:
    ((_, series),) = group_by_study(read_headers(find_files(folder))).items()
    return choose_series(series)


def reason(choice: ExamChoice, series: str) -> str:
    return choice.reasons[f"1.2.3.{series}"]


@pytest.fixture
def study(tmp_path: Path) -> Path:
    write_slices(tmp_path / "a", modality="PT", heights_mm=HEIGHTS, series="1")
    write_slices(tmp_path / "b", modality="CT", heights_mm=HEIGHTS, series="2")
    return tmp_path


def test_pet_and_ct_of_one_frame_of_reference_are_a_pair(study: Path) -> None:
    choice = choose(study)
    assert choice.problem == ""
    assert choice.pet is not None
    assert choice.ct is not None
    assert (choice.pet.uid, choice.ct.uid) == ("1.2.3.1", "1.2.3.2")


def test_uncorrected_pet_is_left_out(study: Path) -> None:
    write_slices(
        study, modality="PT", heights_mm=(*HEIGHTS, 60.0), series="3", CorrectedImage=["DECY"]
    )
    choice = choose(study)
    assert "not attenuation-corrected" in reason(choice, "3")
    assert reason(choice, "1").startswith("chosen")


def test_longer_pet_wins_over_a_repeat_of_one_bed(study: Path) -> None:
    write_slices(study, modality="PT", heights_mm=HEIGHTS[:17], series="3")
    assert "another series covers more" in reason(choose(study), "3")


@pytest.mark.parametrize("word", ["LOCALIZER", "MIP"])
def test_localizers_and_projections_are_left_out(study: Path, word: str) -> None:
    write_slices(
        study, heights_mm=(*HEIGHTS, 60.0), series="3", ImageType=["ORIGINAL", "PRIMARY", word]
    )
    assert reason(choose(study), "3").startswith("left out: ")


def test_ct_of_another_frame_of_reference_is_no_partner(tmp_path: Path) -> None:
    write_slices(tmp_path, modality="PT", heights_mm=HEIGHTS, series="1")
    write_slices(tmp_path, heights_mm=HEIGHTS, series="2", FrameOfReferenceUID="1.2.8")
    choice = choose(tmp_path)
    assert "frame of reference" in choice.problem
    assert "differs from the PET's" in reason(choice, "2")


def test_ct_of_another_part_of_the_body_is_a_problem(tmp_path: Path) -> None:
    write_slices(tmp_path, modality="PT", heights_mm=HEIGHTS, series="1")
    write_slices(tmp_path, heights_mm=tuple(np.array(HEIGHTS) + 50.0), series="2")
    assert "covers 12% of the PET" in choose(tmp_path).problem


def test_study_without_pet_says_so(tmp_path: Path) -> None:
    write_slices(tmp_path, heights_mm=HEIGHTS)
    assert choose(tmp_path).problem == "has no attenuation-corrected PET series"


def test_files_that_are_no_dicom_are_skipped(study: Path) -> None:
    (study / "notes.txt").write_text("not DICOM")
    (study / "empty.dcm").write_bytes(b"")
    assert choose(study).problem == ""


def test_headers_hold_no_name_and_no_birth_date(study: Path) -> None:
    text = repr(list(read_headers(find_files(study))))
    assert "Doe" not in text
    assert "19500102" not in text


def test_missing_and_empty_folders_are_refused(tmp_path: Path) -> None:
    with pytest.raises(InputDataError, match="not a folder"):
        find_files(tmp_path / "nowhere")
    with pytest.raises(InputDataError, match="holds no file"):
        find_files(tmp_path)
