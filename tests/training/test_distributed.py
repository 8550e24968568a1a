"""Batch norms of several processes agree; their tensors keep their names."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from petct_ext.errors import InputDataError
from petct_ext.scan.networks.region_classifier import RegionClassifier
from petct_ext.training.distributed import adapt_batch_norms
from tests.scan.networks.region_networks import region_classifier


def network() -> RegionClassifier:
    return region_classifier(2, 3, width=0.0625, num_heads=1, last_stage="mixed_3b")


@pytest.mark.parametrize("how", ["synchronized", "frozen"])
def test_tensors_stay_the_same(how: str) -> None:
    plain = network()
    before = {name: value.clone() for name, value in plain.state_dict().items()}
    parameters = list(plain.parameters())
    adapted = adapt_batch_norms(plain, how)
    after = adapted.state_dict()
    assert list(after) == list(before)
    assert all(torch.equal(after[name], before[name]) for name in before)
    assert all(a is b for a, b in zip(adapted.parameters(), parameters, strict=True))


def test_frozen_statistics_are_used_and_kept_in_training() -> None:
    frozen = adapt_batch_norms(network(), "frozen")
    image = torch.rand(2, 2, 16, 16, 8)
    expected = frozen.eval()(image)
    frozen.train()
    torch.testing.assert_close(frozen(image), expected)
    norms = [m for m in frozen.modules() if isinstance(m, nn.BatchNorm3d)]
    assert norms
    assert not any(bool(norm.running_mean.any()) for norm in norms if norm.running_mean is not None)
    frozen(image).sum().backward()
    assert all(norm.weight.grad is not None for norm in norms)


def test_synchronized_norms_are_torchs() -> None:
    synchronized = adapt_batch_norms(network(), "synchronized")
    assert any(isinstance(m, nn.SyncBatchNorm) for m in synchronized.modules())
    assert not any(isinstance(m, nn.BatchNorm3d) for m in synchronized.modules())


def test_other_word_is_refused() -> None:
    with pytest.raises(InputDataError, match=r"batch_norm is 'synchronised'.*Did you mean 'synch"):
        adapt_batch_norms(network(), "synchronised")
