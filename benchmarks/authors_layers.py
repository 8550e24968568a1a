# ruff: noqa: D101, D102
"""The authors' layers rebuilt plainly, as the baseline of network_speed.py and attention.py.

I3D as ported by hassony2 (zeros copied around every input, torch's pooling, every step on its own)
and one attention module per region that projects every position to keys and values.
"""

import torch
from torch import Tensor, nn
from torch.nn import functional as F

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


def same(x: Tensor, kernel: tuple[int, ...], stride: tuple[int, ...]) -> Tensor:
    padding: list[int] = []
    for size, k, s in reversed(list(zip(x.shape[2:], kernel, stride, strict=True))):
        total = max(k - s, 0) if size % s == 0 else max(k - size % s, 0)
        padding += [total // 2, total - total // 2]
    return F.pad(x, padding)


class Unit(nn.Module):
    def __init__(self, channels_in: int, channels_out: int, kernel: int, stride: int = 1) -> None:
        super().__init__()
        self.kernel, self.stride = (kernel,) * 3, (stride,) * 3
        self.conv3d = nn.Conv3d(channels_in, channels_out, kernel, stride, bias=False)
        self.batch3d = nn.BatchNorm3d(channels_out, eps=1e-3)

    def forward(self, x: Tensor) -> Tensor:
        return F.relu(self.batch3d(self.conv3d(same(x, self.kernel, self.stride))))


class Pool(nn.Module):
    def __init__(self, kernel: tuple[int, int, int], stride: tuple[int, int, int]) -> None:
        super().__init__()
        self.kernel, self.stride = kernel, stride

    def forward(self, x: Tensor) -> Tensor:
        return F.max_pool3d(same(x, self.kernel, self.stride), self.kernel, self.stride)


class Mixed(nn.Module):
    def __init__(self, size: int, channels: tuple[int, ...]) -> None:
        super().__init__()
        b0, b1a, b1b, b2a, b2b, b3 = channels
        self.b0 = Unit(size, b0, 1)
        self.b1 = nn.Sequential(Unit(size, b1a, 1), Unit(b1a, b1b, 3))
        self.b2 = nn.Sequential(Unit(size, b2a, 1), Unit(b2a, b2b, 3))
        self.b3 = nn.Sequential(Pool((3, 3, 3), (1, 1, 1)), Unit(size, b3, 1))

    def forward(self, x: Tensor) -> Tensor:
        return torch.cat([self.b0(x), self.b1(x), self.b2(x), self.b3(x)], dim=1)


class RegionAttention(nn.Module):
    """One region: keys and values of every position, 8 heads, a linear classifier."""

    def __init__(self, channels: int = 1024, heads: int = 8) -> None:
        super().__init__()
        self.heads = heads
        self.query = nn.Parameter(torch.randn(channels))
        self.project_query = nn.Linear(channels, channels)
        self.project_key = nn.Linear(channels, channels)
        self.project_value = nn.Linear(channels, channels)
        self.project_out = nn.Linear(channels, channels)
        self.classify = nn.Linear(channels, 1)

    def forward(self, features: Tensor) -> Tensor:
        x = features.flatten(2).transpose(1, 2)  # B, N, C
        batch, _, channels = x.shape
        size = channels // self.heads

        def split(y: Tensor) -> Tensor:
            return y.view(batch, -1, self.heads, size).transpose(1, 2)

        query = split(self.project_query(self.query.expand(batch, 1, -1)))
        key, value = split(self.project_key(x)), split(self.project_value(x))
        weights = (query @ key.transpose(2, 3) * size**-0.5).softmax(dim=-1)
        pooled = (weights @ value).transpose(1, 2).reshape(batch, channels)
        logit: Tensor = self.classify(self.project_out(pooled))
        return logit


class AuthorsScanModel(nn.Module):
    def __init__(self, in_channels: int = 2, num_regions: int = 26) -> None:
        super().__init__()
        flat = (3, 3, 1), (2, 2, 1)
        layers: list[nn.Module] = [Unit(in_channels, 64, 7, 2), Pool(*flat)]
        layers += [Unit(64, 64, 1), Unit(64, 192, 3), Pool(*flat)]
        for block, (size, channels) in MIXED.items():
            if block == "4b":
                layers.append(Pool((3, 3, 3), (2, 2, 2)))
            if block == "5b":
                layers.append(Pool((2, 2, 2), (2, 2, 2)))
            layers.append(Mixed(size, channels))
        self.encoder = nn.Sequential(*layers)
        self.heads = nn.ModuleList(RegionAttention() for _ in range(num_regions))

    def forward(self, image: Tensor) -> Tensor:
        features = self.encoder(image)
        return torch.cat([head(features) for head in self.heads], dim=1)
