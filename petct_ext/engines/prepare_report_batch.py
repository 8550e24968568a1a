"""Batches of report sentences for MONAI's engines."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

from petct_ext.keys import MENTION_LABEL, MENTION_TOKENS, TOKEN_IDS
from petct_ext.transforms.pretraining import POSITIONS, SEGMENTS, TARGET

__all__ = ["prepare_pretraining_batch", "prepare_report_batch"]


def prepare_report_batch(
    batchdata: Mapping[str, Any],
    device: str | torch.device | None = None,
    non_blocking: bool = False,
    **kwargs: Any,
) -> tuple[Tensor, Tensor]:
    """Returns inputs and targets for MONAI's trainer and evaluator.

    Args:
        batchdata: result of :class:`petct_ext.data.report_items.CollateWindows`.
        device: where to put both.
        non_blocking: passed on to ``Tensor.to``.
        **kwargs: ignored; MONAI passes them on.

    Returns:
        Token ids ``(B, L)`` and targets ``(B, 1, L)``: the label on every token of a mention,
        NaN on all others and on mentions without a label, so that the loss ignores them.
    """
    token_ids: Tensor = batchdata[TOKEN_IDS]
    target = torch.full((token_ids.shape[0], 1, token_ids.shape[1]), torch.nan)
    labels = batchdata[MENTION_LABEL][:, 0].tolist()
    for (row, first, last), label in zip(batchdata[MENTION_TOKENS].tolist(), labels, strict=True):
        target[row, 0, first:last] = label
    return (
        token_ids.to(device=device, non_blocking=non_blocking),
        target.to(device=device, non_blocking=non_blocking),
    )


def prepare_pretraining_batch(
    batchdata: Mapping[str, Any],
    device: str | torch.device | None = None,
    non_blocking: bool = False,
    **kwargs: Any,
) -> tuple[Tensor, Tensor, tuple[Tensor, Tensor], dict[str, Any]]:
    """Returns inputs, targets and further inputs of the domain pretraining for MONAI's engines.

    Args:
        batchdata: result of :class:`petct_ext.transforms.pretraining.CollatePairs`.
        device: where to put all.
        non_blocking: passed on to ``Tensor.to``.
        **kwargs: ignored; MONAI passes them on.

    Returns:
        Token ids (B, L), targets (B, P + 1), segments (B, L) with positions (B, P), and nothing.
    """
    moved = {
        key: batchdata[key].to(device=device, non_blocking=non_blocking)
        for key in (TOKEN_IDS, TARGET, SEGMENTS, POSITIONS)
    }
    return moved[TOKEN_IDS], moved[TARGET], (moved[SEGMENTS], moved[POSITIONS]), {}
