"""Digital patients as images: FDG uptake, CT numbers and lesions on any axis-aligned grid.

What is drawn here is the patient. What the scanner makes of it (blur, noise) is in
:mod:`petct_ext.synthetic.phantoms.scanner`. Arrays are (X, Y, Z) with axes along R, A and S.
"""

from __future__ import annotations

import zlib
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from petct_ext.arrays import FloatArray
from petct_ext.ontology.regions import RegionOntology
from petct_ext.synthetic.patients import Exam, Lesion, Patient, Physiology
from petct_ext.synthetic.phantoms.anatomy import Body
from petct_ext.synthetic.phantoms.shapes import Shape, Tube
from petct_ext.synthetic.phantoms.sites import site_mm
from petct_ext.synthetic.phantoms.tissues import HU, UPTAKE_SIGMA, organ_suv

__all__ = ["PlacedLesion", "VoxelGrid", "draw_ct", "draw_lesions", "draw_pet", "place_lesions"]

_AIR_HU = -1000.0
_CHUNK_VOXELS = 400_000
_SUBSAMPLE_MM = 2.5
_TABLE_HU, _TABLE_CORE_HU = -150.0, -880.0
_NECROTIC_FROM_MM = 45.0


@dataclass(frozen=True, slots=True)
class VoxelGrid:
    """An axis-aligned grid.

    Attributes:
        shape: voxels along x, y and z.
        spacing_mm: voxel size along x, y and z in mm.
        origin_mm: RAS+ position of the center of voxel (0, 0, 0) in mm.
    """

    shape: tuple[int, int, int]
    spacing_mm: tuple[float, float, float]
    origin_mm: tuple[float, float, float]

    def axes(self) -> tuple[FloatArray, FloatArray, FloatArray]:
        """Returns the coordinates of the voxel centers along x, y and z in mm."""
        x, y, z = (
            (o + s * np.arange(n)).astype(np.float32)
            for n, s, o in zip(self.shape, self.spacing_mm, self.origin_mm, strict=True)
        )
        return x, y, z

    def affine(self) -> NDArray[np.float64]:
        """Returns the matrix (4, 4) from voxel indices to RAS+ mm."""
        affine = np.diag([*self.spacing_mm, 1.0])
        affine[:3, 3] = self.origin_mm
        return affine


@dataclass(frozen=True, slots=True)
class PlacedLesion:
    """A lesion at its place.

    Attributes:
        lesion: what it is.
        center_mm: RAS+ position of its center in mm, (3,).
        semi_axes_mm: half lengths along x, y and z in mm, (3,); their geometric mean is half the
            diameter.
        lobulation: directions and phases of the bumps of its surface, (3, 4).
        hu: CT number of its inside; NaN if it does not show on CT.
    """

    lesion: Lesion
    center_mm: FloatArray
    semi_axes_mm: FloatArray
    lobulation: FloatArray
    hu: float


def place_lesions(
    patient: Patient, exam: Exam, body: Body, *, ontology: RegionOntology, seed: int
) -> tuple[PlacedLesion, ...]:
    """Puts the lesions of an exam into the body.

    The n-th lesion of a region has the same place in every exam of a patient (up to how the
    patient lies), as a lesion that is followed over time has.

    Args:
        patient: whose lesions.
        exam: on which day.
        body: the patient's body on that day.
        ontology: regions of the lesions.
        seed: seed of the cohort.

    Returns:
        The lesions in the order of ``exam.lesions``.

    Raises:
        InputDataError: if the body lacks an organ
            (:func:`petct_ext.synthetic.phantoms.sites.site_mm`).
    """
    placed: list[PlacedLesion] = []
    counts: dict[str, int] = {}
    for lesion in exam.lesions:
        index = counts.get(lesion.region, 0)
        counts[lesion.region] = index + 1
        key = [seed, patient.number, 12, zlib.crc32(lesion.region.encode()), index]
        rng = np.random.default_rng(key)
        center = _free_site(lesion, body, rng, placed)
        ratios = np.exp(0.15 * rng.standard_normal(3))
        ratios /= np.prod(ratios) ** (1 / 3)
        lobulation = np.concatenate(
            [rng.standard_normal((3, 3)) * 1.8, rng.uniform(0, 2 * np.pi, (3, 1))], axis=1
        ).astype(np.float32)
        semi_axes = (lesion.diameter_mm / 2 * ratios).astype(np.float32)
        hu = _lesion_hu({lesion.region} | ontology.containers(lesion.region), rng)
        placed.append(PlacedLesion(lesion, center, semi_axes, lobulation, hu))
    return tuple(placed)


def draw_pet(
    body: Body,
    physiology: Physiology,
    lesions: tuple[PlacedLesion, ...],
    *,
    grid: VoxelGrid,
    rng: np.random.Generator,
) -> FloatArray:
    """Draws the FDG uptake.

    Args:
        body: the organs.
        physiology: normal uptake of the day.
        lesions: where disease is.
        grid: voxels to draw.
        rng: source of the variation within an organ.

    Returns:
        SUVbw in g/mL, (X, Y, Z), at least 0; 0 in air and in the table.
    """
    values = organ_suv(physiology)

    def uptake(organ: str) -> float:
        spread = UPTAKE_SIGMA.get(organ, 0.0)
        varied = float(np.exp(spread * rng.standard_normal())) if spread else 1.0
        return values[organ] * varied

    volume = np.zeros(grid.shape, np.float32)
    _paint_body(volume, body, uptake, grid)
    for placed in lesions:
        box, share, core = _lesion_share(placed, grid)
        uptake_there = placed.lesion.suv * (1 - 0.65 * core)
        volume[box] += share * (uptake_there - volume[box])
    return volume


def draw_ct(
    body: Body, lesions: tuple[PlacedLesion, ...], *, grid: VoxelGrid, rng: np.random.Generator
) -> FloatArray:
    """Draws the CT numbers, with the table.

    Args:
        body: the organs.
        lesions: where disease is; those with ``hu`` NaN are not drawn.
        grid: voxels to draw.
        rng: source of the variation between patients.

    Returns:
        HU, (X, Y, Z); air is -1000.
    """
    offsets = {organ: float(rng.normal(0, 0.06 * min(abs(v), 100))) for organ, v in HU.items()}
    volume = np.full(grid.shape, _AIR_HU, np.float32)
    _paint_table(volume, body, grid)
    _paint_body(volume, body, lambda organ: HU[organ] + offsets[organ], grid)
    for placed in lesions:
        if np.isfinite(placed.hu):
            box, share, core = _lesion_share(placed, grid)
            volume[box] += share * (placed.hu - 15.0 * core - volume[box])
    return volume


def draw_lesions(lesions: tuple[PlacedLesion, ...], *, grid: VoxelGrid) -> NDArray[np.uint8]:
    """Draws which lesion lies where.

    Args:
        lesions: at most 255.
        grid: voxels to draw.

    Returns:
        1 + the index of the lesion that fills at least half of the voxel, else 0, (X, Y, Z). A
        lesion too small for that marks the voxel that it fills most; where two meet, the smaller.
    """
    volume = np.zeros(grid.shape, np.uint8)
    order = sorted(range(len(lesions)), key=lambda i: -lesions[i].lesion.diameter_mm)
    for i in order:
        box, share, _ = _lesion_share(lesions[i], grid)
        if share.size:
            volume[box][share >= min(0.5, float(share.max()))] = i + 1
    return volume


def _free_site(
    lesion: Lesion, body: Body, rng: np.random.Generator, placed: list[PlacedLesion]
) -> FloatArray:
    """Draws places until the lesion keeps clear of earlier ones, at most 12 times."""
    best, best_gap = site_mm(lesion.site, body, rng), -np.inf
    candidate = best
    for _ in range(12):
        gaps = [
            float(np.linalg.norm(candidate - other.center_mm))
            - (lesion.diameter_mm + other.lesion.diameter_mm) / 2
            for other in placed
        ]
        gap = min(gaps, default=np.inf)
        if gap > best_gap:
            best, best_gap = candidate, gap
        if gap > 0:
            break
        candidate = site_mm(lesion.site, body, rng)
    return best


def _lesion_hu(around: set[str], rng: np.random.Generator) -> float:
    if "bone_marrow" in around:
        return float("nan")
    if "skeleton" in around:
        kind = rng.random()
        return 30.0 if kind < 0.4 else (650.0 if kind < 0.75 else float("nan"))
    if "lungs" in around:
        return 30.0
    if around & {"liver", "spleen"}:
        return 30.0
    if "brain" in around:
        return 45.0
    return 46.0


def _lesion_share(
    placed: PlacedLesion, grid: VoxelGrid
) -> tuple[tuple[slice, ...], FloatArray, FloatArray]:
    """Returns a lesion's box, how much of each voxel it fills, and its dead core, in [0, 1]."""
    reach = placed.semi_axes_mm * 1.35
    box, centers = [], []
    for k, axis in enumerate(grid.axes()):
        half = grid.spacing_mm[k] / 2
        low, high = np.searchsorted(
            axis, [placed.center_mm[k] - reach[k] - half, placed.center_mm[k] + reach[k] + half]
        )
        parts = max(1, round(grid.spacing_mm[k] / _SUBSAMPLE_MM))
        offsets = ((np.arange(parts) + 0.5) / parts - 0.5) * grid.spacing_mm[k]
        fine = (axis[low:high, None] + offsets[None, :]).ravel() - placed.center_mm[k]
        box.append(slice(int(low), int(high)))
        centers.append((fine / placed.semi_axes_mm[k]).astype(np.float32))
    x, y, z = centers[0][:, None, None], centers[1][None, :, None], centers[2][None, None, :]
    squared = x * x + y * y + z * z
    bumps = np.float32(0)
    for a, b, c, phase in placed.lobulation:
        bumps = bumps + np.sin(a * x + b * y + c * z + phase)
    inside = (squared < np.square(1 + np.float32(0.06) * bumps)).astype(np.float32)
    share = _block_mean(inside, grid, box)
    if placed.lesion.diameter_mm < _NECROTIC_FROM_MM:
        return tuple(box), share, np.zeros((), np.float32)
    core = (squared < np.float32(0.2)).astype(np.float32)
    return tuple(box), share, _block_mean(core, grid, box)


def _block_mean(fine: FloatArray, grid: VoxelGrid, box: list[slice]) -> FloatArray:
    shape: list[int] = []
    for k, cut in enumerate(box):
        count = cut.stop - cut.start
        shape += [count, max(1, round(grid.spacing_mm[k] / _SUBSAMPLE_MM))]
    return np.asarray(fine.reshape(shape).mean(axis=(1, 3, 5)), np.float32)


def _paint_body(
    volume: FloatArray, body: Body, value_of: Callable[[str], float], grid: VoxelGrid
) -> None:
    axes = grid.axes()
    edge = np.float32(np.prod(grid.spacing_mm) ** (1 / 3))
    for part in body.parts:
        value = np.float32(value_of(part.organ))
        pieces = part.shape.segments() if isinstance(part.shape, Tube) else [part.shape]
        for piece in pieces:
            _paint(volume, piece, value, axes=axes, edge=edge)


def _paint(
    volume: FloatArray,
    shape: Shape,
    value: np.float32,
    *,
    axes: tuple[FloatArray, FloatArray, FloatArray],
    edge: np.float32,
) -> None:
    """Blends a value into the voxels that a shape fills; partly where its surface runs."""
    low, high = shape.bounds()
    cuts = [
        slice(*np.searchsorted(axis, [low[k] - edge / 2, high[k] + edge / 2]).tolist())
        for k, axis in enumerate(axes)
    ]
    x, y, z = (axis[cut] for axis, cut in zip(axes, cuts, strict=True))
    if not (x.size and y.size and z.size):
        return
    step = max(1, _CHUNK_VOXELS // (x.size * y.size))
    for start in range(0, z.size, step):
        chunk = z[start : start + step]
        depth = shape.depth(x[:, None, None], y[None, :, None], chunk[None, None, :])
        depth /= edge
        depth += np.float32(0.5)
        share = np.clip(depth, 0, 1, out=depth)
        there = slice(cuts[2].start + start, cuts[2].start + start + chunk.size)
        target = volume[cuts[0], cuts[1], there]
        target += share * (value - target)


def _paint_table(volume: FloatArray, body: Body, grid: VoxelGrid) -> None:
    """Draws the curved table: a thin shell around foam, below the whole body."""
    x, y, _ = grid.axes()
    surface = body.back_mm - 6 + 0.00045 * np.square(x)
    depth = surface[:, None] - y[None, :]
    wide = np.abs(x)[:, None] < 210
    shell = wide & (depth > 0) & (depth < 32)
    foam = shell & (depth > 4) & (depth < 28)
    plane = np.where(shell, np.where(foam, _TABLE_CORE_HU, _TABLE_HU), _AIR_HU)
    volume[:] = plane.astype(np.float32)[:, :, None]
