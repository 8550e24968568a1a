"""The smallest encoder that keeps to the protocol: one convolution, patch by patch."""

from __future__ import annotations

from collections.abc import Sequence

from torch import Tensor, nn
from torch.nn import functional as F


class PatchEncoder(nn.Module):
    """Has neither batch norms nor stages, and other strides than I3D."""

    def __init__(self, in_channels: int = 2, *, out_channels: int = 8) -> None:
        super().__init__()
        self.in_channels = in_channels
        self.out_channels = out_channels
        self.strides = (4, 4, 2)
        self.patches = nn.Conv3d(in_channels, out_channels, self.strides, stride=self.strides)

    def first_center(self, spatial_size: Sequence[int]) -> tuple[float, float, float]:
        """Patches neither overlap nor start outside."""
        x, y, z = ((stride - 1) / 2 for stride in self.strides)
        return x, y, z

    def forward(self, image: Tensor) -> Tensor:
        """Pads with air above."""
        missing = [
            -size % stride for size, stride in zip(image.shape[2:], self.strides, strict=True)
        ]
        padded = F.pad(image, [0, missing[2], 0, missing[1], 0, missing[0]])
        features: Tensor = self.patches(padded).relu()
        return features
