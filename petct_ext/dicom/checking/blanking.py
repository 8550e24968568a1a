"""Heads that were blanked against recognition: parts of PET or CT set to one constant.

Public data sets set the head, or the face, to a constant in PET, CT or both. A network then sees
no brain, and a report's "brain normal" teaches it what is wrong. Noise tells a blanked part: no
scanner gives neighbors that are exactly equal, but in clipped air and outside of its field.

What is found: a head of which nothing is left although the image goes on above (in CT, PET or
both), a box of a constant within the head, and a face that is cut off by a plane. A face whose
surface was only warped or blurred is not found. Arrays are (X, Y, Z) with RAS+ axes.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy import ndimage

from petct_ext.arrays import FloatArray
from petct_ext.dicom.checking.anatomy import fill_slices
from petct_ext.dicom.checking.check import Check, CheckState

__all__ = ["Blanking", "find_blanked"]

_Mask = npt.NDArray[np.bool_]

_NAME = "blanked_head"
_BODY_HU = -300.0
_AIR_HU = -900.0
_SAME_HU, _SAME_SUV = 0.05, 1e-6  # rounding of a resampled constant
_STRIP_MM = 100.0  # half width: a head, without arms beside it
_TOP_MM = 700.0  # of the image: head, neck and shoulders
_LEAST_BODY_CM2 = 20.0
# Within the strip, lungs included: a large head has 300, a slim trunk 330; the height of the
# shoulders is where most of the trunk's area begins.
_TRUNK_CM2, _TRUNK_SHARE = 310.0, 0.8
_LEAST_BELOW_MM = 250.0  # of body below the vertex: less is an exam of the head
# Vertex to where the shoulders reach 0.8 of the trunk's area: 310 to 340 mm in phantoms of 1.55 to
# 1.95 m. A neck alone stands less than 120 mm above them, the chin 110 mm.
_HEAD_MM, _NECK_MM, _CHIN_MM = 260.0, 120.0, 110.0
_DOME_MM = 90.0  # radius of a large head: what a vertex may have grown to within two slices
_LEAST_CUT_CM2 = 70.0  # a thin neck
_LEAST_BLANK_MM = 30.0
_RUN_MM = 40.0
_FACE_MM = (20.0, 220.0)  # below the vertex
_FACE_HALF_MM = 40.0  # a forehead recedes by 8 mm and more over this
_FINE_MM = 4.0
_COARSE_MM, _SLICE_MM = 4.5, 7.0
_BLANK_SLICE, _BLANK_PART = 0.9, 0.1  # share of the head's voxels in a slice
_LEAST_BOX_CM2 = 10.0


@dataclass(frozen=True, slots=True)
class Blanking:
    """What was found.

    Attributes:
        parts: ``("head",)``, ``("face",)`` or nothing.
        check: the same for ``exam.json``; soft.
    """

    parts: tuple[str, ...]
    check: Check


@dataclass(frozen=True, slots=True)
class _Top:
    """The upper end of an exam, a strip around the midline; all but ``fine`` every 4 to 5 mm.

    Attributes:
        body: what is denser than air, no constant, and not the table.
        areas_cm2: of the body with its lungs, by slice.
        ct_flat: where a voxel of the CT equals its neighbors within the slice, but not as air.
        pet_flat: where a voxel of the PET equals its neighbors within the slice.
        spacing_mm: along X, Y and Z.
        ct: the CT of the strip with all voxels, all slices.
        heights: slice of ``ct`` of each slice of the others.
        fine_mm: voxel size of ``ct`` along X.
    """

    body: _Mask
    areas_cm2: FloatArray
    ct_flat: _Mask
    pet_flat: _Mask
    spacing_mm: tuple[float, float, float]
    ct: FloatArray
    heights: Sequence[int]
    fine_mm: float

    @property
    def pixel_cm2(self) -> float:
        """Area of a voxel within the slice."""
        return self.spacing_mm[0] * self.spacing_mm[1] / 100

    def slices(self, millimeters: float) -> int:
        """Returns a length along Z in slices."""
        return max(1, round(millimeters / self.spacing_mm[2]))


def find_blanked(pet: FloatArray, ct: FloatArray, spacing_mm: Sequence[float]) -> Blanking:
    """Looks for a blanked head or face at the upper end of an exam.

    An exam whose body reaches the last slice ends at its field of view: nothing is blanked.

    Args:
        pet: SUV or other units, (X, Y, Z), RAS+.
        ct: HU, same shape.
        spacing_mm: along X, Y and Z.

    Returns:
        Parts and a check; "not measured" where no shoulders are in view or the CT has no noise.
    """
    top = _cut_top(pet, ct, (spacing_mm[0], spacing_mm[1], spacing_mm[2]))
    areas = top.areas_cm2
    there = np.flatnonzero(areas >= _LEAST_BODY_CM2)
    is_trunk = there.size > 0 and areas.max() >= _TRUNK_CM2
    if not is_trunk or (there[-1] - there[0]) * top.spacing_mm[2] < _LEAST_BELOW_MM:
        text = "blanked head: not measured, since no shoulders are in view or the CT has no noise"
        return Blanking((), Check(_NAME, CheckState.NOT_MEASURED, text))
    vertex = int(there[-1])
    trunk = np.flatnonzero(areas >= max(_TRUNK_SHARE * areas.max(), 0.95 * _TRUNK_CM2))
    shoulders = int(trunk[-1])
    part, where = _blanked_head(top, shoulders, vertex)
    if not part:
        part, where = _blanked_face(top, shoulders, vertex)
    if not part:
        return Blanking((), Check(_NAME, CheckState.FINE, "no blanked head or face was found"))
    text = f"{part} blanked ({where}): its regions cannot be seen, their labels are left unknown"
    return Blanking((part,), Check(_NAME, CheckState.NOT_FINE, text))


def _cut_top(pet: FloatArray, ct: FloatArray, spacing_mm: tuple[float, float, float]) -> _Top:
    """Looks at the upper end slice by slice, so that no copy of the volumes is held."""
    every = max(1, round(_SLICE_MM / spacing_mm[2]))
    top = ct.shape[2] - 1
    heights = range(top % every, ct.shape[2], every)  # the last slice is one of them
    heights = heights[-max(1, round(_TOP_MM / (spacing_mm[2] * every))) :]
    steps = [max(1, round(_COARSE_MM / spacing)) for spacing in spacing_mm[:2]]
    coarse = (slice(None, None, steps[0]), slice(None, None, steps[1]))
    shape = (*ct[:, :, 0][coarse].shape, len(heights))
    dense, ct_flat, pet_flat = (np.empty(shape, np.bool_, order="F") for _ in range(3))
    for number, z in enumerate(heights):
        hu, flat = ct[:, :, z][coarse], _flat_at(ct[:, :, z], steps, _SAME_HU)
        dense[:, :, number] = (hu > _BODY_HU) & ~flat
        ct_flat[:, :, number] = flat & (hu > _AIR_HU)
        pet_flat[:, :, number] = _flat_at(pet[:, :, z], steps, _SAME_SUV)
    body = _largest(ndimage.binary_opening(dense, np.ones((3, 3, 1), np.bool_)))
    sizes = (spacing_mm[0] * steps[0], spacing_mm[1] * steps[1], spacing_mm[2] * every)
    middle, half = _middle(body), _STRIP_MM / sizes[0]
    strip = slice(max(0, round(middle - half)), round(middle + half) + 1)
    filled = fill_slices(body)[strip].sum(axis=(0, 1))  # lungs, which the strip would cut open
    return _Top(
        body[strip],
        filled.astype(np.float32) * np.float32(sizes[0] * sizes[1] / 100),
        ct_flat[strip],
        pet_flat[strip],
        sizes,
        ct[strip.start * steps[0] : strip.stop * steps[0]],
        heights,
        spacing_mm[0],
    )


def _largest(mask: _Mask) -> _Mask:
    parts, count = ndimage.label(mask)
    if count == 0:
        return mask
    sizes = np.zeros(count + 1, np.int64)
    for z in range(parts.shape[2]):  # at once, the labels would be copied as 64-bit numbers
        sizes += np.bincount(parts[:, :, z].ravel(), minlength=count + 1)
    largest: _Mask = parts == 1 + int(sizes[1:].argmax())
    return largest


def _middle(mask: _Mask) -> float:
    """Returns the mean index along X, the middle of the array if the mask is empty."""
    columns = mask.sum(axis=(1, 2))
    total = float(columns.sum())
    return float(columns @ np.arange(columns.size)) / total if total else columns.size / 2


def _flat_at(plane: FloatArray, steps: Sequence[int], tolerance: float) -> _Mask:
    """Returns of every so many voxels whether it equals its four neighbors in the slice."""
    x = np.arange(0, plane.shape[0], steps[0])
    chosen, rows = plane[x], plane[:, :: steps[1]]
    own = chosen[:, :: steps[1]]
    y = np.arange(0, plane.shape[1], steps[1])
    flat: _Mask = np.ones(own.shape, np.bool_)
    for step in (-1, 1):
        flat &= np.abs(rows[(x + step).clip(0, plane.shape[0] - 1)] - own) <= tolerance
        flat &= np.abs(chosen[:, (y + step).clip(0, plane.shape[1] - 1)] - own) <= tolerance
    return flat


def _flat(plane: FloatArray, tolerance: float) -> _Mask:
    """Returns where a voxel equals its four neighbors in the slice, grown by a voxel."""
    equal = np.ones(plane.shape, np.bool_)
    across = np.abs(plane[1:] - plane[:-1]) <= tolerance
    along = np.abs(plane[:, 1:] - plane[:, :-1]) <= tolerance
    equal[1:] &= across
    equal[:-1] &= across
    equal[:, 1:] &= along
    equal[:, :-1] &= along
    grown: _Mask = equal.copy()
    grown[1:] |= equal[:-1]
    grown[:-1] |= equal[1:]
    grown[:, 1:] |= equal[:, :-1]
    grown[:, :-1] |= equal[:, 1:]
    return grown


def _blanked_head(top: _Top, shoulders: int, vertex: int) -> tuple[str, str]:
    """Finds that nothing is left above the neck although the image goes on."""
    missing = []
    height = (vertex - shoulders) * top.spacing_mm[2]
    is_cut = _is_cut(top.areas_cm2, vertex, top.spacing_mm[2])
    goes_on = top.body.shape[2] - 1 - vertex >= top.slices(_LEAST_BLANK_MM)
    if goes_on and (height < _NECK_MM or (height < _HEAD_MM and is_cut)):
        missing.append("CT")
        if _pet_is_flat_above(top, vertex):
            missing.append("PET")
    else:
        shares = _pet_shares(top, shoulders, vertex)
        if _top_run(shares >= _BLANK_SLICE) >= top.slices(_RUN_MM):
            missing.append("PET")
    if not missing:
        return "", ""
    return "head", f"{' and '.join(missing)} constant above the neck"


def _is_cut(areas_cm2: FloatArray, vertex: int, slice_mm: float) -> bool:
    """Returns whether one of the two last slices of a body is larger than a vertex can be there."""
    for number, area in enumerate((areas_cm2[vertex], areas_cm2[vertex - 1]), start=1):
        depth = number * slice_mm
        dome_cm2 = np.pi * (2 * _DOME_MM - depth) * depth / 100
        if area >= max(_LEAST_CUT_CM2, 1.3 * dome_cm2):
            return True
    return False


def _pet_is_flat_above(top: _Top, vertex: int) -> bool:
    """Returns whether the PET is constant where the neck would go on."""
    ys, xs = np.flatnonzero(top.body[:, :, vertex].any(axis=0)), top.body[:, :, vertex].any(axis=1)
    column = top.pet_flat[xs, ys[0] : ys[-1] + 1, vertex + 2 : vertex + 1 + top.slices(100.0)]
    return bool(column.size) and float(column.mean()) > _BLANK_SLICE


def _pet_shares(top: _Top, shoulders: int, vertex: int) -> FloatArray:
    """Returns by slice, shoulders to vertex, the share of the body in which the PET is flat."""
    body = top.body[:, :, shoulders : vertex + 1]
    flat = body & top.pet_flat[:, :, shoulders : vertex + 1]
    shares: FloatArray = flat.sum(axis=(0, 1)) / np.maximum(body.sum(axis=(0, 1)), 1)
    return shares


def _blanked_face(top: _Top, shoulders: int, vertex: int) -> tuple[str, str]:
    """Finds a constant within the head, or a front that is a plane."""
    if (vertex - shoulders) * top.spacing_mm[2] < _HEAD_MM:
        return "", ""
    low = max(shoulders + top.slices(_CHIN_MM), vertex - top.slices(_FACE_MM[1]))
    zone = slice(low, vertex - top.slices(_FACE_MM[0]) + 1)
    least = top.slices(_RUN_MM)
    inside = top.ct_flat[:, :, zone].sum(axis=(0, 1)) * top.pixel_cm2
    if _longest_run(inside >= _LEAST_BOX_CM2) >= least:
        return "face", "CT constant within the head"
    if _longest_run(_pet_shares(top, zone.start, zone.stop - 1) >= _BLANK_PART) >= least:
        return "face", "PET constant within the head"
    if top.fine_mm <= _FINE_MM and _longest_run(_plane_fronts(top, zone)) >= least:
        return "face", "CT cut off by a plane"
    return "", ""


def _plane_fronts(top: _Top, zone: slice) -> _Mask:
    """Returns the slices whose front is straight across the face, to a voxel."""
    planes = [top.ct[:, :, z] for z in top.heights[zone]]
    body = np.stack([(hu > _BODY_HU) & ~_flat(hu, _SAME_HU) for hu in planes], axis=2)
    front = body.shape[1] - 1 - body[:, ::-1].argmax(axis=1)  # (X, Z)
    middle, half = round(_middle(body)), round(_FACE_HALF_MM / top.fine_mm)
    face = slice(max(0, middle - half), middle + half + 1)
    is_there = body[face].any(axis=1).all(axis=0)
    straight: _Mask = is_there & (np.ptp(front[face], axis=0) <= 1)
    return straight


def _top_run(marks: _Mask) -> int:
    """Returns how many marks there are at the end without a gap."""
    gaps = np.flatnonzero(~marks)
    return int(marks.size - 1 - gaps[-1]) if gaps.size else int(marks.size)


def _longest_run(marks: _Mask) -> int:
    runs, count = ndimage.label(marks)
    return int(np.bincount(runs)[1:].max()) if count else 0
