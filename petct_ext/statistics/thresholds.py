"""Choosing a threshold on one split for use on another.

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

__all__ = ["Thresholds", "choose_thresholds", "fixed_threshold", "threshold_for_sensitivity"]


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
