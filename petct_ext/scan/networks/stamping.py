"""Weights as files for people: stamped with their design, and in half precision to ship."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from monai.bundle import ConfigParser
from torch import Tensor, nn

from petct_ext.errors import InputDataError
from petct_ext.files import read_json
from petct_ext.scan.networks.design import copy_metadata, note_design
from petct_ext.scan.networks.i3d import I3DEncoder
from petct_ext.scan.networks.pretrained import check_weights
from petct_ext.scan.networks.region_classifier import RegionClassifier
from petct_ext.training.checkpoints import write_checkpoint

__all__ = [
    "configured_network",
    "save_half",
    "stamp_design",
]

_WINDOWS = ("pet_range_suv", "ct_range_hu", "pet_unit_suv", "ct_unit_hu")
_GRID = ("in_plane", "min_slices", "slice_mm")
_OF_ENCODER = ("width", "last_stage", "gradient_checkpointing", "channels_last", "batch_norm_eps")
"""Options of I3D, which stood beside those of the network until version 0.1."""


def configured_network(configs: Sequence[Path]) -> nn.Module:
    """Builds the network of a training's configuration, with its design and random weights.

    Args:
        configs: ``train.json`` and what was on top, of this version or of 0.1.

    Raises:
        InputDataError: if they define no network, or say nothing of windows and grid.
    """
    names = ", ".join(path.name for path in configs)
    first = read_json(configs[0])
    needed = ("network_def", *_WINDOWS, "in_plane", "min_slices")
    if lacking := [key for key in needed if key not in first]:
        raise InputDataError(
            f"{names}: {', '.join(lacking)} stands nowhere; give train.json first, then what was "
            "on top of it."
        )
    parser = ConfigParser()
    parser.read_config([str(path) for path in configs])
    config: dict[str, Any] = parser.get()
    definition = config["network_def"]
    old = {name: definition.pop(name) for name in _OF_ENCODER if name in definition}
    if "encoder" not in definition:
        count = "$len(@network_def#channels or range(@network_def#in_channels))"
        encoder = f"{I3DEncoder.__module__}.{I3DEncoder.__qualname__}"
        definition["encoder"] = {"_target_": encoder, "in_channels": count, **old}
        definition["_target_"] = f"{RegionClassifier.__module__}.{RegionClassifier.__qualname__}"
        config["imports"] = []  # modules have moved since
    parser = ConfigParser(config, globals=parser.globals)
    parser["_meta_"] = {}
    parser["bundle_root"] = str(configs[0].resolve().parents[1])
    values = {key: parser.get_parsed_content(key) for key in (*_WINDOWS, *_GRID) if key in config}
    return note_design(
        parser.get_parsed_content("network_def"),
        windows={key: values[key] for key in _WINDOWS},
        grid={key: values[key] for key in _GRID if values.get(key) is not None},
    )


def stamp_design(network: nn.Module, weights: str | Path, out: str | Path) -> Path:
    """Writes weights with the design of a network; the tensors stay as they are, bit for bit.

    Nothing in the tensors tells windows and grid, so that the network has to be the one of the
    training's own configuration.

    Args:
        network: of the ``network`` of a ``train.json`` with all files of the training on top, see
            :func:`petct_ext.scan.networks.design.note_design`.
        weights: see :func:`petct_ext.scan.networks.pretrained.check_weights`. A design that they
            have is replaced, e.g. after a class was renamed.
        out: file to write, in one step; may be the same.

    Returns:
        ``out``.

    Raises:
        InputDataError: if the network has no design, or the weights do not fit it, or say something
            else.
        OutputError: if the file cannot be written.
    """
    if not hasattr(network, "seen"):
        raise InputDataError(
            "the network says nothing of windows and grid; give the train.json of a bundle."
        )
    stamped: OrderedDict[str, Tensor] = OrderedDict(check_weights(network, weights))
    copy_metadata(network.state_dict(), stamped)
    write_checkpoint(stamped, out)
    return Path(out)


# Norms, biases and the first layers: next to no space, and most of what rounding would change.
_MOST_VALUES_IN_FLOAT32 = 8192


def save_half(network: nn.Module, path: str | Path) -> Path:
    """Writes the large tensors of a network as float16, for about half of the space.

    Every loader copies them into a float32 network. Tensors of up to 8,192 values stay as they are:
    in the scan model that ships, a probability then changes by 1e-4 in place of 2e-3. The design
    stays with them, as in the network's own state dict.

    Args:
        network: trained; not changed.
        path: file to write, a plain state dict that loads with ``weights_only=True``.

    Returns:
        The path.

    Raises:
        InputDataError: if a weight is too large for float16.
        OutputError: if the file cannot be written.
    """
    state = network.state_dict()
    half: OrderedDict[str, Tensor] = OrderedDict((k, _half(k, v)) for k, v in state.items())
    copy_metadata(state, half)
    write_checkpoint(half, path)
    return Path(path)


def _half(name: str, tensor: Tensor) -> Tensor:
    if not tensor.is_floating_point() or tensor.numel() <= _MOST_VALUES_IN_FLOAT32:
        return tensor.clone()
    half = tensor.detach().to(torch.float16)
    if not bool(torch.isfinite(half).all()):
        raise InputDataError(
            f"{name}: a value of {float(tensor.abs().max()):.3g} does not fit into float16; ship "
            "these weights in float32."
        )
    return half
