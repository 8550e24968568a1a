"""Prepared volumes, read as they are stored and brought to SUV and HU where the network runs.

``scripts/prepare_exams.py`` writes 16-bit integers with a slope. Workers hand them on unchanged:
half the bytes in memory, in the cache and on the way to the GPU, and no arithmetic on the CPU.
:class:`ToPhysicalUnitsd` follows on the device. Shapes: X, Y, Z voxels, axes to the right, anterior
and superior.
"""

from __future__ import annotations

import logging
from collections.abc import Hashable, Mapping
from pathlib import Path
from typing import Any, Final

import nibabel as nib
import numpy as np
import torch
from monai.config import KeysCollection
from monai.transforms import MapTransform
from nibabel.affines import apply_affine, voxel_sizes
from nibabel.orientations import apply_orientation, inv_ornt_aff, io_orientation
from numpy.typing import NDArray
from torch import Tensor

from petct_ext.dicom.volumes.nifti import nifti_grid, unpacked_nifti
from petct_ext.dicom.volumes.resampling import Grid
from petct_ext.errors import InputDataError
from petct_ext.keys import CT, EXAM_ID, PET

__all__ = ["SCALE", "LoadPreparedd", "ToPhysicalUnitsd", "count_slices"]

_LOGGER = logging.getLogger(__name__)

SCALE: Final = "_scale"
"""Behind the key of a volume: its slope and intercept, ``value = slope * stored + intercept``."""

# A header rounds an affine to float32, which is below a thousandth of a voxel over an exam.
_LARGEST_SHIFT_VOXELS = 0.01
_LARGEST_CHANGE_OF_SLICES = 0.05
_UPRIGHT = np.array([[0.0, 1.0], [1.0, 1.0], [2.0, 1.0]])


class LoadPreparedd(MapTransform):
    """Reads volumes without converting them.

    Files as prepared (uncompressed, 16-bit, RAS) cost one copy out of the page cache. Any other
    NIfTI file works too, slower: axes are turned to RAS, and values that do not fit 16-bit integers
    become float32.

    Args:
        keys: of the paths; all volumes of an exam must be on one grid.
        min_slices: exams with fewer slices are refused.
        in_plane: voxels of either side of a slice that the network was made for; others are
            refused. None takes any.
        slice_mm: distance of slices of the training; the first exam with another one is told in
            the log, since probabilities then mean little. None is not known.

    Example:
        >>> import tempfile
        >>> path = Path(tempfile.mkdtemp()) / "pet.nii"
        >>> nib.save(nib.Nifti1Image(np.ones((4, 4, 9), np.int16), np.eye(4)), path)
        >>> item = LoadPreparedd("pet")({"exam_id": "E1", "pet": str(path)})
        >>> tuple(item["pet"].shape), item["pet"].dtype, item["pet_scale"]
        ((1, 4, 4, 9), torch.int16, (1.0, 0.0))
    """

    def __init__(
        self,
        keys: KeysCollection = (PET, CT),
        *,
        min_slices: int = 1,
        in_plane: int | None = None,
        slice_mm: float | None = None,
    ) -> None:
        super().__init__(keys)
        self.min_slices = min_slices
        self.in_plane = in_plane
        self.slice_mm = slice_mm
        self._has_told = False

    def __call__(self, data: Mapping[Hashable, Any]) -> dict[Hashable, Any]:
        """Replaces each path by a tensor (1, X, Y, Z) and adds ``<key>_scale``.

        Args:
            data: paths under the keys; ``exam_id`` names the exam in errors.

        Returns:
            The item: int16 tensors with slope and intercept, or float32 with (1, 0).

        Raises:
            InputDataError: if a file is missing, damaged, cut off or no volume, holds values that
                are not finite, has too few slices or another size in-plane, or the volumes of the
                exam differ in shape or place.
        """
        item = dict(data)
        grids = []
        try:
            for key in self.key_iterator(item):
                item[key], item[f"{key}{SCALE}"], grid = _read(Path(item[key]))
                grids.append(grid)
            self._check(grids)
        except InputDataError as error:
            raise InputDataError(f"exam {data.get(EXAM_ID, 'without id')}: {error}") from None
        self._tell_of_other_slices(str(data.get(EXAM_ID, "without id")), grids)
        return item

    def _tell_of_other_slices(self, exam_id: str, grids: list[Grid]) -> None:
        if self.slice_mm is None or self._has_told or not grids:
            return
        found = float(voxel_sizes(grids[0].affine)[2])
        if abs(found - self.slice_mm) > _LARGEST_CHANGE_OF_SLICES * self.slice_mm:
            self._has_told = True
            _LOGGER.warning(
                "exam %s has slices %.4g mm apart, but the network is one for %.4g mm: what it "
                "says of such exams means little; prepare them with --slice-mm %.4g",
                *(exam_id, found, self.slice_mm, self.slice_mm),
            )

    def _check(self, grids: list[Grid]) -> None:
        shapes = [grid.shape for grid in grids]
        if len(set(shapes)) > 1:
            raise InputDataError(
                f"its volumes {', '.join(map(str, self.keys))} have shapes "
                f"{', '.join(map(str, shapes))}, but one grid is needed; run "
                "scripts/prepare_exams.py."
            )
        if shapes and shapes[0][2] < self.min_slices:
            raise InputDataError(
                f"it has {shapes[0][2]} slices; at least {self.min_slices} are needed (min_slices "
                "of the configuration). Leave the exam out."
            )
        if shapes and self.in_plane and set(shapes[0][:2]) != {self.in_plane}:
            raise InputDataError(
                f"it has {shapes[0][0]} x {shapes[0][1]} voxels in-plane, but the configuration "
                f"expects {self.in_plane} x {self.in_plane} (in_plane): run "
                f"scripts/prepare_exams.py --in-plane {self.in_plane}, train with in_plane as in "
                "your volumes (demo.json: 48), or predict with weights trained on that size."
            )
        for key, grid in zip(self.keys[1:], grids[1:], strict=False):
            if (shift := _shift(grids[0], grid)) > _LARGEST_SHIFT_VOXELS:
                raise InputDataError(
                    f"its volumes {self.keys[0]} ({_place(grids[0])}) and {key} ({_place(grid)}) "
                    f"lie up to {shift:.3g} voxels apart, but one grid is needed; run "
                    "scripts/prepare_exams.py."
                )


class ToPhysicalUnitsd(MapTransform):
    """Applies slope and intercept: SUVbw in g/mL and HU, float32, on the tensor's device.

    Args:
        keys: of volumes that :class:`LoadPreparedd` has read.
    """

    def __call__(self, data: Mapping[Hashable, Any]) -> dict[Hashable, Any]:
        """Returns the item with float32 tensors and without their scales."""
        item = dict(data)
        for key in self.key_iterator(item):
            slope, intercept = item.pop(f"{key}{SCALE}")
            # The stored values may be the cache's, hence the copy.
            values = item[key].to(torch.float32, copy=True)
            item[key] = values.mul_(slope).add_(intercept)
        return item


def count_slices(path: str | Path) -> int:
    """Returns how many slices a volume has along the body, from its header alone.

    Raises:
        InputDataError: as :func:`petct_ext.dicom.volumes.nifti.nifti_grid`.
    """
    grid = nifti_grid(path)
    return grid.shape[int(np.flatnonzero(io_orientation(grid.affine)[:, 0] == 2)[0])]


def _shift(one: Grid, other: Grid) -> float:
    """Returns how far apart two grids of one shape put a voxel at most, in voxels."""
    corners = np.array(np.meshgrid(*[(0, n - 1) for n in one.shape])).reshape(3, -1).T
    moved = apply_affine(np.linalg.inv(one.affine) @ other.affine, corners)
    return float(np.linalg.norm(moved - corners, axis=1).max())


def _place(grid: Grid) -> str:
    spacing = " x ".join(f"{mm:.5g}" for mm in voxel_sizes(grid.affine))
    origin = ", ".join(f"{mm:.6g}" for mm in grid.affine[:3, 3])
    return f"voxels of {spacing} mm from ({origin}) mm"


def _read(path: Path) -> tuple[Tensor, tuple[float, float], Grid]:
    """Returns a volume (1, X, Y, Z), axes to RAS, its slope and intercept, and its place."""
    grid = nifti_grid(path)  # says what is wrong with a header
    image = unpacked_nifti(path) if path.suffix == ".gz" else nib.load(path)
    try:
        stored, scale = _values(image, path)
    except (OSError, ValueError, EOFError) as error:
        raise InputDataError(
            f"{path.name} is shorter than its header says ({str(error)[:80]}); it is cut off. "
            "Copy it again or run scripts/prepare_exams.py."
        ) from None
    if stored.dtype.kind == "f" and (broken := int((~np.isfinite(stored)).sum())):
        raise InputDataError(
            f"{path.name} holds {broken} values that are not finite; mend the volume or leave the "
            "exam out."
        )
    stored = stored.reshape(grid.shape, order="F")
    orientation = io_orientation(grid.affine)
    if not np.array_equal(orientation, _UPRIGHT):
        stored = np.asfortranarray(apply_orientation(stored, orientation))
        affine = grid.affine @ inv_ornt_aff(orientation, grid.shape)
        grid = Grid((stored.shape[0], stored.shape[1], stored.shape[2]), affine)
    return torch.from_numpy(stored)[None], scale, grid


def _values(image: Any, path: Path) -> tuple[NDArray[Any], tuple[float, float]]:
    proxy, kind = image.dataobj, image.get_data_dtype()
    is_packed = path.suffix == ".gz"
    if kind == np.dtype("<i2") and not is_packed:
        stored = np.empty(int(np.prod(image.shape)), dtype=kind)
        with path.open("rb") as file:
            file.seek(proxy.offset)
            # Twice as fast as copying out of a map, and other threads go on meanwhile.
            if (got := file.readinto(stored.data)) < stored.nbytes:
                raise ValueError(f"{got} of {stored.nbytes} bytes")
        return stored, (float(proxy.slope), float(proxy.inter))
    if kind.kind in "iu" and np.can_cast(kind, np.int16):
        return proxy.get_unscaled().astype(np.int16), (float(proxy.slope), float(proxy.inter))
    # A copy, since the pages of a map would be read as late as on the way to the device.
    return np.array(np.asarray(proxy, dtype=np.float32), order="F"), (1.0, 0.0)
