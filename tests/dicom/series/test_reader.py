"""Slices become a volume by their positions, or are refused with the place named."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pydicom
import pytest

from petct_ext.dicom.series.reader import read_series
from petct_ext.errors import InputDataError
from tests.conftest import SHARED
from tests.dicom.slices import write_slices


def test_affine_maps_voxels_to_ras(tmp_path: Path) -> None:
    volume = read_series(write_slices(tmp_path))
    assert volume.array.shape == (5, 4, 4)
    # DICOM x = -10 mm is 10 mm to the patient's right; y = -20 mm is 20 mm anterior
    assert (volume.affine @ [0, 0, 0, 1])[:3].tolist() == [10.0, 20.0, 0.0]
    assert (volume.affine @ [1, 1, 1, 1])[:3].tolist() == [6.0, 18.0, 3.0]


def test_order_of_files_and_instance_numbers_does_not_matter(tmp_path: Path) -> None:
    files = write_slices(tmp_path)
    shuffled = [files[i] for i in (2, 0, 3, 1)]
    np.testing.assert_array_equal(read_series(shuffled).array, read_series(files).array)
    assert read_series(shuffled).array[0, 0].tolist() == [0, 1, 2, 3]


def test_columns_of_the_file_become_the_first_axis(tmp_path: Path) -> None:
    values = np.arange(4 * 4 * 5).reshape(4, 4, 5)
    volume = read_series(write_slices(tmp_path, values=values))
    assert volume.array[3, 2, 1] == values[1, 2, 3]


def test_each_slice_has_its_own_rescale_slope(tmp_path: Path) -> None:
    ones = np.ones((4, 4, 5))
    files = write_slices(tmp_path, modality="PT", values=ones, slopes=[1.0, 2.5, 3.0, 0.5])
    assert read_series(files).array[0, 0].tolist() == [1.0, 2.5, 3.0, 0.5]


def test_small_shift_at_a_bed_join_is_accepted(tmp_path: Path) -> None:
    heights = [0.0, 3.27, 6.54, 9.73, 13.0]
    assert read_series(write_slices(tmp_path, heights_mm=heights)).array.shape[2] == 5


@pytest.mark.parametrize(
    ("heights", "message"),
    [
        ((0.0, 3.0, 9.0, 12.0), r"gap of 6\.00 mm after the slice at 3\.00 mm, expected 3\.00"),
        ((0.0, 3.0, 3.0, 6.0), r"same position \(3\.00 mm"),
    ],
)
def test_missing_and_repeated_slices_are_named(
    tmp_path: Path, heights: tuple[float, ...], message: str
) -> None:
    with pytest.raises(InputDataError, match=message):
        read_series(write_slices(tmp_path, heights_mm=heights))


def test_gantry_tilt_is_kept_in_the_affine(tmp_path: Path) -> None:
    tilted = [1, 0, 0, 0, 0.970296, -0.241922]
    volume = read_series(write_slices(tmp_path, ImageOrientationPatient=tilted))
    assert (volume.affine @ [0, 0, 2, 1])[:3] == pytest.approx([10.0, 20.0, 6.0])
    assert "sheared by 14.0 degrees (gantry tilt)" in volume.warnings[0]


def test_slices_beside_the_line_of_the_others_are_refused(tmp_path: Path) -> None:
    files = write_slices(tmp_path, heights_mm=(0.0, 3.0, 9.0, 12.0))
    moved = write_slices(tmp_path / "2", heights_mm=(6.0,))[0]
    dataset = pydicom.dcmread(moved)
    dataset.ImagePositionPatient = [-15.0, -20.0, 6.0]
    dataset.save_as(moved)
    with pytest.raises(InputDataError, match=r"lies 5\.00 mm beside the line of the others"):
        read_series([*files, moved])


def test_slice_exported_twice_is_dropped_with_a_warning(tmp_path: Path) -> None:
    files = write_slices(tmp_path)
    copy = tmp_path / "copy.dcm"
    copy.write_bytes(files[1].read_bytes())
    volume = read_series([copy, *files])
    np.testing.assert_array_equal(volume.array, read_series(files).array)
    assert volume.warnings == ("1 slice(s) are exact copies of others and were dropped.",)
    assert len(volume.datasets) == 4


def test_slices_of_changing_spacing_are_interpolated_at_their_places(tmp_path: Path) -> None:
    heights = [0.0, 3.0, 6.0, 9.0, 12.0, 15.0, 21.0, 27.0, 33.0]
    values = np.repeat(np.array(heights) * 10, 20).reshape(9, 4, 5)
    volume = read_series(write_slices(tmp_path, heights_mm=heights, values=values))
    along = np.arange(volume.array.shape[2]) * volume.affine[2, 2] + volume.affine[2, 3]
    np.testing.assert_allclose(volume.array[2, 2], along * 10, rtol=1e-6)
    assert volume.affine[2, 2] == pytest.approx(3.0)
    assert len(volume.datasets) == len(along) == 12
    assert "varies from 3.00 to 6.00 mm" in volume.warnings[0]


@pytest.mark.parametrize(
    ("elements", "message"),
    [
        ({"PatientID": "OTHER-1"}, "differ in PatientID"),
        ({"SeriesInstanceUID": "1.2.77"}, "differ in SeriesInstanceUID"),
        ({"FrameOfReferenceUID": "1.2.77"}, "differ in FrameOfReferenceUID"),
        ({"Modality": "PT"}, r"differ in Modality \(0008,0060\) \(PT here, CT in the first\)"),
        ({"ImageOrientationPatient": [0, 1, 0, 0, 0, -1]}, "differ in ImageOrientationPatient"),
        ({"ImagePositionPatient": None}, "has no ImagePositionPatient"),
        ({"ImagePositionPatient": [0.0, 1.0]}, r"3 numbers but \(0\.0, 1\.0\)"),
    ],
)
def test_slice_that_does_not_belong_is_named_without_identity(
    tmp_path: Path, elements: dict[str, Any], message: str
) -> None:
    files = write_slices(tmp_path, heights_mm=(0.0, 3.0))
    other = write_slices(tmp_path / "2", heights_mm=(6.0,), **elements)
    with pytest.raises(InputDataError, match="slice file 1_000.dcm: .*" + message) as caught:
        read_series([*files, *other])
    assert "SECRET" not in str(caught.value)
    assert "OTHER" not in str(caught.value)


@pytest.mark.parametrize(
    ("elements", "message"),
    [
        ({"ImageOrientationPatient": [1, 0, 0, 1, 0, 0]}, "not perpendicular"),
        ({"PixelSpacing": [0.0, 1.0]}, "should be in mm"),
        ({"RescaleType": "MGML"}, "Rescale Type .* 'MGML'; HU are needed"),
    ],
)
def test_series_without_geometry_or_hu_is_refused(
    tmp_path: Path, elements: dict[str, Any], message: str
) -> None:
    with pytest.raises(InputDataError, match=message):
        read_series(write_slices(tmp_path, **elements))


def test_pet_with_fewer_slices_than_announced_is_marked(tmp_path: Path) -> None:
    volume = read_series(write_slices(tmp_path, modality="PT", NumberOfSlices=9))
    assert volume.warnings == (
        "the series has 4 slices of 9 (0054,0081); it may be cut at an end.",
    )


def test_single_slice_is_marked(tmp_path: Path) -> None:
    volume = read_series(write_slices(tmp_path, heights_mm=(1.0,), SliceThickness=5.0))
    assert volume.affine[2, 2] == 5.0
    assert volume.warnings == ("the series has a single slice.",)


def test_cut_slice_is_named_without_its_folder(tmp_path: Path) -> None:
    files = write_slices(tmp_path / "Doe_Jane")
    files[2].write_bytes(files[2].read_bytes()[:-10])
    with pytest.raises(InputDataError, match=r"slice file 1_002\.dcm: .* 30 of 40 bytes") as caught:
        read_series(files)
    assert "Doe" not in str(caught.value)


def test_two_sizes_in_one_series_are_refused(tmp_path: Path) -> None:
    files = write_slices(tmp_path, heights_mm=(0.0, 3.0))
    other = write_slices(tmp_path, heights_mm=(6.0,), series="2", PixelSpacing=[1.0, 1.0])
    with pytest.raises(InputDataError, match="differ in PixelSpacing"):
        read_series(files + other)


def test_empty_series_is_refused() -> None:
    with pytest.raises(InputDataError, match="no files"):
        read_series([])


@pytest.mark.shared
@pytest.mark.parametrize(
    ("folder", "message"),
    [
        ("notavolume/001", r"same position \(61\.50 mm along the normal; 3 of 4 slices repeat"),
        ("sliceincrement/001", r"gap of 10\.00 mm after the slice at 28\.11 mm, .* \(1 missing\)"),
        ("sliceincrement/002", r"gap of 1\.50 mm after .* expected 0\.75 mm \(1 missing\)"),
    ],
)
def test_real_traps_are_named(folder: str, message: str) -> None:
    with pytest.raises(InputDataError, match=message):
        read_series(shared_files(f"ct_geometry_traps/{folder}"))


@pytest.mark.shared
def test_real_gantry_tilt_puts_every_voxel_where_the_headers_say() -> None:
    volume = read_series(shared_files("ct_geometry_traps/gantrytilting/001"))
    assert "14.0 degrees" in volume.warnings[0]
    for z, dataset in enumerate(volume.datasets):
        x, y, height = map(float, dataset.ImagePositionPatient)
        assert (volume.affine @ [0, 0, z, 1])[:3] == pytest.approx([-x, -y, height], abs=1e-6)


@pytest.mark.shared
def test_real_bed_joins_move_no_slice_by_a_tenth() -> None:
    volume = read_series(shared_files("pet_ge_sts001_wholebody/image"))
    assert volume.array.shape == (128, 128, 267)
    assert volume.warnings == ()
    for z, dataset in enumerate(volume.datasets):
        height = volume.affine[2, 3] + z * volume.affine[2, 2]
        assert abs(height - float(dataset.ImagePositionPatient[2])) < 0.327
        stored = volume.array[..., z].max() / float(dataset.RescaleSlope)
        assert stored == pytest.approx(round(float(stored)), abs=0.01)


def shared_files(name: str) -> list[Path]:
    folder = SHARED / "data" / name
    if not folder.is_dir():
        pytest.skip("../shared/data is not here")
    return sorted(folder.iterdir())
