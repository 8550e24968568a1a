"""What a network has to offer to encode volumes for the scan model.

A new encoder is one file with one class and its name in the configuration
(``network_def#encoder#_target_``). Whatever reads an encoder goes by what stands here: the
classifier and its padding, maps of attention and evidence, transfer of weights, export.
``tests/scan/networks/test_encoders.py`` holds every encoder to it.

Shape letters used in this module:
    B  exams in the batch
    C  channels of the volume, ``in_channels``
    F  channels of the feature map, ``out_channels``
    X, Y, Z  voxels of the volume, RAS+, Z along the body
    X', Y', Z'  positions of the feature map
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Protocol, runtime_checkable

from torch import Tensor, nn

from petct_ext.errors import InputDataError

__all__ = ["Encoder", "require_encoder"]


@runtime_checkable
class Encoder(Protocol):
    """A ``torch.nn.Module`` that turns volumes into maps of features.

    Position ``i`` of an axis is centered at voxel ``first_center + i * stride`` of that axis: on
    the middle of what it sees, far from the borders. Positions lie in the order of the voxels.

    It keeps each argument of its constructor as an attribute of the same name, of plain values
    (numbers, words, lists), as scikit-learn's estimators do: its definition, which every file of
    weights carries, is read from them.

    Attributes:
        in_channels: C, channels of the volume.
        out_channels: F, channels of the feature map.
        strides: voxels per position along X, Y and Z, each at least 1.
        free_options: optional, a tuple of arguments that change time and memory but no feature;
            they may differ between the training and the use of weights.
    """

    in_channels: int
    out_channels: int
    strides: tuple[int, int, int]

    def first_center(self, spatial_size: Sequence[int]) -> tuple[float, float, float]:
        """Returns where the first position of the map is centered.

        Args:
            spatial_size: X, Y, Z of the volume.

        Returns:
            Voxel indices along X, Y and Z, fractions allowed; 0 is the center of the first voxel.
        """

    def __call__(self, image: Tensor) -> Tensor:
        """Encodes volumes of any size from one voxel, and so one slice, up.

        Args:
            image: shape (B, C, X, Y, Z); air is 0.

        Returns:
            Features (B, F, X', Y', Z'), each spatial size the volume's over :attr:`strides`,
            rounded up.
        """

    def state_dict(self) -> dict[str, Any]:
        """Returns the weights by name, as of ``torch.nn.Module``."""

    def load_state_dict(self, state_dict: Mapping[str, Any]) -> Any:
        """Takes weights, as of ``torch.nn.Module``."""


def require_encoder(encoder: object) -> None:
    """Refuses what cannot encode volumes.

    Raises:
        InputDataError: names what is missing.
    """
    name = type(encoder).__name__
    if not isinstance(encoder, nn.Module):
        raise InputDataError(
            f"encoder is {encoder!r:.80}, expected a torch.nn.Module; set network_def#encoder to a "
            "component with a _target_, e.g. petct_ext.scan.networks.i3d.I3DEncoder."
        )
    needed = ("in_channels", "out_channels", "strides", "first_center")
    if lacking := [item for item in needed if not hasattr(encoder, item)]:
        raise InputDataError(
            f"the encoder {name} has no {', '.join(lacking)}; {Encoder.__module__}.Encoder says "
            "what an encoder has to offer."
        )
    strides = encoder.strides
    if not isinstance(strides, tuple) or len(strides) != 3 or min(strides) < 1:
        raise InputDataError(
            f"the encoder {name} has strides {strides!r}, expected three whole numbers from 1 up: "
            "voxels per position along X, Y and Z."
        )
