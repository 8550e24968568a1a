"""One exam on disk to a PET volume in SUVbw and a CT volume in HU on one grid."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np
from nibabel.affines import voxel_sizes

from petct_ext.dicom.pet_units import suv_bw_factor
from petct_ext.dicom.resample import Affine, FloatArray, Grid, common_grid, resample
from petct_ext.dicom.series import SeriesVolume, read_series
from petct_ext.errors import InputDataError
from petct_ext.files import atomic_path, write_json

__all__ = ["GridChoice", "convert_exam", "read_pet_suv"]

_AIR_HU = -1024.0
# Beyond these, values are noise, metal or a wrong unit, such as Bq/mL taken for SUV.
_HU_RANGE = (-1024.0, 3071.0)
_LARGEST_PLAUSIBLE_SUV = 2000.0


@dataclass(frozen=True, slots=True)
class GridChoice:
    """How volumes are sampled; see :func:`petct_ext.dicom.resample.common_grid`.

    Raises:
        InputDataError: if a size is not positive.
    """

    in_plane: int = 224
    field_of_view_mm: float = 500.0
    slice_mm: float | None = None

    def __post_init__(self) -> None:
        slice_mm = 1.0 if self.slice_mm is None else self.slice_mm
        if not min(self.in_plane, self.field_of_view_mm, slice_mm) > 0:
            raise InputDataError(
                f"in-plane size, field of view and slice distance must be positive, got "
                f"{self.in_plane}, {self.field_of_view_mm} mm and {self.slice_mm} mm."
            )


def read_pet_suv(files: Sequence[Path]) -> tuple[SeriesVolume, float]:
    """Reads a PET series in SUVbw.

    Args:
        files: the files of the series, in any order.

    Returns:
        The volume in g/mL and the factor that was applied to the rescaled values.

    Raises:
        InputDataError: see :func:`~petct_ext.dicom.series.read_series` and
            :func:`~petct_ext.dicom.pet_units.suv_bw_factor`.
    """
    volume = read_series(files)
    factor = suv_bw_factor(volume.datasets)
    return SeriesVolume(volume.array * np.float32(factor), volume.affine, volume.datasets), factor


def convert_exam(
    pet_files: Sequence[Path], ct_files: Sequence[Path], folder: Path, *, grid: GridChoice
) -> dict[str, Any]:
    """Writes ``pet.nii``, ``ct.nii`` and, last, ``exam.json`` for one exam.

    The NIfTI files are uncompressed 16-bit integers with a scale factor (SUV is resolved to 1/32767
    of its maximum), so that training can map them into memory. Headers carry no identity.

    Args:
        pet_files: slices of the PET series.
        ct_files: slices of the CT series.
        folder: where to write; ``exam.json`` exists only if all is complete.
        grid: how to sample.

    Returns:
        What ``exam.json`` holds: number of slices, spacing in mm, SUV factor, maximum SUV.

    Raises:
        InputDataError: if the exam cannot be read, or its values are implausible.
        OutputError: if the folder cannot be written to.
    """
    pet, factor = read_pet_suv(pet_files)
    ct = read_series(ct_files)
    target = common_grid(
        (pet.array.shape, pet.affine),
        (ct.array.shape, ct.affine),
        in_plane=grid.in_plane,
        field_of_view_mm=grid.field_of_view_mm,
        slice_mm=grid.slice_mm,
    )
    suv = resample(pet.array, pet.affine, target, outside=0.0)
    hu = resample(np.clip(ct.array, *_HU_RANGE), ct.affine, target, outside=_AIR_HU)
    _require_plausible(suv, hu)
    _write_volume(folder / "pet.nii", np.maximum(suv, 0.0), target, step=float(suv.max()) / 32767)
    _write_volume(folder / "ct.nii", hu, target, step=1.0)
    record = {
        "num_slices": target.shape[2],
        "spacing_mm": [float(s) for s in voxel_sizes(target.affine)],
        "suv_bw_factor": factor,
        "largest_suv": float(suv.max()),
        "grid": [grid.in_plane, grid.field_of_view_mm, grid.slice_mm],
    }
    write_json(folder / "exam.json", record)
    return record


def _require_plausible(suv: FloatArray, hu: FloatArray) -> None:
    for name, volume in (("PET", suv), ("CT", hu)):
        if not np.isfinite(volume).all():
            raise InputDataError(f"the {name} holds values that are not finite.")
        if float(volume.max()) == float(volume.min()):
            raise InputDataError(f"the {name} is constant ({float(volume.max()):g}); it is empty.")
    if float(suv.max()) > _LARGEST_PLAUSIBLE_SUV:
        raise InputDataError(
            f"the largest SUV is {float(suv.max()):.0f}, more than {_LARGEST_PLAUSIBLE_SUV:.0f}; "
            "Units (0054,1001), dose or weight must be wrong."
        )


def _write_volume(path: Path, array: FloatArray, grid: Grid, *, step: float) -> None:
    stored = np.round(array / np.float32(step)).astype(np.int16)
    image = nib.Nifti1Image(stored, _rounded(grid.affine))
    image.header.set_xyzt_units("mm")
    image.header.set_slope_inter(step, 0.0)
    with atomic_path(path) as partial:
        nib.save(image, partial)


def _rounded(affine: Affine) -> Affine:
    return np.round(affine, 5)
