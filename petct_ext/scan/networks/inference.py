"""A trained network in the form that predicts fastest; the weights on disk stay as they are."""

from __future__ import annotations

import copy
from collections.abc import Iterator
from typing import TypeVar

import torch
from torch import Tensor, nn

__all__ = ["can_fold", "fold_batch_norms"]

_Network = TypeVar("_Network", bound=nn.Module)


def can_fold(network: nn.Module) -> bool:
    """Whether :func:`fold_batch_norms` finds something to do; not every encoder has batch norms."""
    return any(
        isinstance(layers, nn.Sequential) and any(_pairs(layers)) for layers in network.modules()
    )


@torch.no_grad()
def fold_batch_norms(network: _Network) -> _Network:
    """Returns a copy whose convolutions do the work of the batch norms behind them.

    A batch norm in evaluation is a factor and a summand per channel; both go into the convolution.
    The function stays the same up to rounding (1e-5), with a pass over every feature map less.
    The copy cannot be trained, and its state dict has other names: fold after loading.

    Args:
        network: anything built of ``nn.Sequential``s in which a ``BatchNorm3d`` follows a
            ``Conv3d``; not changed.

    Raises:
        ValueError: if the network has no such pair, e.g. because it was folded before.
    """
    folded = copy.deepcopy(network).eval()
    pairs = 0
    for module in folded.modules():
        if isinstance(module, nn.Sequential):
            pairs += _fold_sequence(module)
    if not pairs:
        raise ValueError(
            "the network has no batch norm behind a convolution; fold a trained network once."
        )
    return folded


def _pairs(layers: nn.Sequential) -> Iterator[tuple[int, nn.Conv3d, nn.BatchNorm3d]]:
    for index in range(len(layers) - 1):
        convolution, norm = layers[index], layers[index + 1]
        if isinstance(convolution, nn.Conv3d) and isinstance(norm, nn.BatchNorm3d):
            yield index, convolution, norm


def _fold_sequence(layers: nn.Sequential) -> int:
    pairs = list(_pairs(layers))
    for index, convolution, norm in pairs:
        _fold(convolution, norm)
        layers[index + 1] = nn.Identity()
    return len(pairs)


def _fold(convolution: nn.Conv3d, norm: nn.BatchNorm3d) -> None:
    mean, variance = norm.running_mean, norm.running_var
    if mean is None or variance is None:
        raise ValueError("a batch norm without running statistics cannot be folded.")
    # In double precision, so that rounding happens once.
    factor = norm.weight.double() / torch.sqrt(variance.double() + norm.eps)
    bias: Tensor | float = 0.0 if convolution.bias is None else convolution.bias.double()
    summand = norm.bias.double() + (bias - mean.double()) * factor
    kernel = convolution.weight.double() * factor[:, None, None, None, None]
    dtype = convolution.weight.dtype
    convolution.weight = nn.Parameter(kernel.to(dtype), requires_grad=False)
    convolution.bias = nn.Parameter(summand.to(dtype), requires_grad=False)
