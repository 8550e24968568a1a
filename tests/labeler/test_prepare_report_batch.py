"""Targets lie on the tokens of judged mentions only."""

from __future__ import annotations

import torch

from petct_ext.keys import MENTION_LABEL, MENTION_TOKENS, TOKEN_IDS
from petct_ext.labeler.batches import prepare_report_batch


def test_targets_are_nan_outside_of_judged_mentions() -> None:
    batch = {
        TOKEN_IDS: torch.ones(2, 4, dtype=torch.int64),
        MENTION_TOKENS: torch.tensor([[0, 1, 3], [1, 0, 1], [1, 2, 3]]),
        MENTION_LABEL: torch.tensor([[1.0], [0.0], [torch.nan]]),
    }
    inputs, targets = prepare_report_batch(batch, "cpu", extra=None)
    nan = torch.nan
    expected = torch.tensor([[[nan, 1, 1, nan]], [[0, nan, nan, nan]]])
    assert torch.equal(inputs, batch[TOKEN_IDS])
    torch.testing.assert_close(targets, expected, equal_nan=True)
