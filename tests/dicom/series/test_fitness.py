"""Every kind of series that cannot be a PET or a CT is left out with its own reason."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from petct_ext.dicom.series.fitness import (
    has_contrast,
    has_sharp_kernel,
    is_dynamic,
    limited_body_part,
    unfit_reason,
)
from petct_ext.dicom.series.groups import group_studies
from tests.dicom.archives import only_series, read_all
from tests.dicom.files.test_headers import write_enhanced
from tests.dicom.slices import write_slices

HEIGHTS = tuple(np.arange(20) * 3.0)


def why(folder: Path, modality: str = "CT", **elements: Any) -> str:
    write_slices(folder, modality=modality, heights_mm=HEIGHTS, **elements)
    return unfit_reason(only_series(folder), 16)


@pytest.mark.parametrize("modality", ["PT", "CT"])
def test_plain_series_is_fit(tmp_path: Path, modality: str) -> None:
    assert why(tmp_path, modality) == ""


@pytest.mark.parametrize(
    ("elements", "expected"),
    [
        ({"ImageType": ["ORIGINAL", "PRIMARY", "LOCALIZER"]}, "localizer"),
        ({"SeriesDescription": "Topogram 0.6 T80f"}, "localizer"),
        ({"SeriesDescription": "SCOUT_WB"}, "localizer"),
        ({"ImageType": ["DERIVED", "SECONDARY", "MIP"]}, "projection"),
        ({"ImageType": ["DERIVED", "SECONDARY", "PROJECTION IMAGE"]}, "projection"),
        ({"SeriesDescription": "WB rotating MIP"}, "projection"),
        ({"VolumeBasedCalculationTechnique": "MAX_IP"}, "projection"),
        ({"ImageType": ["DERIVED", "SECONDARY", "SCREEN SAVE"]}, "picture of the screen"),
        ({"SOPClassUID": "1.2.840.10008.5.1.4.1.1.7"}, "secondary capture"),
        ({"SOPClassUID": "1.2.840.10008.5.1.4.1.1.88.67"}, "dose report"),
        ({"SOPClassUID": "1.2.840.10008.5.1.4.1.1.88.33"}, "structured report"),
        ({"SeriesDescription": "Patient Protocol"}, "dose report or protocol page"),
        ({"SeriesDescription": "Dose Report"}, "dose report or protocol page"),
        ({"Modality": "MR"}, "modality MR"),
        ({"SOPClassUID": "1.2.840.10008.5.1.4.1.1.4"}, "not CT Image Storage"),
        ({"SamplesPerPixel": 3, "PhotometricInterpretation": "RGB"}, "color image"),
        ({"SeriesDescription": "PET/CT fused axial"}, "fused image"),
        ({"ImageOrientationPatient": [1, 0, 0, 0, 0, -1]}, "not axial"),
        ({"ImageOrientationPatient": [0, 1, 0, 0, 0, -1]}, "not axial"),
        ({"ImageOrientationPatient": None}, "orientation"),
        ({"ImagePositionPatient": None}, "no slice positions"),
    ],
)
def test_unfit_ct_has_a_reason(tmp_path: Path, elements: dict[str, Any], expected: str) -> None:
    reason = why(tmp_path, **elements)
    assert reason.startswith("left out: ")
    assert expected in reason


@pytest.mark.parametrize(
    ("elements", "expected"),
    [
        ({"CorrectedImage": ["DECY"]}, "no ATTN"),
        ({"CorrectedImage": None}, "no ATTN"),
        ({"AttenuationCorrectionMethod": "NONE"}, "not attenuation-corrected"),
        ({"SeriesDescription": "PET WB NAC"}, "not attenuation-corrected by its description"),
        ({"SeriesDescription": "WB_Uncorrected"}, "not attenuation-corrected by its description"),
        ({"SeriesType": ["WHOLE BODY", "REPROJECTION"]}, "projection"),
        ({"BodyPartExamined": "BRAIN"}, "wrong body part: BRAIN"),
    ],
)
def test_unfit_pet_has_a_reason(tmp_path: Path, elements: dict[str, Any], expected: str) -> None:
    assert expected in why(tmp_path, "PT", **elements)


@pytest.mark.parametrize(
    "elements",
    [
        {"SeriesDescription": "PET AC WB (AC)"},
        {"SeriesDescription": "NACHT scan"},
        {"CorrectedImage": None, "AttenuationCorrectionMethod": "measured, CTAC"},
        {"BodyPartExamined": "EXTREMITY"},
        {"NumberOfTimeSlices": 6},  # GE writes the number of beds
        {"ImageOrientationPatient": [1, 0, 0, 0, 0.97, -0.24]},
    ],
)
def test_ordinary_pet_is_not_mistaken(tmp_path: Path, elements: dict[str, Any]) -> None:
    assert why(tmp_path, "PT", **elements) == ""


def test_few_slices_are_too_few(tmp_path: Path) -> None:
    write_slices(tmp_path, heights_mm=HEIGHTS[:15])
    assert unfit_reason(only_series(tmp_path), 16) == "left out: 15 slice(s), fewer than 16"
    assert unfit_reason(only_series(tmp_path), 15) == ""


def test_several_images_at_one_position_are_dynamic_or_gated(tmp_path: Path) -> None:
    write_slices(tmp_path, modality="PT", heights_mm=(*HEIGHTS, *HEIGHTS, *HEIGHTS))
    assert "3.0 images at each position" in unfit_reason(only_series(tmp_path), 16)


def test_enhanced_file_counts_its_frames(tmp_path: Path) -> None:
    write_enhanced(tmp_path / "pet.dcm", list(HEIGHTS))
    series = only_series(tmp_path)
    assert (series.num_slices, series.extent_mm) == (20, (0.0, 57.0))
    assert unfit_reason(series, 16) == ""


def test_enhanced_uncorrected_pet_is_left_out(tmp_path: Path) -> None:
    write_enhanced(tmp_path / "pet.dcm", list(HEIGHTS), AttenuationCorrected="NO")
    assert "not attenuation-corrected" in unfit_reason(only_series(tmp_path), 16)


def test_enhanced_dynamic_pet_is_left_out(tmp_path: Path) -> None:
    write_enhanced(tmp_path / "pet.dcm", [*HEIGHTS, *HEIGHTS])
    assert "2.0 images at each position" in unfit_reason(only_series(tmp_path), 16)


@pytest.mark.parametrize(
    ("elements", "spacing_mm", "part"),
    [
        ({"BodyPartExamined": "LEG"}, 50.0, "LEG"),
        ({"SeriesDescription": "PET legs AC"}, 50.0, "limbs"),
        ({"BodyPartExamined": "HEAD"}, 3.0, "HEAD"),
        ({"BodyPartExamined": "HEAD"}, 50.0, ""),  # 950 mm long: a whole body named by its start
        ({"SeriesDescription": "WB head to thigh"}, 3.0, ""),
        ({}, 3.0, ""),
    ],
)
def test_part_of_the_body_is_named(
    tmp_path: Path, elements: dict[str, Any], spacing_mm: float, part: str
) -> None:
    write_slices(tmp_path, heights_mm=tuple(np.arange(20) * spacing_mm), **elements)
    assert limited_body_part(only_series(tmp_path)) == part


@pytest.mark.parametrize(
    ("kernel", "is_sharp"),
    [
        *(("B70f", True), ("LUNG", True), ("BONEPLUS", True), ("FC52", True)),
        *(("B30f", False), ("Br38f\\3", False), ("SOFT", False), ("FC08", False), ("", False)),
    ],
)
def test_kernels_for_lung_and_bone_are_known(tmp_path: Path, kernel: str, is_sharp: bool) -> None:
    write_slices(tmp_path, ConvolutionKernel=kernel)
    assert has_sharp_kernel(only_series(tmp_path)) == is_sharp


def test_contrast_and_series_type_are_read(tmp_path: Path) -> None:
    write_slices(tmp_path / "a", series="1", ContrastBolusAgent="APPLIED", SeriesType="GATED")
    write_slices(tmp_path / "b", series="2", ContrastBolusAgent="NONE")
    (study,) = group_studies(read_all(tmp_path))
    assert [has_contrast(s) for s in study.series] == [True, False]
    assert [is_dynamic(s) for s in study.series] == [True, False]
