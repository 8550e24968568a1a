"""Folding batch norms changes the speed of a network, not what it says."""

from __future__ import annotations

import pytest
import torch
from torch import nn
from torch.testing import assert_close

from petct_ext.scan.networks.exported import fold_batch_norms
from petct_ext.scan.networks.region_classifier import RegionClassifier
from tests.scan.networks.region_networks import region_classifier


@pytest.fixture
def trained() -> RegionClassifier:
    torch.manual_seed(0)
    network = region_classifier(2, 3, num_heads=2, width=0.125)
    for module in network.modules():
        if isinstance(module, nn.BatchNorm3d):
            for tensor, low, high in (
                (module.running_mean, -0.3, 0.3),
                (module.running_var, 0.3, 2.0),
                (module.weight.data, 0.5, 1.5),
                (module.bias.data, -0.3, 0.3),
            ):
                assert tensor is not None
                tensor.uniform_(low, high)
    return network


def test_folded_network_says_the_same(trained: RegionClassifier) -> None:
    folded = fold_batch_norms(trained)
    image, slices = torch.rand(2, 2, 64, 48, 21), torch.tensor([21, 12])
    trained.eval()
    assert not any(isinstance(module, nn.BatchNorm3d) for module in folded.modules())
    assert_close(folded.encoder(image), trained.encoder(image), atol=1e-5, rtol=1e-5)
    assert_close(folded(image, slices), trained(image, slices), atol=1e-5, rtol=1e-5)
    assert_close(torch.jit.script(folded)(image), folded(image))


def test_network_itself_stays_as_it_is(trained: RegionClassifier) -> None:
    before = {key: value.clone() for key, value in trained.state_dict().items()}
    trained.train()
    fold_batch_norms(trained)
    assert trained.training
    assert_close(dict(trained.state_dict()), before, rtol=0, atol=0)


def test_bias_of_a_convolution_is_kept() -> None:
    norm = nn.BatchNorm3d(3)
    assert norm.running_mean is not None
    norm.running_mean.uniform_()
    layers = nn.Sequential(nn.Conv3d(2, 3, 1), norm).eval()
    image = torch.rand(1, 2, 3, 3, 3)
    assert_close(fold_batch_norms(layers)(image), layers(image))


def test_folding_twice_is_refused(trained: RegionClassifier) -> None:
    with pytest.raises(ValueError, match="no batch norm behind a convolution"):
        fold_batch_norms(fold_batch_norms(trained))


def test_batch_norm_without_statistics_is_refused() -> None:
    layers = nn.Sequential(nn.Conv3d(2, 3, 1), nn.BatchNorm3d(3, track_running_stats=False))
    with pytest.raises(ValueError, match="without running statistics"):
        fold_batch_norms(layers)
