"""What a detector does at one threshold, and its precision over all of them.

Letters in shapes: N exams.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from petct_ext.arrays import Floats

__all__ = [
    "OperatingPoint",
    "average_precision",
    "operating_point",
    "roc_curve",
    "sensitivity",
    "specificity",
]


@dataclass(frozen=True, slots=True)
class OperatingPoint:
    """What a detector does at one threshold; NaN where the denominator is 0.

    Attributes:
        sensitivity: fraction of abnormal exams that are called.
        specificity: fraction of normal exams that are not called.
        ppv: positive predictive value, the fraction of called exams that are abnormal.
        npv: negative predictive value, the fraction of others that are normal.
        f1: harmonic mean of sensitivity and ppv; 0 if abnormal exams are there but none is found.
    """

    sensitivity: float
    specificity: float
    ppv: float
    npv: float
    f1: float


def operating_point(
    prob: npt.ArrayLike, target: npt.ArrayLike, *, threshold: float = 0.5
) -> OperatingPoint:
    """Counts hits and misses at one threshold.

    Args:
        prob: probabilities (N,).
        target: labels (N,): 1, 0 or NaN (left out).
        threshold: from which probability on an exam is called abnormal; NaN if unknown.

    Returns:
        The measures; all NaN if the threshold is unknown. Predictive values hold for the
        prevalence of these exams only.

    Example:
        >>> operating_point([0.9, 0.8, 0.2, 0.1], [1, 0, 1, 0]).ppv
        0.5
    """
    labels = np.asarray(target, dtype=np.float64)
    if np.isnan(threshold):
        return OperatingPoint(*[float("nan")] * 5)
    called = np.asarray(prob, dtype=np.float64) >= threshold
    hits, false = int((called & (labels == 1)).sum()), int((called & (labels == 0)).sum())
    missed, spared = int((~called & (labels == 1)).sum()), int((~called & (labels == 0)).sum())
    return OperatingPoint(
        sensitivity=_ratio(hits, hits + missed),
        specificity=_ratio(spared, spared + false),
        ppv=_ratio(hits, hits + false),
        npv=_ratio(spared, spared + missed),
        f1=_ratio(2 * hits, 2 * hits + false + missed) if hits + missed else float("nan"),
    )


def sensitivity(prob: npt.ArrayLike, target: npt.ArrayLike, *, threshold: float = 0.5) -> float:
    """Returns the fraction of abnormal exams with a probability at or above ``threshold``.

    Args:
        prob: probabilities (N,).
        target: labels (N,): 1, 0 or NaN (left out).
        threshold: from which probability on an exam is called abnormal.

    Returns:
        The fraction; NaN if no exam is abnormal.

    Example:
        >>> sensitivity([0.9, 0.2, 0.7], [1, 1, 0])
        0.5
    """
    positive = np.asarray(prob, dtype=np.float64)[np.asarray(target) == 1]
    return float(np.mean(positive >= threshold)) if len(positive) else float("nan")


def specificity(prob: npt.ArrayLike, target: npt.ArrayLike, *, threshold: float = 0.5) -> float:
    """Returns the fraction of normal exams with a probability below ``threshold``.

    Args:
        prob: probabilities (N,).
        target: labels (N,): 1, 0 or NaN (left out).
        threshold: from which probability on an exam is called abnormal.

    Returns:
        The fraction; NaN if no exam is normal.
    """
    negative = np.asarray(prob, dtype=np.float64)[np.asarray(target) == 0]
    return float(np.mean(negative < threshold)) if len(negative) else float("nan")


def average_precision(prob: npt.ArrayLike, target: npt.ArrayLike) -> float:
    """Computes the mean precision over the steps of the precision-recall curve.

    No interpolation, as in scikit-learn; exams with equal scores enter together.

    Args:
        prob: scores (N,).
        target: labels (N,): 1, 0 or NaN (left out).

    Returns:
        The average in (0, 1]; NaN if no exam is abnormal. By chance it is the prevalence.

    Example:
        >>> average_precision([0.9, 0.8, 0.1], [1, 0, 1])
        0.8333333333333333
    """
    found, called = _counts_by_threshold(prob, target)
    if found[-1] == 0:
        return float("nan")
    return float(np.sum(np.diff(found) / found[-1] * (found[1:] / called[1:])))


def roc_curve(prob: npt.ArrayLike, target: npt.ArrayLike) -> tuple[Floats, Floats]:
    """Returns the ROC curve from (0, 0) to (1, 1), one point per distinct score.

    Args:
        prob: scores (N,).
        target: labels (N,): 1, 0 or NaN (left out).

    Returns:
        1 - specificity and sensitivity, of equal length; NaN where a class is missing.
    """
    found, called = _counts_by_threshold(prob, target)
    false = called - found
    with np.errstate(invalid="ignore"):
        return np.asarray(false / false[-1]), np.asarray(found / found[-1])


def _ratio(part: int, whole: int) -> float:
    return part / whole if whole else float("nan")


def _counts_by_threshold(prob: npt.ArrayLike, target: npt.ArrayLike) -> tuple[Floats, Floats]:
    """Counts abnormal and all exams at or above each distinct score, highest first, from 0."""
    scores, labels = np.asarray(prob, dtype=np.float64), np.asarray(target, dtype=np.float64)
    known = ~np.isnan(labels)
    order = np.argsort(-scores[known], kind="stable")
    scores, labels = scores[known][order], labels[known][order]
    last_of_tie = np.append(np.diff(scores) != 0, True)[: len(scores)]
    found, called = np.cumsum(labels)[last_of_tie], np.arange(1.0, len(scores) + 1)[last_of_tie]
    return np.append(0.0, found), np.append(0.0, called)
