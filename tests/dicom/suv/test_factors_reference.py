"""Every kind of reference object, its stored values worked out by hand: 4.00, 1.00 and 0.20."""

from __future__ import annotations

import json
import math
from datetime import datetime, timedelta
from typing import Any

import numpy as np
import pydicom
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from petct_ext.dicom.suv.factors import suv_bw_factors
from tests.dicom.pet_headers import (
    BACKGROUND,
    COLD,
    DOSE_BQ,
    F18_S,
    HEIGHT_M,
    HOT,
    WEIGHT_KG,
    add_private,
    factor,
    nuclide_code,
    pet_headers,
)

GE, PHILIPS = "GEMS_PETD_01", "Philips PET Private Group"
# 350 MBq, one hour old, spread over 70 kg:
AT_START = 350e6 * 0.5 ** (3600 / 6586.2) / 70_000
AT_INJECTION = 350e6 / 70_000
GA68 = nuclide_code("C-131A3", "^68^Gallium")
ZR89 = nuclide_code("63360001", "^89^Zirconium")


def uncorrected(minutes: float, frame_s: float = 300.0) -> float:
    """Mean Bq/mL of SUV 1 in a frame that starts so long after injection."""
    decay = math.log(2) / F18_S
    start = 350e6 / 70_000 * math.exp(-decay * 60 * minutes)
    return start * (1 - math.exp(-decay * frame_s)) / (decay * frame_s)


def philips(value: Any, tag: int, vr: str = "DS", **changes: Any) -> list[pydicom.Dataset]:
    datasets = pet_headers(Units="CNTS", Manufacturer="PHILIPS", **changes)
    return add_private(datasets, (0x7053, tag), value, creator=PHILIPS, vr=vr)


def ge_start(clock: str, **changes: Any) -> list[pydicom.Dataset]:
    datasets = pet_headers(Manufacturer="GE MEDICAL SYSTEMS", **changes)
    return add_private(datasets, (0x0009, 0x100D), f"20250102{clock}.00", creator=GE, vr="DT")


ON_THREE_BEDS: dict[str, Any] = {"AcquisitionTime": ["110000", "110500", "111000"]}
NOT_CORRECTED: dict[str, Any] = {
    "DecayCorrection": "NONE",
    "CorrectedImage": ["NORM", "ATTN", "SCAT", "RAN"],
}
MAN: dict[str, Any] = {"PatientSex": "M"}
WOMAN: dict[str, Any] = {"PatientSex": "F"}
# what is stored where SUVbw is 1: one number, or one per slice
CASES: dict[str, tuple[list[pydicom.Dataset], float | list[float]]] = {
    "default": (pet_headers(), AT_START),
    "gml": (pet_headers(Units="GML"), 1.0),
    "gml-bw": (pet_headers(Units="GML", SUVType="BW"), 1.0),
    "gml-james-man": (
        pet_headers(Units="GML", SUVType="LBMJAMES128", **MAN),
        (1.10 * 70 - 128 * (70 / 175) ** 2) / 70,
    ),
    "gml-james-woman": (
        pet_headers(Units="GML", SUVType="LBMJAMES128", **WOMAN),
        (1.07 * 70 - 148 * (70 / 175) ** 2) / 70,
    ),
    "gml-janma-man": (
        pet_headers(Units="GML", SUVType="LBMJANMA", **MAN),
        9270 / (6680 + 216 * 70 / 1.75**2),
    ),
    "gml-janma-woman": (
        pet_headers(Units="GML", SUVType="LBMJANMA", **WOMAN),
        9270 / (8780 + 244 * 70 / 1.75**2),
    ),
    "gml-ideal-man": (
        pet_headers(Units="GML", SUVType="IBW", **MAN),
        (48.0 + 1.06 * (175 - 152)) / 70,
    ),
    "gml-ideal-woman": (
        pet_headers(Units="GML", SUVType="IBW", **WOMAN),
        (45.5 + 0.91 * (175 - 152)) / 70,
    ),
    "counts-suv": (philips("0.000728", 0x1000), 1 / 0.000728),
    "counts-suv-bytes": (philips(b"0.000728 ", 0x1000, "UN"), 1 / 0.000728),
    "counts-activity": (philips("1.5", 0x1009), AT_START / 1.5),
    "counts-activity-bytes": (philips(b"1.5\0", 0x1009, "UN"), AT_START / 1.5),
    "counts-activity-uncorrected": (
        philips("1.5", 0x1009, **ON_THREE_BEDS, **NOT_CORRECTED),
        [uncorrected(60) / 1.5, uncorrected(65) / 1.5, uncorrected(70) / 1.5],
    ),
    "dose-in-mbq": (pet_headers(RadionuclideTotalDose=350.0), AT_START),
    "admin": (pet_headers(DecayCorrection="ADMIN"), AT_INJECTION),
    "none": (
        pet_headers(**ON_THREE_BEDS, **NOT_CORRECTED),
        [uncorrected(60), uncorrected(65), uncorrected(70)],
    ),
    "ge-private": (ge_start("110000", SeriesTime="113000"), AT_START),
    "start-datetime-only": (
        pet_headers(
            RadiopharmaceuticalStartTime=None, RadiopharmaceuticalStartDateTime="20250102100000.00"
        ),
        AT_START,
    ),
    "start-datetime-in-utc": (
        pet_headers(
            TimezoneOffsetFromUTC="+0200",
            RadiopharmaceuticalStartDateTime="20250102080000.00+0000",
        ),
        AT_START,
    ),
    "midnight": (
        pet_headers(
            RadiopharmaceuticalStartTime="233000", SeriesTime="003000", AcquisitionTime="003000"
        ),
        AT_START,
    ),
    "midnight-with-datetime": (
        pet_headers(
            RadiopharmaceuticalStartTime="233000",
            RadiopharmaceuticalStartDateTime="20250101233000",
            SeriesTime="003000",
            AcquisitionTime="003000",
        ),
        AT_START,
    ),
    "gallium": (
        pet_headers(RadionuclideHalfLife=4062.6, RadionuclideCodeSequence=[GA68]),
        350e6 * 0.5 ** (3600 / 4062.6) / 70_000,
    ),
    "zirconium-next-days": (
        pet_headers(
            RadionuclideHalfLife=282_280.0,
            RadionuclideCodeSequence=[ZR89],
            RadiopharmaceuticalStartTime=None,
            RadiopharmaceuticalStartDateTime="20241230110000",
        ),
        350e6 * 0.5 ** (3 * 86400 / 282_280) / 70_000,
    ),
    "later-beds": (
        pet_headers(**ON_THREE_BEDS, FrameReferenceTime=[149605.0, 449605.0, 749605.0]),
        AT_START,
    ),
    "part-of-beds-that-share-a-time": (
        pet_headers(
            2,
            Manufacturer="GE MEDICAL SYSTEMS",
            FrameReferenceTime=[1458000.0, 1215000.0],
            DecayFactor=[1.1840, 1.1541],
        ),
        AT_START,
    ),
    "all-beds-share-a-time": (
        pet_headers(
            Manufacturer="GE MEDICAL SYSTEMS", FrameReferenceTime=[486000.0, 243000.0, 0.0]
        ),
        AT_START,
    ),
}


@pytest.mark.parametrize("name", CASES)
def test_stored_values_become_the_known_suv(name: str) -> None:
    datasets, one = CASES[name]
    factors = suv_bw_factors(datasets).factors
    for suv in (HOT, BACKGROUND, COLD):
        np.testing.assert_allclose(factors * (suv * np.asarray(one)), suv, rtol=1e-6)


def test_series_stored_again_counts_from_the_first_frame_computed_back() -> None:
    """Mean activity of 5 min of F-18 lies 149.6 s after their start, the header says 150 s."""
    again = suv_bw_factors(pet_headers(SeriesTime="113000"))
    decay = math.log(2) / F18_S
    mean_s = math.log(decay * 300 / (1 - math.exp(-decay * 300))) / decay
    uptake_s = 3600 + mean_s - 150
    assert again.factors[0] == pytest.approx(70_000 / (350e6 * 0.5 ** (uptake_s / F18_S)), rel=1e-6)
    assert any("stored again" in line for line in again.warnings)


def test_later_bed_alone_is_computed_back() -> None:
    """Third bed of a Philips scan whose series time is not its start."""
    bed = pet_headers(
        Manufacturer="Philips Medical Systems",
        SeriesTime="120000",
        AcquisitionTime="111000",
        FrameReferenceTime=749605.0,
    )
    assert factor(bed) * AT_START == pytest.approx(1.0, rel=1e-6)


def test_ge_counts_the_frame_reference_time_from_the_start_of_the_frame() -> None:
    bed = pet_headers(
        Manufacturer="GE MEDICAL SYSTEMS",
        SeriesTime="120000",
        AcquisitionTime="111000",
        FrameReferenceTime=600000.0,
    )
    assert factor(bed) * AT_START == pytest.approx(1.0, rel=1e-9)


def test_siemens_private_start_is_used() -> None:
    datasets = add_private(
        pet_headers(Manufacturer="SIEMENS", SeriesTime="113000"),
        (0x0071, 0x1022),
        "20250102110000.000000",
        creator="SIEMENS MED PT",
        vr="DT",
    )
    assert factor(datasets) * AT_START == pytest.approx(1.0, rel=1e-9)


def test_private_element_of_another_creator_is_not_ges() -> None:
    foreign = add_private(
        pet_headers(), (0x0009, 0x100D), "20250102103000", creator="OTHER", vr="DT"
    )
    assert factor(foreign) == factor(pet_headers())


def test_private_block_may_lie_elsewhere() -> None:
    datasets = add_private(pet_headers(Units="CNTS"), (0x7053, 0x1100), "0.000728", creator=PHILIPS)
    assert factor(datasets) == 0.000728


def test_missing_private_creator_is_a_warning() -> None:
    datasets = add_private(pet_headers(Units="CNTS"), (0x7053, 0x1000), "0.000728", creator=None)
    found = suv_bw_factors(datasets)
    assert found.factors[0] == 0.000728
    assert any("no Private Creator" in line for line in found.warnings)


def test_frames_of_multi_frame_images_have_whole_date_times() -> None:
    frames = pet_headers(
        AcquisitionDate=None,
        AcquisitionTime=None,
        ActualFrameDuration=None,
        FrameReferenceTime=None,
        DecayCorrection=None,
        CorrectedImage=None,
        AttenuationCorrected="YES",
        DecayCorrected="YES",
        SeriesTime="110500",
        FrameAcquisitionDateTime="20250102110000",
        FrameAcquisitionDuration=300000.0,
        DecayCorrectionDateTime="20250102110000",
    )
    assert factor(frames) * AT_START == pytest.approx(1.0, rel=1e-9)


def test_frames_without_decay_correction_have_their_own_factor() -> None:
    frames = pet_headers(
        AcquisitionDate=None,
        AcquisitionTime=None,
        ActualFrameDuration=None,
        DecayCorrection=None,
        CorrectedImage=None,
        AttenuationCorrected="YES",
        DecayCorrected="NO",
        FrameAcquisitionDateTime=["20250102110000", "20250102110500", "20250102111000"],
        FrameAcquisitionDuration=300000.0,
    )
    stored = np.array([uncorrected(60), uncorrected(65), uncorrected(70)])
    np.testing.assert_allclose(suv_bw_factors(frames).factors * stored, 1.0, rtol=1e-6)


def test_non_fdg_tracer_is_a_warning() -> None:
    found = suv_bw_factors(pet_headers(Radiopharmaceutical="PSMA-1007"))
    assert any("'PSMA-1007', not FDG" in line for line in found.warnings)


def test_fdg_by_the_book_has_no_warning() -> None:
    assert suv_bw_factors(pet_headers()).warnings == []


def test_audit_names_every_element_and_step() -> None:
    found = suv_bw_factors(CASES["midnight-with-datetime"][0])
    by_keyword = {line["keyword"]: line["value"] for line in found.audit if "keyword" in line}
    by_step = {line["step"]: line["value"] for line in found.audit if "step" in line}
    assert by_keyword["RadionuclideTotalDose"] == DOSE_BQ
    assert by_keyword["PatientWeight"] == WEIGHT_KG
    assert by_keyword["RadionuclideHalfLife"] == F18_S
    assert {"Units", "DecayCorrection", "CorrectedImage", "SeriesTime"} <= set(by_keyword)
    assert by_keyword["AcquisitionTime"] == "00:30:00.000000 day +0"
    assert by_keyword["RadiopharmaceuticalStartDateTime"] == "23:30:00.000000 day -1"
    assert by_keyword["RadiopharmaceuticalStartTime"] == "233000"
    assert by_step["injection"] == "23:30:00.000000 day -1"
    assert by_step["uptake time"] == 3600.0
    assert by_step["decay of the dose to the reference time"] == pytest.approx(
        0.5 ** (3600 / 6586.2), rel=1e-12
    )
    assert by_step["1000 * weight / dose"] == found.factors[0]


def test_audit_is_json_without_dates() -> None:
    for datasets, _ in CASES.values():
        found = suv_bw_factors(datasets)
        text = json.dumps([found.audit, found.warnings])
        assert not {"20250102", "20250101", "2025-01", "20241230"} & set(text.split('"'))
        assert "202501" not in text


@given(
    weight=st.floats(20, 200), dose=st.floats(5e7, 9e8), by=st.floats(0.5, 1.5), low=st.booleans()
)
@settings(max_examples=40, deadline=None)
def test_suv_scales_with_weight_and_against_dose(
    weight: float, dose: float, by: float, low: bool
) -> None:
    correction = "ADMIN" if low else "START"
    one = factor(
        pet_headers(1, PatientWeight=weight, RadionuclideTotalDose=dose, DecayCorrection=correction)
    )
    other = factor(
        pet_headers(
            1,
            PatientWeight=weight * by,
            RadionuclideTotalDose=dose * by,
            DecayCorrection=correction,
        )
    )
    assert other == pytest.approx(one, rel=1e-9)


def chain(injected: datetime, uptake: timedelta, **changes: Any) -> list[pydicom.Dataset]:
    """All times of one exam, moved together."""
    start = injected + uptake
    return pet_headers(
        1,
        StudyDate=f"{start:%Y%m%d}",
        SeriesDate=f"{start:%Y%m%d}",
        AcquisitionDate=f"{start:%Y%m%d}",
        SeriesTime=f"{start:%H%M%S.%f}",
        AcquisitionTime=f"{start:%H%M%S.%f}",
        RadiopharmaceuticalStartTime=f"{injected:%H%M%S.%f}",
        **changes,
    )


@given(
    second=st.integers(0, 400 * 86400),
    minutes=st.integers(20, 240),
    with_date=st.booleans(),
)
@settings(max_examples=60, deadline=None)
def test_moving_all_times_leaves_suv_unchanged_also_over_midnight(
    second: int, minutes: int, with_date: bool
) -> None:
    uptake = timedelta(minutes=minutes)
    injected = datetime(2025, 1, 1) + timedelta(seconds=second)
    full = {"RadiopharmaceuticalStartDateTime": f"{injected:%Y%m%d%H%M%S.%f}"} if with_date else {}
    noon = chain(datetime(2025, 6, 1, 12), uptake)
    assert factor(chain(injected, uptake, **full)) == factor(noon)


@given(zone=st.integers(-11, 12), other=st.integers(-11, 12))
@settings(max_examples=30, deadline=None)
def test_time_zone_of_the_injection_does_not_matter(zone: int, other: int) -> None:
    elsewhere = datetime(2025, 1, 2, 10) + timedelta(hours=other - zone)
    datasets = pet_headers(
        1,
        TimezoneOffsetFromUTC=f"{zone:+03d}00",
        RadiopharmaceuticalStartDateTime=f"{elsewhere:%Y%m%d%H%M%S}{other:+03d}00",
    )
    assert factor(datasets) == factor(pet_headers(1))


def test_height_does_not_change_suv_of_bqml() -> None:
    assert factor(pet_headers(PatientSize=HEIGHT_M / 2)) == factor(pet_headers())
