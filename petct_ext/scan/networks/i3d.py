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
from torch.nn import functional as F
from torch.utils.checkpoint import checkpoint

from petct_ext.bundle.settings import is_on
from petct_ext.errors import InputDataError
from petct_ext.scan.networks.initialization import delta_orthogonal

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


class I3DEncoder(nn.Module):
    """I3D without its classifier: a volume in, a feature map out.

    An :class:`~petct_ext.scan.networks.encoder.Encoder`, the default of the scan model.

    Args:
        in_channels: channels of the volume, 2 for PET and CT.
        width: multiplies all channel counts. 1.0 is the published network; smaller values
            serve tests and laptops.
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
        in_channels: as given.
        out_channels: channels of the feature map, ``1024 * width`` after ``mixed_5c``.
        strides: input voxels per feature position along X, Y and Z; 32, 32, 8 after ``mixed_5c``.

    Raises:
        ValueError: if a number is not positive or there is no such stage.

    With 7 x 7 x 7 kernels of stride 2 and poolings the strides are 32, 32 and 8: 26 x 7 x 7
    positions for 208 slices of 224 x 224. The paper rounds L / 8; the network rounds up.
    Random weights are drawn by :func:`~petct_ext.scan.networks.initialization.delta_orthogonal`;
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
        self.strides = (8, 8, 2)

        def scaled(channels: int) -> int:
            return max(1, round(channels * width))

        eps = batch_norm_eps
        stages: list[tuple[str, nn.Module]] = [
            ("conv_1a", _conv(in_channels, scaled(64), kernel=7, stride=2, eps=eps)),
            ("pool_2a", _SamePool((3, 3, 1), (2, 2, 1))),
            ("conv_2b", _conv(scaled(64), scaled(64), kernel=1, eps=eps)),
            ("conv_2c", _conv(scaled(64), scaled(192), kernel=3, eps=eps)),
            ("pool_3a", _SamePool((3, 3, 1), (2, 2, 1))),
        ]
        channels = scaled(192)
        for name, (b0, b1, b2, b3) in _INCEPTION.items():
            if name in ("mixed_4b", "mixed_5b"):
                self.strides = (self.strides[0] * 2, self.strides[1] * 2, self.strides[2] * 2)
            if name == "mixed_4b":
                stages.append(("pool_4a", _SamePool((3, 3, 3), (2, 2, 2))))
            if name == "mixed_5b":
                stages.append(("pool_5a", _SamePool((2, 2, 2), (2, 2, 2))))
            mixed = _Mixed(
                channels,
                scaled(b0),
                (scaled(b1[0]), scaled(b1[1])),
                (scaled(b2[0]), scaled(b2[1])),
                scaled(b3),
                eps=eps,
            )
            stages.append((name, mixed))
            channels = mixed.out_channels
            if name == last_stage:
                break
        self.out_channels = channels
        self.stages = nn.Sequential()
        for name, stage in stages:
            self.stages.add_module(name, stage)
        self._spans = _spans([name for name, _ in stages])
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
            kernel, stride = _window(stage, axis)
            low = _same_padding(size, kernel, stride)[0]
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


def _conv(
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


def _window(stage: nn.Module, axis: int) -> tuple[int, int]:
    """Returns kernel and stride of a stage along an axis; Inception blocks are symmetric."""
    if isinstance(stage, _SamePool):
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
        x_low, x_high = _same_padding(x.shape[2], self.kernel, self.stride)
        y_low, y_high = _same_padding(x.shape[3], self.kernel, self.stride)
        z_low, z_high = _same_padding(x.shape[4], self.kernel, self.stride)
        # torch starts with the last axis
        return F.pad(x, [z_low, z_high, y_low, y_high, x_low, x_high])


def _same_padding(size: int, kernel: int, stride: int) -> tuple[int, int]:
    """Returns zeros before and behind; kernels are never shorter than their stride here."""
    missing = (size + stride - 1) // stride * stride - size
    total = kernel - stride + missing
    return total // 2, total - total // 2


class _SamePool(nn.Module):
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
        if not torch.is_grad_enabled() and not x.is_cuda:
            for axis in range(3):
                if self.kernel[axis] > 1:
                    x = _pool_axis(x, axis + 2, self.kernel[axis], self.stride[axis])
            return x
        low = [
            _same_padding(x.shape[2], self.kernel[0], self.stride[0])[0],
            _same_padding(x.shape[3], self.kernel[1], self.stride[1])[0],
            _same_padding(x.shape[4], self.kernel[2], self.stride[2])[0],
        ]
        # In ceil mode a window may reach over the high end, so the lower padding is enough.
        return F.max_pool3d(x, self.kernel, self.stride, low, ceil_mode=True)


def _pool_axis(x: Tensor, axis: int, kernel: int, stride: int) -> Tensor:
    """Returns the maximum over a window along one axis, padded with zeros as "SAME"."""
    size = x.shape[axis]
    low, high = _same_padding(size, kernel, stride)
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


class _Mixed(nn.Module):
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
        self.branch_0 = _conv(in_channels, b0, kernel=1, eps=eps)
        self.branch_1 = nn.Sequential(
            _conv(in_channels, b1[0], kernel=1, eps=eps), _conv(*b1, kernel=3, eps=eps)
        )
        self.branch_2 = nn.Sequential(
            _conv(in_channels, b2[0], kernel=1, eps=eps), _conv(*b2, kernel=3, eps=eps)
        )
        self.branch_3 = nn.Sequential(
            _SamePool((3, 3, 3), (1, 1, 1)), _conv(in_channels, b3, kernel=1, eps=eps)
        )
        self.out_channels = b0 + b1[1] + b2[1] + b3

    def forward(self, x: Tensor) -> Tensor:
        # Spelled out: TorchScript cannot call modules out of a tuple.
        return torch.cat(
            [self.branch_0(x), self.branch_1(x), self.branch_2(x), self.branch_3(x)], dim=1
        )
