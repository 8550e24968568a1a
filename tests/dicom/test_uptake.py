"""Minutes from injection to scan, or a refusal that names the tags."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pydicom
import pytest

from petct_ext.dicom.uptake import uptake_time_s
from petct_ext.errors import InputDataError
from tests.dicom.slices import write_slices


def headers(folder: Path, isotope: dict[str, Any] | None = None, **elements: Any) -> list[Any]:
    datasets = [pydicom.dcmread(p) for p in write_slices(folder, modality="PT", **elements)]
    for dataset in datasets:
        for keyword, value in (isotope or {}).items():
            setattr(dataset.RadiopharmaceuticalInformationSequence[0], keyword, value)
    return datasets


def test_one_hour(tmp_path: Path) -> None:
    assert uptake_time_s(headers(tmp_path)) == 3600.0


def test_scan_after_midnight(tmp_path: Path) -> None:
    late = headers(
        tmp_path,
        {"RadiopharmaceuticalStartTime": "233000"},
        SeriesTime="003000",
        AcquisitionTime="003000",
    )
    assert uptake_time_s(late) == 3600.0


def test_full_date_time_of_injection_wins(tmp_path: Path) -> None:
    full = {"RadiopharmaceuticalStartDateTime": "20200102101500.00"}
    assert uptake_time_s(headers(tmp_path, full)) == 45 * 60.0


def test_series_stored_again_after_processing_counts_from_the_acquisition(tmp_path: Path) -> None:
    assert uptake_time_s(headers(tmp_path, SeriesTime="150000")) == 3600.0


def test_ge_scan_time_wins_over_the_acquisition_of_a_processed_series(tmp_path: Path) -> None:
    datasets = headers(tmp_path, SeriesTime="150000")
    datasets[0].add_new((0x0009, 0x100D), "LO", "20200102105500.00")
    assert uptake_time_s(datasets) == 55 * 60.0


@pytest.mark.parametrize("clock", ["105900", "040000", "110500"])
def test_implausible_uptake_is_refused(tmp_path: Path, clock: str) -> None:
    with pytest.raises(InputDataError, match=r"\(0018,1072\).*outside 15 to 300 min"):
        uptake_time_s(headers(tmp_path, {"RadiopharmaceuticalStartTime": clock}))


def test_missing_injection_time_names_the_tag(tmp_path: Path) -> None:
    with pytest.raises(InputDataError, match=r"\(0018,1072\) is missing"):
        uptake_time_s(headers(tmp_path, {"RadiopharmaceuticalStartTime": ""}))


def test_missing_scan_times_name_the_tags(tmp_path: Path) -> None:
    with pytest.raises(InputDataError, match=r"\(0008,0031\) nor Acquisition Time"):
        uptake_time_s(headers(tmp_path, SeriesTime="", AcquisitionTime=""))
