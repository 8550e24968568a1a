"""Missing labels are neither normal, nor abnormal, nor undecided."""

from __future__ import annotations

import pytest
import torch
from torch.nn.functional import binary_cross_entropy_with_logits
from torch.testing import assert_close

from petct_ext.training.loss import MaskedBCEWithLogitsLoss


def test_equals_torch_if_nothing_is_missing() -> None:
    logits, target = torch.randn(4, 3), torch.rand(4, 3)
    assert_close(
        MaskedBCEWithLogitsLoss()(logits, target), binary_cross_entropy_with_logits(logits, target)
    )


def test_equals_the_loss_of_the_existing_labels_alone() -> None:
    logits, target = torch.randn(4, 3), torch.rand(4, 3)
    missing = torch.tensor([[True, False, False]]).expand(4, 3)
    loss = MaskedBCEWithLogitsLoss()(logits, target.masked_fill(missing, torch.nan))
    assert_close(loss, binary_cross_entropy_with_logits(logits[:, 1:], target[:, 1:]))


def test_missing_labels_have_no_gradient() -> None:
    logits = torch.randn(2, 2, requires_grad=True)
    MaskedBCEWithLogitsLoss()(logits, torch.tensor([[1.0, torch.nan], [torch.nan, 0.0]])).backward()
    assert logits.grad is not None
    assert (logits.grad != 0).tolist() == [[True, False], [False, True]]


def test_batch_without_labels_is_a_step_without_effect() -> None:
    logits = torch.randn(2, 2, requires_grad=True)
    loss = MaskedBCEWithLogitsLoss()(logits, torch.full((2, 2), torch.nan))
    loss.backward()
    assert loss == 0
    assert logits.grad is not None
    assert (logits.grad == 0).all()


def test_weight_of_a_region_acts_like_repeating_it() -> None:
    logits, target = torch.randn(4, 2), torch.rand(4, 2)
    weighted = MaskedBCEWithLogitsLoss([2.0, 1.0])(logits, target)
    assert_close(weighted, MaskedBCEWithLogitsLoss()(logits[:, [0, 0, 1]], target[:, [0, 0, 1]]))


def test_refuses_different_shapes() -> None:
    with pytest.raises(ValueError, match=r"same shape, got \(2, 3\) and \(2, 4\)"):
        MaskedBCEWithLogitsLoss()(torch.zeros(2, 3), torch.zeros(2, 4))


def test_labels_are_not_rounded_to_the_precision_of_logits() -> None:
    target = torch.tensor([[0.997, 0.003]])
    logits = torch.tensor([[0.5, -0.25]], dtype=torch.bfloat16)
    loss = MaskedBCEWithLogitsLoss()(logits, target)
    assert loss.dtype == torch.float32
    assert_close(loss, binary_cross_entropy_with_logits(logits.float(), target))


def test_double_precision_is_kept() -> None:
    logits, target = torch.randn(2, 2, dtype=torch.float64), torch.rand(2, 2, dtype=torch.float64)
    loss = MaskedBCEWithLogitsLoss()(logits, target)
    assert_close(loss, binary_cross_entropy_with_logits(logits, target), rtol=1e-12, atol=0)
