"""Areas under the ROC curve and their bootstrap distributions, of arrays and of experiments.

Letters in shapes: N exams, B bootstrap draws, S seeds, T tasks, K quantities.

A draw is a vector of weights: how often each exam occurs in it. The area of a draw then is a
weighted Mann-Whitney statistic, which needs one sort in all instead of one per draw; the result is
the same as resampling rows.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Final

import numpy as np
import numpy.typing as npt

from petct_ext.arrays import Floats
from petct_ext.statistics.predictions import Experiment

__all__ = [
    "auroc",
    "auroc_draws",
    "draw_weights",
    "mean_auroc_draws",
    "mean_draws",
    "mean_over_tasks",
    "percentile_interval",
    "resample_areas",
    "weight_blocks",
]

_LARGEST_TABLE: Final = 20_000_000
"""Pairs of exams, or weights, that are held in memory at a time."""
_MOST_ENUMERATED: Final = 10_000


def auroc(prob: npt.ArrayLike, target: npt.ArrayLike) -> float:
    """Computes the area under the ROC curve.

    The probability that a random abnormal exam scores higher than a random normal one; ties count
    one half (Hanley & McNeil 1982).

    Args:
        prob: scores (N,); only their order matters. NaN is not allowed.
        target: labels (N,): 1 abnormal, 0 normal, NaN unknown (left out).

    Returns:
        The area in [0, 1]; NaN if there is no abnormal or no normal exam.

    Raises:
        ValueError: if the shapes differ, a score is NaN, or a label is none of 0, 1 and NaN.

    Example:
        >>> auroc([0.1, 0.4, 0.35, 0.8, 0.9], [0, 0, 1, 1, float("nan")])
        0.75
    """
    positive, negative = _scores_by_class(prob, target)
    if len(positive) == 0 or len(negative) == 0:
        return float("nan")
    negative = np.sort(negative)
    below = np.searchsorted(negative, positive, side="left")
    not_above = np.searchsorted(negative, positive, side="right")
    return float((below + not_above).mean() / 2 / len(negative))


def auroc_draws(
    prob: npt.ArrayLike, target: npt.ArrayLike, weights: npt.NDArray[np.float32]
) -> Floats:
    """Computes the area under the ROC curve in every bootstrap draw.

    Args:
        prob: scores (N,).
        target: labels (N,): 1, 0 or NaN (left out of every draw).
        weights: how often each exam occurs in each draw (N, B), from :func:`draw_weights`.

    Returns:
        Areas (B,); NaN for draws without an abnormal or without a normal exam.

    Raises:
        ValueError: as in :func:`auroc`, or if ``weights`` does not have N rows.
    """
    _scores_by_class(prob, target)  # for its checks
    scores, labels = np.asarray(prob, dtype=np.float64), np.asarray(target, dtype=np.float64)
    if weights.ndim != 2 or len(weights) != len(scores):
        raise ValueError(
            f"weights must have shape (N, B) with N = {len(scores)}, got {weights.shape}."
        )
    of_positive, of_negative = np.flatnonzero(labels == 1), np.flatnonzero(labels == 0)
    if len(of_positive) == 0 or len(of_negative) == 0:
        return np.full(weights.shape[1], np.nan)
    of_negative = of_negative[np.argsort(scores[of_negative], kind="stable")]
    # Row k: weight of the k lowest negatives. Whole numbers below 2**24 are exact in float32.
    below = np.zeros((len(of_negative) + 1, weights.shape[1]), dtype=np.float32)
    np.cumsum(weights[of_negative], axis=0, out=below[1:])
    lowest = np.searchsorted(scores[of_negative], scores[of_positive], side="left")
    highest = np.searchsorted(scores[of_negative], scores[of_positive], side="right")
    of_weight = weights[of_positive]
    won = np.einsum("pb,pb->b", of_weight, below[lowest], dtype=np.float64)
    if np.array_equal(lowest, highest):
        won_or_tied = won
    else:
        won_or_tied = np.einsum("pb,pb->b", of_weight, below[highest], dtype=np.float64)
    pairs = of_weight.sum(axis=0, dtype=np.float64) * below[-1]
    with np.errstate(invalid="ignore"):
        return np.asarray(np.where(pairs > 0, (won + won_or_tied) / 2 / pairs, np.nan))


def mean_auroc_draws(
    probs: npt.ArrayLike, target: npt.ArrayLike, weights: npt.NDArray[np.float32]
) -> Floats:
    """Computes the mean area over seeds in every bootstrap draw.

    The area is a mean over pairs of an abnormal and a normal exam. Averaging the table of pairs
    over the seeds first leaves one matrix product for all seeds and draws, of whole numbers, so
    that the result is exact and equal to the mean of :func:`auroc_draws`.

    Args:
        probs: scores (S, N).
        target: labels (N,): 1, 0 or NaN (left out of every draw).
        weights: how often each exam occurs in each draw (N, B), from :func:`draw_weights`.

    Returns:
        Mean areas (B,); NaN for draws without an abnormal or without a normal exam.

    Raises:
        ValueError: as in :func:`auroc_draws`.
    """
    scores, labels = np.asarray(probs, dtype=np.float64), np.asarray(target, dtype=np.float64)
    positive, negative = np.flatnonzero(labels == 1), np.flatnonzero(labels == 0)
    num_pairs = len(positive) * len(negative)
    if not 0 < num_pairs <= _LARGEST_TABLE or len(labels) != len(weights):
        return np.asarray(np.mean([auroc_draws(p, labels, weights) for p in scores], axis=0))
    for prob in scores:
        _scores_by_class(prob, labels)  # for its checks
    if len(positive) > len(negative):
        # The mirrored problem has the same areas and fewer rows.
        return mean_auroc_draws(-scores, np.where(np.isnan(labels), np.nan, 1 - labels), weights)
    twice_won = np.zeros((len(positive), len(negative)), dtype=np.float32)
    for prob in scores:
        twice_won += prob[positive, None] > prob[negative]
        twice_won += prob[positive, None] >= prob[negative]
    of_weight, other = weights[positive], weights[negative]
    won = twice_won @ other
    won *= of_weight
    pairs = of_weight.sum(axis=0, dtype=np.float64) * other.sum(axis=0, dtype=np.float64)
    with np.errstate(invalid="ignore"):
        total = won.sum(axis=0, dtype=np.float64) / (2 * len(scores))
        return np.asarray(np.where(pairs > 0, total / pairs, np.nan))


def weight_blocks(
    clusters: npt.ArrayLike, *, num_draws: int, generator: np.random.Generator
) -> Iterator[npt.NDArray[np.float32]]:
    """Yields what :func:`draw_weights` returns in parts that fit into memory, draw by draw."""
    size = max(1, _LARGEST_TABLE // max(1, np.asarray(clusters).size))
    for start in range(0, max(num_draws, 1), size):
        yield draw_weights(clusters, num_draws=min(size, num_draws - start), generator=generator)


def draw_weights(
    clusters: npt.ArrayLike, *, num_draws: int, generator: np.random.Generator
) -> npt.NDArray[np.float32]:
    """Draws clusters with replacement, as many as there are, and returns the exams' weights.

    Exams of one patient are not independent, so whole patients are drawn (cluster bootstrap;
    Davison & Hinkley 1997, section 3.8). Give each exam its own cluster to resample exams.

    Args:
        clusters: patient of each exam (N,), any type.
        num_draws: number of draws B.
        generator: source of random numbers.

    Returns:
        How often each exam occurs in each draw (N, B), whole numbers.

    Raises:
        ValueError: if there is no exam or ``num_draws`` is below 1.

    Example:
        >>> draw_weights(["a", "a", "b"], num_draws=4, generator=np.random.default_rng(0)).shape
        (3, 4)
    """
    names, number = np.unique(np.asarray(clusters), return_inverse=True)
    if len(names) == 0 or num_draws < 1:
        raise ValueError(
            f"a bootstrap needs at least one exam and one draw, got {len(names)} clusters and "
            f"num_draws={num_draws}."
        )
    counts = generator.multinomial(len(names), np.full(len(names), 1 / len(names)), size=num_draws)
    return np.ascontiguousarray(counts.T.astype(np.float32)[number])


def mean_draws(values: npt.ArrayLike, *, num_draws: int, generator: np.random.Generator) -> Floats:
    """Draws seeds with replacement and returns the mean of each draw.

    What varies is the training only: an interval from these draws says nothing about which
    patients happened to be in the test set.

    Args:
        values: one value per seed (S,), or several (S, K) that are drawn together.
        num_draws: number of draws B. If there are no more than 10,000 ordered draws of S out of
            S seeds (S <= 5), each is taken once instead, so that nothing is left to chance.
        generator: source of random numbers.

    Returns:
        Means (B,) or (B, K).

    Raises:
        ValueError: if there is no seed or ``num_draws`` is below 1.

    Example:
        >>> mean_draws([0.0, 1.0], num_draws=1, generator=np.random.default_rng(0)).tolist()
        [0.0, 0.5, 0.5, 1.0]
    """
    seeds = np.asarray(values, dtype=np.float64)
    count = len(seeds)
    if count == 0 or num_draws < 1:
        raise ValueError(f"needs a seed and a draw, got {count} seeds, num_draws={num_draws}.")
    if count**count <= _MOST_ENUMERATED:
        chosen = np.indices((count,) * count).reshape(count, -1).T
    else:
        chosen = generator.integers(0, count, (num_draws, count))
    return np.asarray(seeds[chosen].mean(axis=1))


def percentile_interval(draws: npt.ArrayLike, *, level: float = 0.95) -> tuple[float, float]:
    """Returns the percentile bootstrap interval (Efron & Tibshirani 1993, chapter 13).

    Args:
        draws: bootstrap values (B,); NaN marks draws in which the value is undefined, left out.
        level: coverage in (0, 1).

    Returns:
        Lower and upper limit; NaN and NaN if fewer than two draws are defined.

    Raises:
        ValueError: if ``level`` is not inside (0, 1).

    Example:
        >>> percentile_interval(range(101), level=0.5)
        (25.0, 75.0)
    """
    if not 0 < level < 1:
        raise ValueError(f"level must lie inside (0, 1), got {level}.")
    values = np.asarray(draws, dtype=np.float64)
    values = values[~np.isnan(values)]
    if len(values) < 2:
        return float("nan"), float("nan")
    tail = (1 - level) / 2
    low, high = np.quantile(values, [tail, 1 - tail])
    return float(low), float(high)


def _scores_by_class(prob: npt.ArrayLike, target: npt.ArrayLike) -> tuple[Floats, Floats]:
    scores, labels = np.asarray(prob, dtype=np.float64), np.asarray(target, dtype=np.float64)
    if scores.shape != labels.shape or scores.ndim != 1:
        raise ValueError(
            f"prob and target must both have shape (N,), got {scores.shape} and {labels.shape}."
        )
    if bool(np.isnan(scores).any()):
        raise ValueError("prob holds NaN; every exam needs a score.")
    if bool(((labels != 0) & (labels != 1) & ~np.isnan(labels)).any()):
        raise ValueError("target must hold 0, 1 or NaN only; threshold probabilistic labels first.")
    return scores[labels == 1], scores[labels == 0]


def resample_areas(experiments: Sequence[Experiment], *, num_draws: int, seed: int) -> list[Floats]:
    """Draws patients (exams if none are known) with replacement and computes every area.

    Args:
        experiments: predictions with targets.
        num_draws: number of draws B.
        seed: seed of the draws. All tasks and seeds of an experiment see the same draws, and so do
            experiments on the same exams, so that differences between them can be formed.

    Returns:
        Mean areas over seeds (T, B) of each experiment; NaN where a draw lacks a class.
    """
    groups: dict[bytes, list[int]] = {}
    for i, experiment in enumerate(experiments):
        groups.setdefault("\0".join(experiment.clusters).encode(), []).append(i)
    parts: list[list[Floats]] = [[] for _ in experiments]
    for group in groups.values():
        blocks = weight_blocks(
            experiments[group[0]].clusters,
            num_draws=num_draws,
            generator=np.random.default_rng(seed),
        )
        for weights in blocks:
            for i in group:
                parts[i].append(_areas(experiments[i], weights))
    return [np.concatenate(blocks, axis=1) for blocks in parts]


def mean_over_tasks(values: npt.ArrayLike) -> Floats:
    """Returns the mean over the first axis without NaN; NaN where there is nothing else.

    Example:
        >>> mean_over_tasks([[0.5, float("nan")], [0.75, float("nan")]]).tolist()
        [0.625, nan]
    """
    table = np.asarray(values, dtype=np.float64)
    defined = ~np.isnan(table)
    with np.errstate(invalid="ignore"):
        return np.asarray(np.where(defined, table, 0).sum(axis=0) / defined.sum(axis=0))


def _areas(experiment: Experiment, weights: npt.NDArray[np.float32]) -> Floats:
    rows = []
    for target, probs in zip(experiment.target, experiment.prob.transpose(1, 0, 2), strict=True):
        known = ~np.isnan(target)
        if known.any():
            rows.append(mean_auroc_draws(probs[:, known], target[known], weights[known]))
        else:
            rows.append(np.full(weights.shape[1], np.nan))
    return np.stack(rows)
