"""Worklist triage: how many abnormal exams are found if the most suspicious are read first.

Letters in shapes: S seeds, N exams.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from math import ceil
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from petct_ext.arrays import Floats
from petct_ext.statistics.predictions import Experiment

__all__ = [
    "fraction_unread",
    "number_needed_to_read",
    "sensitivity_when_read",
    "triage_curve",
    "triage_table",
]


def triage_curve(prob: npt.ArrayLike, target: npt.ArrayLike) -> Floats:
    """Returns the sensitivity after reading 0, 1, ..., N exams, highest probability first.

    Exams of equal probability are read in random order; the expected value is returned. The
    perfect reader reaches 1 after as many exams as are abnormal, random order follows the
    diagonal.

    Args:
        prob: probabilities (N,).
        target: labels (N,): 1, 0 or NaN (left out).

    Returns:
        Sensitivities (N + 1,) from 0 to 1, N counting known labels; NaN if no exam is abnormal.

    Example:
        >>> triage_curve([0.9, 0.5, 0.5, 0.1], [1, 1, 0, 0]).tolist()
        [0.0, 0.5, 0.75, 1.0, 1.0]
    """
    scores, labels = np.asarray(prob, dtype=np.float64), np.asarray(target, dtype=np.float64)
    scores, labels = scores[~np.isnan(labels)], labels[~np.isnan(labels)]
    if labels.sum() == 0:
        return np.full(len(labels) + 1, np.nan)
    order = np.argsort(-scores, kind="stable")
    found = np.append(0.0, np.cumsum(labels[order]))
    # Corners: the counts of read exams at which no tie is cut in two.
    corners = np.append(np.flatnonzero(np.diff(scores[order])) + 1, len(labels))
    corners = np.append(0, corners)
    read = np.arange(len(labels) + 1)
    return np.asarray(np.interp(read, corners, found[corners]) / labels.sum())


def sensitivity_when_read(curve: npt.ArrayLike, fraction: float) -> float:
    """Returns the sensitivity when a fraction of the worklist is read (between counts: linear).

    Args:
        curve: from :func:`triage_curve`.
        fraction: in [0, 1].
    """
    values = np.asarray(curve, dtype=np.float64)
    return float(np.interp(fraction * (len(values) - 1), np.arange(len(values)), values))


def fraction_unread(curve: npt.ArrayLike, sensitivity: float) -> float:
    """Returns the largest fraction that can be left unread while ``sensitivity`` is reached.

    Args:
        curve: from :func:`triage_curve`.
        sensitivity: wanted, in [0, 1].

    Returns:
        The fraction in [0, 1]; NaN without positives.

    Example:
        >>> fraction_unread([0.0, 0.5, 0.75, 1.0, 1.0], 0.75)
        0.5
    """
    values = np.asarray(curve, dtype=np.float64)
    if np.isnan(values).any() or len(values) < 2:
        return float("nan")
    read = int(np.argmax(values >= sensitivity - 1e-12))
    return 1 - read / (len(values) - 1)


def number_needed_to_read(curve: npt.ArrayLike, fraction: float, *, num_positive: int) -> float:
    """Returns how many exams are read per abnormal exam found, when a fraction is read.

    Args:
        curve: from :func:`triage_curve`.
        fraction: in (0, 1], rounded up to whole exams.
        num_positive: abnormal exams in the worklist.

    Returns:
        Exams per finding, at least 1; NaN if none is found.
    """
    values = np.asarray(curve, dtype=np.float64)
    read = max(1, ceil(fraction * (len(values) - 1) - 1e-9))
    found = values[min(read, len(values) - 1)] * num_positive
    return float(read / found) if found > 0 else float("nan")


def triage_table(
    experiments: Iterable[Experiment],
    *,
    fractions: Sequence[float] = (0.5, 0.75),
    sensitivities: Sequence[float] = (0.95, 0.99),
) -> pd.DataFrame:
    """Tells for every task what a sorted worklist would save.

    Args:
        experiments: predictions with targets.
        fractions: fractions of the worklist that are read.
        sensitivities: wanted sensitivities.

    Returns:
        One row per experiment and task: ``sensitivity_at_<percent>`` and
        ``number_needed_to_read_at_<percent>`` read, ``unread_at_<percent>`` sensitivity, each the
        mean over seeds, with ``_lowest`` and ``_highest`` seed. ``number_needed_to_read_random``
        is what random order needs.
    """
    rows = []
    for experiment in experiments:
        for t, task in enumerate(experiment.tasks):
            target = experiment.target[t]
            curves = [triage_curve(of_seed[t], target) for of_seed in experiment.prob]
            positive = int(np.nansum(target))
            row: dict[str, Any] = {
                "experiment": experiment.name,
                "split": experiment.split,
                "task": task,
                "title": experiment.title(task),
                "target_kind": experiment.target_kind,
                "n": len(curves[0]) - 1,
                "n_positive": positive,
                "number_needed_to_read_random": (
                    (len(curves[0]) - 1) / positive if positive else np.nan
                ),
            }
            for f in fractions:
                name = f"{100 * f:g}"
                found = [sensitivity_when_read(curve, f) for curve in curves]
                needed = [number_needed_to_read(c, f, num_positive=positive) for c in curves]
                row |= _spread(f"sensitivity_at_{name}", found)
                row |= _spread(f"number_needed_to_read_at_{name}", needed)
            for s in sensitivities:
                unread = [fraction_unread(curve, s) for curve in curves]
                row |= _spread(f"unread_at_{100 * s:g}", unread)
            rows.append(row)
    return pd.DataFrame(rows)


def _spread(name: str, values: Sequence[float]) -> dict[str, float]:
    return {
        name: float(np.mean(values)),
        f"{name}_lowest": float(np.min(values)),
        f"{name}_highest": float(np.max(values)),
    }
