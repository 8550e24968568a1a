"""Resampling in patient space onto the grid that PET and CT share."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from nibabel.affines import voxel_sizes
from scipy import ndimage

from petct_ext.errors import InputDataError

__all__ = ["Grid", "common_grid", "resample"]

FloatArray = npt.NDArray[np.float32]
Affine = npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Grid:
    """A grid in RAS+ patient space.

    Attributes:
        shape: voxels along X, Y and Z.
        affine: (4, 4), voxel center to mm.
    """

    shape: tuple[int, int, int]
    affine: Affine


def common_grid(
    pet: tuple[tuple[int, ...], Affine],
    ct: tuple[tuple[int, ...], Affine],
    *,
    in_plane: int = 224,
    field_of_view_mm: float = 500.0,
    slice_mm: float | None = None,
) -> Grid:
    """Lays the grid on which both volumes are sampled.

    In-plane it covers ``field_of_view_mm`` around the center of the overlap of PET and CT, with
    ``in_plane`` voxels a side; outside a scan there is air. Along the body it has the PET's slice
    positions that lie within the overlap, or slices every ``slice_mm`` from its lower end.

    Args:
        pet: shape and RAS+ affine of the PET.
        ct: shape and RAS+ affine of the CT.
        in_plane: voxels along X and Y.
        field_of_view_mm: side of the square field of view in mm.
        slice_mm: distance of slices in mm; None keeps those of the PET.

    Returns:
        The grid, axes pointing right, anterior and superior.

    Raises:
        InputDataError: if PET and CT do not overlap.
    """
    boxes = [_bounding_box(*volume) for volume in (pet, ct)]
    low, high = np.maximum(boxes[0][0], boxes[1][0]), np.minimum(boxes[0][1], boxes[1][1])
    if (low >= high).any():
        raise InputDataError(
            f"PET and CT do not overlap (PET {_span(boxes[0])}, CT {_span(boxes[1])} mm); they may "
            "belong to different acquisitions."
        )
    step_z = slice_mm if slice_mm is not None else _slice_step(pet[1])
    if slice_mm is None:  # the PET's own positions, as far as they lie in the overlap
        offset = boxes[0][0][2] + step_z / 2
        first = offset + np.ceil((low[2] - offset) / step_z - 1e-6) * step_z
    else:
        first = low[2] + step_z / 2
    num_slices = max(1, int(np.floor((high[2] - first) / step_z + 1e-6)) + 1)
    step = field_of_view_mm / in_plane
    center = (low + high) / 2
    affine = np.diag([step, step, step_z, 1.0])
    affine[:2, 3] = center[:2] - (in_plane - 1) * step / 2
    affine[2, 3] = first
    return Grid((in_plane, in_plane, num_slices), affine)


def resample(array: FloatArray, affine: Affine, grid: Grid, *, outside: float) -> FloatArray:
    """Samples a volume on a grid by trilinear interpolation in patient space.

    Where the grid is coarser than the volume by a factor of two or more, whole blocks of voxels are
    averaged first, so that small hot lesions between the samples are not lost.

    Args:
        array: shape (X, Y, Z).
        affine: its voxel centers in RAS+ mm.
        grid: where to sample.
        outside: value beyond the volume, e.g. -1024 HU for air.

    Returns:
        Array of ``grid.shape``, float32.
    """
    to_voxel = np.linalg.inv(affine) @ grid.affine
    strides = np.sqrt((to_voxel[:3, :3] ** 2).sum(axis=1))  # source voxels per target voxel
    blocks = tuple(max(1, int(stride + 1e-3)) for stride in strides)
    if max(blocks) > 1:
        array, affine = _block_means(array, affine, blocks)
        to_voxel = np.linalg.inv(affine) @ grid.affine
    sampled: FloatArray = ndimage.affine_transform(
        array,
        to_voxel[:3, :3],
        to_voxel[:3, 3],
        output_shape=grid.shape,
        output=np.float32,
        order=1,
        mode="nearest",
    )
    sampled[~_inside(array.shape, to_voxel, grid.shape)] = outside
    return sampled


def _inside(
    shape: tuple[int, ...], to_voxel: Affine, target: tuple[int, int, int]
) -> npt.NDArray[np.bool_]:
    """Marks the target voxels within the source; a voxel reaches half its size from its center."""
    axes = np.ogrid[: target[0], : target[1], : target[2]]
    inside = np.ones(target, dtype=np.bool_)
    for size, row in zip(shape, to_voxel[:3], strict=True):
        place = row[0] * axes[0] + row[1] * axes[1] + row[2] * axes[2] + row[3]
        inside &= (place >= -0.5) & (place <= size - 0.5)
    return inside


def _block_means(
    array: FloatArray, affine: Affine, blocks: tuple[int, ...]
) -> tuple[FloatArray, Affine]:
    kept = [size // block * block for size, block in zip(array.shape, blocks, strict=True)]
    if min(kept) == 0:
        return array, affine
    x, y, z = (k // b for k, b in zip(kept, blocks, strict=True))
    trimmed = array[: kept[0], : kept[1], : kept[2]]
    means = trimmed.reshape(x, blocks[0], y, blocks[1], z, blocks[2]).mean(axis=(1, 3, 5))
    shifted = affine.copy()
    shifted[:3, 3] += affine[:3, :3] @ ((np.array(blocks) - 1) / 2)
    shifted[:3, :3] = affine[:3, :3] * np.array(blocks)
    return means.astype(np.float32), shifted


def _bounding_box(shape: tuple[int, ...], affine: Affine) -> tuple[Affine, Affine]:
    """Returns the corners of the outer faces of the voxels, in mm."""
    corners = np.array(np.meshgrid(*[(-0.5, n - 0.5) for n in shape])).reshape(3, -1)
    world = affine[:3, :3] @ corners + affine[:3, 3:]
    return world.min(axis=1), world.max(axis=1)


def _slice_step(affine: Affine) -> float:
    """Returns the spacing of the axis that runs closest to the body's, in mm."""
    spacing = voxel_sizes(affine)
    return float(spacing[int(np.abs(affine[2, :3] / spacing).argmax())])


def _span(box: tuple[Affine, Affine]) -> str:
    return " x ".join(f"{a:.0f}..{b:.0f}" for a, b in zip(*box, strict=True))
