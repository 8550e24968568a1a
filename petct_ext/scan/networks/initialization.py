"""Where convolutions start when there are no trained weights."""

from __future__ import annotations

import math
from typing import Final

import torch
from torch import Tensor, nn

__all__ = ["delta_orthogonal"]

_LARGEST_CENTERED_KERNEL: Final = 3


def delta_orthogonal(kernel: Tensor) -> None:
    """Fills a convolution kernel so that a deep network keeps small things where they are.

    Channels are mixed by a random orthogonal matrix with gain sqrt(2). In space the kernel looks at
    its center only, or, where it skips voxels (the 7 x 7 x 7 stem), at a Gaussian of one voxel
    and its difference to a wider one; a little noise tells the taps apart. With independent random
    taps instead, a lesion of a few voxels fades from layer to layer, and a training without
    Kinetics weights learns less in the same steps; benchmarks/initialization.py measures it.

    Args:
        kernel: shape (out, in, k, k, k), filled in place.

    References:
        Xiao et al. Dynamical isometry and a mean field theory of CNNs. ICML 2018.
    """
    size = kernel.shape[2]
    with torch.no_grad():
        mixing = nn.init.orthogonal_(torch.empty(kernel.shape[:2]), gain=math.sqrt(2.0))
        center = torch.zeros(size, size, size)
        center[size // 2, size // 2, size // 2] = 1.0
        if size <= _LARGEST_CENTERED_KERNEL:
            noise = 0.02 * mixing.std() if size > 1 else torch.tensor(0.0)
            kernel.copy_(mixing[..., None, None, None] * center)
            kernel.add_(torch.randn_like(kernel) * noise)
            return
        narrow, wide = _gaussian(size, 1.0), _gaussian(size, 2.5)
        edges = 0.5 * torch.randn(kernel.shape[:2])
        kernel.copy_(mixing[..., None, None, None] * narrow)
        kernel.add_(edges[..., None, None, None] * (narrow - wide))


def _gaussian(size: int, sigma: float) -> Tensor:
    """Returns a Gaussian of the given width in voxels on a cube, with sum 1."""
    axis = torch.exp(-0.5 * ((torch.arange(size) - size // 2) / sigma) ** 2)
    cube = axis[:, None, None] * axis[None, :, None] * axis[None, None, :]
    return cube / cube.sum()
