"""The scan model: one encoder, one attention head for all regions."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, ClassVar

import numpy as np
import torch
from numpy.typing import ArrayLike
from torch import Tensor, nn
from torch.nn import functional as F

from petct_ext.bundle.settings import is_on
from petct_ext.errors import InputDataError
from petct_ext.scan.networks.attention_heads import RegionAttentionHead
from petct_ext.scan.networks.definition import definition_of
from petct_ext.scan.networks.design import (
    find_other_design,
    find_other_regions,
    names_in,
    write_design,
)
from petct_ext.scan.networks.encoder import Encoder, require_encoder

__all__ = ["RegionClassifier"]


class RegionClassifier(nn.Module):
    """Predicts from a PET/CT volume which regions are abnormal.

    The forward pass returns one plain tensor, so the network works with MONAI's inferers,
    its trainer and ``monai.bundle verify_net_in_out``; attention has its own method.

    The mortality bundle uses the same network with one output and starts from a trained
    encoder. Its weights carry their design, see :mod:`petct_ext.scan.networks.design`.

    Args:
        encoder: see :class:`~petct_ext.scan.networks.encoder.Encoder`; takes as many channels as
            ``channels`` leaves.
        num_regions: number of regions, in the order of the configuration.
        in_channels: channels of the volume; channel 0 is PET, channel 1 is CT.
        num_heads: attention heads per region.
        dropout: see :class:`~petct_ext.scan.networks.attention_heads.RegionAttentionHead`.
        num_frequencies: terms of the place in the attention, see the head; 0 is the paper's.
        pooling: "attention", "sum" or "mean", see the head.
        project_values: see the head; false with one head is the paper's text.
        channels: which channels of the volume the network sees, e.g. [0] for PET alone and [1] for
            CT alone; None is all.
        regions: names of the outputs, stored with the weights so that weights of other regions are
            refused; None or none stores and checks nothing.

    Raises:
        ValueError: if a size is not positive, a channel is not one of the volume's, the encoder
            lacks what it has to offer or takes another number of channels, or ``regions`` has not
            one name for each output.
    """

    free_options: ClassVar[tuple[str, ...]] = ("dropout",)

    def __init__(
        self,
        encoder: Encoder,
        num_regions: int,
        *,
        in_channels: int = 2,
        num_heads: int = 8,
        dropout: float = 0.0,
        num_frequencies: int = 0,
        pooling: str = "attention",
        project_values: bool = True,
        channels: Sequence[int] | None = None,
        regions: Sequence[str] | None = None,
    ) -> None:
        super().__init__()
        if regions and len(regions) != num_regions:
            raise InputDataError(
                f"regions has {len(regions)} names for {num_regions} outputs; give one for each."
            )
        self.in_channels, self.num_regions = in_channels, num_regions
        self.channels = list(range(in_channels)) if channels is None else list(channels)
        self.regions = list(regions or ())
        _require_channels(encoder, self.channels, in_channels)
        self.encoder = encoder
        self.num_heads = num_heads
        self.dropout = dropout
        self.num_frequencies = num_frequencies
        self.pooling = pooling
        self.project_values = is_on(project_values, "project_values")
        self.head = RegionAttentionHead(
            encoder.out_channels,
            num_regions,
            num_heads=num_heads,
            dropout=dropout,
            num_frequencies=num_frequencies,
            pooling=pooling,
            project_values=project_values,
        )
        definition_of(self)  # told now, not when the first weights are saved
        self.register_state_dict_post_hook(write_design)  # type: ignore[no-untyped-call]

    def _load_from_state_dict(
        self, state_dict: Any, prefix: str, local_metadata: Any, *options: Any
    ) -> None:
        """Tells torch's ``load_state_dict`` what is wrong with weights of another design."""
        if other := find_other_regions(names_in(local_metadata), self.regions):
            options[-1].append(f"weights of {other}")
        if other := find_other_design(local_metadata, self):
            options[-1].append(f"weights of a network with {other}")
        super()._load_from_state_dict(state_dict, prefix, local_metadata, *options)

    def forward(self, image: Tensor, num_slices: Tensor | None = None) -> Tensor:
        """Classifies every region.

        Args:
            image: volume of shape ``(B, in_channels, X, Y, Z)``; air is 0, deviation about 1. Air
                is added above until Z is a multiple of the encoder's stride.
            num_slices: integers of shape ``(B,)``: how many of the Z slices are real; the
                others pad the batch to one length at the high end and get no attention.

        Returns:
            Logits of shape ``(B, num_regions)``; positive means abnormal.

        Raises:
            ValueError: if the volume has another number of axes or channels or no voxel (one slice
                is enough), or ``num_slices`` is not one number for each exam.
        """
        features = self._encode(image)
        logits: Tensor = self.head(features, self._mask(features, num_slices))
        return logits

    def start_at_prevalence(self, labels: Iterable[ArrayLike]) -> None:
        """Lets the untrained network predict how frequent each region is.

        Args:
            labels: of the training exams, each of shape ``(num_regions,)``; NaN is unknown.
        """
        prevalence = torch.as_tensor(np.asarray(list(labels), dtype=np.float32)).nanmean(dim=0)
        self.head.start_at_prevalence(prevalence.to(self.head.bias))

    def attention(self, image: Tensor, num_slices: Tensor | None = None) -> Tensor:
        """Returns where each region looks.

        Args:
            image: as in :meth:`forward`.
            num_slices: as in :meth:`forward`.

        Returns:
            Weights of shape ``(B, num_regions, num_heads, X', Y', Z')`` on the grid of the
            encoder; they sum to one over the positions of each head.
        """
        features = self._encode(image)
        weights: Tensor = self.head.attention(features, self._mask(features, num_slices))
        return weights

    def contributions(self, image: Tensor, num_slices: Tensor | None = None) -> Tensor:
        """Returns what each place adds to the logit of each region.

        Args:
            image: as in :meth:`forward`.
            num_slices: as in :meth:`forward`.

        Returns:
            Shape ``(B, num_regions, X', Y', Z')`` on the grid of the encoder, in units of the
            logit; see :meth:`RegionAttentionHead.contributions`.
        """
        features = self._encode(image)
        added: Tensor = self.head.contributions(features, self._mask(features, num_slices))
        return added

    @torch.jit.unused
    def first_center(self, spatial_size: Sequence[int]) -> tuple[float, float, float]:
        """Returns where in the volume the first position of the maps is centered.

        Args:
            spatial_size: X, Y, Z of the volume.

        Returns:
            Voxel indices along X, Y and Z; position ``i`` lies ``i * encoder.strides`` further.
        """
        x, y, z = (int(size) for size in spatial_size)
        return self.encoder.first_center((x, y, z + self._missing_slices(z)))

    def _missing_slices(self, num_slices: int) -> int:
        """Returns how many slices of air fill the last position of the encoder."""
        stride = self.encoder.strides[2]
        return (num_slices + stride - 1) // stride * stride - num_slices

    def _encode(self, image: Tensor) -> Tensor:
        if image.dim() != 5 or image.shape[1] != self.in_channels:
            raise InputDataError(
                f"the image has shape {list(image.shape)}, expected (B, {self.in_channels}, X, Y, "
                "Z); channel 0 is PET, channel 1 is CT, and in_channels of the network counts them."
            )
        if len(self.channels) < self.in_channels:
            image = torch.cat([image[:, c : c + 1] for c in self.channels], dim=1)
        # Else the places of all positions would move with the number of slices that pad a batch.
        image = F.pad(image, [0, self._missing_slices(image.shape[4])])
        features: Tensor = self.encoder(image)
        return features

    def _mask(self, features: Tensor, num_slices: Tensor | None) -> Tensor | None:
        """Marks the positions that show at least one real slice."""
        if num_slices is None:
            return None
        if num_slices.shape != features.shape[:1]:
            raise InputDataError(
                f"num_slices has shape {list(num_slices.shape)}, expected one number for each of "
                f"{features.shape[0]} exams."
            )
        stride = self.encoder.strides[2]
        real = (num_slices.to(features.device) + stride - 1) // stride
        positions = torch.arange(features.shape[4], device=features.device)
        mask = positions[None, :] < real[:, None].clamp(min=1)
        return mask[:, None, None, :].expand(-1, features.shape[2], features.shape[3], -1)


def _require_channels(encoder: Encoder, channels: Sequence[int], in_channels: int) -> None:
    if not channels or not set(channels) <= set(range(in_channels)):
        raise InputDataError(
            f"channels is {channels}, expected some of {list(range(in_channels))}: 0 is PET, 1 is "
            "CT."
        )
    require_encoder(encoder)
    if encoder.in_channels != len(channels):
        raise InputDataError(
            f"the encoder takes {encoder.in_channels} channels, but the network sees "
            f"{len(channels)} of the volume (channels {list(channels)}); set network_def#channels, "
            f"or network_def#encoder#in_channels to {len(channels)}."
        )
