"""How far the PET would have to move to lie on the CT, from their coarse outlines and tissues.

The PET, its hot places clipped, resembles the density of the body: nothing outside, little in the
lungs, more in soft tissue. Both maps are moved against each other in whole voxels along one axis
at a time, and their correlation over what they share tells the place. It is quick and needs no
registration library; it knows nothing about rotation.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np

from petct_ext.arrays import FloatArray
from petct_ext.dicom.checking.anatomy import Anatomy

__all__ = ["BodyShift", "find_body_shift"]

_IN_PLANE_MM = 12.0
_REACH_MM: Final = (60.0, 60.0, 90.0)
_MOST_UPTAKE = 2.0  # times the mean of the body: brain and bladder must not lead
_MOST_DENSITY = 1.1  # of water: bone and metal must not either
_ORDER = (2, 0, 1, 2, 0, 1)


@dataclass(frozen=True, slots=True)
class BodyShift:
    """Where the PET lies relative to the CT.

    Attributes:
        shift_mm: along X, Y and Z; positive if the PET lies too far to the right, front or head.
        similarity: correlation of both maps after moving, -1 to 1.
        similarity_before: the same as they lie.
        at_reach: whether an axis ended at the largest shift that was tried.
    """

    shift_mm: tuple[float, float, float]
    similarity: float
    similarity_before: float
    at_reach: bool


def find_body_shift(anatomy: Anatomy) -> BodyShift | None:
    """Finds the shift between PET and CT; None if there is no body or no uptake."""
    mean = anatomy.mean_uptake
    if mean is None or mean <= 0:
        return None
    steps = [max(1, round(_IN_PLANE_MM / mm)) for mm in anatomy.volumes.spacing_mm[:2]]
    chosen = (slice(None, None, steps[0]), slice(None, None, steps[1]))
    pet, ct = anatomy.volumes.pet[chosen], anatomy.volumes.ct[chosen]
    uptake = np.sqrt(np.clip(pet / np.float32(mean), 0.0, _MOST_UPTAKE))
    density = np.clip(ct / np.float32(1000.0) + np.float32(1.0), 0.0, _MOST_DENSITY)
    density *= anatomy.body[chosen]  # no table
    x, y, z = anatomy.volumes.spacing_mm
    return _search(uptake, density, (x * steps[0], y * steps[1], z))


def _search(
    uptake: FloatArray, density: FloatArray, spacing_mm: tuple[float, float, float]
) -> BodyShift:
    # at least half of each axis stays common: little says much by chance
    reach = [
        min(int(mm // size), count // 2)
        for mm, size, count in zip(_REACH_MM, spacing_mm, uptake.shape, strict=True)
    ]
    place, found = [0, 0, 0], [0.0, 0.0, 0.0]
    before = best = _similarity(uptake, density, place)
    for axis in _ORDER:
        tried = {
            step: _similarity(uptake, density, [*place[:axis], step, *place[axis + 1 :]])
            for step in range(-reach[axis], reach[axis] + 1)
        }
        place[axis] = max(tried, key=lambda step: (tried[step], -abs(step)))
        best = tried[place[axis]]
        found[axis] = (place[axis] + _beside_peak(tried, place[axis])) * spacing_mm[axis]
    at_reach = any(abs(p) == r and r > 0 for p, r in zip(place, reach, strict=True))
    return BodyShift((found[0], found[1], found[2]), best, before, at_reach)


def _similarity(uptake: FloatArray, density: FloatArray, shift: list[int]) -> float:
    """Returns the correlation of ``uptake`` at i + shift with ``density`` at i."""
    moved = tuple(slice(max(0, s), n + min(0, s)) for n, s in zip(uptake.shape, shift, strict=True))
    fixed = tuple(
        slice(max(0, -s), n - max(0, s)) for n, s in zip(uptake.shape, shift, strict=True)
    )
    a, b = uptake[moved].ravel(order="K"), density[fixed].ravel(order="K")
    a, b = a - a.mean(), b - b.mean()
    norm = float(np.sqrt(np.dot(a, a) * np.dot(b, b)))
    return float(np.dot(a, b)) / norm if norm > 0 else 0.0


def _beside_peak(tried: dict[int, float], peak: int) -> float:
    """Returns where between voxels a parabola through the peak has its top."""
    if peak - 1 not in tried or peak + 1 not in tried:
        return 0.0
    low, top, high = tried[peak - 1], tried[peak], tried[peak + 1]
    bend = low - 2 * top + high
    return 0.5 * (low - high) / bend if bend < 0 else 0.0
