"""Low-rank adapters: a large pretrained network learns a task with few numbers of its own.

Each chosen linear layer ``y = W x + b`` becomes ``y = W x + b + (alpha / r) B A x`` with ``A`` (r,
in) and ``B`` (out, r); W and b stay as they were (Hu et al., LoRA, ICLR 2022). Own and short
instead of the library peft, which brings accelerate and a checkpoint format of its own: the
checkpoint stays the plain state dict that every bundle reads.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import Any

import torch
from torch import Tensor, nn

from petct_ext.errors import InputDataError

__all__ = ["LowRankLinear", "add_adapters", "keep_trained_only", "merge_adapters"]


class LowRankLinear(nn.Module):
    """A frozen linear layer and a trainable low-rank correction, zero at first.

    Args:
        base: the layer that is wrapped; its parameters stop learning.
        rank: rank of the correction.
        alpha: the correction is scaled by ``alpha / rank``.
    """

    def __init__(self, base: nn.Linear, *, rank: int, alpha: float) -> None:
        super().__init__()
        self.base = base.requires_grad_(False)
        self.scale = alpha / rank
        self.down = nn.Parameter(torch.empty(rank, base.in_features))
        self.up = nn.Parameter(torch.zeros(base.out_features, rank))
        nn.init.kaiming_uniform_(self.down, a=math.sqrt(5))

    def forward(self, features: Tensor) -> Tensor:
        """Returns ``(..., out)`` for features ``(..., in)``."""
        correction = nn.functional.linear(nn.functional.linear(features, self.down), self.up)
        base: Tensor = self.base(features)
        return base + self.scale * correction

    def merged(self) -> nn.Linear:
        """Returns one plain linear layer that computes the same: no cost at inference."""
        layer = nn.Linear(self.base.in_features, self.base.out_features, self.base.bias is not None)
        with torch.no_grad():
            layer.weight.copy_(self.base.weight + self.scale * self.up @ self.down)
            if self.base.bias is not None:
                layer.bias.copy_(self.base.bias)
        return layer


def add_adapters(
    network: nn.Module, *, rank: int, alpha: float | None = None, within: str = "layer"
) -> int:
    """Freezes a network and gives its linear layers adapters, in place.

    Layer norms keep learning: they are small and carry a good part of the effect.

    Args:
        network: e.g. the encoder of :class:`petct_ext.labeler.network.ReportClassifier`.
        rank: rank of the corrections.
        alpha: see :class:`LowRankLinear`; twice the rank by default.
        within: only layers whose dotted name holds this part are adapted.

    Returns:
        Number of adapted layers.

    Raises:
        InputDataError: if there is no such layer, or the rank is not positive.
    """
    if rank < 1:
        raise InputDataError(f"adapter_rank is {rank}; it must be 1 or more (16 is usual).")
    network.requires_grad_(False)
    chosen = [
        (name, module)
        for name, module in network.named_modules()
        if isinstance(module, nn.Linear) and within in name.split(".")
    ]
    if not chosen:
        raise InputDataError(
            f"no linear layer below {within!r} to adapt; the encoder is not BERT-like."
        )
    for name, module in chosen:
        parent = network.get_submodule(name.rpartition(".")[0])
        adapter = LowRankLinear(module, rank=rank, alpha=2.0 * rank if alpha is None else alpha)
        setattr(parent, name.rpartition(".")[2], adapter)
    for other in network.modules():
        if isinstance(other, nn.LayerNorm):
            other.requires_grad_(True)
    return len(chosen)


def merge_adapters(network: nn.Module) -> int:
    """Replaces adapters by plain layers that compute the same, in place; for inference.

    Returns:
        Number of merged layers.
    """
    chosen = [(n, m) for n, m in network.named_modules() if isinstance(m, LowRankLinear)]
    for name, module in chosen:
        parent = network.get_submodule(name.rpartition(".")[0])
        setattr(parent, name.rpartition(".")[2], module.merged())
    return len(chosen)


def keep_trained_only(network: nn.Module) -> None:
    """Makes ``state_dict`` of a network hold what it learns only, and loading expect no more.

    The frozen rest comes with the pretrained encoder; a checkpoint then has a few megabytes.
    """
    frozen = frozenset(n for n, p in network.named_parameters() if not p.requires_grad)
    network.register_state_dict_post_hook(_DropFrozen(frozen))
    network.register_load_state_dict_pre_hook(_FillFrozen(frozen))


class _DropFrozen:
    def __init__(self, frozen: Iterable[str]) -> None:
        self.frozen = frozenset(frozen)

    def __call__(self, module: nn.Module, state: dict[str, Any], prefix: str, _: Any) -> None:
        for name in self.frozen:
            state.pop(prefix + name, None)


class _FillFrozen:
    def __init__(self, frozen: Iterable[str]) -> None:
        self.frozen = frozenset(frozen)

    def __call__(self, module: nn.Module, state: dict[str, Any], prefix: str, *_: Any) -> None:
        parameters = dict(module.named_parameters())
        for name in self.frozen & parameters.keys():
            state.setdefault(prefix + name, parameters[name].data)
