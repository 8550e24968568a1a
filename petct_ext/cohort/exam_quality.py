"""What is measured on a prepared exam without any label, to find those that went wrong.

The measuring is done where exams are prepared, and its results stand in ``exam.json``; see
:mod:`petct_ext.dicom.volumes.volume_checks`. Arrays are (X, Y, Z) with RAS+ axes.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np
from nibabel.affines import voxel_sizes

from petct_ext.dicom.volumes.anatomy import LIVER_NOTE, ExamVolumes, body_mask
from petct_ext.dicom.volumes.pet_suv import SUV_BW
from petct_ext.dicom.volumes.volume_checks import check_volumes
from petct_ext.errors import InputDataError

__all__ = ["LIVER_NOTE", "ExamVolumes", "body_mask", "find_flags", "measure", "read_volumes"]

_LIVER_SUV = (1.0, 4.0)  # healthy liver has 1.5 to 3
_BONE_IN_FRONT_MM = 10.0
_LEAST_SHARED = 0.8
_SLICES = (70, 310)


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
    left, back, bottom = map(float, image.affine[:3, 3])
    return ExamVolumes(arrays[0], arrays[1], (x, y, z), (left, back, bottom))


def measure(volumes: ExamVolumes, record: Mapping[str, Any]) -> dict[str, Any]:
    """Measures one exam anew, for records written before there were measurements in them.

    Args:
        volumes: its volumes.
        record: its ``exam.json``.

    Returns:
        ``pet_units``, ``num_slices``, ``slice_mm`` and ``largest_value`` of the record, and what
        :func:`~petct_ext.dicom.volumes.volume_checks.check_volumes` measures: among it, in mm,
        ``pet_pixel_mm``, ``pet_slice_mm``, ``ct_pixel_mm`` and ``ct_slice_mm`` of the original
        series with ``pet_slices`` and ``ct_slices``; ``overlap``, the share of the PET's length
        that the CT covers; ``activity_in_body``, the share of the PET's activity within the body
        that the CT shows; ``bone_behind_mm``, how far bone in the midline at the height of the
        lungs lies behind the middle of the body; ``liver_suv`` and ``liver_ml``, see
        ``LIVER_NOTE``. None, or nothing, where something cannot be measured, such as lungs that
        are not in the field of view.
    """
    found = check_volumes(
        volumes,
        original_grids=record["original_grids"],
        is_suv=record["pet_units"] == SUV_BW,
    )
    nothing = dict.fromkeys(("activity_in_body", "bone_behind_mm", "liver_suv", "liver_ml"))
    return {
        "pet_units": record["pet_units"],
        "num_slices": record["num_slices"],
        "slice_mm": record["spacing_mm"][2],
        "largest_value": record["largest_value"],
        **nothing,
        **found.measurements,
    }


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
