"""Weights as they ship with a bundle: in half precision, with names and a word on what they fit."""

from __future__ import annotations

from collections import OrderedDict
from pathlib import Path

import torch
from torch import Tensor, nn

from petct_ext.errors import InputDataError
from petct_ext.files import atomic_path
from petct_ext.networks.region_names import copy_metadata, note_remedy

__all__ = ["save_half"]


def save_half(network: nn.Module, path: str | Path, *, remedy: str = "") -> Path:
    """Writes the weights of a network as float16, for half of the space.

    Every loader copies them into a float32 network: rounding changes a logit in the third decimal.
    Names of regions stay with them, as in the network's own state dict.

    Args:
        network: trained; not changed.
        path: file to write, a plain state dict that loads with ``weights_only=True``.
        remedy: what to do if the weights do not fit a network, e.g. which configuration to add;
            :func:`petct_ext.networks.pretrained.check_weights` says it.

    Returns:
        The path.

    Raises:
        InputDataError: if a weight is too large for float16.
        OutputError: if the file cannot be written.
    """
    state = network.state_dict()
    half: OrderedDict[str, Tensor] = OrderedDict((k, _half(k, v)) for k, v in state.items())
    copy_metadata(state, half)
    if remedy:
        note_remedy(half, remedy)
    with atomic_path(path) as partial:
        torch.save(half, partial)
    return Path(path)


def _half(name: str, tensor: Tensor) -> Tensor:
    if not tensor.is_floating_point():
        return tensor.clone()
    half = tensor.detach().to(torch.float16)
    if not bool(torch.isfinite(half).all()):
        raise InputDataError(
            f"{name}: a value of {float(tensor.abs().max()):.3g} does not fit into float16; ship "
            "these weights in float32."
        )
    return half
