"""Windows of report text in one batch."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch

from petct_ext.keys import MENTION_LABEL, MENTION_RULE, MENTION_TOKENS, MENTIONS, TOKEN_IDS

__all__ = ["CollateWindows"]


class CollateWindows:
    """Makes a batch of windows (see :class:`petct_ext.transforms.text.TokenizeReportd`).

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
            MENTIONS: [mention for window in windows for mention in window[MENTIONS]],
        }
