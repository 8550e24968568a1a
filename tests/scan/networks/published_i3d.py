"""The published I3D once more, plainly, in the axes of video, with weights by their public names.

Written from the papers and the three public codes (hassony2 src/i3dpt.py, piergiaj pytorch_i3d.py,
DeepMind i3d.py) as a second opinion: it shares no line with petct_ext.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional as F

Arrays = dict[str, NDArray[np.float32]]

# name, input channels, output channels, kernel; the sizes of the paper's Figure 3.
MIXED = {
    "3b": (192, (64, 96, 128, 16, 32, 32)),
    "3c": (256, (128, 128, 192, 32, 96, 64)),
    "4b": (480, (192, 96, 208, 16, 48, 64)),
    "4c": (512, (160, 112, 224, 24, 64, 64)),
    "4d": (512, (128, 128, 256, 24, 64, 64)),
    "4e": (512, (112, 144, 288, 32, 64, 64)),
    "4f": (528, (256, 160, 320, 32, 128, 128)),
    "5b": (832, (256, 160, 320, 32, 128, 128)),
    "5c": (832, (384, 192, 384, 48, 128, 128)),
}


def units(in_channels: int) -> list[tuple[str, int, int, int]]:
    """Returns DeepMind's name, channels in and out, and kernel size of all 57 convolutions."""
    table = [
        ("Conv3d_1a_7x7", in_channels, 64, 7),
        ("Conv3d_2b_1x1", 64, 64, 1),
        ("Conv3d_2c_3x3", 64, 192, 3),
    ]
    for block, (size, (b0, b1a, b1b, b2a, b2b, b3)) in MIXED.items():
        # Their typing error in one of nine blocks is part of the format.
        last = "Conv3d_0a_3x3" if block == "5b" else "Conv3d_0b_3x3"
        table += [
            (f"Mixed_{block}/Branch_0/Conv3d_0a_1x1", size, b0, 1),
            (f"Mixed_{block}/Branch_1/Conv3d_0a_1x1", size, b1a, 1),
            (f"Mixed_{block}/Branch_1/Conv3d_0b_3x3", b1a, b1b, 3),
            (f"Mixed_{block}/Branch_2/Conv3d_0a_1x1", size, b2a, 1),
            (f"Mixed_{block}/Branch_2/{last}", b2a, b2b, 3),
            (f"Mixed_{block}/Branch_3/Conv3d_0b_1x1", size, b3, 1),
        ]
    return table


def deepmind(rng: np.random.Generator, in_channels: int = 2) -> Arrays:
    """Returns random variables as the TensorFlow checkpoint names and shapes them."""
    arrays: Arrays = {}
    for name, channels_in, channels_out, size in units(in_channels):
        fan = channels_in * size**3
        shape = (size, size, size, channels_in, channels_out)
        bound = (6.0 / fan) ** 0.5
        arrays[f"{name}/conv_3d/w"] = rng.uniform(-bound, bound, shape).astype(np.float32)
        statistics = (1, 1, 1, 1, channels_out)
        for item, low, high in (
            ("beta", -0.2, 0.2),
            ("moving_mean", -0.2, 0.2),
            ("moving_variance", 0.5, 1.5),
        ):
            values = rng.uniform(low, high, statistics).astype(np.float32)
            arrays[f"{name}/batch_norm/{item}"] = values
    arrays["Logits/Conv3d_0c_1x1/conv_3d/w"] = np.zeros((1, 1, 1, 1024, 400), np.float32)
    arrays["Logits/Conv3d_0c_1x1/conv_3d/b"] = np.zeros(400, np.float32)
    return {f"Flow/inception_i3d/{name}": values for name, values in arrays.items()}


def _ported(
    arrays: Arrays, rename: Callable[[str], str], *, norm: str, classifier: str
) -> dict[str, Tensor]:
    """Returns the variables as a PyTorch port stores them."""
    state: dict[str, Tensor] = {}
    plain = {name.removeprefix("Flow/inception_i3d/"): v for name, v in arrays.items()}
    for name, *_ in units(2):
        unit = rename(name)
        kernel = torch.from_numpy(plain[f"{name}/conv_3d/w"])
        state[f"{unit}.conv3d.weight"] = kernel.permute(4, 3, 0, 1, 2)  # out, in, T, H, W
        for ours, theirs in (
            ("bias", "beta"),
            ("running_mean", "moving_mean"),
            ("running_var", "moving_variance"),
        ):
            values = torch.from_numpy(plain[f"{name}/batch_norm/{theirs}"]).reshape(-1)
            state[f"{unit}.{norm}.{ours}"] = values
        state[f"{unit}.{norm}.weight"] = torch.ones(kernel.shape[-1])
    state[f"{classifier}.conv3d.weight"] = torch.zeros(400, 1024, 1, 1, 1)
    state[f"{classifier}.conv3d.bias"] = torch.zeros(400)
    return state


def hassony2(arrays: Arrays) -> dict[str, Tensor]:
    """Returns the variables under the names of ``model_flow.pth``."""

    def rename(name: str) -> str:
        stage, _, rest = name.partition("/")
        branch, _, layer = rest.partition("/")
        place = {"Branch_1": {"0a_1x1": ".0", "0b_3x3": ".1"}, "Branch_3": {"0b_1x1": ".1"}}
        place["Branch_2"] = {"0a_1x1": ".0", "0b_3x3": ".1", "0a_3x3": ".1"}
        stage = stage.replace("Conv3d", "conv3d").replace("Mixed", "mixed")
        if not rest:
            return stage
        inner = place.get(branch, {}).get(layer.removeprefix("Conv3d_"), "")
        return f"{stage}.{branch.lower()}{inner}"

    return _ported(arrays, rename, norm="batch3d", classifier="conv3d_0c_1x1")


def piergiaj(arrays: Arrays) -> dict[str, Tensor]:
    """Returns the variables under the names of ``flow_imagenet.pt``."""

    def rename(name: str) -> str:
        stage, _, rest = name.partition("/")
        if not rest:
            return stage
        short = {
            "Branch_0/Conv3d_0a_1x1": "b0",
            "Branch_1/Conv3d_0a_1x1": "b1a",
            "Branch_1/Conv3d_0b_3x3": "b1b",
            "Branch_2/Conv3d_0a_1x1": "b2a",
            "Branch_2/Conv3d_0b_3x3": "b2b",
            "Branch_2/Conv3d_0a_3x3": "b2b",
            "Branch_3/Conv3d_0b_1x1": "b3b",
        }
        return f"{stage}.{short[rest]}"

    return _ported(arrays, rename, norm="bn", classifier="logits")


def published_forward(state: Mapping[str, Tensor], video: Tensor) -> Tensor:
    """Runs the published network up to Mixed_5c.

    Args:
        state: weights under piergiaj's names.
        video: shape (B, C, T, H, W).

    Returns:
        Feature map (B, 1024, T / 8, H / 32, W / 32), each size rounded up.
    """

    def same(x: Tensor, kernel: tuple[int, ...], stride: tuple[int, ...]) -> Tensor:
        padding: list[int] = []
        for size, k, s in reversed(list(zip(x.shape[2:], kernel, stride, strict=True))):
            total = max(k - s, 0) if size % s == 0 else max(k - size % s, 0)
            padding += [total // 2, total - total // 2]
        return F.pad(x, padding)

    def conv(x: Tensor, name: str, stride: int = 1) -> Tensor:
        weight = state[f"{name}.conv3d.weight"]
        x = same(x, tuple(weight.shape[2:]), (stride,) * 3)
        x = F.conv3d(x, weight, stride=stride)
        mean, var = state[f"{name}.bn.running_mean"], state[f"{name}.bn.running_var"]
        x = (x - mean[:, None, None, None]) / torch.sqrt(var[:, None, None, None] + 1e-3)
        return torch.relu(x + state[f"{name}.bn.bias"][:, None, None, None])

    def pool(x: Tensor, kernel: tuple[int, int, int], stride: tuple[int, int, int]) -> Tensor:
        return F.max_pool3d(same(x, kernel, stride), kernel, stride)

    x = pool(conv(video, "Conv3d_1a_7x7", stride=2), (1, 3, 3), (1, 2, 2))
    x = conv(conv(x, "Conv3d_2b_1x1"), "Conv3d_2c_3x3")
    x = pool(x, (1, 3, 3), (1, 2, 2))
    for block in MIXED:
        name = f"Mixed_{block}"
        if block == "4b":
            x = pool(x, (3, 3, 3), (2, 2, 2))
        if block == "5b":
            x = pool(x, (2, 2, 2), (2, 2, 2))
        x = torch.cat(
            [
                conv(x, f"{name}.b0"),
                conv(conv(x, f"{name}.b1a"), f"{name}.b1b"),
                conv(conv(x, f"{name}.b2a"), f"{name}.b2b"),
                conv(pool(x, (3, 3, 3), (1, 1, 1)), f"{name}.b3b"),
            ],
            dim=1,
        )
    return x
