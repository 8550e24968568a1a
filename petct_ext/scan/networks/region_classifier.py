"""The scan model: one encoder, one attention head for all regions."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import ArrayLike
from torch import Tensor, nn
from torch.nn import functional as F

from petct_ext.errors import InputDataError
from petct_ext.scan.networks.attention_heads import RegionAttentionHead
from petct_ext.scan.networks.i3d import I3DEncoder
from petct_ext.scan.networks.region_names import find_other_regions, names_in, note_regions

__all__ = ["RegionClassifier"]


class RegionClassifier(nn.Module):
    """Predicts from a PET/CT volume which regions are abnormal.

    The forward pass returns one plain tensor, so the network works with MONAI's inferers,
    its trainer and ``monai.bundle verify_net_in_out``; attention has its own method.

    The mortality bundle uses the same network with one output and starts from a trained
    encoder.

    Args:
        in_channels: channels of the volume; channel 0 is PET, channel 1 is CT.
        num_regions: number of regions, in the order of the configuration.
        num_heads: attention heads per region.
        width: width of the encoder, see :class:`~petct_ext.scan.networks.i3d.I3DEncoder`.
        last_stage: where the encoder ends, see there.
        dropout: see :class:`~petct_ext.scan.networks.attention_heads.RegionAttentionHead`.
        num_frequencies: terms of the place in the attention, see the head; 0 is the paper's.
        pooling: "attention", "sum" or "mean", see the head.
        project_values: see the head; false with one head is the paper's text.
        channels: which channels of the volume the network sees, e.g. [0] for PET alone and [1] for
            CT alone; None is all.
        gradient_checkpointing: less memory in training, see the encoder.
        channels_last: another layout in memory, see the encoder.
        batch_norm_eps: see the encoder.
        regions: names of the outputs, stored with the weights so that weights of other regions are
            refused; None stores and checks nothing.

    Raises:
        ValueError: if a size is not positive, a channel is not one of the volume's, or ``regions``
            has not one name for each output.
    """

    def __init__(
        self,
        in_channels: int,
        num_regions: int,
        *,
        num_heads: int = 8,
        width: float = 1.0,
        last_stage: str = "mixed_5c",
        dropout: float = 0.0,
        num_frequencies: int = 0,
        pooling: str = "attention",
        project_values: bool = True,
        channels: Sequence[int] | None = None,
        gradient_checkpointing: bool = False,
        channels_last: bool = False,
        batch_norm_eps: float = 1e-3,
        regions: Sequence[str] | None = None,
    ) -> None:
        super().__init__()
        if channels is not None and (not channels or not set(channels) <= set(range(in_channels))):
            raise InputDataError(
                f"channels is {list(channels)}, expected some of {list(range(in_channels))}: 0 is "
                "PET, 1 is CT."
            )
        if regions is not None and len(regions) != num_regions:
            raise InputDataError(
                f"regions has {len(regions)} names for {num_regions} outputs; give one for each."
            )
        self.in_channels = in_channels
        self.channels = list(range(in_channels)) if channels is None else list(channels)
        self.regions = [] if regions is None else list(regions)
        self.encoder = I3DEncoder(
            len(self.channels),
            width=width,
            last_stage=last_stage,
            gradient_checkpointing=gradient_checkpointing,
            channels_last=channels_last,
            batch_norm_eps=batch_norm_eps,
        )
        self.head = RegionAttentionHead(
            self.encoder.out_channels,
            num_regions,
            num_heads=num_heads,
            dropout=dropout,
            num_frequencies=num_frequencies,
            pooling=pooling,
            project_values=project_values,
        )
        # What equal tensors may hide; stands beside the weights.
        self.design = {"pooling": pooling, "channels": self.channels}
        self.register_state_dict_post_hook(note_regions)  # type: ignore[no-untyped-call]

    def _load_from_state_dict(
        self, state_dict: Any, prefix: str, local_metadata: Any, *options: Any
    ) -> None:
        """Tells torch's ``load_state_dict`` what is wrong with weights of other regions."""
        other = find_other_regions(names_in(local_metadata), self.regions)
        if other:
            options[-1].append(f"weights of {other}")
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
