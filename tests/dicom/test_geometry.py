"""Points of the patient are found again at their place, whatever the scanner's orientation."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from petct_ext.dicom.series.reader import read_series
from petct_ext.dicom.volumes.resampling import Grid, common_grid, grid_to_series, resample
from tests.dicom.phantoms import (
    ORIENTATIONS,
    POINTS_MM,
    found_points,
    hot_points,
    lattice,
    write_phantom,
)

CT_SIZE, CT_SPACING = (52, 48, 44), (2.5, 2.8, 3.0)
PET_SIZE, PET_SPACING = (36, 34, 40), (4.0, 4.2, 3.3)


def tilted(affine: np.ndarray, degrees: float) -> np.ndarray:
    """The same slices, each shifted along its columns as by a tilted gantry."""
    sheared = affine.copy()
    step = np.linalg.norm(affine[:3, 2])
    shift = affine[:3, 1] / np.linalg.norm(affine[:3, 1]) * step * np.tan(np.radians(degrees))
    sheared[:3, 2] += shift
    middle = (np.array(CT_SIZE) - 1) / 2
    sheared[:3, 3] = -sheared[:3, :3] @ middle
    return sheared


def check_exam(folder: Path, pet_affine: np.ndarray, ct_affine: np.ndarray) -> None:
    pet = read_series(write_phantom(folder, pet_affine, PET_SIZE, modality="PT", series="1"))
    ct = read_series(write_phantom(folder, ct_affine, CT_SIZE, modality="CT", series="2"))
    grid = common_grid(
        (pet.array.shape, pet.affine),
        (ct.array.shape, ct.affine),
        in_plane=48,
        field_of_view_mm=130.0,
    )
    voxel = np.diag(grid.affine)[:3]
    maps = [
        resample(pet.array, pet.affine, grid, outside=0.0),
        resample(ct.array, ct.affine, grid, outside=-1000.0) + 1000.0,
    ]
    for values in maps:
        off = np.abs(found_points(values, grid.affine) - POINTS_MM)
        assert (off < 0.5 * voxel).all(), off
        assert off.max() < 0.5  # mm; in fact about a tenth of a voxel
    original = Grid((CT_SIZE[0], CT_SIZE[1], CT_SIZE[2]), ct.affine)
    back = grid_to_series(maps[1], grid, series=original)
    assert back.shape == ct.array.shape
    assert np.abs(found_points(back, ct.affine) - POINTS_MM).max() < 0.5


@pytest.mark.parametrize("name", ORIENTATIONS)
def test_points_are_found_in_every_orientation(tmp_path: Path, name: str) -> None:
    pet = lattice(ORIENTATIONS["HFS"], spacing_mm=PET_SPACING, size=PET_SIZE)
    ct = lattice(ORIENTATIONS[name], spacing_mm=CT_SPACING, size=CT_SIZE)
    check_exam(tmp_path, pet, ct)


@pytest.mark.parametrize("name", ["FFS", "HFP", "FFP"])
def test_points_are_found_if_the_pet_is_turned_as_well(tmp_path: Path, name: str) -> None:
    pet = lattice(ORIENTATIONS[name], spacing_mm=PET_SPACING, size=PET_SIZE)
    ct = lattice(ORIENTATIONS[name], spacing_mm=CT_SPACING, size=CT_SIZE)
    check_exam(tmp_path, pet, ct)


@pytest.mark.parametrize("degrees", [-15.0, 10.0])
def test_points_are_found_under_a_tilted_gantry(tmp_path: Path, degrees: float) -> None:
    pet = lattice(ORIENTATIONS["HFS"], spacing_mm=PET_SPACING, size=PET_SIZE)
    ct = lattice(ORIENTATIONS["HFS"], spacing_mm=CT_SPACING, size=CT_SIZE)
    check_exam(tmp_path, pet, tilted(ct, degrees))


def test_volume_read_is_the_volume_written(tmp_path: Path) -> None:
    affine = lattice(ORIENTATIONS["oblique"], spacing_mm=CT_SPACING, size=CT_SIZE)
    volume = read_series(write_phantom(tmp_path, affine, CT_SIZE, modality="CT", series="1"))
    np.testing.assert_allclose(volume.affine, np.diag([-1, -1, 1, 1]) @ affine, atol=1e-5)
    np.testing.assert_allclose(volume.array + 1000, hot_points(affine, CT_SIZE), atol=0.5001)
