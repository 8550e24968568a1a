"""Slices become a volume by their positions, or are refused with the place named."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from petct_ext.dicom.series import read_series
from petct_ext.errors import InputDataError
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


def test_gantry_tilt_is_refused(tmp_path: Path) -> None:
    tilted = [1, 0, 0, 0, 0.970296, -0.241922]
    with pytest.raises(InputDataError, match="gantry tilt"):
        read_series(write_slices(tmp_path, ImageOrientationPatient=tilted))


def test_cut_slice_is_named_without_its_folder(tmp_path: Path) -> None:
    files = write_slices(tmp_path / "Doe_Jane")
    files[2].write_bytes(files[2].read_bytes()[:-10])
    with pytest.raises(InputDataError, match=r"slice file 1_002\.dcm cannot be read") as caught:
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
