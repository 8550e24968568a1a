"""Seconds from injection to scan, or a refusal that names the tags."""

from __future__ import annotations

from typing import Any

import pydicom
import pytest

from petct_ext.dicom.suv.factors import suv_bw_factors
from petct_ext.dicom.suv.uptake import uptake_time_s
from petct_ext.errors import InputDataError
from tests.dicom.pet_headers import add_private, factor, nuclide_code, pet_headers

ZIRCONIUM = {
    "RadionuclideHalfLife": 282_280.0,
    "RadionuclideCodeSequence": [nuclide_code("63360001", "^89^Zirconium")],
}


def start_datetime(text: str, **elements: Any) -> dict[str, Any]:
    return {"RadiopharmaceuticalStartDateTime": text, **elements}


def ge(start: str, **elements: Any) -> list[pydicom.Dataset]:
    datasets = pet_headers(Manufacturer="GE MEDICAL SYSTEMS", **elements)
    return add_private(datasets, (0x0009, 0x100D), start, creator="GEMS_PETD_01", vr="DT")


def test_one_hour() -> None:
    assert uptake_time_s(pet_headers()) == 3600.0


def test_scan_after_midnight() -> None:
    late = pet_headers(
        RadiopharmaceuticalStartTime="233000", SeriesTime="003000", AcquisitionTime="003000"
    )
    assert uptake_time_s(late) == 3600.0


def test_series_stored_again_counts_from_the_acquisition() -> None:
    again = pet_headers(SeriesTime="150000", FrameReferenceTime=None)
    assert uptake_time_s(again) == 3600.0


def test_ge_scan_time_wins_over_a_series_stored_again_on_another_day() -> None:
    datasets = ge("20250102105500.00", SeriesDate="20250109", FrameReferenceTime=300000.0)
    assert uptake_time_s(datasets) == 55 * 60.0


def test_private_start_whose_date_alone_was_not_shifted_is_a_warning() -> None:
    found = suv_bw_factors(ge("20190608110000.00"))
    assert found.factors[0] == factor(pet_headers())
    assert any("another date" in line for line in found.warnings)


def test_start_between_whole_seconds_is_a_warning_only() -> None:
    found = suv_bw_factors(pet_headers(SeriesTime="105930"))
    assert any(
        "29 s apart, 0.3 %" in line or "30 s apart, 0.3 %" in line for line in found.warnings
    )


def test_decay_factor_that_fits_is_recorded() -> None:
    found = suv_bw_factors(pet_headers(DecayFactor=1.0159))
    assert any(line.get("keyword") == "DecayFactor" for line in found.audit)


def test_admin_does_not_decay_the_dose() -> None:
    found = suv_bw_factors(pet_headers(DecayCorrection="ADMIN", DecayFactor=1.4838))
    assert found.factors[0] == 70_000 / 350e6


@pytest.mark.parametrize(
    ("elements", "message"),
    [
        (
            {"RadiopharmaceuticalStartTime": "105900"},
            r"\(0018,1072\), at 10:59:00 .* is 1 min, outside 20 to 240 min for F-18",
        ),
        ({"RadiopharmaceuticalStartTime": "040000"}, r"is 420 min, outside 20 to 240"),
        ({"RadiopharmaceuticalStartTime": "110500"}, r"\(day -1\).* is 1435 min"),
        ({"RadiopharmaceuticalStartTime": None}, r"\(0018,1072\) is missing or empty, and so is"),
        ({"RadiopharmaceuticalStartTime": "10"}, r"\(0018,1072\) holds '10', which is no time"),
        ({"RadiopharmaceuticalStartTime": "25xx00"}, r"\(0018,1072\) holds '25xx00'"),
        (
            start_datetime("20250102101500"),
            r"\(0018,1078\) says 10:15:00, but .*\(0018,1072\) says 10:00:00",
        ),
        (
            start_datetime("20250103100000"),
            r"\(0018,1078\), at 10:00:00 \(day \+1\).* is -1380 min",
        ),
        (start_datetime("20250101100000"), r"\(0018,1078\), at 10:00:00 \(day -1\).* is 1500 min"),
        (
            start_datetime("19000101100000"),
            r"\(0018,1078\).*\(day -45657\).*do not belong together",
        ),
        (start_datetime("20250102"), r"\(0018,1078\) is no date and time"),
        (
            start_datetime("20250102100000+0000", RadiopharmaceuticalStartTime=None),
            r"\(0018,1078\) has a time zone, but .*\(0008,0201\) is missing",
        ),
        ({"TimezoneOffsetFromUTC": "CET", **start_datetime("20250102100000")}, r"\(0008,0201\) is"),
        (ZIRCONIUM, r"\(0018,1078\) is missing; Zr-89 is scanned up to days"),
        (
            {"SeriesTime": None, "AcquisitionTime": None},
            r"neither Series Time \(0008,0031\) nor Acquisition Time \(0008,0032\)",
        ),
        (
            {"SeriesTime": ["110000", "110500", "110000"]},
            r"\(0008,0031\) differs within the series",
        ),
        (
            {"SeriesTime": "104000"},
            r"\(0008,0031\) at 10:40:00 does not fit .*\(0008,0032\) at 11:00:00",
        ),
        (
            {"AcquisitionDate": "20250105"},
            r"\(0008,0031\) at 11:00:00 does not fit the first Acquisition Time",
        ),
        ({"StudyDate": "20250301"}, r"the scan lies -58 days from Study Date \(0008,0020\)"),
        ({"StudyDate": "20241230"}, r"the scan lies \+3 days from Study Date"),
        (
            {"DecayFactor": 1.48},
            r"\(0054,1321\) is 1\.48, but the times give 1\.016",
        ),
        (
            {"DecayCorrection": "ADMIN", "DecayFactor": 1.016},
            r"\(0054,1321\) is 1\.016, but the times give 1\.484",
        ),
        (
            {"Manufacturer": "GE MEDICAL SYSTEMS", "SeriesTime": "113000"},
            r"\(0054,1300\) is 150000 ms .*cannot be told",
        ),
        (
            {"SeriesTime": "113000", "ActualFrameDuration": None},
            r"\(0054,1300\) is 150000 ms .*Actual Frame Duration \(0018,1242\)",
        ),
    ],
)
def test_times_that_do_not_fit_are_refused(elements: dict[str, Any], message: str) -> None:
    with pytest.raises(InputDataError, match=message) as caught:
        suv_bw_factors(pet_headers(**elements))
    assert "\n" not in str(caught.value)
    assert "2025" not in str(caught.value)


def test_private_start_that_does_not_fit_is_refused() -> None:
    with pytest.raises(
        InputDataError, match=r"GE scan start \(0009,100d\) at 10:30:00 does not fit"
    ):
        suv_bw_factors(ge("20250102103000.00", SeriesTime="113000"))


@pytest.mark.parametrize(
    ("elements", "message"),
    [
        ({"ActualFrameDuration": None}, r"\(0018,1242\) is missing or zero in a slice"),
        ({"ActualFrameDuration": 0}, r"\(0018,1242\) is missing or zero in a slice"),
        ({"AcquisitionTime": ["110000", None, "111000"]}, r"\(0008,0032\) is missing or zero"),
        ({"FrameReferenceTime": [0.0, 3e5, 6e5]}, r"\(0054,1300\) tells 3 bed positions apart"),
        (
            {"AcquisitionTime": ["110000", "130000", "150000"]},
            "of the last slice, 15:00:00, is 300",
        ),
        ({"DecayFactor": 1.016}, r"\(0054,1321\) is 1\.016, but .*\(0054,1102\) is 'NONE'"),
    ],
)
def test_uncorrected_images_need_the_time_of_each_frame(
    elements: dict[str, Any], message: str
) -> None:
    with pytest.raises(InputDataError, match=message):
        suv_bw_factors(pet_headers(DecayCorrection="NONE", CorrectedImage="ATTN", **elements))


def test_times_shifted_one_by_one_are_refused() -> None:
    """What dicognito leaves: series and acquisition moved by hours, the injection not."""
    moved = pet_headers(
        StudyDate="20250309", SeriesDate="20250309", AcquisitionDate="20250309",
        SeriesTime="171500", AcquisitionTime="171500",
    )  # fmt: skip
    with pytest.raises(InputDataError, match=r"is 435 min, outside 20 to 240 min"):
        suv_bw_factors(moved)
