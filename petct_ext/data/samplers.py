"""Samplers: how often an exam is drawn."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from torch.utils.data import WeightedRandomSampler

from petct_ext.errors import InputDataError

__all__ = ["balanced_sampler"]


def balanced_sampler(
    labels: Sequence[np.ndarray], *, num_samples: int, seed: int
) -> WeightedRandomSampler:
    """Draws positives and negatives equally often, with replacement.

    Args:
        labels: the first element of each counts: 1 positive (at or above 0.5), 0 negative, NaN
            unknown; unknown exams are never drawn.
        num_samples: draws per epoch.
        seed: seeds the sampler's own generator.

    Returns:
        The sampler.

    Raises:
        InputDataError: if there is no positive or no negative exam.
    """
    first = np.array([np.asarray(label, dtype=np.float64).flat[0] for label in labels])
    positive, negative = first >= 0.5, first < 0.5
    if not positive.any() or not negative.any():
        raise InputDataError(
            f"of {len(first)} training exams {positive.sum()} are positive and {negative.sum()} "
            "negative; balanced sampling needs both. Choose another horizon or add exams."
        )
    weights = np.where(positive, 0.5 / max(positive.sum(), 1), 0.0)
    weights += np.where(negative, 0.5 / max(negative.sum(), 1), 0.0)
    generator = torch.Generator().manual_seed(seed)
    return WeightedRandomSampler(weights.tolist(), num_samples, generator=generator)
