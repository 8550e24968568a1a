"""Blur, noise and grids of the virtual scanner."""

from __future__ import annotations

import numpy as np
import pytest

from petct_ext.errors import InputDataError
from petct_ext.synthetic.phantoms.anatomy import Body, build_body
from petct_ext.synthetic.phantoms.images import VoxelGrid
from petct_ext.synthetic.phantoms.scanner import (
    HALF_LIFE_S,
    acquire_ct,
    acquire_pet,
    decayed_fraction,
    scan_grids,
    without_attenuation_correction,
)
from tests.synthetic.phantom_patients import phantom_patient

GRID = VoxelGrid((40, 40, 40), (5.0, 5.0, 5.0), (-97.5, -97.5, -97.5))


@pytest.fixture
def body() -> Body:
    patient = phantom_patient()
    return build_body(patient, patient.exams[0], seed=0)


def cylinder(suv: float) -> np.ndarray:
    x, y, _ = GRID.axes()
    inside = np.hypot(x[:, None], y[None, :]) < 80
    return np.repeat(np.where(inside, suv, 0)[..., None], 40, axis=2).astype(np.float32)


def noise_of(body: Body, suv: float, *, bq_per_g: float = 3000.0, frame_s: float = 150.0) -> float:
    measured = acquire_pet(
        cylinder(suv),
        body,
        grid=GRID,
        bq_per_g=bq_per_g,
        frame_s=frame_s,
        rng=np.random.default_rng(0),
    )
    return float(measured[12:28, 12:28, 12:28].var())


def test_variance_follows_the_activity(body: Body) -> None:
    assert noise_of(body, 4.0) / noise_of(body, 1.0) == pytest.approx(4.0, rel=0.1)


def test_longer_scans_and_higher_doses_have_less_noise(body: Body) -> None:
    base = noise_of(body, 2.0)
    assert noise_of(body, 2.0, frame_s=300.0) == pytest.approx(base / 2, rel=0.05)
    assert noise_of(body, 2.0, bq_per_g=1500.0) == pytest.approx(base * 2, rel=0.05)


def test_liver_noise_is_near_ten_percent(body: Body) -> None:
    assert 0.05 < np.sqrt(noise_of(body, 2.2)) / 2.2 < 0.15


def test_blur_keeps_the_mean_and_lowers_the_peak(body: Body) -> None:
    point = np.zeros(GRID.shape, np.float32)
    point[20, 20, 20] = 1000.0
    measured = acquire_pet(
        point, body, grid=GRID, bq_per_g=1e9, frame_s=150.0, rng=np.random.default_rng(0)
    )
    assert float(measured.sum()) == pytest.approx(1000.0, rel=0.05)
    assert measured.max() == measured[20, 20, 20]
    assert measured.max() < 700


def test_measured_activity_is_never_negative(body: Body) -> None:
    measured = acquire_pet(
        cylinder(0.05), body, grid=GRID, bq_per_g=100.0, frame_s=60.0, rng=np.random.default_rng(0)
    )
    assert measured.min() >= 0


def test_ct_outside_the_round_field_of_view_is_filled() -> None:
    hu = np.full(GRID.shape, 40.0, np.float32)
    measured = acquire_ct(hu, grid=GRID, rng=np.random.default_rng(0))
    assert (measured[0, 0] == -1024).all()
    assert measured[20, 20].mean() == pytest.approx(40.0, abs=5)
    assert measured.min() >= -1024


@pytest.mark.parametrize(("size", "fewest", "most"), [("small", 76, 90), ("full", 260, 310)])
@pytest.mark.parametrize("height_m", [1.45, 1.76, 2.02])
def test_scan_reaches_from_the_head_to_the_thighs(
    size: str, fewest: int, most: int, height_m: float
) -> None:
    patient = phantom_patient(height_m=height_m, weight_kg=25 * height_m**2)
    body = build_body(patient, patient.exams[0], seed=0)
    pet, ct = scan_grids(body, size=size)
    assert fewest <= pet.shape[2] <= most
    assert ct.shape[2] == pet.shape[2]
    assert pet.axes()[2][-1] > body.top_mm
    bladder = body.of(["bladder"])[0].shape.bounds()[0][2]
    assert pet.origin_mm[2] < bladder - 60


def test_both_sizes_have_the_same_fields_of_view(body: Body) -> None:
    for small, full in zip(
        scan_grids(body, size="small"),
        scan_grids(body, size="full"),
        strict=True,
    ):
        a = small.shape[0] * small.spacing_mm[0]
        assert a == pytest.approx(full.shape[0] * full.spacing_mm[0], rel=1e-3)


def test_full_size_has_the_matrices_of_a_clinical_scanner(body: Body) -> None:
    pet, ct = scan_grids(body, size="full")
    assert pet.shape[:2] == (128, 128)
    assert ct.shape[:2] == (512, 512)
    assert ct.spacing_mm[2] == pet.spacing_mm[2] == 3.27


def test_unknown_size_is_refused(body: Body) -> None:
    with pytest.raises(InputDataError, match="must be one of full, small"):
        scan_grids(body, size="tiny")


def test_half_is_left_after_a_half_life() -> None:
    assert decayed_fraction(HALF_LIFE_S) == pytest.approx(0.5)


def test_uncorrected_pet_is_darker_inside_than_at_the_skin() -> None:
    dim = without_attenuation_correction(cylinder(2.0), grid=GRID)
    assert dim[20, 20, 20] < 0.5 * dim[5, 20, 20]
