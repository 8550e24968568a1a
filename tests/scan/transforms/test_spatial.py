"""PET and CT meet on one grid, and what lies on it goes back to its place in the patient."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from monai.bundle import ConfigParser
from monai.data import DataLoader, Dataset, MetaTensor
from monai.transforms import Compose, ConcatItemsd, Invertd, LoadImaged, Orientationd

from petct_ext.dicom.volumes.conversion import convert_exam
from petct_ext.dicom.volumes.exam_reading import GridChoice, Preparation
from petct_ext.dicom.volumes.resampling import Grid
from petct_ext.errors import InputDataError
from petct_ext.keys import CT, IMAGE, PET
from petct_ext.scan.interpretation.maps import attention_map
from petct_ext.scan.transforms.spatial import (
    CommonGrid,
    CommonGridd,
    exam_grids,
    map_on_series,
    write_map_on_series,
)
from tests.dicom.slices import write_slices

READER = "petct_ext.scan.transforms.reader.DicomExamReader"
CHOICE = {"in_plane": 32, "field_of_view_mm": 128.0}


def lattice(
    shape: tuple[int, int, int],
    spacing: tuple[float, float, float],
    *,
    flips: tuple[int, ...] = (1, 1, 1),
    degrees: float = 0.0,
) -> Grid:
    """A grid centered on the origin, turned about the body's long axis."""
    c, s = np.cos(np.radians(degrees)), np.sin(np.radians(degrees))
    turn = np.array([[c, -s, 0], [s, c, 0], [0, 0, 1]])
    affine = np.eye(4)
    affine[:3, :3] = turn @ np.diag(np.array(spacing) * flips)
    affine[:3, 3] = -affine[:3, :3] @ ((np.array(shape) - 1) / 2)
    return Grid(shape, affine)


PET_LATTICE = lattice((30, 30, 22), (6.0, 6.0, 4.0))
CT_LATTICE = lattice((60, 60, 40), (2.0, 2.0, 2.0), flips=(-1, -1, 1))


def world(grid: Grid) -> np.ndarray:
    index = np.stack(np.meshgrid(*map(np.arange, grid.shape), indexing="ij"), axis=-1)
    places: np.ndarray = index @ grid.affine[:3, :3].T + grid.affine[:3, 3]
    return places


def blob(grid: Grid, center: tuple[float, ...], *, sigma_mm: float = 8.0) -> np.ndarray:
    distance = np.linalg.norm(world(grid) - np.array(center), axis=-1)
    values: np.ndarray = np.exp(-0.5 * (distance / sigma_mm) ** 2).astype(np.float32)
    return values


def centroid(values: np.ndarray, affine: np.ndarray) -> np.ndarray:
    """Center of mass in mm."""
    grid = Grid((values.shape[0], values.shape[1], values.shape[2]), affine)
    center: np.ndarray = (world(grid) * values[..., None]).sum(axis=(0, 1, 2)) / values.sum()
    return center


def tensor(values: np.ndarray, grid: Grid) -> MetaTensor:
    return MetaTensor(torch.from_numpy(values)[None], affine=torch.from_numpy(grid.affine))


def far_away() -> Grid:
    affine = CT_LATTICE.affine.copy()
    affine[2, 3] += 5000.0
    return Grid(CT_LATTICE.shape, affine)


def pair(*, pet_plus: float = 0.0, ct_times: float = 1.0) -> tuple[MetaTensor, MetaTensor]:
    """A wide hill of 5 g/mL and 100 HU in the middle of both scans."""
    middle = (0.0, 0.0, 0.0)
    pet = tensor(5 * blob(PET_LATTICE, middle, sigma_mm=30.0) + pet_plus, PET_LATTICE)
    hill = 1000 * blob(CT_LATTICE, middle, sigma_mm=30.0) - 900
    return pet, tensor(hill * ct_times, CT_LATTICE)


@settings(deadline=None, max_examples=25)
@given(
    center=st.tuples(st.floats(-20, 20), st.floats(-20, 20), st.floats(-10, 10)),
    flips=st.tuples(*[st.sampled_from([-1, 1])] * 3),
    degrees=st.floats(-25, 25),
    pet_mm=st.floats(3.0, 6.0),
)
def test_known_point_is_found_on_the_grid_and_back_on_both_lattices(
    center: tuple[float, ...], flips: tuple[int, ...], degrees: float, pet_mm: float
) -> None:
    pet_grid = lattice((34, 34, 30), (pet_mm, pet_mm, 4.0), flips=flips, degrees=degrees)
    ct_grid = lattice((60, 60, 40), (2.0, 2.0, 2.0), flips=flips[::-1])
    images = tensor(5 * blob(pet_grid, center), pet_grid), tensor(blob(ct_grid, center), ct_grid)
    transform = CommonGrid(in_plane=32, field_of_view_mm=128.0)
    on_grid = transform(images)
    np.testing.assert_allclose(on_grid[0].affine, on_grid[1].affine)
    for image, there in zip(images, on_grid, strict=True):
        found = centroid(np.maximum(there[0].numpy(), 0), there.affine.numpy())
        voxel = np.diag(there.affine.numpy())[:3]
        assert (np.abs(found - center) < 0.5 * voxel).all()
        back = transform.inverse(there.clone())
        assert back.shape == image.shape
        np.testing.assert_allclose(back.affine, image.affine)
        found = centroid(np.maximum(back[0].numpy(), 0), back.affine.numpy())
        spacing = np.linalg.norm(back.affine.numpy()[:3, :3], axis=0).min()
        assert np.linalg.norm(found - center) < 0.5 * spacing


def test_smooth_image_survives_the_round_trip() -> None:
    transform = CommonGrid(in_plane=64, field_of_view_mm=128.0, slice_mm=2.0)
    pet, ct = pair()
    pet_back, ct_back = (transform.inverse(image) for image in transform((pet, ct)))
    # the CT's box, without its rim, is what both share
    inside = (np.abs(world(PET_LATTICE)) < [55, 55, 36]).all(axis=-1)
    assert np.abs(pet_back[0].numpy() - pet[0].numpy())[inside].max() < 0.05 * 5
    assert np.abs(ct_back[0].numpy() - ct[0].numpy())[1:-1, 1:-1, 1:-1].max() < 0.03 * 1000


def test_inverse_gives_zero_where_the_series_reaches_beyond_the_grid() -> None:
    transform = CommonGrid(**CHOICE)  # type: ignore[arg-type]
    back = transform.inverse(transform(pair(pet_plus=1.0))[0])
    assert float(back[0, 0, 0, 10]) == 0.0
    assert float(back[0, 15, 15, 10]) > 1.0


def test_applied_operations_are_recorded_and_taken_back() -> None:
    transform = CommonGrid(**CHOICE)  # type: ignore[arg-type]
    on_grid, _ = transform(pair())
    assert [operation["class"] for operation in on_grid.applied_operations] == ["CommonGrid"]
    assert transform.inverse(on_grid).applied_operations == []


def test_beyond_a_scan_there_is_air_and_no_uptake() -> None:
    pet, ct = CommonGrid(in_plane=40, field_of_view_mm=400.0)(pair())
    assert float(pet[0, 0, 0, 0]) == 0.0
    assert float(ct[0, 0, 0, 0]) == -1024.0


def test_metal_is_limited_before_and_uptake_below_zero_after_sampling() -> None:
    pet, ct = CommonGrid(**CHOICE)(pair(pet_plus=-1.0, ct_times=1000.0))  # type: ignore[arg-type]
    assert float(ct.max()) <= 3071.0
    assert float(pet.min()) == 0.0


def test_inputs_stay_as_they_are() -> None:
    images = pair(pet_plus=-1.0, ct_times=1000.0)
    before = [image.clone() for image in images]
    CommonGrid(**CHOICE)(images)  # type: ignore[arg-type]
    assert all(torch.equal(*both) for both in zip(images, before, strict=True))


@pytest.fixture
def exam(tmp_path: Path) -> tuple[list[Path], list[Path]]:
    """A phantom exam as DICOM: PET of 16 x 14 pixels of 8 mm, CT of 40 x 40 pixels of 2 mm."""
    rng = np.random.default_rng(0)
    pet = write_slices(
        tmp_path / "study" / "pet",
        modality="PT",
        heights_mm=list(4.0 * np.arange(18)),
        values=rng.integers(0, 9000, (18, 14, 16)),
        slopes=list(rng.uniform(0.5, 2.0, 18)),
        series="2",
        Rows=14,
        Columns=16,
        PixelSpacing=[8.0, 8.0],
    )
    ct = write_slices(
        tmp_path / "study" / "ct",
        heights_mm=list(2.5 * np.arange(30)),
        values=rng.integers(-1000, 4000, (30, 40, 40)),
        series="1",
        Rows=40,
        Columns=40,
        PixelSpacing=[2.0, 2.0],
    )
    return pet, ct


def bundle_transforms(**grid: Any) -> Compose:
    """The chain of a bundle that starts from DICOM, built from JSON-ready configuration."""
    load = [
        {
            "_target_": "LoadImaged",
            "keys": key,
            "reader": READER,
            "ensure_channel_first": True,
            "prune_meta_pattern": "filename_or_obj",
        }
        for key in (PET, CT)
    ]
    grid = {"_target_": "petct_ext.scan.transforms.spatial.CommonGridd", "keys": [PET, CT], **grid}
    parser = ConfigParser({"chain": {"_target_": "Compose", "transforms": [*load, grid]}})
    chain: Compose = parser.get_parsed_content("chain")
    return chain


def test_chain_from_dicom_equals_the_prepared_volumes(
    exam: tuple[list[Path], list[Path]], tmp_path: Path
) -> None:
    pet, ct = exam
    how = Preparation(GridChoice(in_plane=32, field_of_view_mm=128.0))
    convert_exam(pet, ct, tmp_path / "volumes", how=how)
    chain = bundle_transforms(**CHOICE)
    found = chain({PET: str(pet[0].parent), CT: [str(path) for path in ct]})
    load = LoadImaged([PET, CT], reader="NibabelReader", ensure_channel_first=True)
    stored = load({key: tmp_path / "volumes" / f"{key}.nii" for key in (PET, CT)})
    for key, step in ((PET, float(found[PET].max()) / 32767), (CT, 1.0)):
        assert found[key].shape == stored[key].shape
        np.testing.assert_allclose(found[key].affine, stored[key].affine, atol=1e-4)
        np.testing.assert_allclose(found[key], stored[key], atol=0.501 * step)  # 16-bit integers


def test_attention_on_the_grid_is_inverted_to_the_ct(exam: tuple[list[Path], list[Path]]) -> None:
    pet, ct = exam
    chain = Compose(
        [
            bundle_transforms(**CHOICE),
            Orientationd([PET, CT], axcodes="RAS", labels=None),
            ConcatItemsd([PET, CT], name=IMAGE),
        ]
    )
    data = chain({PET: str(pet[0].parent), CT: str(ct[0].parent)})
    data["attention"] = MetaTensor(torch.ones(3, *data[IMAGE].shape[1:]))
    data["attention"][1] *= 2
    invert = Invertd("attention", chain, orig_keys=CT, nearest_interp=False)
    inverted = invert(data)["attention"]
    assert inverted.shape == (3, 40, 40, 30)
    expected = [[-2.0, 0, 0, 10.0], [0, -2.0, 0, 20.0], [0, 0, 2.5, 0], [0, 0, 0, 1.0]]
    np.testing.assert_allclose(inverted.affine, expected)
    assert inverted[:, 20, 20, 15].tolist() == pytest.approx([1.0, 2.0, 1.0])


def test_mask_is_inverted_without_values_in_between() -> None:
    transform = CommonGridd(**CHOICE)  # type: ignore[arg-type]
    pet, ct = pair()
    data = transform({PET: pet, CT: ct})
    data["attention"] = (data[CT] > -500).float()
    inverted = Invertd("attention", transform, orig_keys=CT, nearest_interp=True)(data)["attention"]
    assert sorted(set(inverted.unique().tolist())) == [0.0, 1.0]
    agree = (inverted[0] > 0.5).numpy() == (ct[0] > -500).numpy()
    assert agree.mean() > 0.98


def test_pair_passes_through_a_data_loader() -> None:
    pet, ct = pair()
    dataset = Dataset([{PET: pet, CT: ct}], CommonGridd(**CHOICE))  # type: ignore[arg-type]
    batch = next(iter(DataLoader(dataset, num_workers=0)))
    assert batch[PET].shape == batch[CT].shape == (1, 1, 32, 32, batch[PET].shape[-1])


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda pet, ct: (pet.as_tensor(), ct), "the PET is a Tensor without an affine"),
        (lambda pet, ct: (pet, ct[0]), r"the CT has shape \(60, 60, 40\)"),
        (lambda pet, ct: (pet, tensor(ct[0].numpy(), far_away())), "PET and CT do not overlap"),
    ],
)
def test_unusable_pair_is_refused(change: Any, message: str) -> None:
    with pytest.raises(InputDataError, match=message):
        CommonGrid(**CHOICE)(change(*pair()))  # type: ignore[arg-type]


def test_map_of_another_size_is_not_inverted() -> None:
    transform = CommonGrid(**CHOICE)  # type: ignore[arg-type]
    on_grid, _ = transform(pair())
    smaller = MetaTensor(on_grid[:, ::2], applied_operations=on_grid.applied_operations)
    with pytest.raises(InputDataError, match="bring the map to the voxels of the grid"):
        transform.inverse(smaller)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"in_plane": 0}, "must be positive"),
        ({"ct_range_hu": (100, -100)}, "must go upwards"),
        ({"keys": PET}, "the PET's and the CT's are needed"),
    ],
)
def test_wrong_option_is_refused(options: dict[str, Any], message: str) -> None:
    with pytest.raises(InputDataError, match=message):
        CommonGridd(**options)


VOLUME = lattice((32, 32, 20), (4.0, 4.0, 4.0))
STRIDES = (8, 8, 4)


@settings(deadline=None, max_examples=15)
@given(
    position=st.tuples(*[st.integers(1, 2)] * 2, st.integers(1, 3)),
    flips=st.tuples(*[st.sampled_from([-1, 1])] * 3),
    degrees=st.floats(-20, 20),
)
def test_coarse_attention_lies_at_its_place_on_the_ct(
    position: tuple[int, int, int], flips: tuple[int, ...], degrees: float
) -> None:
    series = lattice((70, 70, 45), (2.0, 2.0, 2.0), flips=flips, degrees=degrees)
    weights = np.zeros((4, 4, 5), np.float32)
    weights[position] = 1.0
    voxel = np.array(position) * STRIDES + (np.array(STRIDES) - 1) / 2
    center = VOLUME.affine[:3, :3] @ voxel + VOLUME.affine[:3, 3]
    found = map_on_series(weights, volume=VOLUME, series=series, strides=STRIDES)
    np.testing.assert_allclose(centroid(found, series.affine), center, atol=1.0)  # half a voxel


def test_coarse_map_equals_the_one_that_is_drawn() -> None:
    """At the voxels of the volume itself, one interpolation is that of attention_map."""
    weights = torch.rand(1, 1, 4, 4, 5)
    drawn = attention_map(weights, VOLUME.shape, strides=STRIDES)[0]
    found = map_on_series(weights[0, 0].numpy(), volume=VOLUME, series=VOLUME, strides=STRIDES)
    np.testing.assert_allclose(found / found.max(), drawn, atol=1e-4)


def test_map_ends_with_the_volume_where_the_encoder_padded_it() -> None:
    volume = Grid((30, 32, 18), VOLUME.affine)
    found = map_on_series(
        np.ones((4, 4, 5), np.float32), volume=volume, series=VOLUME, strides=STRIDES
    )
    assert found[29, 31, 17] == 1.0
    assert found[30:].max() == 0.0
    assert found[:, :, 18:].max() == 0.0


def test_map_that_does_not_cover_the_volume_is_refused() -> None:
    with pytest.raises(InputDataError, match="does not cover a volume"):
        map_on_series(np.ones((3, 4, 5), np.float32), volume=VOLUME, series=VOLUME, strides=STRIDES)


def test_written_map_has_the_lattice_of_the_original_ct(
    exam: tuple[list[Path], list[Path]], tmp_path: Path
) -> None:
    how = Preparation(GridChoice(in_plane=32, field_of_view_mm=128.0))
    convert_exam(*exam, tmp_path / "volumes", how=how)
    grids = exam_grids(tmp_path / "volumes")
    weights = np.ones((4, 4, 5), np.float32)
    path = write_map_on_series(
        tmp_path / "map.nii.gz",
        weights,
        volume=grids["volume"],
        series=grids["ct"],
        strides=STRIDES,
    )
    image = nib.Nifti1Image.from_filename(path)
    assert image.shape == (40, 40, 30)
    expected = [[-2.0, 0, 0, 10.0], [0, -2.0, 0, 20.0], [0, 0, 2.5, 0], [0, 0, 0, 1.0]]
    np.testing.assert_allclose(image.affine, expected, atol=1e-5)
    assert image.get_fdata()[20, 20, 15] == 1.0


def test_exam_of_an_earlier_version_has_no_grids(
    exam: tuple[list[Path], list[Path]], tmp_path: Path
) -> None:
    convert_exam(*exam, tmp_path / "volumes", how=Preparation(GridChoice(16, 128.0)))
    (tmp_path / "volumes" / "exam.json").write_text("{}")
    with pytest.raises(InputDataError, match="does not say where the original series lie"):
        exam_grids(tmp_path / "volumes")
