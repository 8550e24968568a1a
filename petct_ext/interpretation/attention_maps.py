"""Attention weights on the encoder's grid to maps on the grid of the volume.

A map shows where the pooled features came from. It is neither a segmentation nor proof that the
network used what a reader sees there.
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F

__all__ = ["attention_map"]


def attention_map(
    weights: Tensor, spatial_size: tuple[int, int, int], *, strides: tuple[int, int, int]
) -> Tensor:
    """Brings attention weights to the grid of the input volume.

    Position ``i`` of the encoder stands for the ``stride`` voxels from ``i * stride``; between the
    centers of positions the map is interpolated linearly.

    Args:
        weights: shape (R, H, X', Y', Z'), summing to one over the positions of each head.
        spatial_size: X, Y, Z of the volume.
        strides: voxels per position, :attr:`petct_ext.networks.I3DEncoder.strides`.

    Returns:
        Maps of shape (R, X, Y, Z), the mean over heads, scaled so that the largest value of each
        map is 1.

    Raises:
        ValueError: if the volume is larger than the grid can cover.
    """
    grid = weights.shape[2:]
    covered = [g * s for g, s in zip(grid, strides, strict=True)]
    if any(size > cover for size, cover in zip(spatial_size, covered, strict=True)):
        raise ValueError(
            f"a grid of {tuple(grid)} with strides {strides} covers no {spatial_size}."
        )
    fine = F.interpolate(
        weights.float().mean(dim=1)[None], size=covered, mode="trilinear", align_corners=False
    )[0]
    x, y, z = spatial_size
    cropped = fine[:, :x, :y, :z]
    peak = cropped.flatten(1).amax(dim=1).clamp_min(torch.finfo(cropped.dtype).tiny)
    return cropped / peak[:, None, None, None]
