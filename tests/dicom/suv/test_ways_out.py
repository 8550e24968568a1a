"""Headers that lack something and still have an SUV, and remedies that fit the case."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

import pydicom
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from petct_ext.dicom.suv.factors import suv_bw_factors
from petct_ext.dicom.suv.uptake import uptake_time_s
from petct_ext.errors import InputDataError
from tests.dicom.pet_headers import DOSE_BQ, F18_S, WEIGHT_KG, factor, nuclide_code, pet_headers

NO_DATES: dict[str, Any] = dict.fromkeys(("StudyDate", "SeriesDate", "AcquisitionDate"), "")


def test_times_of_day_suffice_where_all_dates_are_empty() -> None:
    found = suv_bw_factors(pet_headers(**NO_DATES))
    assert found.factors[0] == factor(pet_headers())
    assert "SUV was computed from times of day alone" in "; ".join(found.warnings)


def test_headers_are_not_changed_by_the_assumed_day() -> None:
    headers = pet_headers(**NO_DATES)
    suv_bw_factors(headers)
    assert headers[0].SeriesDate == ""


@pytest.mark.parametrize(
    "changes",
    [{"StudyDate": "20250102"}, {"RadiopharmaceuticalStartDateTime": "20250102100000"}],
)
def test_day_that_is_left_is_taken(changes: dict[str, Any]) -> None:
    found = suv_bw_factors(pet_headers(**(NO_DATES | changes)))
    assert found.factors[0] == factor(pet_headers())
    assert "on the day of" in "; ".join(found.warnings)
    with pytest.raises(InputDataError, match="1500 min"):
        suv_bw_factors(pet_headers(**NO_DATES | {"StudyDate": "20250102"} | start_a_day_before()))


def start_a_day_before() -> dict[str, Any]:
    return {"RadiopharmaceuticalStartDateTime": "20250101100000"}


@given(second=st.integers(0, 86399), minutes=st.integers(20, 240), frames=st.integers(1, 4))
@settings(max_examples=40, deadline=None)
def test_times_of_day_suffice_also_over_midnight(second: int, minutes: int, frames: int) -> None:
    injected = datetime(2025, 1, 1) + timedelta(seconds=second)
    start = injected + timedelta(minutes=minutes)
    starts = [start + timedelta(minutes=5 * number) for number in range(frames)]
    headers = pet_headers(
        frames,
        SeriesTime=f"{start:%H%M%S}",
        AcquisitionTime=[f"{each:%H%M%S}" for each in starts] if frames > 1 else f"{start:%H%M%S}",
        FrameReferenceTime=[150000.0 + 300000.0 * n for n in range(frames)]
        if frames > 1
        else 150000.0,
        RadiopharmaceuticalStartTime=f"{injected:%H%M%S}",
        **NO_DATES,
    )
    decayed = DOSE_BQ * 2 ** (-60.0 * minutes / F18_S)
    assert factor(headers) == pytest.approx(1000 * WEIGHT_KG / decayed, rel=1e-9)


def late_window(**changes: Any) -> list[pydicom.Dataset]:
    """Minutes 50 to 55 of a scan that began at the injection, at 10:00."""
    elements = {
        "SeriesTime": "100000",
        "AcquisitionTime": "105000",
        "FrameReferenceTime": 3_000_000.0 + 149_900.0,
        "DecayFactor": 1.0159 * 2 ** (3000 / F18_S),
    }
    return pet_headers(1, **(elements | changes))


@pytest.mark.parametrize(
    ("changes", "reference_s"),
    [
        ({}, 0.0),
        ({"DecayFactor": 1.0}, 0.0),
        ({"FrameReferenceTime": None}, 0.0),
        ({"FrameReferenceTime": 0.0}, 0.0),
        ({"FrameReferenceTime": 150_000.0, "DecayFactor": 1.0159}, 3000.0),
        ({"FrameReferenceTime": None, "DecayFactor": 1.0159}, 3000.0),
        ({"RadiopharmaceuticalStartTime": "100030"}, -30.0),
    ],
)
def test_late_window_has_the_reference_that_the_header_states(
    changes: dict[str, Any], reference_s: float
) -> None:
    headers = late_window(**changes)
    decayed = DOSE_BQ * 2 ** (-reference_s / F18_S)
    assert factor(headers) == pytest.approx(1000 * WEIGHT_KG / decayed, rel=1e-6)
    injected_s = 30.0 if "RadiopharmaceuticalStartTime" in changes else 0.0
    assert uptake_time_s(headers) == 3000.0 - injected_s


@pytest.mark.parametrize(
    "changes",
    [
        {"FrameReferenceTime": 150_000.0, "DecayFactor": 1.0},
        {"FrameReferenceTime": 150_000.0, "DecayFactor": 1.2},
        {"FrameReferenceTime": None, "DecayFactor": 1.0},
    ],
)
def test_late_window_whose_reference_is_not_stated_is_refused(changes: dict[str, Any]) -> None:
    with pytest.raises(InputDataError, match="does not fit the first"):
        suv_bw_factors(late_window(**changes))


def test_early_window_of_a_dynamic_scan_is_refused() -> None:
    early = {"AcquisitionTime": "100500", "FrameReferenceTime": 300_000.0, "DecayFactor": 1.0}
    with pytest.raises(InputDataError, match="outside 20 to 240 min"):
        suv_bw_factors(late_window(**early))


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        (
            {
                "RadionuclideCodeSequence": [nuclide_code("C-163A8", "^99m^Technetium")],
                "RadionuclideHalfLife": 21624.0,
            },
            "Tc-99m.*SPECT and not PET.*nothing to correct; leave the exam out",
        ),
        (
            {"RadionuclideCodeSequence": None, "RadionuclideHalfLife": 21620.0},
            "Tc-99m.*SPECT and not PET",
        ),
        ({"Units": "CNTS"}, "De-identification often removes them: export .* suv_bw_factor"),
        ({"PatientWeight": None}, r"\(0010,1030\) is missing .* Supply it \(--suv-overrides\)"),
        ({"Units": "PROPCPS"}, "supply a known suv_bw_factor"),
    ],
)
def test_remedy_fits_the_case(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(InputDataError, match=message):
        suv_bw_factors(pet_headers(**changes))


@pytest.mark.parametrize(
    "changes",
    [
        {"AcquisitionTime": "120000"},
        {"SeriesTime": "100000", "RadiopharmaceuticalStartTime": "090000"},
        {"SeriesTime": "090000", "RadiopharmaceuticalStartTime": "080000"},
        {"AcquisitionTime": "111500"},
        {"AcquisitionTime": "120000", "DecayCorrectionDateTime": "20250102110000"},
    ],
)
def test_decay_factor_of_a_first_bed_does_not_excuse_times_that_were_shifted(
    changes: dict[str, Any],
) -> None:
    with pytest.raises(InputDataError, match="does not fit the first"):
        suv_bw_factors(pet_headers(1, DecayFactor=1.0159, FrameReferenceTime=0.0, **changes))


@pytest.mark.parametrize("before_midnight_min", [2, 11, 20])
@pytest.mark.parametrize("series", ["", "004000"])
@pytest.mark.parametrize("dates", [NO_DATES, NO_DATES | {"StudyDate": "20250102"}])
def test_beds_on_both_sides_of_midnight_without_dates(
    before_midnight_min: int, series: str, dates: dict[str, Any]
) -> None:
    start = datetime(2025, 1, 3) - timedelta(minutes=before_midnight_min)
    beds = [start + timedelta(minutes=10 * number) for number in range(4)]
    headers = pet_headers(
        4,
        SeriesTime=series,
        AcquisitionTime=[f"{bed:%H%M%S}" for bed in beds],
        FrameReferenceTime=None,
        RadiopharmaceuticalStartTime=f"{start - timedelta(hours=1):%H%M%S}",
        **dates,
    )
    assert factor(headers) == pytest.approx(factor(pet_headers()), rel=1e-9)
