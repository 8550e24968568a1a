"""Inflated 3D Inception (I3D) as a feature encoder.

Axes follow MONAI after ``Orientationd(axcodes="RAS")``: ``(B, C, X, Y, Z)`` with Z along
the body. I3D was written for video ``(B, C, T, H, W)``; the slice axis Z takes the place
of time. Kernels and strides below are given for ``(X, Y, Z)``, so volumes are never
permuted; a checkpoint in video order is permuted once, when it is loaded.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from functools import partial
from typing import ClassVar

import torch
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

from petct_ext.bundle.settings import is_on
from petct_ext.errors import InputDataError
from petct_ext.scan.networks.inception import (
    InceptionBlock,
    SamePool,
    conv_block,
    delta_orthogonal,
    same_padding,
    window,
)

__all__ = ["I3DEncoder"]

# Channels of the four branches: 1x1x1 | 1x1x1 -> 3x3x3 | 1x1x1 -> 3x3x3 | pool -> 1x1x1.
# Source: Szegedy et al. 2015, Table 1, as used by Carreira & Zisserman 2017, Figure 3.
_INCEPTION = {
    "mixed_3b": (64, (96, 128), (16, 32), 32),
    "mixed_3c": (128, (128, 192), (32, 96), 64),
    "mixed_4b": (192, (96, 208), (16, 48), 64),
    "mixed_4c": (160, (112, 224), (24, 64), 64),
    "mixed_4d": (128, (128, 256), (24, 64), 64),
    "mixed_4e": (112, (144, 288), (32, 64), 64),
    "mixed_4f": (256, (160, 320), (32, 128), 128),
    "mixed_5b": (256, (160, 320), (32, 128), 128),
    "mixed_5c": (384, (192, 384), (48, 128), 128),
}
_POOLS = {"mixed_4b": ("pool_4a", 3), "mixed_5b": ("pool_5a", 2)}
"""Pooling before a block: its name and the sides of its window."""


class I3DEncoder(nn.Module):
    """I3D without its classifier, the default :class:`~petct_ext.scan.networks.encoder.Encoder`.

    Args:
        in_channels: channels of the volume, 2 for PET and CT.
        width: multiplies all channel counts; 1.0 is the published network, less serves laptops.
        last_stage: name of the Inception block to end with (``final_endpoint`` of the original
            code). An earlier one than ``mixed_5c`` gives a shallower network with a finer feature
            map, for small images and small cohorts.
        gradient_checkpointing: keep only what passes from stage to stage during training and
            compute the rest again on the way back: the same gradients and running statistics with
            a fraction of the memory and about a third more time.
        channels_last: store feature maps with the channels last, which tensor cores and pooling
            like; the same results up to rounding.
        batch_norm_eps: added to the variance; 1e-3 as in the original (Sonnet) and both ports.

    Attributes:
        out_channels: channels of the feature map, ``1024 * width`` after ``mixed_5c``.
        strides: input voxels per feature position along X, Y and Z; 32, 32, 8 after ``mixed_5c``.

    Raises:
        ValueError: if a number is not positive or there is no such stage.

    With 7 x 7 x 7 kernels of stride 2 and poolings the strides are 32, 32 and 8: 26 x 7 x 7
    positions for 208 slices of 224 x 224. The paper rounds L / 8; the network rounds up.
    Random weights are those of :func:`~petct_ext.scan.networks.inception.delta_orthogonal`;
    weights of a checkpoint replace them.

    References:
        Carreira & Zisserman. Quo vadis, action recognition? CVPR 2017.
    """

    free_options: ClassVar[tuple[str, ...]] = ("gradient_checkpointing", "channels_last")

    def __init__(
        self,
        in_channels: int = 2,
        *,
        width: float = 1.0,
        last_stage: str = "mixed_5c",
        gradient_checkpointing: bool = False,
        channels_last: bool = False,
        batch_norm_eps: float = 1e-3,
    ) -> None:
        super().__init__()
        _check_options(in_channels, width, batch_norm_eps, last_stage=last_stage)
        self.in_channels = in_channels
        self.width = width
        self.last_stage = last_stage
        self.batch_norm_eps = batch_norm_eps
        self.gradient_checkpointing = is_on(gradient_checkpointing, "gradient_checkpointing")
        self.channels_last = is_on(channels_last, "channels_last")
        self.stages, self.strides, self.out_channels = _stages(
            in_channels, width=width, last_stage=last_stage, eps=batch_norm_eps
        )
        self._spans = _spans([name for name, _ in self.stages.named_children()])
        self.reset_parameters()
        if self.channels_last:
            self.to(memory_format=torch.channels_last_3d)  # type: ignore[call-overload]

    def reset_parameters(self) -> None:
        """Draws all kernels anew, from torch's global generator."""
        for module in self.modules():
            if isinstance(module, nn.Conv3d):
                delta_orthogonal(module.weight)

    def forward(self, image: Tensor) -> Tensor:
        """Encodes a volume.

        Args:
            image: shape ``(B, in_channels, X, Y, Z)``.

        Returns:
            Feature map of shape ``(B, out_channels, X / 32, Y / 32, Z / 8)``, or over other
            :attr:`strides`, each spatial size rounded up; any size from 1 is allowed.

        Raises:
            ValueError: if the volume has another number of axes or channels, or no voxel.
        """
        if image.dim() != 5 or image.shape[1] != self.in_channels:
            raise InputDataError(
                f"the image has shape {list(image.shape)}, expected (B, {self.in_channels}, X, Y, "
                "Z); channel 0 is PET, channel 1 is CT, and in_channels of the network counts them."
            )
        if image.numel() == 0:
            raise InputDataError(
                f"the image has shape {list(image.shape)}, expected at least one exam of one slice "
                "and one voxel per side."
            )
        if self.channels_last:
            image = image.contiguous(memory_format=torch.channels_last_3d)
        if torch.jit.is_scripting():  # type: ignore[attr-defined]
            features: Tensor = self.stages(image)
        elif self.gradient_checkpointing and self.training and torch.is_grad_enabled():
            features = self._forward_checkpointed(image)
        else:
            features = self.stages(image)
        return features

    @torch.jit.unused
    def first_center(self, spatial_size: Sequence[int]) -> tuple[float, float, float]:
        """Returns where in the volume the first position of the feature map looks.

        "SAME" padding puts more zeros at the high end than at the low one, so that the middle of
        what a position sees lies above the middle of its ``stride`` voxels; position ``i`` is
        centered at ``first_center + i * stride``.

        Args:
            spatial_size: X, Y, Z of the volume.

        Returns:
            Voxel indices along X, Y and Z, fractions allowed.
        """
        x, y, z = (self._first_center(int(spatial_size[axis]), axis) for axis in range(3))
        return x, y, z

    def _first_center(self, size: int, axis: int) -> float:
        center, step = 0.0, 1
        for stage in self.stages:
            kernel, stride = window(stage, axis)
            low = same_padding(size, kernel, stride)[0]
            center += step * ((kernel - 1) / 2 - low)
            step *= stride
            size = (size + stride - 1) // stride
        return center

    @torch.jit.unused
    def _forward_checkpointed(self, image: Tensor) -> Tensor:
        for first, last in self._spans:
            if torch.compiler.is_compiling():
                # It cannot follow the contexts, and counts no batch twice without them.
                image = checkpoint(self._run_stages, image, first, last, use_reentrant=False)
            else:
                stages = self.stages[first:last]
                image = checkpoint(
                    stages,
                    image,
                    use_reentrant=False,
                    preserve_rng_state=False,  # nothing is drawn
                    context_fn=partial(_contexts, stages),
                )
        return image

    @torch.jit.unused
    def _run_stages(self, image: Tensor, first: int, last: int) -> Tensor:
        for index in range(first, last):
            image = self.stages[index](image)
        return image


def _stages(
    in_channels: int, *, width: float, last_stage: str, eps: float
) -> tuple[nn.Sequential, tuple[int, int, int], int]:
    """Returns the stages by name, their strides along X, Y and Z, and the channels behind them."""

    def scaled(channels: int) -> int:
        return max(1, round(channels * width))

    stages = nn.Sequential()
    stages.add_module("conv_1a", conv_block(in_channels, scaled(64), kernel=7, stride=2, eps=eps))
    stages.add_module("pool_2a", SamePool((3, 3, 1), (2, 2, 1)))
    stages.add_module("conv_2b", conv_block(scaled(64), scaled(64), kernel=1, eps=eps))
    stages.add_module("conv_2c", conv_block(scaled(64), scaled(192), kernel=3, eps=eps))
    stages.add_module("pool_3a", SamePool((3, 3, 1), (2, 2, 1)))
    strides, channels = (8, 8, 2), scaled(192)
    for name, (b0, b1, b2, b3) in _INCEPTION.items():
        if name in _POOLS:
            pool, side = _POOLS[name]
            stages.add_module(pool, SamePool((side, side, side), (2, 2, 2)))
            strides = (strides[0] * 2, strides[1] * 2, strides[2] * 2)
        block = InceptionBlock(
            channels,
            scaled(b0),
            (scaled(b1[0]), scaled(b1[1])),
            (scaled(b2[0]), scaled(b2[1])),
            scaled(b3),
            eps=eps,
        )
        stages.add_module(name, block)
        channels = block.out_channels
        if name == last_stage:
            break
    return stages, strides, channels


def _spans(names: Sequence[str]) -> list[tuple[int, int]]:
    """Returns first and last (exclusive) stage of what is computed again as a whole.

    The two largest maps are not kept, only what the pooling behind makes of them.
    """
    ends = [i + 1 for i, name in enumerate(names) if name not in ("conv_1a", "conv_2c")]
    return list(zip([0, *ends[:-1]], ends, strict=True))


def _contexts(
    segment: nn.Module,
) -> tuple[AbstractContextManager[None], AbstractContextManager[None]]:
    """Returns what the first and the second computation of a segment run in."""
    return nullcontext(), _without_statistics(segment)


@contextmanager
def _without_statistics(segment: nn.Module) -> Iterator[None]:
    """Keeps batch norms from counting a batch twice when it is computed again."""
    norms = [m for m in segment.modules() if isinstance(m, nn.modules.batchnorm._BatchNorm)]
    before = [(norm, norm.momentum, norm.num_batches_tracked) for norm in norms]
    for norm in norms:
        norm.momentum = 0.0
        if norm.num_batches_tracked is not None:
            norm.num_batches_tracked = norm.num_batches_tracked.clone()
    try:
        yield
    finally:
        for norm, momentum, count in before:
            norm.momentum, norm.num_batches_tracked = momentum, count


def _check_options(in_channels: int, width: float, eps: float, *, last_stage: str) -> None:
    if in_channels < 1 or not width > 0 or not eps > 0:
        raise InputDataError(
            "in_channels, width and batch_norm_eps must be positive, "
            f"got {in_channels}, {width} and {eps}."
        )
    if last_stage not in _INCEPTION:
        raise InputDataError(f"last_stage is {last_stage!r}; stages are {', '.join(_INCEPTION)}.")
