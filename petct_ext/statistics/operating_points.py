"""What a detector does at a threshold, and thresholds chosen on one split for another.

Letters in shapes: S seeds, T tasks, N exams.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from math import floor

import numpy as np
import numpy.typing as npt

from petct_ext.arrays import Floats
from petct_ext.errors import InputDataError, did_you_mean
from petct_ext.statistics.predictions import Experiment

__all__ = [
    "OperatingPoint",
    "Thresholds",
    "average_precision",
    "choose_thresholds",
    "fixed_threshold",
    "operating_point",
    "roc_curve",
    "sensitivity",
    "specificity",
    "threshold_for_sensitivity",
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


@dataclass(frozen=True, slots=True, eq=False)
class Thresholds:
    """From which probability on an exam counts as called abnormal.

    Attributes:
        rule: how they were chosen, for tables and pages.
        value: the threshold of all, or None if each seed and task has its own.
        of_experiment: thresholds (S, T) by experiment, in its order of seeds and tasks; NaN where
            the other split has no positive.
    """

    rule: str
    value: float | None
    of_experiment: Mapping[str, Floats]

    def of(self, experiment: Experiment) -> Floats:
        """Returns the thresholds (S, T) of an experiment."""
        if self.value is not None:
            return np.full(experiment.prob.shape[:2], self.value)
        return self.of_experiment[experiment.name]


def fixed_threshold(value: float) -> Thresholds:
    """Returns one threshold for all.

    Raises:
        InputDataError: if it is not in [0, 1].
    """
    if not 0 <= value <= 1:
        raise InputDataError(f"the threshold ({value}) must be in [0, 1].")
    return Thresholds(f"probability {value:g}", value, {})


def threshold_for_sensitivity(
    prob: npt.ArrayLike, target: npt.ArrayLike, *, sensitivity: float
) -> float:
    """Returns the highest threshold at which at least ``sensitivity`` of the positives are called.

    Args:
        prob: probabilities (N,).
        target: labels (N,): 1, 0 or NaN (left out).
        sensitivity: in (0, 1].

    Returns:
        The probability of a positive exam, which itself is called; NaN without positives.

    Example:
        >>> threshold_for_sensitivity([0.9, 0.6, 0.3, 0.1], [1, 1, 1, 1], sensitivity=0.75)
        0.3
    """
    positive = np.sort(np.asarray(prob, np.float64)[np.asarray(target) == 1])
    if len(positive) == 0:
        return float("nan")
    # 1e-9: 0.9 of 10 are 9, though 0.1 * 10 is a little less than 1 in binary.
    may_miss = floor(len(positive) * (1 - sensitivity) + 1e-9)
    return float(positive[min(may_miss, len(positive) - 1)])


def choose_thresholds(
    experiments: list[Experiment], validation: list[Experiment], *, sensitivity: float
) -> Thresholds:
    """Chooses a threshold per experiment, seed and task on another split.

    Args:
        experiments: what the thresholds are for.
        validation: the same experiments on the other split; who judged there may be another than
            in ``experiments`` (the rule says it).
        sensitivity: wanted on the other split, in (0, 1].

    Returns:
        The thresholds with their rule.

    Raises:
        InputDataError: if the other split lacks an experiment, seed or task, or ``sensitivity`` is
            out of range.
    """
    if not 0 < sensitivity <= 1:
        raise InputDataError(f"the wanted sensitivity ({sensitivity}) must be in (0, 1].")
    by_name = {other.name: other for other in validation}
    chosen: dict[str, Floats] = {}
    for experiment in experiments:
        if experiment.name not in by_name:
            raise InputDataError(
                f"no prediction of experiment {experiment.name!r} in the split that the thresholds "
                f"are chosen on.{did_you_mean(experiment.name, by_name)}"
            )
        chosen[experiment.name] = _thresholds(
            experiment, by_name[experiment.name], sensitivity=sensitivity
        )
    other = validation[0]
    rule = f"sensitivity {sensitivity:g} on split {other.split} ({other.target_kind} labels)"
    return Thresholds(rule, None, chosen)


def _thresholds(experiment: Experiment, other: Experiment, *, sensitivity: float) -> Floats:
    lacking = [f"seed {seed}" for seed in experiment.seeds if seed not in other.seeds]
    lacking += [f"task {task!r}" for task in experiment.tasks if task not in other.tasks]
    if lacking:
        raise InputDataError(
            f"experiment {experiment.name!r}: split {other.split!r} lacks {lacking[0]} "
            f"({len(lacking)} in all); predict it as well or give a fixed --threshold."
        )
    result = np.full(experiment.prob.shape[:2], np.nan)
    for s, seed in enumerate(experiment.seeds):
        for t, task in enumerate(experiment.tasks):
            at = other.tasks.index(task)
            result[s, t] = threshold_for_sensitivity(
                other.prob[other.seeds.index(seed), at], other.target[at], sensitivity=sensitivity
            )
    return result
