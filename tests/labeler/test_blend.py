"""The blend of network and rules leans on the better one and puts the threshold at 0.5."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from petct_ext.errors import InputDataError
from petct_ext.labeler.blend import choose_blend, score_blend
from petct_ext.labeler.tokens import blend_with_rules


def noisy(labels: np.ndarray, spread: float, rng: np.random.Generator) -> np.ndarray:
    logits = 2 * (2 * labels - 1) + spread * rng.standard_normal(len(labels))
    return 1 / (1 + np.exp(-logits))


def test_better_source_weighs_more() -> None:
    rng = np.random.default_rng(0)
    labels = rng.integers(0, 2, 400).astype(float)
    good, poor = noisy(labels, 1.0, rng), noisy(labels, 6.0, rng)
    a, b, _ = choose_blend(good, poor, labels)
    assert a > 1.3 * b
    b, a, _ = choose_blend(poor, good, labels)
    assert a > 1.3 * b


def test_threshold_does_not_follow_the_share_of_abnormal_mentions() -> None:
    rng = np.random.default_rng(1)
    labels = (rng.random(2000) < 0.9).astype(float)
    network, rules = noisy(labels, 2.0, rng), noisy(labels, 2.0, rng)
    blend = choose_blend(network, rules, labels)
    of_network, of_rules = torch.from_numpy(network), torch.from_numpy(rules)
    called = blend_with_rules(of_network, of_rules, torch.tensor(blend)) >= 0.5
    sensitivity = called[labels == 1].float().mean()
    specificity = (~called[labels == 0]).float().mean()
    assert abs(float(sensitivity - specificity)) < 0.05


def test_right_probabilities_are_calibrated_and_shifted_ones_are_not() -> None:
    rng = np.random.default_rng(2)
    truth = rng.random(5000)
    labels = (rng.random(5000) < truth).astype(float)
    rules = np.full(5000, 0.5)
    right = score_blend(truth, rules, labels, (1.0, 0.0, 0.0))
    shifted = score_blend(truth, rules, labels, (1.0, 0.0, 2.0))
    assert right.calibration_error < 0.03 < shifted.calibration_error
    assert right.brier < shifted.brier


def test_one_kind_of_mention_is_not_enough() -> None:
    half = np.full(3, 0.5)
    with pytest.raises(InputDataError, match="needs abnormal and other mentions"):
        choose_blend(half, half, np.ones(3))
