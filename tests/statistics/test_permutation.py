"""Permutation tests agree with scipy and with swapping by hand; corrections with hand sums."""

from __future__ import annotations

from itertools import product
from typing import Literal

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from scipy import stats

from petct_ext.statistics.bootstrap import auroc
from petct_ext.statistics.permutation import (
    bonferroni,
    holm,
    sign_flip_test,
    swap_contributions,
    unpaired_test,
)

ALTERNATIVES: tuple[Literal["two-sided", "greater"], ...] = ("two-sided", "greater")
P_VALUES = st.lists(st.floats(0, 1), min_size=1, max_size=12)


def _difference(first: np.ndarray, second: np.ndarray) -> float:
    return float(np.mean(first) - np.mean(second))


def _generator() -> np.random.Generator:
    return np.random.default_rng(0)


@pytest.mark.parametrize("count", [2, 5, 9])
def test_exact_paired_test_equals_that_of_scipy(count: int) -> None:
    first, second = _generator().normal(size=(2, count))
    found = sign_flip_test(first - second, generator=_generator())

    for alternative, p in zip(ALTERNATIVES, (found.p_two_sided, found.p_greater), strict=True):
        reference = stats.permutation_test(
            (first - second,), np.sum, permutation_type="samples", alternative=alternative,
            n_resamples=10**6,
        )  # fmt: skip
        assert p[0] == pytest.approx(reference.pvalue)
    assert (found.num_rounds, found.is_exact) == (2**count, True)


def test_exact_unpaired_test_equals_that_of_scipy() -> None:
    first, second = _generator().normal(size=5), _generator().normal(0.8, 1, 5)
    found = unpaired_test(first, second, generator=_generator())

    for alternative, p in zip(ALTERNATIVES, (found.p_two_sided, found.p_greater), strict=True):
        reference = stats.permutation_test(
            (first, second), _difference, n_resamples=10**6,
            permutation_type="independent", alternative=alternative,
        )  # fmt: skip
        # For a two-sided p scipy doubles the smaller tail, which is the same for equal groups.
        assert p[0] == pytest.approx(reference.pvalue)
    assert (found.num_rounds, found.is_exact) == (252, True)


def test_random_rounds_agree_with_scipy() -> None:
    differences = _generator().normal(0.3, 1, 40)
    found = sign_flip_test(differences, num_rounds=20_000, generator=_generator())
    reference = stats.permutation_test(
        (differences,), np.sum, permutation_type="samples", n_resamples=20_000, rng=3
    )

    assert not found.is_exact
    assert found.p_two_sided[0] == pytest.approx(reference.pvalue, abs=0.01)


def test_random_p_is_never_zero() -> None:
    found = sign_flip_test(np.ones(40), num_rounds=999, generator=_generator())

    assert found.p_two_sided[0] == found.p_greater[0] == 1 / 1000


def test_five_seeds_cannot_be_more_significant_than_one_in_sixteen() -> None:
    found = sign_flip_test([0.1, 0.2, 0.3, 0.4, 0.5], generator=_generator())

    assert (found.p_two_sided[0], found.p_greater[0]) == (2 / 32, 1 / 32)


@pytest.mark.parametrize("test", ["paired", "unpaired"])
def test_p_values_are_uniform_under_the_null(test: str) -> None:
    generator = np.random.default_rng(5)
    p = []
    for first, second in generator.normal(size=(500, 2, 8)):
        if test == "paired":
            result = sign_flip_test(first - second, generator=generator)
        else:
            result = unpaired_test(first, second, num_rounds=300, generator=generator)
        p.append(result.p_two_sided[0])

    for level in (0.05, 0.1, 0.25, 0.5, 0.75):
        assert np.mean(np.array(p) <= level) == pytest.approx(level, abs=0.07)


SCORES = arrays(np.float64, (2, 7), elements=st.sampled_from([0.0, 0.1, 0.2, 0.5, 0.9, 1.0]))
LABELS = arrays(np.float64, 7, elements=st.sampled_from([0.0, 1.0]))


@settings(max_examples=60)
@given(SCORES, LABELS)
def test_flipped_contributions_are_the_areas_of_swapped_scores(
    scores: np.ndarray, target: np.ndarray
) -> None:
    if not 0 < target.sum() < len(target):
        assert np.isnan(swap_contributions(scores[:1], scores[1:], target)).all()
        return
    contributions = swap_contributions(scores[:1], scores[1:], target)
    ranks = np.array([stats.rankdata(row) for row in scores])
    for swapped in product([False, True], repeat=len(target)):
        first = np.where(swapped, ranks[1], ranks[0])
        second = np.where(swapped, ranks[0], ranks[1])
        expected = auroc(first, target) - auroc(second, target)
        found = contributions @ np.where(swapped, -1, 1)
        assert found == pytest.approx(expected, abs=1e-12)


def test_contributions_add_up_to_the_mean_difference_over_seeds() -> None:
    generator = _generator()
    target = generator.integers(0, 2, 40).astype(float)
    target[:3] = np.nan
    first, second = np.round(generator.random((2, 5, 40)), 1)
    known = ~np.isnan(target)
    expected = np.mean(
        [
            auroc(a[known], target[known]) - auroc(b[known], target[known])
            for a, b in zip(first, second, strict=True)
        ]
    )

    contributions = swap_contributions(first, second, target)
    assert contributions.sum() == pytest.approx(expected)
    assert (contributions[:3] == 0).all()


def test_quantity_without_value_has_no_p() -> None:
    found = sign_flip_test([[1.0, np.nan], [2.0, np.nan]], generator=_generator())

    assert np.isnan(found.p_two_sided).tolist() == [False, True]


def test_nothing_to_permute_is_refused() -> None:
    with pytest.raises(ValueError, match="N >= 1"):
        sign_flip_test([], generator=_generator())
    with pytest.raises(ValueError, match="two groups"):
        unpaired_test([], [1.0], generator=_generator())
    with pytest.raises(ValueError, match=r"shape \(S, N\)"):
        swap_contributions([[0.1]], [[0.1, 0.2]], [1])


def test_corrections_equal_hand_sums() -> None:
    # Holm 1979: 4, 3, 2, 1 times the sorted values, never decreasing.
    assert holm([0.01, 0.04, 0.03, 0.005]).tolist() == pytest.approx([0.03, 0.06, 0.06, 0.02])
    assert bonferroni([0.01, 0.04, 0.3]).tolist() == pytest.approx([0.03, 0.12, 0.9])
    assert bonferroni([0.5, 0.9]).tolist() == [1, 1]


@given(P_VALUES)
def test_holm_lies_between_the_value_and_bonferroni(p_values: list[float]) -> None:
    corrected = holm(p_values)

    assert (corrected >= np.array(p_values)).all()
    assert (corrected <= bonferroni(p_values) + 1e-15).all()


def test_missing_p_values_are_no_tests() -> None:
    assert holm([0.02, np.nan]).tolist()[0] == 0.02
    assert np.isnan(holm([0.02, np.nan])[1])
