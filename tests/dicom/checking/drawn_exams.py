"""Phantoms on the grid of prepared exams, and their heads blanked in several ways."""

from __future__ import annotations

from functools import cache

import numpy as np

from petct_ext.synthetic.phantoms.anatomy import build_body
from petct_ext.synthetic.phantoms.images import VoxelGrid, draw_ct, draw_pet
from petct_ext.synthetic.phantoms.scanner import acquire_ct, acquire_pet
from tests.synthetic.phantom_patients import phantom_patient

SPACING = (3.125, 3.125, 5.0)
NUM_SLICES = 140
ABOVE_VERTEX_MM = 12.0


@cache
def drawn_exam(
    number: int = 3, sex: str = "M", height_m: float = 1.76, weight_kg: float = 75.0
) -> tuple[np.ndarray, np.ndarray]:
    """Returns PET in SUV and CT in HU (160, 160, 140), 700 mm from above the vertex down."""
    patient = phantom_patient(number=number, sex=sex, height_m=height_m, weight_kg=weight_kg)
    exam = patient.exams[0]
    body = build_body(patient, exam, seed=5)
    corner = -159 / 2 * SPACING[0]
    bottom = body.top_mm + ABOVE_VERTEX_MM - (NUM_SLICES - 1) * SPACING[2]
    grid = VoxelGrid((160, 160, NUM_SLICES), SPACING, (corner, corner, bottom))
    rng = np.random.default_rng(number)
    ct = acquire_ct(draw_ct(body, (), grid=grid, rng=rng), grid=grid, rng=rng)
    drawn = draw_pet(body, exam.physiology, (), grid=grid, rng=rng)
    pet = acquire_pet(drawn, body, grid=grid, bq_per_g=3200.0, frame_s=150.0, rng=rng)
    return pet, ct


def slice_below(vertex_mm: float) -> int:
    """Returns the slice so far below the vertex."""
    return round(NUM_SLICES - 1 - (vertex_mm + ABOVE_VERTEX_MM) / SPACING[2])


def head_box(below_mm: float) -> tuple[slice, slice, slice]:
    """Returns a box around the head from ``below_mm`` under the vertex up, arms left out."""
    return slice(48, 112), slice(20, 140), slice(slice_below(below_mm), None)
