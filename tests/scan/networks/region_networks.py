"""Scan models of a few kilobytes, with the options of network and encoder side by side."""

from __future__ import annotations

from typing import Any

from petct_ext.scan.networks.i3d import I3DEncoder
from petct_ext.scan.networks.region_classifier import RegionClassifier

OF_ENCODER = ("width", "last_stage", "gradient_checkpointing", "channels_last", "batch_norm_eps")
WINDOWS: dict[str, Any] = {
    "pet_range_suv": [0.0, 10.0],
    "ct_range_hu": [-1000.0, 1000.0],
    "pet_unit_suv": 0.7,
    "ct_unit_hu": 400.0,
}
GRID: dict[str, Any] = {"in_plane": 32, "min_slices": 8}


def region_classifier(in_channels: int, num_regions: int, **options: Any) -> RegionClassifier:
    """Returns a scan model whose encoder is I3D."""
    of_encoder = {name: options.pop(name) for name in OF_ENCODER if name in options}
    channels = options.get("channels")
    encoder = I3DEncoder(in_channels if channels is None else len(channels) or 1, **of_encoder)
    return RegionClassifier(encoder, num_regions, in_channels=in_channels, **options)
