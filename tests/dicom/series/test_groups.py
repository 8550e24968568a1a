"""Files become series by their headers; what is no single stack is split."""

from __future__ import annotations

import random
import shutil
from datetime import datetime
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from petct_ext.dicom.series.groups import Series, group_studies, image_normal
from tests.dicom.archives import only_series, read_all, studies_in
from tests.dicom.slices import write_slices

HEIGHTS = tuple(np.arange(20) * 3.0)


def described(series: Series) -> tuple[str, int, tuple[str, ...]]:
    return series.key, len(series.files), series.notes


def test_folders_do_not_matter(tmp_path: Path) -> None:
    paths = write_slices(tmp_path / "in", modality="PT", heights_mm=HEIGHTS)
    for number, path in enumerate(paths):
        (tmp_path / f"out{number % 3}").mkdir(exist_ok=True)
        shutil.move(path, tmp_path / f"out{number % 3}" / path.name)
    series = only_series(tmp_path)
    assert (len(series.files), series.num_slices, series.extent_mm) == (20, 20, (0.0, 57.0))
    assert series.started == datetime(2020, 1, 2, 11)


def test_mixed_folder_is_sorted_by_uid(tmp_path: Path) -> None:
    write_slices(tmp_path, modality="PT", heights_mm=HEIGHTS, series="1")
    write_slices(tmp_path, heights_mm=HEIGHTS, series="2")
    (study,) = studies_in(tmp_path)
    assert [s.key for s in study.series] == ["1.2.3.1", "1.2.3.2"]


def test_localizer_inside_a_series_is_split_off(tmp_path: Path) -> None:
    write_slices(tmp_path / "a", heights_mm=HEIGHTS, series="2")
    write_slices(
        tmp_path / "b",
        heights_mm=(0.0,),
        series="2",
        ImageType=["ORIGINAL", "PRIMARY", "LOCALIZER"],
        ImageOrientationPatient=[1, 0, 0, 0, 0, -1],
        SOPInstanceUID="1.2.3.99",
    )
    (study,) = studies_in(tmp_path)
    elements = "Image Orientation (Patient) (0020,0037), Image Type (0008,0008)"
    note = (f"mixed series, split into 2 parts by {elements}",)
    assert [described(s) for s in study.series] == [
        ("1.2.3.2", 20, note),
        ("1.2.3.2#2", 1, note),
    ]


@pytest.mark.parametrize(
    ("changes", "parts"),
    [
        ([{}, {"ConvolutionKernel": "B70f"}, {"Rows": 8}], [5, 4, 3]),
        ([{}, {"FrameOfReferenceUID": "1.8"}, {"Rows": 8}], [12]),
    ],
)
def test_kernels_and_sizes_are_parts_and_frames_of_reference_a_fault(
    tmp_path: Path, changes: list[dict[str, Any]], parts: list[int]
) -> None:
    for number, change in enumerate(changes):
        write_slices(
            tmp_path / str(number), heights_mm=HEIGHTS[: 5 - number], series=f"{number}", **change
        )
    for path in tmp_path.rglob("*.dcm"):
        content = path.read_bytes()
        path.write_bytes(
            content.replace(b"1.2.3.1\0", b"1.2.3.0\0").replace(b"1.2.3.2\0", b"1.2.3.0\0")
        )
    (study,) = studies_in(tmp_path)
    assert [len(s.files) for s in study.series] == parts
    assert [s.key for s in study.series] == ["1.2.3.0", "1.2.3.0#2", "1.2.3.0#3"][: len(parts)]
    assert ("Frame of Reference UID (0020,0052)" in study.series[0].fault) == (len(parts) == 1)


def test_directions_that_differ_by_rounding_stay_together(tmp_path: Path) -> None:
    write_slices(tmp_path / "a", heights_mm=HEIGHTS)
    shaken = [1, 0.0004, 0, -0.0004, 1, 0]
    write_slices(tmp_path / "b", heights_mm=HEIGHTS, ImageOrientationPatient=shaken)
    assert len(only_series(tmp_path).files) == 20


def test_file_that_lies_there_twice_counts_once(tmp_path: Path) -> None:
    paths = write_slices(tmp_path / "a", heights_mm=HEIGHTS)
    (tmp_path / "b").mkdir()
    for path in paths[:4]:
        shutil.copy(path, tmp_path / "b")
    series = only_series(tmp_path)
    assert described(series) == ("1.2.3.1", 20, ("4 repeated file(s) ignored",))


def test_patients_of_a_study_are_collected(tmp_path: Path) -> None:
    write_slices(tmp_path / "a", series="1", PatientID="A ")
    write_slices(tmp_path / "b", series="2", PatientID="B")
    write_slices(tmp_path / "c", series="3", PatientID="")
    (study,) = studies_in(tmp_path)
    assert study.patients == ("A", "B")


def test_order_of_files_does_not_matter(tmp_path: Path) -> None:
    write_slices(tmp_path / "a", modality="PT", heights_mm=HEIGHTS, series="1")
    write_slices(tmp_path / "b", heights_mm=HEIGHTS, series="2")
    headers = read_all(tmp_path)
    random.Random(0).shuffle(headers)
    shuffled, sorted_ = group_studies(headers), studies_in(tmp_path)
    assert [[s.files for s in study.series] for study in shuffled] == [
        [s.files for s in study.series] for study in sorted_
    ]


def test_missing_times_and_positions_are_unknown(tmp_path: Path) -> None:
    write_slices(
        tmp_path,
        ImagePositionPatient=None,
        AcquisitionTime="",
        SeriesTime="",
        ImageOrientationPatient=None,
    )
    series = only_series(tmp_path)
    assert (series.places_mm, series.extent_mm, series.started) == ((), None, None)
    assert series.num_slices == 4
    assert image_normal(series.first) is None
