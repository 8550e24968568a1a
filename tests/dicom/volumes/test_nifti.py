"""A NIfTI volume is read as it is, or refused with the reason."""

from __future__ import annotations

import os
import zlib
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from petct_ext.dicom.volumes.nifti import nifti_grid, read_nifti, write_nifti
from petct_ext.dicom.volumes.value_ranges import VolumeUnits
from petct_ext.errors import InputDataError
from tests.conftest import shared_data
from tests.dicom.nifti_files import AFFINE, ct_values, pet_values, write


def rotated(degrees: float) -> np.ndarray:
    """An affine turned about X, as some scanners' oblique volumes are."""
    c, s = np.cos(np.radians(degrees)), np.sin(np.radians(degrees))
    turn = np.array([[1, 0, 0, 0], [0, c, -s, 0], [0, s, c, 0], [0, 0, 0, 1]])
    turned: np.ndarray = turn @ AFFINE
    return turned


def sheared(degrees: float) -> np.ndarray:
    affine = AFFINE.copy()
    affine[1, 2] = 3.0 * np.tan(np.radians(degrees))
    return affine


@pytest.mark.parametrize("name", ["CT.nii", "CT.nii.gz"])
def test_volume_is_read_with_its_affine(tmp_path: Path, name: str) -> None:
    volume = read_nifti(write(tmp_path / name, ct_values()), VolumeUnits.HU)
    np.testing.assert_array_equal(volume.array, ct_values())
    np.testing.assert_allclose(volume.affine, AFFINE)
    assert volume.array.dtype == np.float32
    assert volume.datasets == []


def test_scale_of_stored_integers_is_applied(tmp_path: Path) -> None:
    image = nib.Nifti1Image((ct_values() + 1024).astype(np.int16), AFFINE)
    image.header.set_slope_inter(1.0, -1024.0)
    image.header.set_xyzt_units("mm")
    nib.save(image, tmp_path / "CT.nii.gz")
    volume = read_nifti(tmp_path / "CT.nii.gz", "HU")
    np.testing.assert_array_equal(volume.array, ct_values())


def test_trailing_axis_of_one_is_dropped(tmp_path: Path) -> None:
    path = write(tmp_path / "CT.nii.gz", ct_values()[..., None])
    np.testing.assert_array_equal(read_nifti(path, "HU").array, ct_values())
    assert nifti_grid(path).shape == (9, 8, 7)


def test_header_of_a_packed_file_is_read_without_its_voxels(tmp_path: Path) -> None:
    noise = np.random.default_rng(0).normal(-500, 300, (40, 40, 40)).astype(np.float32)
    path = write(tmp_path / "CT.nii.gz", noise)
    path.write_bytes(path.read_bytes()[:-40])
    np.testing.assert_allclose(nifti_grid(path).affine, AFFINE)


def test_nifti_2_is_read(tmp_path: Path) -> None:
    image = nib.Nifti2Image(ct_values(), AFFINE)
    image.header.set_xyzt_units("mm")
    nib.save(image, tmp_path / "CT.nii.gz")
    np.testing.assert_array_equal(read_nifti(tmp_path / "CT.nii.gz", "HU").array, ct_values())


def test_oblique_volume_keeps_its_affine(tmp_path: Path) -> None:
    path = write(tmp_path / "CT.nii", ct_values(), rotated(12))
    np.testing.assert_allclose(nifti_grid(path).affine, rotated(12), atol=1e-4)


def test_unknown_unit_of_length_is_mm_if_that_makes_a_person(tmp_path: Path) -> None:
    path = write(tmp_path / "CT.nii", body_ct(), unit="unknown")
    np.testing.assert_allclose(nifti_grid(path, of_person=True).affine, AFFINE)
    (warning,) = read_nifti(path, "HU").warnings
    assert "without a unit of length" in warning
    assert read_nifti(write(tmp_path / "mm.nii", ct_values()), "HU").warnings == ()


def test_unknown_unit_of_length_that_makes_no_person_is_refused(tmp_path: Path) -> None:
    """40 voxels of 0.4 cm, written without a unit."""
    in_cm = AFFINE @ np.diag([0.1, 0.1, 0.1, 1.0])
    path = write(tmp_path / "CT.nii", ct_values((40, 40, 40)), in_cm, unit="unknown")
    for look in (lambda: nifti_grid(path, of_person=True), lambda: read_nifti(path, "HU")):
        with pytest.raises(InputDataError, match=r"measures 16 x 16 x 12, which is no person"):
            look()


@settings(deadline=None, max_examples=25)
@given(
    spacing=st.tuples(*[st.floats(0.5, 8.0)] * 3),
    flips=st.tuples(*[st.sampled_from([-1.0, 1.0])] * 3),
    origin=st.tuples(*[st.floats(-900, 900)] * 3),
    degrees=st.floats(-40, 40),
)
def test_written_map_lies_where_it_was(
    tmp_path_factory: pytest.TempPathFactory,
    spacing: tuple[float, ...],
    flips: tuple[float, ...],
    origin: tuple[float, ...],
    degrees: float,
) -> None:
    affine = np.diag([*(np.array(spacing) * flips), 1.0])
    affine = rotated(degrees) @ np.linalg.inv(AFFINE) @ affine
    affine[:3, 3] = origin
    path = write_nifti(tmp_path_factory.mktemp("map") / "map.nii", ct_values(), affine)
    volume = read_nifti(path, "HU")
    corner = np.array([*np.array(ct_values().shape) - 1, 1.0])
    np.testing.assert_allclose(volume.affine @ corner, affine @ corner, atol=1e-3)
    np.testing.assert_array_equal(volume.array, ct_values())


def test_sheared_map_is_written_without_a_quaternion(tmp_path: Path) -> None:
    write_nifti(tmp_path / "map.nii", ct_values(), sheared(20))
    image = nib.Nifti1Image.from_filename(tmp_path / "map.nii")
    assert int(image.header["qform_code"]) == 0
    np.testing.assert_allclose(image.affine, sheared(20), atol=1e-5)


def with_nan() -> np.ndarray:
    values = pet_values()
    values[0, 0, :2] = np.nan, np.inf
    return values


HEADER_FAULTS = [
    ({"codes": (0, 0)}, "no affine"),
    ({"affine": np.diag([4.0, 4.0, 0.0, 1.0]), "codes": (1, 0)}, "singular affine"),
    ({"affine": sheared(15), "codes": (1, 0)}, "axes 75.0 degrees apart"),
    ({"affine": AFFINE * 1000, "codes": (1, 0)}, "may not be in mm"),
    ({"unit": "meter"}, "lengths in meter"),
    ({"unit": "micron"}, "lengths in micron"),
    ({"qform": rotated(8)}, "two affines .* mm apart"),
    ({"values": np.zeros((9, 8, 7, 3), np.float32)}, r"shape \(9, 8, 7, 3\); one volume"),
    ({"values": np.zeros((9, 8), np.float32)}, r"shape \(9, 8\); one volume"),
    ({"values": np.zeros((9, 8, 1), np.float32)}, "single slice"),
    ({"values": ct_values().astype(np.complex64)}, "complex64; it is a picture"),
]


@pytest.mark.parametrize(("fault", "message"), HEADER_FAULTS)
def test_unusable_geometry_is_refused_from_the_header(
    tmp_path: Path, fault: dict[str, object], message: str
) -> None:
    arguments = {"values": ct_values(), **fault}
    path = write(tmp_path / "scan.nii.gz", **arguments)  # type: ignore[arg-type]
    with pytest.raises(InputDataError, match=f"^scan.nii.gz .*{message}"):
        nifti_grid(path)
    with pytest.raises(InputDataError, match=message):
        read_nifti(path, "HU")


def tissue(shape: tuple[int, ...]) -> np.ndarray:
    """Fat, muscle and some bone, with noise, HU."""
    rng = np.random.default_rng(0)
    parts = rng.choice([-100.0, 40.0, 60.0, 300.0], size=shape, p=[0.3, 0.4, 0.2, 0.1])
    return (parts + rng.normal(0, 12, shape)).astype(np.float32)


def body_ct() -> np.ndarray:
    """A body with a lung in noisy air, HU."""
    values = np.random.default_rng(1).normal(-1000, 10, (40, 40, 40)).astype(np.float32)
    values[10:30, 12:28, 2:] = tissue((20, 16, 38))
    values[12:20, 14:24, 20:35] = -800.0
    return np.maximum(values, -1024)


def body_pet() -> np.ndarray:
    """The body's uptake with a hot brain, SUVbw."""
    rng = np.random.default_rng(2)
    values = np.abs(rng.normal(0, 0.01, (40, 40, 40))).astype(np.float32)
    values[10:30, 12:28, 2:] = rng.uniform(0.4, 1.4, (20, 16, 38))
    values[15:25, 15:25, 34:] = 6.3
    return values


def padded(values: np.ndarray) -> np.ndarray:
    """As a scanner writes it that marks what lies outside of its circle."""
    values = values.copy()
    values[:4], values[-4:] = -3024.0, -3024.0
    return values


def z_scored(values: np.ndarray) -> np.ndarray:
    scored: np.ndarray = (values - values.mean()) / values.std()
    return scored


@pytest.mark.parametrize(
    ("values", "units", "message"),
    [
        (with_nan(), "SUVbw", "2 values that are not finite"),
        (np.full((9, 8, 7), 3.0, np.float32), "SUVbw", "constant"),
        (pet_values() * 5000, "SUVbw", "looks like Bq/mL"),
        (pet_values() / 6, "SUVbw", "looks normalized"),
        (pet_values() - 3, "SUVbw", "goes down to -2.5"),
        (ct_values(), "SUVbw", "may be a CT"),
        (pet_values(), "BQML", "looks like SUV"),
        (ct_values() + 1024, "HU", "no value below 0 .*without rescale"),
        (ct_values() / 1000, "HU", "looks normalized"),
        (pet_values(), "HU", "no value below 0"),
        (body_ct() + 1024, "HU", "no value below 0|too high"),
        (padded(body_ct() + 1000), "HU", "looks 1000 or 1024 too high"),
        (body_ct() - 1024, "HU", "intercept seems subtracted twice"),
        (body_ct() / 2, "HU", "has air at -500, where it is -1000"),
        (z_scored(body_ct()), "HU", "spans only .* looks z-scored"),
        (np.clip(body_ct(), -160, 240), "HU", "lowest value -160 in .* looks windowed"),
        ((body_ct() + 1000) / 2000 * 2 - 1, "HU", "looks normalized|spans only"),
        (z_scored(body_pet()), "SUVbw", "where air is 0; it looks z-scored"),
        (np.rint(body_pet()), "SUVbw", "whole numbers only"),
    ],
)
def test_values_that_cannot_be_in_their_units_are_refused(
    tmp_path: Path, values: np.ndarray, units: str, message: str
) -> None:
    path = write(tmp_path / "scan.nii", values)
    with pytest.raises(InputDataError, match=message):
        read_nifti(path, units)


@pytest.mark.parametrize(
    ("values", "units"),
    [
        (pet_values() - 0.6, "SUVbw"),  # noise around zero
        (pet_values() * 5000, "BQML"),
        (tissue((9, 8, 7)), "HU"),  # a box within the body: no air
        (padded(body_ct()), "HU"),
        (body_ct(), "HU"),
        (body_pet() * 5000, "BQML"),
        (body_pet(), "SUVbw"),
    ],
)
def test_unusual_but_possible_values_are_read(
    tmp_path: Path, values: np.ndarray, units: str
) -> None:
    path = write(tmp_path / "scan.nii", values)
    np.testing.assert_allclose(read_nifti(path, units).array, values, rtol=1e-6)


def test_missing_file_is_named_without_its_folder(tmp_path: Path) -> None:
    with pytest.raises(InputDataError, match=r"^SUV.nii.gz does not exist"):
        nifti_grid(tmp_path / "DOE_JANE" / "SUV.nii.gz")


@pytest.mark.parametrize("name", ["CT.nii", "CT.nii.gz"])
@pytest.mark.parametrize("kept", [0, 100, 1000])
def test_cut_file_is_refused(tmp_path: Path, name: str, kept: int) -> None:
    values = ct_values() + np.random.default_rng(0).normal(size=(9, 8, 7)).astype(np.float32)
    path = write(tmp_path / name, values)
    path.write_bytes(path.read_bytes()[:kept])
    with pytest.raises(InputDataError, match=r"cannot be unpacked|no valid NIfTI|shorter than"):
        read_nifti(path, "HU")


def test_damage_within_a_packed_file_is_found_by_its_checksum(tmp_path: Path) -> None:
    path = write(tmp_path / "CT.nii.gz", ct_values())
    raw = bytearray(path.read_bytes())
    raw[-8:-4] = zlib.crc32(b"something else").to_bytes(4, "little")
    path.write_bytes(bytes(raw))
    with pytest.raises(InputDataError, match=r"CRC check failed.*damaged"):
        read_nifti(path, "HU")


def test_other_formats_are_refused(tmp_path: Path) -> None:
    for name, message in (("scan.mha", "no .nii or .nii.gz"), ("scan.nii", "no valid NIfTI")):
        (tmp_path / name).write_bytes(b"something else " * 100)
        with pytest.raises(InputDataError, match=message):
            nifti_grid(tmp_path / name)


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
def test_file_without_permission_is_refused(tmp_path: Path) -> None:
    path = write(tmp_path / "CT.nii", ct_values())
    path.chmod(0)
    with pytest.raises(InputDataError, match="cannot be read: Permission denied"):
        read_nifti(path, "HU")


@pytest.mark.shared
def test_real_ct_is_read_in_hu() -> None:
    (path,) = shared_data("ct_siemens_mct_j2k").rglob("*.nii.gz")
    volume = read_nifti(path, "HU")
    assert -1100 < np.percentile(volume.array, 1) < -50
    assert -200 < np.median(volume.array) < 200
