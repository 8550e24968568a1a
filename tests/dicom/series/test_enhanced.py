"""Frames of an enhanced object read like single-frame slices."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pydicom
import pytest

from petct_ext.dicom.series.reader import SeriesVolume, read_series
from petct_ext.dicom.suv.factors import suv_bw_factors
from petct_ext.errors import InputDataError
from tests.dicom.phantoms import enhanced_pet


def volume(folder: Path, **changes: object) -> SeriesVolume:
    return read_series([enhanced_pet(folder, **changes)])


def test_frames_are_placed_by_their_position(tmp_path: Path) -> None:
    found = volume(tmp_path)
    assert found.array.shape == (5, 4, 3)
    # frame n holds n and lies at 6 - 3 n mm; its real world slope is 2 + n
    assert found.array[0, 0].tolist() == [2 * 4.0, 1 * 3.0, 0 * 2.0]
    assert (found.affine @ [1, 1, 2, 1])[:3].tolist() == [6.0, 18.0, 6.0]


def test_frames_have_the_keywords_of_single_frame_pet(tmp_path: Path) -> None:
    low, _, high = volume(tmp_path).datasets
    assert (low.Units, low.DecayCorrection) == ("BQML", "START")
    assert list(low.CorrectedImage) == ["ATTN", "DECY"]
    assert (low.SeriesDate, low.SeriesTime) == ("20200102", "110000.000000")
    assert (low.AcquisitionTime, high.AcquisitionTime) == ("110200.000000", "110000.000000")
    assert low.ActualFrameDuration == 60000
    assert [float(d.FrameReferenceTime) for d in (high, low)] == [30000.0, 150000.0]
    assert [float(d.RescaleSlope) for d in (high, low)] == [2.0, 4.0]
    assert float(low.PatientWeight) == 70.0
    assert low.RadiopharmaceuticalInformationSequence[0].RadionuclideTotalDose == 350e6


def test_suv_of_frames_is_decayed_to_the_start_of_the_scan(tmp_path: Path) -> None:
    factors = suv_bw_factors(volume(tmp_path).datasets).factors
    expected = 70e3 / (350e6 * 2 ** (-3600 / 6586.2))
    np.testing.assert_allclose(factors, expected, rtol=1e-9)


def test_decay_corrected_to_injection_is_admin(tmp_path: Path) -> None:
    found = volume(tmp_path, DecayCorrectionDateTime="20200102100000.000")
    assert {d.DecayCorrection for d in found.datasets} == {"ADMIN"}
    np.testing.assert_allclose(suv_bw_factors(found.datasets).factors, 70e3 / 350e6, rtol=1e-9)


def test_uncorrected_decay_is_corrected_frame_by_frame(tmp_path: Path) -> None:
    found = volume(tmp_path, DecayCorrected="NO", DecayCorrectionDateTime="")
    assert {d.DecayCorrection for d in found.datasets} == {"NONE"}
    low, middle, high = suv_bw_factors(found.datasets).factors
    assert low > middle > high  # the lowest slice was measured last
    assert low / high == pytest.approx(2 ** (120 / 6586.2), rel=1e-6)


def test_legacy_converted_frames_keep_their_own_elements(tmp_path: Path) -> None:
    path = enhanced_pet(tmp_path)
    dataset = pydicom.dcmread(path)
    for number, group in enumerate(dataset.PerFrameFunctionalGroupsSequence):
        del group.RealWorldValueMappingSequence
        item = pydicom.Dataset()
        item.Units, item.DecayCorrection, item.DecayFactor = "BQML", "START", 1.0 + number
        group.UnassignedPerFrameConvertedAttributesSequence = [item]
    dataset.save_as(path)
    found = read_series([path])
    assert [float(d.DecayFactor) for d in found.datasets] == [3.0, 2.0, 1.0]
    assert found.array[0, 0].tolist() == [14.0, 7.0, 0.0]  # the rescale slope of 7


def test_several_files_form_one_volume(tmp_path: Path) -> None:
    first, second = enhanced_pet(tmp_path / "a"), enhanced_pet(tmp_path / "b")
    dataset = pydicom.dcmread(second)
    for group in dataset.PerFrameFunctionalGroupsSequence:
        position = group.PlanePositionSequence[0]
        position.ImagePositionPatient = np.add(position.ImagePositionPatient, [0, 0, 9]).tolist()
    dataset.save_as(second)
    assert read_series([second, first]).array.shape == (5, 4, 6)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"NumberOfFrames": 2}, "2 frames .* but 3 items"),
        ({"DecayCorrectionDateTime": "20200102111500"}, "at 11:15:00 is after the first frame"),
        ({"DecayCorrectionDateTime": ""}, r"without Decay Correction DateTime \(0018,9701\)"),
    ],
)
def test_object_that_contradicts_itself_is_refused(
    tmp_path: Path, changes: dict[str, object], message: str
) -> None:
    with pytest.raises(InputDataError, match=r"slice file enhanced\.dcm: .*" + message):
        volume(tmp_path, **changes)


def test_dynamic_scan_is_refused(tmp_path: Path) -> None:
    path = enhanced_pet(tmp_path)
    dataset = pydicom.dcmread(path)
    for number, group in enumerate(dataset.PerFrameFunctionalGroupsSequence):
        group.FrameContentSequence[0].TemporalPositionIndex = number + 1
    dataset.save_as(path)
    with pytest.raises(InputDataError, match=r"3 temporal positions \(0020,9128\): a dynamic"):
        read_series([path])
