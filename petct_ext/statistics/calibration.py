"""Whether predicted probabilities mean what they say. Letters in shapes: N exams, K bins."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from petct_ext.arrays import Floats

__all__ = ["ReliabilityBins", "brier_score", "expected_calibration_error", "reliability_bins"]


@dataclass(frozen=True, slots=True)
class ReliabilityBins:
    """A reliability diagram in numbers; every array has shape (K,).

    Attributes:
        edges: limits of the bins (K + 1,), from 0 to 1.
        count: exams in each bin.
        mean_prob: mean predicted probability, NaN in empty bins.
        observed: fraction of abnormal exams, NaN in empty bins.
    """

    edges: Floats
    count: npt.NDArray[np.int64]
    mean_prob: Floats
    observed: Floats


def brier_score(prob: npt.ArrayLike, target: npt.ArrayLike) -> float:
    """Computes the mean squared difference of probability and label (Brier 1950).

    Args:
        prob: probabilities (N,) in [0, 1].
        target: labels (N,): 1, 0 or NaN (left out).

    Returns:
        The score in [0, 1], lower is better; NaN without any known label.

    Example:
        >>> brier_score([1.0, 0.5, 0.2], [1, 0, float("nan")])
        0.125
    """
    probs, labels = _known(prob, target)
    return float(np.mean((probs - labels) ** 2)) if len(labels) else float("nan")


def reliability_bins(
    prob: npt.ArrayLike, target: npt.ArrayLike, *, num_bins: int = 10
) -> ReliabilityBins:
    """Groups exams by predicted probability into bins of equal width.

    Args:
        prob: probabilities (N,) in [0, 1].
        target: labels (N,): 1, 0 or NaN (left out).
        num_bins: number of bins K; a probability of 1 belongs to the last one.

    Returns:
        Count, mean probability and observed fraction of each bin.
    """
    probs, labels = _known(prob, target)
    edges = np.linspace(0, 1, num_bins + 1)
    bin_of = np.minimum((probs * num_bins).astype(np.int64), num_bins - 1)
    count = np.bincount(bin_of, minlength=num_bins)
    with np.errstate(invalid="ignore"):
        mean_prob = np.bincount(bin_of, weights=probs, minlength=num_bins) / count
        observed = np.bincount(bin_of, weights=labels, minlength=num_bins) / count
    return ReliabilityBins(edges, count.astype(np.int64), mean_prob, observed)


def expected_calibration_error(
    prob: npt.ArrayLike, target: npt.ArrayLike, *, num_bins: int = 10
) -> float:
    """Computes the mean gap between predicted and observed frequency (Naeini et al. 2015).

    Bins of equal width, weighted by their number of exams.

    Args:
        prob: probabilities (N,) in [0, 1].
        target: labels (N,): 1, 0 or NaN (left out).
        num_bins: number of bins.

    Returns:
        The error in [0, 1]; NaN without any known label.

    Example:
        >>> expected_calibration_error([0.25, 0.25, 0.75, 0.75], [0, 0, 1, 1])
        0.25
    """
    bins = reliability_bins(prob, target, num_bins=num_bins)
    filled = bins.count > 0
    if not filled.any():
        return float("nan")
    gap = np.abs(bins.mean_prob[filled] - bins.observed[filled])
    return float(np.average(gap, weights=bins.count[filled]))


def _known(prob: npt.ArrayLike, target: npt.ArrayLike) -> tuple[Floats, Floats]:
    probs, labels = np.asarray(prob, dtype=np.float64), np.asarray(target, dtype=np.float64)
    if probs.shape != labels.shape or probs.ndim != 1:
        raise ValueError(
            f"prob and target must both have shape (N,), got {probs.shape} and {labels.shape}."
        )
    known = ~np.isnan(labels)
    if not bool(((probs[known] >= 0) & (probs[known] <= 1)).all()):
        raise ValueError("prob must hold probabilities in [0, 1].")
    return probs[known], labels[known]
