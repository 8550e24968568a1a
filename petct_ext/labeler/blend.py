"""Chooses how the network and the rules are combined, and where the line between both calls is.

Letters in shapes: M mentions.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
import torch
from scipy.optimize import minimize

from petct_ext.arrays import Floats
from petct_ext.errors import InputDataError
from petct_ext.labeler.tokens import NETWORK_MARGIN, RULE_MARGIN, blend_with_rules

__all__ = ["EQUAL_WEIGHTS", "BlendScores", "choose_blend", "score_blend"]

EQUAL_WEIGHTS: Final = (0.6, 0.6, 0.0)
"""Where the choice begins."""

_RIDGE: Final = 0.1
"""Weight of the pull towards :data:`EQUAL_WEIGHTS`, as a share of the mentions. Blends within it
differ by less than chance does, and equal weights have held on text of many kinds."""


@dataclass(frozen=True, slots=True)
class BlendScores:
    """How good probabilities are at one threshold of 0.5.

    Attributes:
        num: mentions.
        brier: mean squared distance to the label.
        calibration_error: mean distance between probability and share of abnormal mentions, over
            ten bins of equal width, weighted by their size.
    """

    num: int
    brier: float
    calibration_error: float


def choose_blend(network: Floats, rules: Floats, labels: Floats) -> tuple[float, float, float]:
    """Fits ``sigmoid(a logit(network) + b logit(rules) + c)`` to judged mentions.

    Both kinds of mentions weigh the same in total, so that 0.5 is the threshold at which neither
    kind of error is preferred, whatever the share of abnormal mentions in the text. Weights below
    0 are not allowed.

    Args:
        network: probabilities of the network (M,), on text that it was not trained on.
        rules: probabilities of the rules (M,).
        labels: 1 abnormal, 0 not (M,).

    Returns:
        a, b and c, rounded to two decimals.

    Raises:
        InputDataError: if all labels are equal.
    """
    positive = labels.mean() if len(labels) else 0.0
    if not 0 < positive < 1:
        raise InputDataError("the blend needs abnormal and other mentions; annotate more text.")
    inputs = np.stack([_logit(network, NETWORK_MARGIN), _logit(rules, RULE_MARGIN)], axis=1)
    weights = np.where(labels == 1, 0.5 / positive, 0.5 / (1 - positive))
    signs = np.where(labels == 1, 1.0, -1.0)

    def loss(parameters: Floats) -> float:
        margins = signs * (inputs @ parameters[:2] + parameters[2])
        pull = _RIDGE * len(labels) * float(np.square(parameters - np.array(EQUAL_WEIGHTS)).sum())
        return float((weights * np.logaddexp(0.0, -margins)).sum()) + pull

    bounds = [(0.0, None), (0.0, None), (None, None)]
    a, b, c = (round(float(x), 2) for x in minimize(loss, EQUAL_WEIGHTS, bounds=bounds).x)
    return a, b, c


def score_blend(
    network: Floats, rules: Floats, labels: Floats, blend: tuple[float, float, float]
) -> BlendScores:
    """Returns the calibration of a blend.

    Args:
        network: probabilities of the network (M,).
        rules: probabilities of the rules (M,).
        labels: 1 abnormal, 0 not (M,).
        blend: a, b and c.
    """
    of_network, of_rules = torch.from_numpy(network), torch.from_numpy(rules)
    probabilities = blend_with_rules(of_network, of_rules, torch.tensor(blend)).double().numpy()
    bins = np.minimum((probabilities * 10).astype(int), 9)
    gaps = [
        abs(float((probabilities[bins == k] - labels[bins == k]).sum())) for k in np.unique(bins)
    ]
    return BlendScores(
        len(labels),
        float(np.square(probabilities - labels).mean()),
        float(sum(gaps) / len(labels)),
    )


def _logit(probabilities: Floats, margin: float) -> Floats:
    clipped = np.clip(probabilities, margin, 1 - margin)
    return np.asarray(np.log(clipped) - np.log1p(-clipped))
