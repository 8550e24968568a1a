"""Drawn patients: uptake, CT numbers, lesions."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import settings

from petct_ext.synthetic.patients import Lesion, Patient
from petct_ext.synthetic.phantoms.anatomy import Body, build_body
from petct_ext.synthetic.phantoms.images import (
    PlacedLesion,
    VoxelGrid,
    draw_ct,
    draw_lesions,
    draw_pet,
    place_lesions,
)
from petct_ext.synthetic.phantoms.scanner import scan_grids
from tests.package_regions import ONTOLOGY
from tests.synthetic.phantom_patients import (
    PHYSIOLOGY,
    given_any_habitus,
    phantom_patient,
    with_second_exam,
)


def placed(patient: Patient, number: int = 0) -> tuple[Body, tuple[PlacedLesion, ...]]:
    exam = patient.exams[number]
    body = build_body(patient, exam, seed=0)
    return body, place_lesions(patient, exam, body, seed=0, ontology=ONTOLOGY)


def grid_around(center: np.ndarray, *, spacing_mm: float = 2.0, voxels: int = 40) -> VoxelGrid:
    origin = [float(c) - spacing_mm * (voxels - 1) / 2 for c in center]
    return VoxelGrid((voxels,) * 3, (spacing_mm,) * 3, (origin[0], origin[1], origin[2]))


def small_pet(patient: Patient) -> tuple[np.ndarray, VoxelGrid]:
    body, lesions = placed(patient)
    grid, _ = scan_grids(body, size="small")
    rng = np.random.default_rng(0)
    return draw_pet(body, patient.exams[0].physiology, lesions, grid=grid, rng=rng), grid


def value_at(volume: np.ndarray, grid: VoxelGrid, point: np.ndarray) -> float:
    index = np.rint((point - np.array(grid.origin_mm)) / grid.spacing_mm).astype(int)
    return float(volume[tuple(index)])


@settings(max_examples=8, deadline=None)
@given_any_habitus
def test_uptake_is_never_negative_and_about_one_per_gram(
    sex: str, height_m: float, body_mass_index: float
) -> None:
    weight_kg = body_mass_index * height_m**2
    pet, grid = small_pet(phantom_patient(sex=sex, height_m=height_m, weight_kg=weight_kg))
    activity_kg = float(pet.sum()) * np.prod(grid.spacing_mm) / 1e6
    assert pet.min() >= 0
    # Legs are not scanned and some activity is voided; the rest is all there is in the body.
    assert 0.4 * weight_kg < activity_kg < 1.1 * weight_kg


def test_brain_and_bladder_are_hot_and_lungs_are_not() -> None:
    patient = phantom_patient()
    body, _ = placed(patient)
    pet, grid = small_pet(patient)
    centers = {
        organ: np.mean([p.shape.bounds() for p in body.of([organ])], axis=(0, 1))
        for organ in ("bladder", "brain")
    }
    lung = np.mean(body.of(["lung"], "right")[0].shape.bounds(), axis=0)
    assert value_at(pet, grid, centers["bladder"]) > 15
    assert pet[:, :, -14:].max() > 6
    assert value_at(pet, grid, lung) < 0.7


def test_brown_fat_is_seen_only_where_it_is_active() -> None:
    cold = phantom_patient(weight_kg=60.0)
    exam = replace(cold.exams[0], physiology=replace(PHYSIOLOGY, brown_fat=7.0))
    warm = replace(cold, exams=(exam,))
    (cold_pet, _), (warm_pet, _) = small_pet(cold), small_pet(warm)
    hotter = warm_pet - cold_pet > 2
    assert hotter.any()
    assert not any("brown_fat" in p.organ for p in placed(cold)[0].parts)


def test_lesion_is_drawn_with_its_volume_and_uptake() -> None:
    patient = phantom_patient(Lesion("liver", 30.0, 9.0))
    body, lesions = placed(patient)
    grid = grid_around(lesions[0].center_mm)
    mask = draw_lesions(lesions, grid=grid)
    pet = draw_pet(body, PHYSIOLOGY, lesions, grid=grid, rng=np.random.default_rng(0))
    volume_mm3 = mask.sum() * 8.0
    assert volume_mm3 == pytest.approx(np.pi / 6 * 30.0**3, rel=0.2)
    assert np.median(pet[mask == 1]) == pytest.approx(9.0, rel=0.01)
    assert np.median(pet[mask == 0]) < 3


def test_lesion_smaller_than_a_voxel_still_marks_one() -> None:
    patient = phantom_patient(Lesion("left_upper_lobe", 6.0, 9.0))
    body, lesions = placed(patient)
    grid, _ = scan_grids(body, size="small")
    assert (draw_lesions(lesions, grid=grid) == 1).sum() >= 1


def test_large_lesion_has_a_dead_core() -> None:
    patient = phantom_patient(Lesion("liver", 60.0, 9.0))
    body, lesions = placed(patient)
    grid = grid_around(lesions[0].center_mm, spacing_mm=3.0)
    pet = draw_pet(body, PHYSIOLOGY, lesions, grid=grid, rng=np.random.default_rng(0))
    assert value_at(pet, grid, lesions[0].center_mm) < 4


@pytest.mark.parametrize(
    ("region", "low", "high"),
    [("right_upper_lobe", 0, 60), ("left_axillary_lymph_node", 30, 60), ("liver", 15, 45)],
)
def test_lesions_show_on_ct(region: str, low: float, high: float) -> None:
    patient = phantom_patient(Lesion(region, 24.0, 9.0))
    body, lesions = placed(patient)
    grid = grid_around(lesions[0].center_mm)
    ct = draw_ct(body, lesions, grid=grid, rng=np.random.default_rng(0))
    assert low < value_at(ct, grid, lesions[0].center_mm) < high


def test_ct_numbers_are_those_of_the_organs() -> None:
    patient = phantom_patient()
    body, _ = placed(patient)
    _, grid = scan_grids(body, size="small")
    ct = draw_ct(body, (), grid=grid, rng=np.random.default_rng(0))
    expected = {"liver": (45, 70), "lung": (-850, -700), "bladder": (-5, 20), "spleen": (35, 60)}
    for organ, (low, high) in expected.items():
        center = np.mean(body.of([organ])[0].shape.bounds(), axis=0)
        if organ == "liver":
            center += [0, -15, -10]
        assert low < value_at(ct, grid, center) < high, organ
    assert ct.min() >= -1000
    assert ct.max() > 500


def test_the_same_lesion_lies_at_the_same_place_in_the_next_exam() -> None:
    patient = with_second_exam(
        phantom_patient(
            Lesion("liver", 20.0, 9.0), Lesion("ribs", 14.0, 6.0), Lesion("liver", 12.0, 5.0)
        )
    )
    (_, first), (_, second) = placed(patient, 0), placed(patient, 1)
    for a, b in zip(first, second, strict=True):
        assert np.linalg.norm(a.center_mm - b.center_mm) < 12


def test_lesions_of_one_region_keep_clear_of_each_other() -> None:
    patient = phantom_patient(*[Lesion("liver", 15.0, 8.0)] * 4)
    _, lesions = placed(patient)
    centers = np.stack([lesion.center_mm for lesion in lesions])
    apart = np.linalg.norm(centers[:, None] - centers[None], axis=-1)[np.triu_indices(4, 1)]
    assert apart.min() > 15


def test_drawing_is_deterministic() -> None:
    patient = phantom_patient(Lesion("colon", 20.0, 9.0))
    np.testing.assert_array_equal(small_pet(patient)[0], small_pet(patient)[0])


def test_coarse_and_fine_grids_hold_the_same_activity() -> None:
    patient = phantom_patient(Lesion("left_lower_lobe", 20.0, 9.0))
    body, lesions = placed(patient)
    totals = []
    for spacing, voxels in ((2.0, 60), (6.0, 20)):
        grid = grid_around(lesions[0].center_mm, spacing_mm=spacing, voxels=voxels)
        pet = draw_pet(body, PHYSIOLOGY, lesions, grid=grid, rng=np.random.default_rng(0))
        totals.append(float(pet.sum()) * spacing**3)
    assert totals[1] == pytest.approx(totals[0], rel=0.05)
