"""Attention and evidence on the encoder's grid to maps on the grid of the volume.

An attention map shows where the pooled features came from, an evidence map what they added to the
logit. Neither is a segmentation or proof that the network used what a reader sees there.
"""

from __future__ import annotations

import torch
from torch import Tensor

__all__ = ["attention_map", "evidence_map"]


Center = tuple[float, float, float]


def attention_map(
    weights: Tensor,
    spatial_size: tuple[int, int, int],
    *,
    strides: tuple[int, int, int],
    first_center: Center | None = None,
) -> Tensor:
    """Brings attention weights to the grid of the input volume.

    Position ``i`` of the encoder is centered at voxel ``first_center + i * stride``; between the
    centers of positions the map is interpolated linearly, beyond the outer ones it stays the same.

    Args:
        weights: shape (R, H, X', Y', Z'), summing to one over the positions of each head.
        spatial_size: X, Y, Z of the volume.
        strides: voxels per position, :attr:`petct_ext.scan.networks.i3d.I3DEncoder.strides`.
        first_center: voxel index of the first position along each axis,
            :meth:`petct_ext.scan.networks.region_classifier.RegionClassifier.first_center`; None is
            the middle of the first ``stride`` voxels.

    Returns:
        Maps of shape (R, X, Y, Z), the mean over heads, scaled so that the largest value of each
        map is 1.

    Raises:
        ValueError: if the volume is larger than the grid can cover.
    """
    cropped = _on_volume(weights.float().mean(dim=1), spatial_size, strides, first_center)
    peak = cropped.flatten(1).amax(dim=1).clamp_min(torch.finfo(cropped.dtype).tiny)
    return cropped / peak[:, None, None, None]


def evidence_map(
    contributions: Tensor,
    spatial_size: tuple[int, int, int],
    *,
    strides: tuple[int, int, int],
    first_center: Center | None = None,
) -> Tensor:
    """Brings the contributions of positions to the logit to the grid of the input volume.

    Args:
        contributions: shape (R, X', Y', Z'), in units of the logit;
            :meth:`petct_ext.scan.networks.region_classifier.RegionClassifier.contributions`.
        spatial_size: X, Y, Z of the volume.
        strides: as in :func:`attention_map`.
        first_center: as in :func:`attention_map`.

    Returns:
        Maps of shape (R, X, Y, Z), what the position at a voxel adds to the logit.

    Raises:
        ValueError: if the volume is larger than the grid can cover.
    """
    return _on_volume(contributions.float(), spatial_size, strides, first_center)


def _on_volume(
    maps: Tensor,
    spatial_size: tuple[int, int, int],
    strides: tuple[int, int, int],
    first_center: Center | None,
) -> Tensor:
    grid = maps.shape[1:]
    covered = [g * s for g, s in zip(grid, strides, strict=True)]
    if any(size > cover for size, cover in zip(spatial_size, covered, strict=True)):
        raise ValueError(
            f"a grid of {tuple(grid)} with strides {strides} covers no {spatial_size}."
        )
    for axis in range(3):
        stride = strides[axis]
        first = (stride - 1) / 2 if first_center is None else first_center[axis]
        at = (torch.arange(spatial_size[axis], device=maps.device) - first) / stride
        maps = _interpolate(maps, at.clamp(0, grid[axis] - 1), axis + 1)
    return maps


def _interpolate(maps: Tensor, at: Tensor, axis: int) -> Tensor:
    """Returns values at fractional indices along an axis, between neighbors linearly."""
    low = at.floor().long()
    high = (low + 1).clamp(max=maps.shape[axis] - 1)
    shape = [1] * maps.dim()
    shape[axis] = -1
    share = (at - low).to(maps.dtype).view(shape)
    return maps.index_select(axis, low) * (1 - share) + maps.index_select(axis, high) * share
