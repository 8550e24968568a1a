"""Area under the ROC curve and its bootstrap distribution, on NumPy arrays.

Letters in shapes: N exams, B bootstrap draws. A draw is a vector of weights: how often each exam
occurs in it. The area of a draw then is a weighted Mann-Whitney statistic, which needs one sort in
all instead of one per draw; the result is the same as resampling rows.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

__all__ = ["auroc", "auroc_draws", "draw_weights", "percentile_interval"]

Floats = npt.NDArray[np.float64]


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
