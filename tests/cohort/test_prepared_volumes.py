"""Volumes of a prepared exam are read from its folder."""

from __future__ import annotations

from pathlib import Path

import nibabel as nib
import numpy as np
import pytest

from petct_ext.cohort.prepared_volumes import read_volumes
from petct_ext.errors import InputDataError


def test_volumes_of_different_shape_are_refused(tmp_path: Path) -> None:
    for name, size in (("pet.nii", 3), ("ct.nii", 4)):
        nib.save(nib.Nifti1Image(np.zeros((size, 3, 3), np.int16), np.eye(4)), tmp_path / name)
    with pytest.raises(InputDataError, match=r"shapes \(3, 3, 3\) and \(4, 3, 3\)"):
        read_volumes(tmp_path)
