"""Whether a scan is whole: slices without content, and a body wider than its field of view."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from nibabel.affines import voxel_sizes

from petct_ext.arrays import Affine, FloatArray, Floats
from petct_ext.dicom.checking.anatomy import Anatomy, ExamVolumes, Mask
from petct_ext.dicom.checking.anatomy_checks import fine, not_fine, not_measured
from petct_ext.dicom.checking.check import Check

__all__ = ["ScanFields", "check_cut", "check_empty_slices"]

_EVERY = 3  # voxel of a slice: PET without noise between three of them does not exist
_MISSING_BED_MM = 100.0  # a bed is 150 to 260 mm long, less what it shares with its neighbors
_LEAST_AREA_CM2 = 50.0  # thinner slices are the vertex or a foot
_RIM_MM = 8.0
_LEAST_OUTSIDE_ML = 100.0  # less is noise and blur
_LEAST_RIM_MM, _LEAST_CUT_MM = 30.0, 30.0  # along the rim, and along the body
_ACTIVE_SHARE = 0.3  # of the mean uptake of the body
# Most of both arms, each of 3 to 4 L: chosen so that no phantom is flagged. A field of 500 mm
# leaves at least 0.1 L of elbows and flanks out in 37 of 166 phantoms, 1 L in 18, 4 L in 3, at most
# 6.0 L. One arm that is cut passes as fine, with its mL in the text.
_MOST_OUTSIDE_ML = 6500.0


@dataclass(frozen=True, slots=True)
class ScanFields:
    """Where the voxels of an exam came from.

    Attributes:
        volumes: the aligned volumes in full.
        original_grids: ``shape`` and ``affine`` of ``pet`` and ``ct`` as they were read.
        pet_series: values and RAS+ affine of the PET as it was read, thinned within its slices; if
            at hand.
    """

    volumes: ExamVolumes
    original_grids: Mapping[str, Any]
    pet_series: tuple[FloatArray, Affine] | None = None

    def inside_both(self, coarse: ExamVolumes) -> tuple[slice, slice]:
        """Returns X and Y of coarse voxels that both series cover; the rest is filling."""
        found = []
        spans = [_grid_span(grid) for grid in self.original_grids.values()]
        for axis in (0, 1):
            low = max(span[0][axis] for span in spans)
            high = min(span[1][axis] for span in spans)
            places = coarse.centers_mm(axis)
            inside = np.flatnonzero((places >= low) & (places <= high))
            found.append(slice(inside[0], inside[-1] + 1) if inside.size else slice(0, 0))
        return found[0], found[1]


def check_empty_slices(anatomy: Anatomy, fields: ScanFields) -> Check:
    """Checks that every slice of the body has content in PET and CT.

    Slices of the CT are judged on the common grid; those of the PET as they were read, too.

    Returns:
        Check ``empty_slices``; hard if a whole bed position is missing.
    """
    name = "empty_slices"
    held = np.flatnonzero(anatomy.area_cm2 >= _LEAST_AREA_CM2)
    if not held.size:
        return not_measured(name, "no body found in the CT to look for empty slices in")
    coarse_mm, fine_mm = anatomy.volumes.spacing_mm[2], fields.volumes.spacing_mm[2]
    span = anatomy.volumes.centers_mm(2)[held[[0, -1]]]
    inside = slice(round(held[0] * coarse_mm / fine_mm), round(held[-1] * coarse_mm / fine_mm) + 1)
    found = [
        ("CT", _constant(fields.volumes.ct[:, :, inside]), fine_mm),
        ("PET", _constant(fields.volumes.pet[:, :, inside]), fine_mm),
    ]
    if fields.pet_series is not None:
        array, affine = fields.pet_series
        heights = affine[2, 2] * np.arange(array.shape[2]) + affine[2, 3]
        within = (heights >= span[0]) & (heights <= span[1])
        found.append(("PET", _constant(array, every=1) & within, float(voxel_sizes(affine)[2])))
    name_of, empty, step_mm = max(found, key=lambda one: float(one[1].sum() * one[2]))
    if not empty.any():
        return fine(name, f"no empty slice in {span[1] - span[0]:.0f} mm of body", 0.0, "mm")
    return _empty(name_of, empty, step_mm)


def _empty(name_of: str, empty: Mask, step_mm: float) -> Check:
    length = float(empty.sum() * step_mm)
    places = np.flatnonzero(empty)
    text = (
        f"{len(places)} {name_of} slices ({length:.0f} mm) within the body hold one value only, "
        f"the first is slice {places[0] + 1} of {len(empty)} from the feet"
    )
    if length > _MISSING_BED_MM:
        text += "; a bed position seems to be missing"
    return not_fine("empty_slices", text, length, "mm", is_hard=length > _MISSING_BED_MM)


def _constant(array: FloatArray, *, every: int = _EVERY) -> Mask:
    """Returns which slices hold one value, or for a PET nothing above zero, (Z,)."""
    width, depth = array.shape[:2]
    # the middle half: a field of view that is a circle has empty corners anyway
    middle = array[width // 4 : width - width // 4 : every, depth // 4 : depth - depth // 4 : every]
    constant: Mask = middle.max(axis=(0, 1)) <= middle.min(axis=(0, 1))
    return constant


def check_cut(anatomy: Anatomy, fields: ScanFields) -> tuple[Check, dict[str, Any]]:
    """Checks that the body fits into the CT, by its outline and by PET beside the CT.

    Returns:
        Check ``cut_arms``; and measurements ``cut_mm``, the length of body that touches the rim,
        and ``uptake_beside_ct_ml``, None if it could not be measured.
    """
    name = "cut_arms"
    if not anatomy.body.any():
        text = "no body found in the CT"
        return not_measured(name, text), {"cut_mm": None, "uptake_beside_ct_ml": None}
    low, high = _ct_field(fields)
    cut_mm = _length_at_rim(anatomy, low, high)
    beside = _uptake_beside(anatomy, fields, low, high)
    measured = {"cut_mm": cut_mm, "uptake_beside_ct_ml": beside}
    at_rim = f"the body reaches the edge of the field of view over {cut_mm:.0f} mm"
    if beside is None and cut_mm >= _LEAST_CUT_MM:
        text = f"{at_rim}; how much lies beside it could not be measured"
        return not_measured(name, text, None, "mL"), measured
    if beside is None or beside < _LEAST_OUTSIDE_ML:
        text = at_rim if cut_mm >= _LEAST_CUT_MM else "the body fits into the CT"
        return fine(name, text, beside, "mL"), measured
    text = f"{beside:.0f} mL of uptake lie beside the CT; {at_rim}"
    if beside < _MOST_OUTSIDE_ML:
        return fine(name, text, beside, "mL"), measured
    return not_fine(name, f"{text}: arms or sides are cut", beside, "mL"), measured


def _ct_field(fields: ScanFields) -> tuple[Floats, Floats]:
    """Returns lowest and highest x and y, in mm, of CT that is on the common grid."""
    low, high = _grid_span(fields.original_grids["ct"])
    own = np.array([fields.volumes.span_mm(axis) for axis in (0, 1)])
    return np.maximum(own[:, 0], low[:2]), np.minimum(own[:, 1], high[:2])


def _grid_span(grid: Mapping[str, Any]) -> tuple[Floats, Floats]:
    return _span(np.array(grid["affine"], dtype=np.float64), tuple(grid["shape"]))


def _span(affine: Affine, shape: tuple[int, ...]) -> tuple[Floats, Floats]:
    corners = np.array(np.meshgrid(*[(-0.5, n - 0.5) for n in shape])).reshape(3, -1)
    places = affine[:3, :3] @ corners + affine[:3, 3:]
    return places.min(axis=1), places.max(axis=1)


def _edge_distance(x: Floats, y: Floats, low: Floats, high: Floats) -> Floats:
    """Returns how far places lie within the field in mm, negative outside; (X, Y)."""
    across = np.minimum(x - low[0], high[0] - x)[:, None]
    deep = np.minimum(y - low[1], high[1] - y)[None]
    return np.asarray(np.minimum(across, deep), dtype=np.float64)


def _length_at_rim(anatomy: Anatomy, low: Floats, high: Floats) -> float:
    """Returns the length in mm of slices whose body lies along the rim of the field."""
    dx, dy, dz = anatomy.volumes.spacing_mm
    x, y = anatomy.volumes.centers_mm(0), anatomy.volumes.centers_mm(1)
    distance = _edge_distance(x, y, low, high)
    rim = (distance >= 0) & (distance <= max(_RIM_MM, 1.2 * max(dx, dy)))
    rim[:, y < (low[1] + high[1]) / 2 - (high[1] - low[1]) / 4] = False  # the table lies there
    along = anatomy.body[rim].sum(axis=0) * dx * dy / max(_RIM_MM, 1.2 * max(dx, dy))
    return float((along >= _LEAST_RIM_MM).sum() * dz)


def _uptake_beside(anatomy: Anatomy, fields: ScanFields, low: Floats, high: Floats) -> float | None:
    """Returns the mL of PET beside the CT that take up as much as body does."""
    mean = anatomy.mean_uptake
    if fields.pet_series is None or mean is None:
        return None
    array, affine = fields.pet_series
    off_axis = np.abs(affine[:3, :3] - np.diag(np.diag(affine[:3, :3])))
    if off_axis.max() > 1e-3 * np.abs(affine[:3, :3]).max():  # not slices across the body
        return None
    thin = array[:, :, ::_EVERY]
    x, y = (affine[i, 3] + affine[i, i] * np.arange(thin.shape[i]) for i in (0, 1))
    outside = _edge_distance(x, y, low, high) < 0
    heights = affine[2, 3] + affine[2, 2] * _EVERY * np.arange(thin.shape[2])
    lowest, highest = fields.volumes.span_mm(2)
    within: npt.NDArray[np.bool_] = (heights >= lowest) & (heights <= highest)
    hot = thin[outside][:, within] > _ACTIVE_SHARE * mean
    voxel_ml = float(np.prod(voxel_sizes(affine)) * _EVERY / 1000)
    return float(hot.sum() * voxel_ml)
