"""What can be measured on a prepared exam without any label, to find those that went wrong.

Arrays are (X, Y, Z) with RAS+ axes: X to the patient's right, Y forward, Z up.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, TypeAlias

import nibabel as nib
import numpy as np
import numpy.typing as npt
from nibabel.affines import voxel_sizes
from scipy import ndimage

from petct_ext.arrays import FloatArray
from petct_ext.dicom.volumes.pet_suv import SUV_BW
from petct_ext.errors import InputDataError

__all__ = ["LIVER_NOTE", "ExamVolumes", "body_mask", "find_flags", "measure", "read_volumes"]

Mask: TypeAlias = npt.NDArray[np.bool_]

LIVER_NOTE: Final = (
    "Liver-like SUV is the median SUV of the largest lump of uniform soft tissue (every voxel "
    "within 12 mm between -50 and 180 HU, mean 20 to 150 HU) in the patient's right half, from 30 "
    "mm above to 100 mm below the base of the right lung. Nobody has outlined the liver: it is a "
    "check of the scale of SUV, not a measurement of the liver."
)
_LIVER_SUV = (1.0, 4.0)  # healthy liver has 1.5 to 3
_LIVER_SMALLEST_ML = 30.0
_COARSE_MM = 4.0
_THIN_MM = 6.0  # with larger voxels the wall of the chest is one voxel thin
_MIDLINE_MM = 40.0
_BONE_IN_FRONT_MM = 10.0
_BODY_HU = -300.0
_LUNG_HU = (-960.0, -600.0)  # air between raised arms and the head is not lung
_LUNG_SMALLEST_CM2 = 20.0
_BONE_HU = 200.0
_ACTIVE_SHARE = 0.25  # of the median SUV within the body: what counts as activity
_LEAST_SHARED = 0.8
_SLICES = (70, 310)


@dataclass(frozen=True, slots=True)
class ExamVolumes:
    """One prepared exam.

    Attributes:
        pet: SUVbw in g/mL, or other units.
        ct: HU, same shape.
        spacing_mm: along X, Y and Z.
    """

    pet: FloatArray
    ct: FloatArray
    spacing_mm: tuple[float, float, float]

    def coarse(self) -> ExamVolumes:
        """Returns every so many voxels, about 4 mm apart: enough for what is measured here."""
        steps = [max(1, round(_COARSE_MM / spacing)) for spacing in self.spacing_mm]
        x, y, z = (spacing * step for spacing, step in zip(self.spacing_mm, steps, strict=True))
        chosen = tuple(slice(None, None, step) for step in steps)
        return ExamVolumes(self.pet[chosen], self.ct[chosen], (x, y, z))


def read_volumes(folder: Path) -> ExamVolumes:
    """Reads ``pet.nii`` and ``ct.nii``.

    Raises:
        InputDataError: if one is missing or damaged, or they differ in shape.
    """
    arrays = []
    for name in ("pet.nii", "ct.nii"):
        try:
            image = nib.Nifti1Image.from_filename(folder / name)
            arrays.append(np.asarray(image.dataobj, dtype=np.float32))
        except Exception as error:
            raise InputDataError(
                f"{name} cannot be read ({type(error).__name__}); run scripts/prepare_exams.py "
                "--verify."
            ) from None
    if arrays[0].shape != arrays[1].shape:
        raise InputDataError(f"PET and CT have shapes {arrays[0].shape} and {arrays[1].shape}.")
    x, y, z = map(float, voxel_sizes(image.affine))
    return ExamVolumes(arrays[0], arrays[1], (x, y, z))


def measure(volumes: ExamVolumes, record: Mapping[str, Any]) -> dict[str, Any]:
    """Measures one exam.

    Args:
        volumes: its volumes.
        record: its ``exam.json``.

    Returns:
        ``pet_units``, ``num_slices``; in mm ``slice_mm``, ``pet_pixel_mm``, ``pet_slice_mm``,
        ``ct_pixel_mm`` and ``ct_slice_mm``, of the original series with ``pet_slices`` and
        ``ct_slices``; ``overlap``, the share of the PET's length that the CT covers;
        ``activity_in_body``, the share of the PET's activity within the body that the CT shows;
        ``bone_behind_mm``, how far bone in the midline at the height of the lungs lies behind the
        middle of the body; ``liver_suv`` and ``liver_ml``, see ``LIVER_NOTE``; ``largest_value``.
        None where something cannot be measured, such as lungs that are not in the field of view.
    """
    coarse = volumes.coarse()
    body = body_mask(coarse)
    lungs = _lung_slices(coarse, body)
    liver_suv, liver_ml = _liver_like(coarse, body, lungs)
    is_suv = record["pet_units"] == SUV_BW
    row: dict[str, Any] = {
        "pet_units": record["pet_units"],
        "num_slices": record["num_slices"],
        "slice_mm": record["spacing_mm"][2],
        "overlap": _covered(record["original_grids"]),
        "activity_in_body": _activity_in_body(coarse, body),
        "bone_behind_mm": _bone_behind_mm(coarse, body, lungs),
        "liver_suv": liver_suv if is_suv else None,
        "liver_ml": liver_ml,
        "largest_value": record["largest_value"],
    }
    for name, grid in record["original_grids"].items():
        sizes = voxel_sizes(np.array(grid["affine"]))
        row |= {
            f"{name}_slices": grid["shape"][2],
            f"{name}_slice_mm": float(sizes[2]),
            f"{name}_pixel_mm": float(sizes[0]),
        }
    return row


def find_flags(row: Mapping[str, Any]) -> list[str]:
    """Returns what in the measurements of an exam should be looked at, in words."""
    flags = []
    if row["pet_units"] != SUV_BW:
        flags.append(f"PET is in {row['pet_units']}, not SUV")
    liver = row["liver_suv"]
    if liver is not None and not _LIVER_SUV[0] <= liver <= _LIVER_SUV[1]:
        flags.append(
            f"liver-like SUV {liver:.2f} is outside {_LIVER_SUV[0]:g} to {_LIVER_SUV[1]:g}"
        )
    if row["overlap"] < _LEAST_SHARED:
        flags.append(f"the CT covers {row['overlap']:.0%} of the PET's length")
    inside = row["activity_in_body"]
    if inside is not None and inside < _LEAST_SHARED:
        flags.append(f"{inside:.0%} of the PET's activity lies within the body that the CT shows")
    behind = row["bone_behind_mm"]
    if behind is not None and behind < -_BONE_IN_FRONT_MM:
        flags.append(f"bone lies {-behind:.0f} mm in front of the middle of the trunk: spine?")
    if not _SLICES[0] <= row["num_slices"] <= _SLICES[1]:
        flags.append(
            f"{row['num_slices']} slices; whole-body exams have {_SLICES[0]} to {_SLICES[1]}"
        )
    return flags


def body_mask(volumes: ExamVolumes) -> Mask:
    """Returns the largest connected thing that is no air, filled slice by slice."""
    hu, spacing_mm = volumes.ct, volumes.spacing_mm
    dense = hu > _BODY_HU
    if max(spacing_mm[:2]) < _THIN_MM:  # loosens the table from the back
        dense = ndimage.binary_opening(dense)
    labels, count = ndimage.label(dense)
    if count == 0:
        return np.zeros(hu.shape, dtype=np.bool_)
    largest = labels == 1 + int(np.bincount(labels.ravel())[1:].argmax())
    filled = [ndimage.binary_fill_holes(largest[:, :, z]) for z in range(hu.shape[2])]
    return np.stack(filled, axis=2)


def _middle(mask: Mask, axis: int) -> float:
    """Returns the mean index of the voxels of a mask along an axis."""
    others = tuple(a for a in range(3) if a != axis)
    return float(np.average(np.arange(mask.shape[axis]), weights=mask.sum(axis=others)))


def _lung_slices(volumes: ExamVolumes, body: Mask) -> slice | None:
    """Returns the slices with much lung in the right half of the body, None if there are none."""
    if not body.any():
        return None
    lung = body & (volumes.ct > _LUNG_HU[0]) & (volumes.ct < _LUNG_HU[1])
    right = lung[int(_middle(body, 0)) :].sum(axis=(0, 1))
    area_cm2 = right * volumes.spacing_mm[0] * volumes.spacing_mm[1] / 100
    peak = int(area_cm2.argmax())
    if area_cm2[peak] < _LUNG_SMALLEST_CM2:
        return None
    runs, _ = ndimage.label(area_cm2 >= 0.3 * area_cm2[peak])
    (found,) = ndimage.find_objects((runs == runs[peak]).astype(int))
    return slice(found[0].start, found[0].stop)


def _liver_like(
    volumes: ExamVolumes, body: Mask, lungs: slice | None
) -> tuple[float | None, float]:
    """Returns median SUV and size in mL of the right upper abdomen's largest uniform lump."""
    if lungs is None:
        return None, 0.0
    dz = volumes.spacing_mm[2]
    low, high = max(0, lungs.start - round(100 / dz)), lungs.start + round(30 / dz) + 1
    zone = (slice(int(_middle(body, 0)), None), slice(None), slice(low, high))
    hu, suv = volumes.ct[zone], volumes.pet[zone]
    sizes = [2 * round(12 / spacing) + 1 for spacing in volumes.spacing_mm]
    soft = ndimage.minimum_filter((hu > -50) & (hu < 180), sizes, mode="constant")
    mean = ndimage.uniform_filter(hu, sizes)
    labels, count = ndimage.label(soft & (mean > 20) & (mean < 150))
    if count == 0:
        return None, 0.0
    voxels = np.bincount(labels.ravel())[1:]
    milliliters = float(voxels.max() * np.prod(volumes.spacing_mm) / 1000)
    if milliliters < _LIVER_SMALLEST_ML:
        return None, milliliters
    return float(np.median(suv[labels == 1 + int(voxels.argmax())])), milliliters


def _activity_in_body(volumes: ExamVolumes, body: Mask) -> float | None:
    if not body.any():
        return None
    active = volumes.pet > _ACTIVE_SHARE * float(np.median(volumes.pet[body]))
    total = float(volumes.pet[active].sum(dtype=np.float64))
    near = ndimage.binary_dilation(body)
    return float(volumes.pet[active & near].sum(dtype=np.float64)) / total if total > 0 else None


def _bone_behind_mm(volumes: ExamVolumes, body: Mask, lungs: slice | None) -> float | None:
    if lungs is None or max(volumes.spacing_mm[:2]) > _THIN_MM:  # such voxels mix bone with fat
        return None
    trunk = body[:, :, lungs]
    # arms and ribs say nothing: only the spine and the breastbone lie in the middle
    middle, half = _middle(trunk, 0), max(1, round(_MIDLINE_MM / volumes.spacing_mm[0]))
    x = slice(max(0, int(middle) - half), int(middle) + half + 1)
    bone = trunk[x] & (volumes.ct[x, :, lungs] > _BONE_HU)
    if not bone.any():
        return None
    return (_middle(trunk[x], 1) - _middle(bone, 1)) * volumes.spacing_mm[1]


def _covered(grids: Mapping[str, Any]) -> float:
    """Returns the share of the PET's extent along the body within that of the CT."""
    spans = []
    for name in ("pet", "ct"):
        affine, shape = np.array(grids[name]["affine"]), grids[name]["shape"]
        corners = np.array(np.meshgrid(*[(-0.5, n - 0.5) for n in shape])).reshape(3, -1)
        heights = affine[2, :3] @ corners + affine[2, 3]
        spans.append((float(heights.min()), float(heights.max())))
    (pet_low, pet_high), (ct_low, ct_high) = spans
    return max(0.0, min(pet_high, ct_high) - max(pet_low, ct_low)) / (pet_high - pet_low)
