"""The volumes of a prepared exam, read from its folder."""

from __future__ import annotations

from pathlib import Path

import nibabel as nib
import numpy as np
from nibabel.affines import voxel_sizes

from petct_ext.dicom.checking.anatomy import ExamVolumes
from petct_ext.errors import InputDataError

__all__ = ["read_volumes"]


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
