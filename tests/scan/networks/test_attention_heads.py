"""The attention head computes what its formula says, masks padding and trains."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor
from torch.testing import assert_close

from petct_ext.scan.networks.attention_heads import RegionAttentionHead

B, C, R, H = 2, 12, 3, 4
SPATIAL = (3, 2, 5)


@pytest.fixture
def head() -> RegionAttentionHead:
    return RegionAttentionHead(C, R, num_heads=H).double().eval()


@pytest.fixture
def features() -> Tensor:
    return torch.randn(B, C, *SPATIAL, dtype=torch.float64)


def reference(head: RegionAttentionHead, features: Tensor) -> Tensor:
    """The published order of operations: project every position, then pool."""
    assert head.query is not None
    assert head.value is not None
    assert head.value_bias is not None
    x = features.flatten(2).transpose(1, 2)  # B N C
    logits = []
    for r in range(R):
        scores = (x @ head.query[r].T) * (C // H) ** -0.5  # B N H
        values = torch.stack(
            [x @ head.value[r, h] + head.value_bias[r, h] for h in range(H)], dim=2
        )  # B N H D
        pooled = (scores.softmax(dim=1)[..., None] * values).sum(dim=1)  # B H D
        logits.append(pooled.flatten(1) @ head.weight[r].flatten() + head.bias[r])
    return torch.stack(logits, dim=1)


def test_equals_projecting_every_position(head: RegionAttentionHead, features: Tensor) -> None:
    assert_close(head(features), reference(head, features))


def test_weights_are_a_distribution_over_positions(
    head: RegionAttentionHead, features: Tensor
) -> None:
    weights = head.attention(features)
    assert weights.shape == (B, R, H, *SPATIAL)
    assert (weights >= 0).all()
    assert_close(weights.flatten(3).sum(-1), torch.ones(B, R, H, dtype=torch.float64))


def test_constant_features_are_attended_evenly(head: RegionAttentionHead) -> None:
    weights = head.attention(torch.ones(B, C, *SPATIAL, dtype=torch.float64))
    assert_close(weights, torch.full_like(weights, 1 / (3 * 2 * 5)))


def test_logits_do_not_depend_on_the_order_of_positions(
    head: RegionAttentionHead, features: Tensor
) -> None:
    shuffled = features.flatten(2)[..., torch.randperm(3 * 2 * 5)].unflatten(-1, SPATIAL)
    assert_close(head(shuffled), head(features))


def test_masked_positions_have_no_influence(head: RegionAttentionHead, features: Tensor) -> None:
    padded = torch.cat([features, torch.randn(B, C, 3, 2, 4, dtype=torch.float64)], dim=-1)
    mask = torch.zeros(B, 3, 2, 9, dtype=torch.bool)
    mask[..., :5] = True
    assert_close(head(padded, mask), head(features))
    assert (head.attention(padded, mask)[..., 5:] == 0).all()


def test_each_region_has_its_own_parameters(head: RegionAttentionHead, features: Tensor) -> None:
    head(features)[:, 1].sum().backward()
    for name, parameter in head.named_parameters():
        assert parameter.grad is not None, name
        assert parameter.grad[1].abs().sum() > 0, name
        assert parameter.grad[[0, 2]].abs().sum() == 0, name


def test_saved_state_restores_the_function(head: RegionAttentionHead, features: Tensor) -> None:
    other = RegionAttentionHead(C, R, num_heads=H).double().eval()
    other.load_state_dict(head.state_dict())
    assert_close(other(features), head(features), rtol=0, atol=0)


@pytest.mark.parametrize(
    ("sizes", "message"),
    [
        pytest.param(
            {"in_channels": 10, "num_regions": 3, "num_heads": 4},
            "4 does not divide 10",
            id="heads",
        ),
        pytest.param(
            {"in_channels": 8, "num_regions": 0, "num_heads": 4}, "got 8, 0 and 4", id="no-region"
        ),
    ],
)
def test_refuses_impossible_sizes(sizes: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        RegionAttentionHead(**sizes)


def test_place_alone_can_tell_positions_apart() -> None:
    head = RegionAttentionHead(C, R, num_heads=H, num_frequencies=2).eval()
    weights = head.attention(torch.ones(B, C, *SPATIAL))
    assert weights.flatten(3).std(dim=-1).min() > 1e-4


def test_place_runs_over_the_real_slices_only() -> None:
    """Padding an exam must not move where its heads look."""
    head = RegionAttentionHead(C, R, num_heads=H, num_frequencies=2).eval()
    features = torch.rand(1, C, 3, 2, 5)
    padded = torch.cat([features, torch.rand(1, C, 3, 2, 4)], dim=4)
    mask = torch.arange(9).expand(1, 3, 2, 9) < 5
    assert_close(head(padded, mask), head(features))


def test_head_with_place_can_be_scripted() -> None:
    head = RegionAttentionHead(C, R, num_heads=H, num_frequencies=2).eval()
    features = torch.rand(B, C, *SPATIAL)
    assert_close(torch.jit.script(head)(features), head(features))


def test_contributions_of_all_positions_make_up_the_logit(
    head: RegionAttentionHead, features: Tensor
) -> None:
    added = head.contributions(features)
    assert added.shape == (features.shape[0], len(head.bias), *features.shape[2:])
    assert head.value_bias is not None
    constant = torch.einsum("rhd,rhd->r", head.value_bias, head.weight) + head.bias
    torch.testing.assert_close(added.flatten(2).sum(dim=2) + constant, head(features))


def test_starts_near_the_prevalence(features: Tensor) -> None:
    head = RegionAttentionHead(features.shape[1], 3, num_heads=1)
    head.start_at_prevalence(torch.tensor([0.0, 0.5, float("nan")]))
    torch.testing.assert_close(head.bias.sigmoid(), torch.tensor([0.01, 0.5, 0.5]))
    probabilities = head(features.float()).sigmoid().mean(dim=0)
    assert probabilities[0] < 0.1 < probabilities[1]


def test_prevalence_of_other_regions_is_refused() -> None:
    with pytest.raises(ValueError, match=r"shape \(2,\), expected one value for each of 3 regions"):
        RegionAttentionHead(8, 3, num_heads=1).start_at_prevalence(torch.zeros(2))


def test_without_projection_it_is_the_formula_of_the_paper(features: Tensor) -> None:
    """A = softmax(w_r . x), z = sum a x, logit = v_r . z + c_r, for each region on its own."""
    head = RegionAttentionHead(C, R, num_heads=1, project_values=False).double().eval()
    assert head.query is not None
    assert head.value is None
    x = features.flatten(2)
    for region in range(R):
        weights = torch.einsum("c,bcn->bn", head.query[region, 0], x).softmax(dim=1)
        pooled = torch.einsum("bn,bcn->bc", weights, x)
        logit = pooled @ head.weight[region, 0] + head.bias[region]
        assert_close(head(features)[:, region], logit)


@pytest.mark.parametrize("pooling", ["sum", "mean"])
def test_plain_pooling_takes_real_positions_alike(features: Tensor, pooling: str) -> None:
    head = RegionAttentionHead(C, R, pooling=pooling).double().eval()
    mask = torch.zeros(B, *SPATIAL, dtype=torch.bool)
    mask[0, ..., :3] = True
    mask[1] = True
    real = [features[0, ..., :3], features[1]]
    pooled = torch.stack([getattr(exam.flatten(1), pooling)(dim=1) for exam in real])
    assert_close(head(features, mask), pooled @ head.weight[:, 0].T + head.bias)
    assert len(list(head.parameters())) == 2
    assert_close(head(features), head(features, torch.ones_like(mask)))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"pooling": "max"}, "pooling is 'max'; known are attention, sum, mean"),
        ({"pooling": "sum", "num_frequencies": 2}, "no attention that could use the place"),
    ],
)
def test_options_that_contradict_are_refused(options: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        RegionAttentionHead(C, R, **options)


def test_logits_are_not_rounded_under_autocast() -> None:
    """bf16 has 8 bits, so that exams which differ a little would share a logit."""
    head = RegionAttentionHead(C, R, num_heads=H).eval()
    features = torch.randn(64, C, *SPATIAL)
    with torch.no_grad(), torch.autocast("cpu", dtype=torch.bfloat16):
        head.bias.zero_()
        logits = head(features)
        assert len(logits[:, 0].unique()) == len(features)
    assert logits.dtype == torch.float32
    assert not torch.equal(logits, logits.bfloat16().float())
    assert_close(logits, head(features), rtol=0.05, atol=0.02)
