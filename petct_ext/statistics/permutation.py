"""Permutation tests for paired and unpaired differences, and corrections for many tests.

Letters in shapes: N units that are exchanged (seeds, exams, patients), K quantities tested at
once, M rounds. Ernst 2004, Statistical Science 19:676; Phipson & Smyth 2010 for (b + 1) / (m + 1).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import combinations
from math import comb

import numpy as np
import numpy.typing as npt

from petct_ext.arrays import Floats
from petct_ext.statistics.delong import placements

__all__ = [
    "PermutationResult",
    "bonferroni",
    "holm",
    "sign_flip_test",
    "swap_contributions",
    "unpaired_test",
]

_BLOCK = 2_000


@dataclass(frozen=True, slots=True, eq=False)
class PermutationResult:
    """What a permutation test found, for K quantities.

    Attributes:
        observed: observed differences (K,).
        p_two_sided: fraction of rearrangements at least as far from zero (K,).
        p_greater: fraction of rearrangements at least as large (K,).
        num_rounds: rearrangements looked at.
        is_exact: whether these were all there are; if not, p is (b + 1) / (m + 1), never 0.
    """

    observed: Floats
    p_two_sided: Floats
    p_greater: Floats
    num_rounds: int
    is_exact: bool


def sign_flip_test(
    contributions: npt.ArrayLike, *, num_rounds: int = 10_000, generator: np.random.Generator
) -> PermutationResult:
    """Tests paired differences by flipping their signs.

    Null hypothesis: exchanging the two members of any pair changes nothing, that is, the
    differences are distributed symmetrically about zero. The statistic is their sum. For seeds,
    pass one difference of areas per seed: the question is whether another training would favor the
    same experiment. For exams, pass :func:`swap_contributions`: the question is whether another
    test set would. With S pairs no two-sided p value can be below 2 / 2**S (1/16 for 5 seeds).

    Args:
        contributions: what each unit adds to the difference (N,), or (N, K) for K quantities whose
            units are exchanged together.
        num_rounds: random sign patterns M, unless all 2**N are no more than that: then all of them
            are taken.
        generator: source of random numbers.

    Returns:
        The test of each quantity; NaN where a contribution is NaN.

    Raises:
        ValueError: if there is no unit or ``num_rounds`` is below 1.
    """
    values = np.asarray(contributions, dtype=np.float64)
    values = values[:, None] if values.ndim == 1 else values
    if values.ndim != 2 or len(values) == 0 or num_rounds < 1:
        raise ValueError(
            f"needs contributions (N,) or (N, K) of N >= 1 units and a round, got {values.shape} "
            f"and num_rounds={num_rounds}."
        )
    is_exact = len(values) < 64 and 2 ** len(values) <= num_rounds
    blocks = (
        _all_signs(len(values))
        if is_exact
        else _random_signs(len(values), num_rounds=num_rounds, generator=generator)
    )
    return _count(values.sum(axis=0), (signs @ values for signs in blocks), is_exact=is_exact)


def unpaired_test(
    values: npt.ArrayLike,
    reference: npt.ArrayLike,
    *,
    num_rounds: int = 10_000,
    generator: np.random.Generator,
) -> PermutationResult:
    """Tests the difference of two means by exchanging values between the groups.

    Null hypothesis: all values come from one distribution. This is the scheme of the published
    code (areas of 5 seeds against 5, pairing ignored), kept for reproduction: it holds for other
    trainings on this very test set and says nothing about other patients.

    Args:
        values: values of the first group (N,).
        reference: values of the second group.
        num_rounds: random rearrangements M, unless all are no more than that (252 for 5 and 5).
        generator: source of random numbers.

    Returns:
        The test of the difference in means (K = 1).

    Raises:
        ValueError: if a group is empty or ``num_rounds`` is below 1.
    """
    first, second = np.asarray(values, dtype=np.float64), np.asarray(reference, dtype=np.float64)
    if first.ndim != 1 or second.ndim != 1 or min(len(first), len(second), num_rounds) < 1:
        raise ValueError("needs two groups of at least one value each, and a round.")
    pooled = np.append(first, second)
    total, size = pooled.sum(), len(first)
    is_exact = comb(len(pooled), size) <= num_rounds
    if is_exact:
        sums = np.array([pooled[list(chosen)].sum() for chosen in combinations(
            range(len(pooled)), size)])  # fmt: skip
    else:
        shuffled = generator.permuted(np.broadcast_to(pooled, (num_rounds, len(pooled))), axis=1)
        sums = shuffled[:, :size].sum(axis=1)
    means = sums / size - (total - sums) / len(second)
    observed = np.array([first.mean() - second.mean()])
    return _count(observed, iter([means[:, None]]), is_exact=is_exact)


def swap_contributions(
    probs: npt.ArrayLike, reference: npt.ArrayLike, target: npt.ArrayLike
) -> Floats:
    """Returns what each exam adds to the difference of two areas when its scores may be swapped.

    Swapping the two scores of some exams changes the difference of the areas linearly: it becomes
    the sum of these numbers with the signs of the swapped exams flipped. So one product of
    matrices replaces sorting anew in each round. Scores are first replaced by their mid-ranks
    among the known exams, which makes two models with different scales exchangeable (Venkatraman &
    Begg 1996). Add up the exams of a patient to swap patients.

    Args:
        probs: scores (S, N) of S seeds; NaN only where the label is NaN.
        reference: scores (S, N) of the other model; seed s is paired with seed s.
        target: labels (N,): 1, 0 or NaN (contributes 0).

    Returns:
        Contributions (N,); their sum is the mean over seeds of the first area minus the second.
        NaN if a class is missing.

    Raises:
        ValueError: if the shapes differ.
    """
    first = np.asarray(probs, dtype=np.float64)
    second, labels = np.asarray(reference, np.float64), np.asarray(target, np.float64)
    if first.ndim != 2 or first.shape != second.shape or first.shape[1] != len(labels):
        raise ValueError(
            f"scores must both have shape (S, N) and target (N,), got {first.shape}, "
            f"{second.shape} and {labels.shape}."
        )
    positive, negative = labels == 1, labels == 0
    result = np.zeros(len(labels))
    if not positive.any() or not negative.any():
        return np.full(len(labels), np.nan)
    known = positive | negative
    for a, b in zip(first, second, strict=True):
        rank_a, rank_b = np.zeros(len(labels)), np.zeros(len(labels))
        rank_a[known], rank_b[known] = _mid_ranks(a[known]), _mid_ranks(b[known])
        (aa_pos, aa_neg), (ab_pos, ab_neg), (ba_pos, ba_neg), (bb_pos, bb_neg) = (
            placements(of[positive], other[negative])
            for of in (rank_a, rank_b)
            for other in (rank_a, rank_b)
        )
        result[positive] += (aa_pos + ab_pos - ba_pos - bb_pos) / 2 / positive.sum()
        result[negative] += (aa_neg - ab_neg + ba_neg - bb_neg) / 2 / negative.sum()
    return np.asarray(result / len(first))


def bonferroni(p_values: npt.ArrayLike) -> Floats:
    """Multiplies p values by their number, up to 1; NaN are no tests and stay NaN.

    Example:
        >>> bonferroni([0.01, 0.04, float("nan")]).tolist()
        [0.02, 0.08, nan]
    """
    p = np.asarray(p_values, dtype=np.float64)
    return np.asarray(np.minimum(p * np.count_nonzero(~np.isnan(p)), 1.0))


def holm(p_values: npt.ArrayLike) -> Floats:
    """Corrects p values step by step (Holm 1979): valid as Bonferroni, never larger.

    Args:
        p_values: p values (K,); NaN are no tests and stay NaN.

    Returns:
        Corrected p values (K,).

    Example:
        >>> holm([0.01, 0.04, 0.03]).tolist()
        [0.03, 0.06, 0.06]
    """
    p = np.asarray(p_values, dtype=np.float64)
    result = np.full(p.shape, np.nan)
    order = np.argsort(p, kind="stable")[: np.count_nonzero(~np.isnan(p))]
    steps = p[order] * np.arange(len(order), 0, -1)
    result[order] = np.minimum(np.maximum.accumulate(steps), 1.0)
    return result


def _count(observed: Floats, blocks: Iterator[Floats], *, is_exact: bool) -> PermutationResult:
    # Sums in another order differ in the last digits; equal ones must count as equal.
    slack = 1e-9 * np.maximum(np.abs(observed), 1e-6)
    far, large, rounds = np.zeros(len(observed)), np.zeros(len(observed)), 0
    for block in blocks:
        far += (np.abs(block) >= np.abs(observed) - slack).sum(axis=0)
        large += (block >= observed - slack).sum(axis=0)
        rounds += len(block)
    extra = 0 if is_exact else 1
    known = np.where(np.isnan(observed), np.nan, 1.0)
    return PermutationResult(
        observed=observed,
        p_two_sided=(far + extra) / (rounds + extra) * known,
        p_greater=(large + extra) / (rounds + extra) * known,
        num_rounds=rounds,
        is_exact=is_exact,
    )


def _all_signs(count: int) -> Iterator[Floats]:
    bits = (np.arange(2**count)[:, None] >> np.arange(count)) & 1
    yield np.asarray(1.0 - 2.0 * bits, dtype=np.float64)


def _random_signs(
    count: int, *, num_rounds: int, generator: np.random.Generator
) -> Iterator[Floats]:
    for start in range(0, num_rounds, _BLOCK):
        size = (min(_BLOCK, num_rounds - start), count)
        heads = generator.integers(0, 2, size, dtype=np.int8)
        yield np.asarray(1.0 - 2.0 * heads, dtype=np.float64)


def _mid_ranks(values: Floats) -> Floats:
    ordered = np.sort(values)
    below = np.searchsorted(ordered, values, side="left")
    return np.asarray((below + np.searchsorted(ordered, values, side="right") + 1) / 2)
