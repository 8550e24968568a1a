"""Samplers: how often an exam is drawn."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from torch.utils.data import WeightedRandomSampler

from petct_ext.errors import InputDataError, did_you_mean

__all__ = ["balanced_sampler"]


def balanced_sampler(
    labels: Sequence[np.ndarray],
    *,
    num_samples: int,
    seed: int,
    positive_fraction: float = 0.5,
    tasks: Sequence[str] | None = None,
    balance_on: str | None = None,
) -> WeightedRandomSampler:
    """Draws positives and negatives of one output in a fixed ratio, with replacement.

    With several outputs only one of them can be balanced. Exams whose label of this output is
    unknown are never drawn, even where their other labels are known.

    Args:
        labels: of each exam, shape (T,) for T outputs: positive at or above 0.5, negative below,
            NaN unknown.
        num_samples: draws per epoch.
        seed: seeds the sampler's own generator.
        positive_fraction: share of positives among the draws, between 0 and 1.
        tasks: names of the outputs (T), for ``balance_on`` and for messages.
        balance_on: the output that is balanced, one of ``tasks``; the first if omitted.

    Returns:
        The sampler.

    Raises:
        InputDataError: if there is no positive or no negative exam, the share is not between 0 and
            1, or ``balance_on`` is none of ``tasks``.
    """
    if not 0 < positive_fraction < 1:
        raise InputDataError(
            f"positive_fraction is {positive_fraction}, expected a share above 0 and below 1, e.g. "
            "0.5 for as many positives as negatives."
        )
    output = _output(tasks, balance_on)
    values = np.array([np.asarray(label, dtype=np.float64).flat[output] for label in labels])
    positive, negative = values >= 0.5, values < 0.5
    if not positive.any() or not negative.any():
        where = f" of {tasks[output]!r}" if tasks else ""
        raise InputDataError(
            f"of {len(values)} training exams {positive.sum()} are positive and {negative.sum()} "
            f"negative{where}, {np.isnan(values).sum()} have no label; balanced sampling needs "
            "both. Choose another horizon or region, or add exams."
        )
    weights = np.where(positive, positive_fraction / positive.sum(), 0.0)
    weights += np.where(negative, (1 - positive_fraction) / negative.sum(), 0.0)
    generator = torch.Generator().manual_seed(seed)
    return WeightedRandomSampler(weights.tolist(), num_samples, generator=generator)


def _output(tasks: Sequence[str] | None, balance_on: str | None) -> int:
    if balance_on is None:
        return 0
    if balance_on not in (tasks or ()):
        raise InputDataError(
            f"the draws cannot be balanced on {balance_on!r}, which is no output of the network; "
            f"it has {', '.join(tasks or ()) or 'no named ones'}."
            f"{did_you_mean(balance_on, tasks or ())}"
        )
    return list(tasks or ()).index(balance_on)
