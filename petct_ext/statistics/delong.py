"""DeLong's variance and test for areas under ROC curves, in the fast rank form.

Letters in shapes: N exams, P abnormal and Q normal ones, S seeds.

DeLong, DeLong & Clarke-Pearson 1988, Biometrics 44:837; computed by sorting as in Sun & Xu 2014,
IEEE Signal Processing Letters 21:1389, so that the cost is N log N instead of P times Q.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy.special import ndtr, ndtri

from petct_ext.arrays import Floats

__all__ = ["DeLongResult", "delong_interval", "delong_test", "placements"]


@dataclass(frozen=True, slots=True)
class DeLongResult:
    """The comparison of two correlated areas.

    Attributes:
        auroc: area of the first scores, mean over their seeds.
        auroc_reference: area of the second scores, mean over their seeds.
        difference: the first minus the second.
        standard_error: of the difference.
        z: difference over standard error; NaN if the latter is 0 and they differ, 0 if equal.
        p_two_sided: probability of a difference at least as large in either direction.
        p_greater: probability of a difference at least as large in favor of the first.
        ci_low: lower limit of the difference.
        ci_high: upper limit of the difference.
    """

    auroc: float
    auroc_reference: float
    difference: float
    standard_error: float
    z: float
    p_two_sided: float
    p_greater: float
    ci_low: float
    ci_high: float


def placements(positive: npt.ArrayLike, negative: npt.ArrayLike) -> tuple[Floats, Floats]:
    """Returns the structural components of the area, DeLong's V10 and V01.

    Args:
        positive: scores of abnormal exams (P,).
        negative: scores of normal exams (Q,).

    Returns:
        For each abnormal exam the fraction of normal ones that score lower (P,), and for each
        normal exam the fraction of abnormal ones that score higher (Q,); ties count one half.
        The mean of either is the area.

    Example:
        >>> [v.tolist() for v in placements([0.35, 0.8], [0.1, 0.4])]
        [[0.5, 1.0], [1.0, 0.5]]
    """
    of, other = np.asarray(positive, dtype=np.float64), np.asarray(negative, dtype=np.float64)
    return _fraction_below(of, other), 1 - _fraction_below(other, of)


def delong_interval(
    probs: npt.ArrayLike, target: npt.ArrayLike, *, level: float = 0.95
) -> tuple[float, float]:
    """Returns the confidence interval of an area after DeLong, cut to [0, 1].

    Args:
        probs: scores (N,), or (S, N) for the mean area of S given models.
        target: labels (N,): 1, 0 or NaN (left out).
        level: coverage in (0, 1).

    Returns:
        Lower and upper limit; NaN and NaN with fewer than two exams in a class.

    Raises:
        ValueError: as in :func:`delong_test`.
    """
    of_positive, of_negative = _components(probs, target)
    if min(len(of_positive), len(of_negative)) < 2:
        return float("nan"), float("nan")
    area, error = float(of_positive.mean()), _standard_error(of_positive, of_negative)
    width = float(-ndtri((1 - level) / 2)) * error
    return max(0.0, area - width), min(1.0, area + width)


def delong_test(
    probs: npt.ArrayLike,
    reference: npt.ArrayLike,
    target: npt.ArrayLike,
    *,
    level: float = 0.95,
) -> DeLongResult:
    """Tests whether two scores of the same exams have the same area under the ROC curve.

    Null hypothesis: in the population that the exams were drawn from, both areas are equal. The
    models are taken as given: with several seeds, the mean area of just these models is tested,
    and how much another training would change is not part of the question. Exams count as
    independent; where patients have several exams, prefer the bootstrap over patients.

    Args:
        probs: scores (N,), or (S, N) for the mean over S seeds.
        reference: scores of the other model, of the same exams; may have another number of seeds.
        target: labels (N,): 1, 0 or NaN (left out).
        level: coverage of the interval.

    Returns:
        The comparison; everything but the areas is NaN with fewer than two exams in a class.

    Raises:
        ValueError: if shapes differ, a score is NaN, or a label is none of 0, 1 and NaN.
    """
    first, second = _components(probs, target), _components(reference, target)
    nan = float("nan")
    if min(len(first[0]), len(first[1])) == 0:
        return DeLongResult(nan, nan, nan, nan, nan, nan, nan, nan, nan)
    area, area_reference = float(first[0].mean()), float(second[0].mean())
    difference = area - area_reference
    if min(len(first[0]), len(first[1])) < 2:
        return DeLongResult(area, area_reference, difference, nan, nan, nan, nan, nan, nan)
    error = _standard_error(first[0] - second[0], first[1] - second[1])
    width = float(-ndtri((1 - level) / 2)) * error
    z = 0.0 if abs(difference) < 1e-12 else nan
    if error > 1e-12:
        z = difference / error
    return DeLongResult(
        auroc=area,
        auroc_reference=area_reference,
        difference=difference,
        standard_error=error,
        z=z,
        p_two_sided=min(1.0, 2 * float(ndtr(-abs(z)))),
        p_greater=float(ndtr(-z)),
        ci_low=difference - width,
        ci_high=difference + width,
    )


def _components(probs: npt.ArrayLike, target: npt.ArrayLike) -> tuple[Floats, Floats]:
    scores = np.atleast_2d(np.asarray(probs, dtype=np.float64))
    labels = np.asarray(target, dtype=np.float64)
    if scores.ndim != 2 or labels.ndim != 1 or scores.shape[1] != len(labels):
        raise ValueError(
            f"scores must have shape (N,) or (S, N) and target (N,), got {scores.shape} and "
            f"{labels.shape}."
        )
    if bool(((labels != 0) & (labels != 1) & ~np.isnan(labels)).any()):
        raise ValueError("target must hold 0, 1 or NaN only; threshold probabilistic labels first.")
    if bool(np.isnan(scores[:, ~np.isnan(labels)]).any()):
        raise ValueError("scores hold NaN; every exam needs a score.")
    pairs = [placements(row[labels == 1], row[labels == 0]) for row in scores]
    return np.mean([v for v, _ in pairs], axis=0), np.mean([v for _, v in pairs], axis=0)


def _standard_error(of_positive: Floats, of_negative: Floats) -> float:
    variance = of_positive.var(ddof=1) / len(of_positive)
    variance += of_negative.var(ddof=1) / len(of_negative)
    return float(np.sqrt(variance))


def _fraction_below(values: Floats, others: Floats) -> Floats:
    if len(others) == 0:
        return np.full(len(values), np.nan)
    ordered = np.sort(others)
    below = np.searchsorted(ordered, values, side="left")
    return np.asarray((below + np.searchsorted(ordered, values, side="right")) / 2 / len(others))
