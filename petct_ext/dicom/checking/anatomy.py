"""Body, lungs and liver of an exam, found by their density on every so many voxels.

Nobody outlined anything: these are landmarks for checks, not segmentations. Arrays are (X, Y, Z)
with RAS+ axes: X to the patient's right, Y forward, Z up, if the exam says the truth about itself.
Whether it does is what :mod:`petct_ext.dicom.checking.anatomy_checks` asks, so nothing here relies
on the liver's side or on the head's end.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final, Literal, TypeAlias

import numpy as np
import numpy.typing as npt
from scipy import ndimage

from petct_ext.arrays import FloatArray, Floats

__all__ = [
    "LIVER_NOTE",
    "Anatomy",
    "End",
    "ExamVolumes",
    "Mask",
    "Side",
    "SoftLump",
    "body_mask",
    "fill_slices",
    "find_anatomy",
    "middle_of",
]

Mask: TypeAlias = npt.NDArray[np.bool_]
End: TypeAlias = Literal["below", "above"]
Side: TypeAlias = Literal["right", "left"]

LIVER_NOTE: Final = (
    "Liver-like SUV is the median SUV of the largest lump of uniform soft tissue (nine tenths of "
    "the voxels around every voxel between -70 and 200 HU, their mean 20 to 150 HU) more than 40 "
    "mm beside the midline, from 30 mm within to 100 mm beyond the end of the lungs. Nobody has "
    "outlined the liver: it is a check of the scale of SUV, not a measurement of the liver."
)

_COARSE_MM = 6.0
_OPENED_MM = 8.0  # opening at larger voxels would take arms and neck away
_BODY_HU = -300.0  # between lung and fat
_MIXED_BODY_HU = -500.0  # large voxels mix a thin chest wall with lung and air
_LUNG_HU = (-960.0, -600.0)  # air between raised arms and the head is not lung
_LUNG_SMALLEST_CM2 = 20.0  # in one slice, of one lung
_LUNG_SHARE_OF_PEAK = 0.3
_SOFT_HU = (-70.0, 200.0)  # with the noise of a low dose
_LIVER_MEAN_HU = (20.0, 150.0)  # above water; with contrast
_SOFT_SHARE = 0.9
_AROUND_MM = 10.0
_BESIDE_MM = 40.0  # leaves spine, aorta and most of the heart out
_INTO_LUNGS_MM, _BEYOND_LUNGS_MM = 30.0, 100.0
_TRUNK_SHARE = 0.45
# cross within a slice: what is thin in X or Y comes off, what is one slice high stays
_IN_PLANE = np.zeros((3, 3, 3), dtype=np.bool_)
_IN_PLANE[:, 1, 1] = _IN_PLANE[1, :, 1] = True


@dataclass(frozen=True, slots=True)
class ExamVolumes:
    """PET and CT of one exam on one grid.

    Attributes:
        pet: SUVbw in g/mL, or other units.
        ct: HU, same shape.
        spacing_mm: along X, Y and Z.
        origin_mm: center of the first voxel, RAS+.
    """

    pet: FloatArray
    ct: FloatArray
    spacing_mm: tuple[float, float, float]
    origin_mm: tuple[float, float, float] = (0.0, 0.0, 0.0)

    def centers_mm(self, axis: int) -> Floats:
        """Returns where the centers of voxels lie along an axis, RAS+ mm."""
        count = self.pet.shape[axis]
        return self.origin_mm[axis] + self.spacing_mm[axis] * np.arange(count, dtype=np.float64)

    def span_mm(self, axis: int) -> tuple[float, float]:
        """Returns the outer edges of the first and last voxel along an axis, RAS+ mm."""
        low = self.origin_mm[axis] - self.spacing_mm[axis] / 2
        return low, low + self.spacing_mm[axis] * self.pet.shape[axis]

    def coarse(self) -> ExamVolumes:
        """Returns every so many voxels, about 6 mm apart: enough for what is measured here."""
        steps = [max(1, round(_COARSE_MM / spacing)) for spacing in self.spacing_mm]
        x, y, z = (spacing * step for spacing, step in zip(self.spacing_mm, steps, strict=True))
        chosen = tuple(slice(None, None, step) for step in steps)
        pet, ct = (np.asfortranarray(array[chosen]) for array in (self.pet, self.ct))
        return ExamVolumes(pet, ct, (x, y, z), self.origin_mm)


@dataclass(frozen=True, slots=True)
class SoftLump:
    """The largest lump of uniform soft tissue at one end of the lungs on one side.

    Attributes:
        milliliters: its core, without what lies near another tissue; 0 if there is none.
        uptake: median of the PET within, in its units; None if there is no lump.
        mirrored_uptake: the same on the other side of the midline.
    """

    milliliters: float = 0.0
    uptake: float | None = None
    mirrored_uptake: float | None = None


@dataclass(frozen=True, slots=True)
class Anatomy:
    """What was found in an exam.

    Attributes:
        volumes: coarse voxels.
        body: the largest connected thing that is not air, without the table, (X, Y, Z).
        area_cm2: its cross section in each slice, (Z,).
        lungs: slices with much lung; None if there are none.
        lungs_ml: volume of the lungs in these slices.
        middle: index along X of the midline of the trunk.
        lumps: by end of the lungs (in the direction of Z) and side.
    """

    volumes: ExamVolumes
    body: Mask
    area_cm2: Floats
    lungs: slice | None
    lungs_ml: float
    middle: float
    lumps: Mapping[tuple[End, Side], SoftLump]

    @property
    def length_mm(self) -> float:
        """Length of what holds body, mm."""
        return float((self.area_cm2 > 0).sum() * self.volumes.spacing_mm[2])

    @property
    def trunk_mm(self) -> float:
        """Length with nearly half the area of the widest slices: trunk and thighs, mm."""
        widest = float(np.percentile(self.area_cm2, 90))
        wide = (self.area_cm2 >= _TRUNK_SHARE * widest) & (self.area_cm2 > 0)
        return float(wide.sum() * self.volumes.spacing_mm[2])

    @property
    def mass_kg(self) -> float:
        """Mass of the body in view, kg: 1 g/mL at 0 HU, nothing at -1000 HU."""
        density = np.clip(1.0 + self.volumes.ct[self.body] / 1000.0, 0.0, 1.6)  # bone; no metal
        return float(density.sum(dtype=np.float64) * np.prod(self.volumes.spacing_mm) / 1e6)

    @property
    def mean_uptake(self) -> float | None:
        """Mean of the PET over the body, in its units; None if there is no body."""
        return float(self.volumes.pet[self.body].mean()) if self.body.any() else None


def find_anatomy(volumes: ExamVolumes) -> Anatomy:
    """Finds what is needed to check an exam.

    Args:
        volumes: an exam as :meth:`ExamVolumes.coarse` gives it.

    Returns:
        What was found; empty where nothing was.
    """
    body = body_mask(volumes)
    pixel_cm2 = volumes.spacing_mm[0] * volumes.spacing_mm[1] / 100
    area = np.asarray(body.sum(axis=(0, 1)) * pixel_cm2, dtype=np.float64)
    if not body.any():
        return Anatomy(volumes, body, area, None, 0.0, volumes.ct.shape[0] / 2, {})
    lung = body & (volumes.ct > _LUNG_HU[0]) & (volumes.ct < _LUNG_HU[1])
    lungs = _lung_slices(lung, pixel_cm2)
    if lungs is None:
        return Anatomy(volumes, body, area, None, 0.0, middle_of(body, 0), {})
    middle = middle_of(body[:, :, lungs], 0)
    milliliters = float(lung[:, :, lungs].sum() * np.prod(volumes.spacing_mm) / 1000)
    lumps = _find_lumps(volumes, lungs, middle)
    return Anatomy(volumes, body, area, lungs, milliliters, middle, lumps)


def body_mask(volumes: ExamVolumes) -> Mask:
    """Returns the largest connected thing that is not air, filled slice by slice, (X, Y, Z)."""
    is_fine = max(volumes.spacing_mm[:2]) <= _OPENED_MM
    filled = fill_slices(volumes.ct > (_BODY_HU if is_fine else _MIXED_BODY_HU))
    if is_fine:  # loosens the table from the back
        filled = ndimage.binary_opening(filled, _IN_PLANE)
    labels, count = ndimage.label(filled)
    if count == 0:
        return np.zeros(volumes.ct.shape, dtype=np.bool_)
    largest: Mask = labels == 1 + int(np.bincount(labels.ravel(order="K"))[1:].argmax())
    return largest


def fill_slices(dense: Mask) -> Mask:
    """Returns a mask with the holes of each slice filled: air that does not reach its edge."""
    labels, count = ndimage.label(~dense, structure=_IN_PLANE)
    outside = np.zeros(count + 1, dtype=np.bool_)
    for edge in (labels[0], labels[-1], labels[:, 0], labels[:, -1]):
        outside[edge] = True
    outside[0] = False  # what is dense
    filled: Mask = ~outside[labels]
    return filled


def middle_of(mask: Mask, axis: int) -> float:
    """Returns the mean index of the voxels of a mask along an axis."""
    others = tuple(a for a in range(3) if a != axis)
    return float(np.average(np.arange(mask.shape[axis]), weights=mask.sum(axis=others)))


def _lung_slices(lung: Mask, pixel_cm2: float) -> slice | None:
    """Returns the run of slices with much lung, None if there is none."""
    area_cm2 = lung.sum(axis=(0, 1)) * pixel_cm2
    peak = int(area_cm2.argmax())
    if area_cm2[peak] < _LUNG_SMALLEST_CM2:
        return None
    runs, _ = ndimage.label(area_cm2 >= _LUNG_SHARE_OF_PEAK * area_cm2[peak])
    (found,) = ndimage.find_objects((runs == runs[peak]).astype(int))
    return slice(found[0].start, found[0].stop)


def _find_lumps(
    volumes: ExamVolumes, lungs: slice, middle: float
) -> dict[tuple[End, Side], SoftLump]:
    """Returns the largest lump at both ends of the lungs and on both sides."""
    dz = volumes.spacing_mm[2]
    into, beyond = round(_INTO_LUNGS_MM / dz), round(_BEYOND_LUNGS_MM / dz)
    zones: dict[End, slice] = {
        "below": slice(max(0, lungs.start - beyond), lungs.start + into + 1),
        "above": slice(max(0, lungs.stop - into - 1), lungs.stop + beyond),
    }
    found: dict[tuple[End, Side], SoftLump] = {}
    for end, zone in zones.items():
        hu, pet = volumes.ct[:, :, zone], volumes.pet[:, :, zone]
        core = _uniform_soft(hu, volumes.spacing_mm)
        beside = _BESIDE_MM / volumes.spacing_mm[0]
        x = np.arange(hu.shape[0])[:, None, None]
        voxel_ml = float(np.prod(volumes.spacing_mm) / 1000)
        found[end, "right"] = _largest(core & (x > middle + beside), pet, middle, voxel_ml)
        found[end, "left"] = _largest(core & (x < middle - beside), pet, middle, voxel_ml)
    return found


def _uniform_soft(hu: FloatArray, spacing_mm: tuple[float, float, float]) -> Mask:
    sizes = [2 * max(1, round(_AROUND_MM / spacing)) + 1 for spacing in spacing_mm]
    soft = ((hu > _SOFT_HU[0]) & (hu < _SOFT_HU[1])).astype(np.float32)
    share = ndimage.uniform_filter(soft, sizes, mode="constant")
    mean = ndimage.uniform_filter(hu, sizes)
    core: Mask = (share >= _SOFT_SHARE) & (mean > _LIVER_MEAN_HU[0]) & (mean < _LIVER_MEAN_HU[1])
    return core


def _largest(core: Mask, pet: FloatArray, middle: float, voxel_ml: float) -> SoftLump:
    labels, count = ndimage.label(core)
    if count == 0:
        return SoftLump()
    voxels = np.bincount(labels.ravel(order="K"))[1:]
    x, y, z = np.nonzero(labels == 1 + int(voxels.argmax()))
    mirrored = np.round(2 * middle - x).astype(int)
    there = (mirrored >= 0) & (mirrored < core.shape[0])
    other = pet[mirrored[there], y[there], z[there]]
    return SoftLump(
        float(voxels.max() * voxel_ml),
        float(np.median(pet[x, y, z])),
        float(np.median(other)) if other.size else None,
    )
