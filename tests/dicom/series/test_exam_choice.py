"""Which series become the PET and the CT of an exam."""

from __future__ import annotations

import random
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from petct_ext.dicom.files.headers import FileHeader
from petct_ext.dicom.series.exam_choice import (
    ANOTHER_FRAME,
    ASSUMED_REGISTERED,
    FRAME_OF_REFERENCE,
    NO_PET,
    choose_exams,
)
from petct_ext.dicom.series.groups import group_studies
from tests.dicom.archives import choose, chosen, read_all, reason
from tests.dicom.files.test_headers import write_enhanced
from tests.dicom.slices import write_slices

HEIGHTS = tuple(np.arange(20) * 3.0)


@pytest.fixture
def study(tmp_path: Path) -> Path:
    write_slices(tmp_path / "a", modality="PT", heights_mm=HEIGHTS, series="1")
    write_slices(tmp_path / "b", modality="CT", heights_mm=HEIGHTS, series="2")
    return tmp_path


def add(study: Path, modality: str = "CT", series: str = "3", **elements: Any) -> None:
    heights_mm = elements.pop("heights_mm", HEIGHTS)
    write_slices(
        study / series, modality=modality, heights_mm=heights_mm, series=series, **elements
    )


def test_pet_and_ct_of_one_frame_of_reference_are_a_pair(study: Path) -> None:
    choice = choose(study)
    assert choice.problem == ""
    assert chosen(choice) == ("1.2.3.1", "1.2.3.2")
    assert (choice.ct_match, choice.notes) == (FRAME_OF_REFERENCE, [])
    assert reason(choice, "2") == (
        "chosen: CT in the PET's frame of reference, covers 100%, 0 min before the PET, "
        "no contrast agent named"
    )


def test_uncorrected_pet_is_left_out(study: Path) -> None:
    add(study, "PT", heights_mm=(*HEIGHTS, 60.0), CorrectedImage=["DECY"])
    choice = choose(study)
    assert "not attenuation-corrected" in reason(choice, "3")
    assert reason(choice, "1").startswith("chosen")


def test_longer_pet_wins_over_a_repeat_of_one_bed(study: Path) -> None:
    add(study, "PT", heights_mm=HEIGHTS[:17])
    assert "another series covers more (57 mm, this one 48 mm)" in reason(choose(study), "3")


def test_extra_leg_bed_is_the_wrong_body_part(study: Path) -> None:
    add(
        study,
        "PT",
        heights_mm=tuple(-500.0 + 10.0 * np.arange(20)),
        SeriesDescription="PET lower extremities",
    )
    choice = choose(study)
    assert "wrong body part" in reason(choice, "3")
    assert reason(choice, "1").startswith("chosen")


def test_first_of_two_time_points_wins_and_is_noted(study: Path) -> None:
    add(study, "PT", AcquisitionTime="130000", heights_mm=(*HEIGHTS, 60.0))
    choice = choose(study)
    assert reason(choice, "3") == "left out: late PET, 120 min after the first time point"
    assert choice.notes == ["first of several time points"]


def test_gated_pet_loses_to_a_static_one(study: Path) -> None:
    add(study, "PT", SeriesType=["GATED", "IMAGE"], AcquisitionTime="105500")
    assert "gated" in reason(choose(study), "3")


def test_derived_pet_loses_to_the_original(study: Path) -> None:
    add(study, "PT", series="0", ImageType=["DERIVED", "SECONDARY"], heights_mm=(*HEIGHTS, 60.0))
    assert "derived" in reason(choose(study), "0")


def test_series_sent_again_under_another_uid_is_a_duplicate(study: Path) -> None:
    add(study, "PT")
    choice = choose(study)
    assert reason(choice, "3") == "left out: duplicate of another series (same pixels)"
    assert reason(choice, "1").startswith("chosen")


def test_series_that_shares_instances_is_a_duplicate(study: Path) -> None:
    add(study, heights_mm=HEIGHTS[:16], SeriesDescription="copy", SOPInstanceUID="1.2.3.2.1")
    assert "duplicate of another series (shared SOP" in reason(choose(study), "3")


@pytest.mark.parametrize(
    ("elements", "expected"),
    [
        ({"FrameOfReferenceUID": "1.2.8"}, "its frame of reference differs from the PET's"),
        ({"heights_mm": tuple(np.array(HEIGHTS[:16]) + 12.0)}, "another CT 100%"),
        ({"AcquisitionTime": "112000"}, "acquired 20 min from the PET, another CT 0 min"),
        ({"ContrastBolusAgent": "Ultravist"}, "with contrast agent"),
        ({"ImageType": ["DERIVED", "SECONDARY", "AXIAL"]}, "derived"),
        ({"ConvolutionKernel": "B70f"}, "kernel for lung or bone"),
        ({"AcquisitionDate": "20200103", "ContrastBolusAgent": "x"}, "contrast CT of another day"),
        ({"AcquisitionDate": "20191231"}, "left out: CT of another day"),
        ({"heights_mm": tuple(np.arange(16) * 4.0), "SeriesDescription": "4 mm"}, "more slices"),
    ],
)
def test_second_ct_loses_with_a_reason(
    study: Path, elements: dict[str, Any], expected: str
) -> None:
    add(study, series="0", **elements)  # its UID sorts first: it must not matter
    choice = choose(study)
    assert expected in reason(choice, "0")
    assert chosen(choice) == ("1.2.3.1", "1.2.3.2")


def test_small_field_of_view_loses(study: Path) -> None:
    add(study, "CT", series="0", PixelSpacing=[100.0, 100.0])
    choice = choose(study)
    assert chosen(choice)[1] == "1.2.3.0"
    assert "field of view" in reason(choice, "2")


def test_diagnostic_ct_is_taken_where_it_alone_covers_the_pet(study: Path) -> None:
    write_slices(study / "b", heights_mm=HEIGHTS, series="2", ImageType=["X", "Y", "LOCALIZER"])
    add(study, AcquisitionTime="112000", ContrastBolusAgent="Ultravist")
    choice = choose(study)
    assert choice.problem == ""
    assert "20 min after the PET, with contrast agent" in reason(choice, "3")


def test_localizer_inside_the_ct_series_is_left_out_with_a_reason(study: Path) -> None:
    write_slices(
        study / "c",
        heights_mm=(0.0,),
        series="2",
        ImageType=["ORIGINAL", "PRIMARY", "LOCALIZER"],
        SOPInstanceUID="1.2.3.99",
    )
    choice = choose(study)
    assert reason(choice, "2#2") == (
        "left out: localizer; mixed series, split into 2 parts by Image Type (0008,0008)"
    )
    assert reason(choice, "2").endswith("parts by Image Type (0008,0008)")
    assert choice.notes == ["CT: mixed series, split into 2 parts by Image Type (0008,0008)"]


def test_ct_of_another_frame_of_reference_is_taken_and_marked(tmp_path: Path) -> None:
    add(tmp_path, "PT", series="1")
    add(tmp_path, series="2", FrameOfReferenceUID="1.2.8", AcquisitionTime="103000")
    add(tmp_path, series="3", FrameOfReferenceUID="1.2.8", AcquisitionTime="105700")
    choice = choose(tmp_path)
    assert (choice.problem, choice.ct_match) == ("", ANOTHER_FRAME)
    assert chosen(choice)[1] == "1.2.3.3"
    assert "ANOTHER frame of reference" in reason(choice, "3")
    assert choice.notes == ["CT in another frame of reference: its match is to be measured"]
    assert choose(tmp_path, assume_registered=True).ct_match == ASSUMED_REGISTERED


def test_empty_frames_of_reference_are_not_the_same(tmp_path: Path) -> None:
    add(tmp_path, "PT", series="1", FrameOfReferenceUID="")
    add(tmp_path, series="2", FrameOfReferenceUID="")
    assert choose(tmp_path).ct_match == ANOTHER_FRAME


@pytest.mark.parametrize("frame", ["1.2.9", "1.2.8"])
def test_ct_of_another_part_of_the_body_is_a_problem(tmp_path: Path, frame: str) -> None:
    add(tmp_path, "PT", series="1")
    add(
        tmp_path,
        series="2",
        heights_mm=tuple(np.array(HEIGHTS) + 50.0),
        FrameOfReferenceUID=frame,
    )
    assert "covers 12% of the PET" in choose(tmp_path).problem


def test_study_without_ct_or_with_an_unfit_one_says_so(tmp_path: Path) -> None:
    add(tmp_path, "PT", series="1")
    assert choose(tmp_path).problem == "has no CT series"
    add(tmp_path, series="2", heights_mm=HEIGHTS[:5])
    assert choose(tmp_path).problem == "has no usable CT series (series.csv says why)"


def test_study_without_corrected_pet_says_so(tmp_path: Path) -> None:
    add(tmp_path, "PT", series="1", CorrectedImage=["DECY"])
    add(tmp_path, series="2")
    choice = choose(tmp_path)
    assert choice.problem == "has no attenuation-corrected PET series"
    assert reason(choice, "2") == "left out: has no attenuation-corrected PET series"


def test_study_whose_pet_is_unfit_for_another_reason_says_so(tmp_path: Path) -> None:
    add(tmp_path, "PT", series="1", heights_mm=HEIGHTS[:5])
    add(tmp_path, series="2")
    assert choose(tmp_path).problem == (
        "has no usable PET series (series.csv says why; the largest one: 5 slice(s), fewer than 16)"
    )


def test_enhanced_pet_is_paired_with_a_classic_ct(tmp_path: Path) -> None:
    write_enhanced(tmp_path / "pet.dcm", list(HEIGHTS))
    add(tmp_path, series="2")
    choice = choose(tmp_path)
    assert choice.problem == ""
    assert chosen(choice) == ("1.2.3.1", "1.2.3.2")
    assert reason(choice, "1") == "chosen: PET with the largest coverage (57 mm), 20 slices"


def test_study_with_a_ct_alone_is_told(tmp_path: Path) -> None:
    add(tmp_path, series="2")
    choice = choose(tmp_path)
    assert choice.problem == NO_PET
    assert reason(choice, "2") == "left out: has no PET series"


def test_pet_and_ct_of_different_patients_are_never_paired(tmp_path: Path) -> None:
    add(tmp_path, "PT", series="1", PatientID="A")
    add(tmp_path, series="2", PatientID="B")
    choice = choose(tmp_path)
    assert chosen(choice) == (None, None)
    assert "2 different patients" in choice.problem
    assert "2 different patients" in reason(choice, "2")


def test_man_and_woman_in_one_study_are_refused(tmp_path: Path) -> None:
    add(tmp_path, "PT", series="1", PatientSex="F")
    add(tmp_path, series="2", PatientSex="M")
    assert "a man and of a woman" in choose(tmp_path).problem


@pytest.mark.parametrize("frame", ["1.2.9", "1.2.8"])
def test_ct_in_another_study_of_the_same_day_is_borrowed(tmp_path: Path, frame: str) -> None:
    add(tmp_path, "PT", series="1", StudyInstanceUID="1.2.4")
    add(tmp_path, series="2", FrameOfReferenceUID=frame)
    choice = choose(tmp_path)
    assert choice.problem == ""
    assert chosen(choice) == ("1.2.3.1", "1.2.3.2")
    assert choice.borrowed is choice.ct
    assert choice.notes[0] == "the CT stands in another study of the same patient"
    assert choice.ct_match == (FRAME_OF_REFERENCE if frame == "1.2.9" else ANOTHER_FRAME)


@pytest.mark.parametrize(
    "elements",
    [
        {"PatientID": "someone else"},
        {"PatientID": ""},
        {"PatientSex": "M"},
        {"AcquisitionDate": "20200110"},
        {"heights_mm": tuple(np.array(HEIGHTS) + 50.0)},
    ],
)
def test_ct_of_another_patient_day_or_place_is_not_borrowed(
    tmp_path: Path, elements: dict[str, Any]
) -> None:
    add(tmp_path, "PT", series="1", StudyInstanceUID="1.2.4")
    add(tmp_path, series="2", **elements)
    choice = choose(tmp_path)
    assert choice.ct is None
    assert choice.problem == "has no CT series"


@pytest.fixture(scope="module")
def manifold(tmp_path_factory: pytest.TempPathFactory) -> list[FileHeader]:
    """Headers of a study with rivals of many kinds, and of a second study of the patient."""
    folder = tmp_path_factory.mktemp("manifold")
    add(folder, "PT", series="1")
    add(folder, "PT", series="3")
    add(folder, "PT", series="4", AcquisitionTime="130000")
    add(folder, series="2", SeriesNumber="7")
    add(folder, series="5", ContrastBolusAgent="x")
    add(folder, series="6", SeriesNumber="1", SeriesDescription="equal but for its number")
    add(folder, series="7", FrameOfReferenceUID="1.2.8")
    add(folder / "in", series="2", heights_mm=(1.0,), SOPInstanceUID="1.2.3.77", Rows=8)
    add(folder, "PT", series="8", StudyInstanceUID="1.2.4")
    return read_all(folder)


@settings(max_examples=25, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.randoms(use_true_random=False))
def test_choice_does_not_depend_on_the_order_of_files(
    manifold: list[FileHeader], rng: random.Random
) -> None:
    shuffled = list(manifold)
    rng.shuffle(shuffled)
    for one, other in zip(
        choose_exams(group_studies(manifold)), choose_exams(group_studies(shuffled)), strict=True
    ):
        assert one.reasons == other.reasons
        assert chosen(one) == chosen(other)
        assert (one.problem, one.notes, one.ct_match) == (
            other.problem,
            other.notes,
            other.ct_match,
        )
