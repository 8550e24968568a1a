"""Prepared volumes are read as stored; other NIfTI files arrive with the same values, upright."""

from __future__ import annotations

import gzip
from collections.abc import Hashable
from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np
import pytest
import torch

from petct_ext.errors import InputDataError
from petct_ext.scan.transforms.volumes import LoadPreparedd, ToPhysicalUnitsd, count_slices

SIZE = (5, 4, 9)
RAS = np.diag([2.0, 2.0, 3.0, 1.0])


def write(
    path: Path, array: np.ndarray, affine: np.ndarray = RAS, *, slope: float = 1.0, inter: float = 0
) -> str:
    image = nib.Nifti1Image(array, affine)
    image.header.set_xyzt_units("mm")
    image.header.set_slope_inter(slope, inter)
    nib.save(image, path)
    return str(path)


def from_origin(voxels: float) -> np.ndarray:
    """Returns a shift along all axes."""
    shift = np.eye(4)
    shift[:3, 3] = voxels
    return shift


def load(path: str, **options: Any) -> dict[Any, Any]:
    return LoadPreparedd("pet", **options)({"exam_id": "E1", "pet": path})


@pytest.fixture
def stored() -> np.ndarray:
    return np.random.default_rng(0).integers(-2000, 3000, SIZE).astype(np.int16)


def test_prepared_volume_stays_as_stored(stored: np.ndarray, tmp_path: Path) -> None:
    item = load(write(tmp_path / "pet.nii", stored, slope=0.01, inter=2.0))
    assert item["pet"].dtype == torch.int16
    assert type(item["pet"]) is torch.Tensor
    assert np.array_equal(item["pet"][0].numpy(), stored)
    assert item["pet_scale"] == pytest.approx((0.01, 2.0))


def test_physical_units_are_those_of_nibabel(stored: np.ndarray, tmp_path: Path) -> None:
    path = write(tmp_path / "pet.nii", stored, slope=0.01, inter=2.0)
    item = ToPhysicalUnitsd("pet")(load(path))
    assert item["pet"].dtype == torch.float32
    expected = nib.Nifti1Image.from_filename(path).get_fdata()
    np.testing.assert_allclose(item["pet"][0].numpy(), expected, rtol=1e-6)
    assert "pet_scale" not in item


def test_cached_item_is_not_changed_by_units(tmp_path: Path) -> None:
    cached = load(write(tmp_path / "pet.nii", np.ones(SIZE, np.float32)))
    cached["pet_scale"] = (3.0, 1.0)
    ToPhysicalUnitsd("pet")(cached)
    assert cached["pet"].unique().tolist() == [1.0]
    assert cached["pet_scale"] == (3.0, 1.0)


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("a.nii.gz", np.int16),
        ("a.nii", ">i2"),
        ("a.nii", np.uint8),
        ("a.nii", np.int32),
        ("a.nii", np.uint16),
        ("a.nii", np.float32),
        ("a.nii", np.float64),
    ],
)
def test_other_files_have_the_same_values(tmp_path: Path, name: str, kind: Any) -> None:
    array = np.random.default_rng(1).integers(0, 200, SIZE).astype(kind)
    item = ToPhysicalUnitsd("pet")(load(write(tmp_path / name, array, slope=0.5)))
    expected = nib.Nifti1Image.from_filename(tmp_path / name).get_fdata()
    np.testing.assert_allclose(item["pet"][0].numpy(), expected, rtol=1e-6)


def test_axes_are_turned_upright(stored: np.ndarray, tmp_path: Path) -> None:
    """Left-posterior-superior, with the slice axis first."""
    affine = np.array([[0, -2.0, 0, 0], [0, 0, -2.0, 0], [3.0, 0, 0, 0], [0, 0, 0, 1.0]])
    path = write(tmp_path / "pet.nii", stored, affine)
    upright = nib.as_closest_canonical(nib.Nifti1Image.from_filename(path))
    assert np.array_equal(load(path)["pet"][0].numpy(), upright.get_fdata())
    assert count_slices(path) == upright.shape[2] == SIZE[0]


def test_slices_are_counted_from_the_header(stored: np.ndarray, tmp_path: Path) -> None:
    assert count_slices(write(tmp_path / "pet.nii", stored)) == 9


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda path: path.unlink(), r"exam E1: pet\.nii does not exist"),
        (lambda path: path.write_bytes(path.read_bytes()[:500]), r"exam E1: pet\.nii is shorter"),
        (
            lambda path: path.write_bytes(b"no volume" * 100),
            r"exam E1: pet\.nii has no valid NIfTI",
        ),
    ],
    ids=["missing", "cut", "other"],
)
def test_damaged_file_is_named_with_its_exam(
    stored: np.ndarray, tmp_path: Path, change: Any, message: str
) -> None:
    path = tmp_path / "pet.nii"
    write(path, stored)
    change(path)
    with pytest.raises(InputDataError, match=message):
        load(str(path))


def test_volume_without_a_place_is_refused(stored: np.ndarray, tmp_path: Path) -> None:
    image = nib.Nifti1Image(stored, None)
    nib.save(image, tmp_path / "pet.nii")
    with pytest.raises(InputDataError, match=r"exam E1: pet\.nii has no affine"):
        load(str(tmp_path / "pet.nii"))


def test_two_channels_in_one_file_are_refused(stored: np.ndarray, tmp_path: Path) -> None:
    both = write(tmp_path / "pet.nii", np.stack([stored, stored], axis=-1))
    with pytest.raises(InputDataError, match=r"exam E1: pet\.nii has shape .* one volume of three"):
        load(both)


def test_too_few_slices_are_told_with_the_minimum(stored: np.ndarray, tmp_path: Path) -> None:
    path = write(tmp_path / "pet.nii", stored)
    with pytest.raises(InputDataError, match="exam E1: it has 9 slices; at least 16 are needed"):
        load(path, min_slices=16)


def test_other_size_in_plane_is_told_with_the_remedy(tmp_path: Path) -> None:
    path = tmp_path / "pet.nii"
    nib.save(nib.Nifti1Image(np.zeros((6, 6, 9), np.int16), np.eye(4)), path)
    item: dict[Hashable, Any] = {"exam_id": "E1", "pet": str(path)}
    assert LoadPreparedd("pet", in_plane=6)(item)["pet"].shape == (1, 6, 6, 9)
    with pytest.raises(InputDataError, match=r"exam E1: it has 6 x 6 voxels .*expects 48 x 48"):
        LoadPreparedd("pet", in_plane=48)(item)


@pytest.mark.parametrize("broken", [np.nan, np.inf])
def test_values_that_are_not_finite_are_told(broken: float, tmp_path: Path) -> None:
    path, values = tmp_path / "pet.nii", np.zeros((4, 4, 9), np.float32)
    values[1, 2, 3] = broken
    nib.save(nib.Nifti1Image(values, np.eye(4)), path)
    with pytest.raises(InputDataError, match=r"exam E1: pet\.nii holds 1 values that are not"):
        LoadPreparedd("pet")({"exam_id": "E1", "pet": str(path)})


def test_volumes_of_another_grid_are_refused(stored: np.ndarray, tmp_path: Path) -> None:
    item: dict[Any, Any] = {
        "exam_id": "E1",
        "pet": write(tmp_path / "pet.nii", stored),
        "ct": write(tmp_path / "ct.nii", stored[..., :8]),
    }
    with pytest.raises(InputDataError, match=r"exam E1: its volumes pet, ct have shapes \(5, 4, 9"):
        LoadPreparedd()(item)


@pytest.mark.parametrize(
    ("change", "ct_place"),
    [
        (np.diag([1.0, 1.0, 1.1, 1.0]), r"voxels of 2 x 2 x 3\.3 mm from \(0, 0, 0\) mm"),
        (from_origin(0.1), r"voxels of 2 x 2 x 3 mm from \(0\.2,"),
    ],
    ids=["spacing", "origin"],
)
def test_volumes_of_one_shape_at_two_places_are_refused(
    stored: np.ndarray, tmp_path: Path, change: np.ndarray, ct_place: str
) -> None:
    item: dict[Any, Any] = {
        "exam_id": "E1",
        "pet": write(tmp_path / "pet.nii", stored),
        "ct": write(tmp_path / "ct.nii", stored, RAS @ change),
    }
    message = rf"exam E1: its volumes pet \(voxels of 2 x 2 x 3 mm from .*\) and ct \({ct_place}"
    with pytest.raises(InputDataError, match=message):
        LoadPreparedd()(item)


def test_one_grid_may_be_stored_with_other_axes_and_rounding(
    stored: np.ndarray, tmp_path: Path
) -> None:
    affine = RAS + np.array([[0, 0, 0, -251.3], [0, 0, 0, 99.1], [0, 0, 0, -1203.7], [0] * 4])
    left = nib.orientations.axcodes2ornt("LPS")
    image = nib.Nifti1Image(stored, affine).as_reoriented(left)
    turned = image.affine * (1 + 1e-7)
    item = LoadPreparedd()(
        {
            "exam_id": "E1",
            "pet": write(tmp_path / "pet.nii", stored, affine),
            "ct": write(tmp_path / "ct.nii", np.asarray(image.dataobj), turned),
        }
    )
    assert torch.equal(item["pet"], item["ct"])


def test_wrong_byte_in_a_packed_file_is_found(stored: np.ndarray, tmp_path: Path) -> None:
    """Without compression the damaged file unpacks, to another voxel; its checksum tells."""
    raw = Path(write(tmp_path / "pet.nii", stored)).read_bytes()
    damaged = bytearray(gzip.compress(raw, compresslevel=0))
    damaged[-40] ^= 1
    (tmp_path / "pet.nii.gz").write_bytes(damaged)
    with pytest.raises(InputDataError, match=r"exam E1: pet\.nii\.gz cannot be unpacked \(CRC"):
        load(str(tmp_path / "pet.nii.gz"))


def test_other_distance_of_slices_is_told_once_with_exam_and_both_values(
    stored: np.ndarray, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    path = write(tmp_path / "pet.nii", stored)
    same, other = (LoadPreparedd("pet", slice_mm=mm) for mm in (3.05, 13.0))
    for _ in range(2):
        for reader in (same, other):
            reader({"exam_id": "E1", "pet": path})
    (told,) = caplog.messages
    assert told.startswith("exam E1 has slices 3 mm apart, but the network is one for 13 mm")
    assert told.endswith("--slice-mm 13")
