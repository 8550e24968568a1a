"""Windows of report text in one batch, for MONAI's engines."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor

from petct_ext.keys import MENTION_LABEL, MENTION_PLACES, MENTION_RULE, MENTION_TOKENS, TOKEN_IDS
from petct_ext.labeler.pretraining import POSITIONS, SEGMENTS, TARGET

__all__ = [
    "CollateWindows",
    "prepare_pretraining_batch",
    "prepare_report_batch",
]


class CollateWindows:
    """Makes a batch of windows (see :class:`petct_ext.labeler.tokens.TokenizeReportd`).

    Args:
        pad_id: token id that fills the rows of shorter windows.
    """

    def __init__(self, pad_id: int = 0) -> None:
        self.pad_id = pad_id

    def __call__(self, batch: Sequence[Sequence[dict[str, Any]]]) -> dict[str, Any]:
        """Returns ``token_ids`` (B, L), ``mention_tokens`` (M, 3), ``mention_label`` and
        ``mention_rule`` (M, 1), and ``mentions`` (list of M dictionaries).
        """  # noqa: D205
        windows = [window for item in batch for window in item]
        length = max(len(window[TOKEN_IDS]) for window in windows)
        ids = torch.full((len(windows), length), self.pad_id, dtype=torch.int64)
        places: list[tuple[int, int, int]] = []
        for row, window in enumerate(windows):
            ids[row, : len(window[TOKEN_IDS])] = torch.tensor(window[TOKEN_IDS])
            places.extend((row, first, last) for first, last in window[MENTION_TOKENS])
        labels = [label for window in windows for label in window[MENTION_LABEL]]
        rules = [rule for window in windows for rule in window[MENTION_RULE]]
        return {
            TOKEN_IDS: ids,
            MENTION_TOKENS: torch.tensor(places, dtype=torch.int64).reshape(-1, 3),
            MENTION_LABEL: torch.tensor(labels, dtype=torch.float32).reshape(-1, 1),
            MENTION_RULE: torch.tensor(rules, dtype=torch.float32).reshape(-1, 1),
            MENTION_PLACES: [mention for window in windows for mention in window[MENTION_PLACES]],
        }


def prepare_report_batch(
    batchdata: Mapping[str, Any],
    device: str | torch.device | None = None,
    non_blocking: bool = False,
    **kwargs: Any,
) -> tuple[Tensor, Tensor]:
    """Returns inputs and targets for MONAI's trainer and evaluator.

    Args:
        batchdata: result of :class:`petct_ext.labeler.batches.CollateWindows`.
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
        batchdata: result of :class:`petct_ext.labeler.pretraining.CollatePairs`.
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
