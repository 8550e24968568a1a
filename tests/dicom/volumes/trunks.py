"""A body made of boxes, right in every way, and ways to spoil it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np

from petct_ext.dicom.checking.anatomy import ExamVolumes

SHAPE, SPACING = (80, 70, 150), (6.0, 6.0, 6.0)
WEIGHT_KG = 75.0
SERIES_STEP_MM = 3.0


def trunk() -> ExamVolumes:
    """Head, neck, lungs, heart, spine, liver on the right and thighs; in a field of 480 x 420 mm.

    Arrays are (X, Y, Z), X to the right, Y forward, Z up.
    """
    rng = np.random.default_rng(0)
    ct = np.full(SHAPE, -1000.0, dtype=np.float32)
    pet = np.zeros(SHAPE, dtype=np.float32)

    def box(x: slice, y: slice, z: slice, hu: float, suv: float) -> None:
        ct[x, y, z], pet[x, y, z] = hu, suv

    box(slice(18, 62), slice(20, 54), slice(0, 118), -80.0, 0.4)  # fat
    box(slice(21, 59), slice(23, 51), slice(0, 118), 50.0, 0.7)  # muscle
    box(slice(32, 48), slice(28, 50), slice(10, 24), 15.0, 6.0)  # bladder
    box(slice(24, 56), slice(30, 50), slice(24, 60), -90.0, 0.5)  # bowel and its fat
    box(slice(23, 42), slice(30, 50), slice(56, 76), -90.0, 0.5)
    box(slice(42, 57), slice(28, 49), slice(52, 76), 60.0, 2.2)  # liver, right
    box(slice(23, 30), slice(26, 34), slice(56, 72), 55.0, 1.9)  # spleen, left
    for x in (slice(23, 37), slice(43, 57)):
        box(x, slice(26, 48), slice(76, 112), -830.0, 0.4)
    box(slice(30, 44), slice(34, 48), slice(76, 96), 45.0, 1.6)  # heart, more to the left
    box(slice(34, 46), slice(30, 46), slice(118, 130), 50.0, 0.8)  # neck
    box(slice(29, 51), slice(26, 52), slice(130, 149), 35.0, 6.0)  # head
    box(slice(37, 43), slice(24, 29), slice(4, 130), 400.0, 1.0)  # spine
    inside = ct > -900
    ct += rng.normal(0, 12, SHAPE).astype(np.float32)
    pet += inside * rng.normal(0, 0.03, SHAPE).astype(np.float32)
    return ExamVolumes(np.asfortranarray(pet), np.asfortranarray(ct), SPACING)


def grids(volumes: ExamVolumes, **changes: Any) -> dict[str, Any]:
    """Original grids like the volumes' own."""
    affine = np.diag([*volumes.spacing_mm, 1.0])
    affine[:3, 3] = volumes.origin_mm
    own = {"shape": list(volumes.ct.shape), "affine": affine.tolist()}
    return {"pet": own, "ct": own, **changes}


def _moved(array: np.ndarray, axis: int, steps: int, fill: float) -> np.ndarray:
    moved = np.roll(array, steps, axis)
    index: list[Any] = [slice(None)] * 3
    index[axis] = slice(0, steps) if steps > 0 else slice(steps, None)
    moved[tuple(index)] = fill
    return moved


def _both(volumes: ExamVolumes, *axes: int) -> ExamVolumes:
    pet, ct = np.flip(volumes.pet, axes), np.flip(volumes.ct, axes)
    return replace(volumes, pet=pet, ct=ct)


def _without_pet(volumes: ExamVolumes, low: int, high: int) -> ExamVolumes:
    pet = volumes.pet.copy()
    pet[:, :, low:high] = 0.0
    return replace(volumes, pet=pet)


def _shifted(volumes: ExamVolumes, axis: int, mm: float) -> ExamVolumes:
    steps = round(mm / volumes.spacing_mm[axis])
    return replace(volumes, pet=_moved(volumes.pet, axis, steps, 0.0))


SPOILED: dict[str, Callable[[ExamVolumes], ExamVolumes]] = {
    "CT +1000 HU": lambda v: replace(v, ct=np.clip(v.ct + 1000, -1024, 3071)),
    "CT -1000 HU": lambda v: replace(v, ct=np.clip(v.ct - 1000, -1024, 3071)),
    "CT cut to a window": lambda v: replace(v, ct=np.clip(v.ct, -160, 240)),
    "both mirrored": lambda v: _both(v, 0),
    "PET mirrored": lambda v: replace(v, pet=v.pet[::-1]),
    "both upside down": lambda v: _both(v, 2),
    "both turned head to feet": lambda v: _both(v, 0, 2),
    "both back to front": lambda v: _both(v, 1),
    "three empty PET slices": lambda v: _without_pet(v, 60, 63),
    "a bed without PET": lambda v: _without_pet(v, 40, 65),
    "PET 42 mm up": lambda v: _shifted(v, 2, 42),
    "PET 42 mm down": lambda v: _shifted(v, 2, -42),
    "PET 42 mm to the right": lambda v: _shifted(v, 0, 42),
    "PET 42 mm backward": lambda v: _shifted(v, 1, -42),
    "dose tenfold": lambda v: replace(v, pet=v.pet / np.float32(10)),
}
"""Each makes of a right exam one that is wrong in one way; arrays of the argument stay."""
