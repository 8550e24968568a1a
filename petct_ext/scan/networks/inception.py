"""Inception blocks in three dimensions, padded like TensorFlow's "SAME" as published weights need.

Shapes are ``(B, C, X, Y, Z)``.
"""

from __future__ import annotations

import math
from typing import Final

import torch
from torch import Tensor, nn
from torch.nn import functional as F

__all__ = [
    "InceptionBlock",
    "SamePool",
    "conv_block",
    "delta_orthogonal",
    "same_padding",
    "window",
]


def conv_block(
    in_channels: int, out_channels: int, *, kernel: int, stride: int = 1, eps: float
) -> nn.Sequential:
    """Convolution, batch norm, ReLU."""
    # With stride 1 and an odd kernel "SAME" is symmetric and needs no copy of the input.
    symmetric = stride == 1
    return nn.Sequential(
        nn.Identity() if symmetric else _SamePad(kernel, stride),
        nn.Conv3d(
            in_channels,
            out_channels,
            kernel,
            stride,
            padding=kernel // 2 if symmetric else 0,
            bias=False,
        ),
        nn.BatchNorm3d(out_channels, eps=eps),
        nn.ReLU(inplace=True),
    )


def window(stage: nn.Module, axis: int) -> tuple[int, int]:
    """Returns kernel and stride of a stage along an axis; Inception blocks are symmetric."""
    if isinstance(stage, SamePool):
        return stage.kernel[axis], stage.stride[axis]
    for layer in stage.children():
        if isinstance(layer, nn.Conv3d) and layer.stride[axis] > 1:
            return layer.kernel_size[axis], layer.stride[axis]
    return 1, 1


class _SamePad(nn.Module):
    """Pads with zeros like TensorFlow's "SAME", exactly, for every input size.

    The output of the following layer has ``ceil(size / stride)`` positions; an odd number of
    zeros puts the extra one at the high end. Published weights were trained with it.
    """

    def __init__(self, kernel: int, stride: int) -> None:
        super().__init__()
        self.kernel = kernel
        self.stride = stride

    def forward(self, x: Tensor) -> Tensor:
        x_low, x_high = same_padding(x.shape[2], self.kernel, self.stride)
        y_low, y_high = same_padding(x.shape[3], self.kernel, self.stride)
        z_low, z_high = same_padding(x.shape[4], self.kernel, self.stride)
        # torch starts with the last axis
        return F.pad(x, [z_low, z_high, y_low, y_high, x_low, x_high])


def same_padding(size: int, kernel: int, stride: int) -> tuple[int, int]:
    """Returns zeros before and behind; kernels are never shorter than their stride here."""
    missing = (size + stride - 1) // stride * stride - size
    total = kernel - stride + missing
    return total // 2, total - total // 2


class SamePool(nn.Module):
    """Max pooling with TensorFlow's "SAME".

    Zeros or minus infinity around the volume are the same here: values follow a ReLU, and every
    window holds one of them.

    The maximum over a box is the maximum over its sides one after another. Without gradients, on a
    CPU, that is 10 times faster than torch's pooling, which takes as long as all convolutions.
    """

    def __init__(self, kernel: tuple[int, int, int], stride: tuple[int, int, int]) -> None:
        super().__init__()
        self.kernel = kernel
        self.stride = stride

    def forward(self, x: Tensor) -> Tensor:
        """Pools a feature map (B, C, X, Y, Z); sides become ``ceil(side / stride)``."""
        if not torch.is_grad_enabled() and not x.is_cuda:
            for axis in range(3):
                if self.kernel[axis] > 1:
                    x = _pool_axis(x, axis + 2, self.kernel[axis], self.stride[axis])
            return x
        low = [
            same_padding(x.shape[2], self.kernel[0], self.stride[0])[0],
            same_padding(x.shape[3], self.kernel[1], self.stride[1])[0],
            same_padding(x.shape[4], self.kernel[2], self.stride[2])[0],
        ]
        # In ceil mode a window may reach over the high end, so the lower padding is enough.
        return F.max_pool3d(x, self.kernel, self.stride, low, ceil_mode=True)


def _pool_axis(x: Tensor, axis: int, kernel: int, stride: int) -> Tensor:
    """Returns the maximum over a window along one axis, padded with zeros as "SAME"."""
    size = x.shape[axis]
    low, high = same_padding(size, kernel, stride)
    padding = [0, 0, 0, 0, 0, 0]  # torch starts with the last axis
    padding[2 * (4 - axis)] = low
    padding[2 * (4 - axis) + 1] = high
    padded = F.pad(x, padding).transpose(2, axis)
    end = (size + stride - 1) // stride * stride
    pooled = torch.maximum(padded[:, :, 0:end:stride], padded[:, :, 1 : 1 + end : stride])
    for start in range(2, kernel):
        shifted = padded[:, :, start : start + end : stride]
        pooled = torch.maximum(pooled, shifted)
    return pooled.transpose(2, axis)


class InceptionBlock(nn.Module):
    """Inception block: four parallel branches, joined along the channels."""

    def __init__(
        self,
        in_channels: int,
        b0: int,
        b1: tuple[int, int],
        b2: tuple[int, int],
        b3: int,
        *,
        eps: float,
    ) -> None:
        super().__init__()
        self.branch_0 = conv_block(in_channels, b0, kernel=1, eps=eps)
        self.branch_1 = nn.Sequential(
            conv_block(in_channels, b1[0], kernel=1, eps=eps), conv_block(*b1, kernel=3, eps=eps)
        )
        self.branch_2 = nn.Sequential(
            conv_block(in_channels, b2[0], kernel=1, eps=eps), conv_block(*b2, kernel=3, eps=eps)
        )
        self.branch_3 = nn.Sequential(
            SamePool((3, 3, 3), (1, 1, 1)), conv_block(in_channels, b3, kernel=1, eps=eps)
        )
        self.out_channels = b0 + b1[1] + b2[1] + b3

    def forward(self, x: Tensor) -> Tensor:
        """Returns (B, out_channels, X, Y, Z)."""
        # Spelled out: TorchScript cannot call modules out of a tuple.
        return torch.cat(
            [self.branch_0(x), self.branch_1(x), self.branch_2(x), self.branch_3(x)], dim=1
        )


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
