"""Attention of a position lands in the voxels that the position stands for."""

from __future__ import annotations

import pytest
import torch

from petct_ext.scan.interpretation.maps import attention_map, evidence_map
from tests.scan.networks.region_networks import region_classifier


@pytest.mark.parametrize("position", [(0, 0, 0), (1, 0, 2), (1, 1, 1)])
def test_one_position_lights_up_its_own_voxels(position: tuple[int, int, int]) -> None:
    strides = (32, 32, 8)
    weights = torch.zeros(1, 4, 2, 2, 3)
    weights[(0, slice(None), *position)] = 1.0
    found = attention_map(weights, (64, 64, 24), strides=strides)[0]
    assert found.shape == (64, 64, 24)
    bright = (found > 0.5).nonzero()
    for axis, (index, stride) in enumerate(zip(position, strides, strict=True)):
        low, high = int(bright[:, axis].min()), int(bright[:, axis].max())
        center = index * stride + stride / 2 - 0.5
        # At the border the map stays bright to the edge; inside it is symmetric.
        assert low <= center <= high
        assert low >= index * stride - stride / 2
        assert high < (index + 1) * stride + stride / 2


def test_regions_are_not_mixed_and_heads_are_averaged() -> None:
    weights = torch.zeros(2, 2, 2, 1, 1)
    weights[0, :, 0] = 1.0
    weights[1, 0, 0] = 1.0
    weights[1, 1, 1] = 1.0
    left, both = attention_map(weights, (4, 1, 1), strides=(2, 1, 1)).flatten(1)
    assert left[0] == 1.0
    assert left[3] == 0.0
    assert both.tolist() == [1.0] * 4


def test_cover_beyond_the_volume_is_cut_at_the_high_end() -> None:
    weights = torch.zeros(1, 1, 1, 1, 2)
    weights[..., 1] = 1.0
    found = attention_map(weights, (5, 7, 9), strides=(32, 32, 8))
    assert found.shape == (1, 5, 7, 9)
    assert int(found[0, 0, 0].argmax()) == 8


def test_peak_is_one_and_no_attention_is_zero() -> None:
    weights = torch.rand(3, 2, 2, 2, 2)
    weights[2] = 0.0
    found = attention_map(weights, (8, 8, 4), strides=(4, 4, 2)).flatten(1).amax(dim=1)
    torch.testing.assert_close(found, torch.tensor([1.0, 1.0, 0.0]))


def test_fits_the_network_it_is_made_for() -> None:
    network = region_classifier(2, 3, num_heads=2, width=0.0625, last_stage="mixed_4b").eval()
    with torch.inference_mode():
        weights = network.attention(torch.rand(1, 2, 40, 33, 5))[0]
    assert attention_map(weights, (40, 33, 5), strides=network.encoder.strides).shape == (
        3,
        40,
        33,
        5,
    )


def test_volume_beyond_the_grid_is_refused() -> None:
    with pytest.raises(ValueError, match=r"a grid of \(1, 1, 1\) with strides \(32, 32, 8\)"):
        attention_map(torch.ones(1, 1, 1, 1, 1), (33, 32, 8), strides=(32, 32, 8))


def test_evidence_keeps_its_sign_and_unit() -> None:
    added = torch.tensor([[-2.0, 3.0]]).reshape(1, 2, 1, 1)
    found = evidence_map(added, (8, 1, 1), strides=(4, 1, 1)).flatten()
    assert found.min() == -2.0
    assert found.max() == 3.0
