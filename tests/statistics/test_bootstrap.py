"""Facts about bootstrap draws and calibration."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from scipy import stats
from sklearn.calibration import calibration_curve
from sklearn.metrics import brier_score_loss, roc_auc_score

from petct_ext.statistics.bootstrap import (
    auroc,
    auroc_draws,
    draw_weights,
    mean_auroc_draws,
    mean_draws,
    percentile_interval,
    weight_blocks,
)
from petct_ext.statistics.calibration import (
    brier_score,
    expected_calibration_error,
    reliability_bins,
)

# Few distinct values, so that ties are common.
SCORES = arrays(
    np.float64,
    st.shared(st.integers(2, 40), key="n"),
    elements=st.sampled_from([0.0, 0.1, 0.2, 0.5, 0.9, 1.0]),
)
LABELS = arrays(
    np.float64, st.shared(st.integers(2, 40), key="n"), elements=st.sampled_from([0.0, 1.0])
)


def _has_both(target: np.ndarray) -> bool:
    return bool(0 < target.sum() < len(target))


@given(SCORES, LABELS)
def test_area_equals_that_of_scikit_learn(prob: np.ndarray, target: np.ndarray) -> None:
    if not _has_both(target):
        assert np.isnan(auroc(prob, target))
    else:
        assert auroc(prob, target) == pytest.approx(roc_auc_score(target, prob))


@given(SCORES, LABELS)
def test_area_of_flipped_labels_is_the_complement(prob: np.ndarray, target: np.ndarray) -> None:
    assert auroc(prob, 1 - target) == pytest.approx(1 - auroc(prob, target), nan_ok=True)


@given(SCORES, LABELS)
def test_area_only_depends_on_the_order_of_scores(prob: np.ndarray, target: np.ndarray) -> None:
    assert auroc(np.exp(3 * prob), target) == pytest.approx(auroc(prob, target), nan_ok=True)


@settings(max_examples=40)
@given(SCORES, LABELS, st.integers(0, 2**32 - 1))
def test_weighted_area_equals_the_area_of_the_resampled_exams(
    prob: np.ndarray, target: np.ndarray, seed: int
) -> None:
    weights = draw_weights(np.arange(len(prob)), num_draws=6, generator=np.random.default_rng(seed))
    for draw, area in zip(weights.T.astype(int), auroc_draws(prob, target, weights), strict=True):
        expected = auroc(np.repeat(prob, draw), np.repeat(target, draw))
        assert area == pytest.approx(expected, nan_ok=True)


def test_exam_of_unknown_label_takes_no_part_in_any_draw() -> None:
    prob, target = np.array([0.1, 0.4, 0.35, 0.8, 0.6]), np.array([0, 0, 1, 1, np.nan])
    weights = draw_weights(np.arange(5), num_draws=50, generator=np.random.default_rng(1))

    np.testing.assert_array_equal(
        auroc_draws(prob, target, weights), auroc_draws(prob[:4], target[:4], weights[:4])
    )


def test_exams_of_one_patient_are_drawn_together() -> None:
    weights = draw_weights(["a", "b", "a", "c"], num_draws=200, generator=np.random.default_rng(2))

    np.testing.assert_array_equal(weights[0], weights[2])
    np.testing.assert_array_equal(weights[[0, 1, 3]].sum(axis=0), 3)


def test_same_seed_gives_the_same_draws() -> None:
    first, second = (
        draw_weights(range(9), num_draws=5, generator=np.random.default_rng(7)) for _ in range(2)
    )

    np.testing.assert_array_equal(first, second)


def test_interval_agrees_with_scipy() -> None:
    generator = np.random.default_rng(3)
    target = generator.integers(0, 2, 120).astype(float)
    prob = np.clip(0.3 * target + generator.normal(0.4, 0.25, 120), 0, 1)
    weights = draw_weights(range(120), num_draws=8000, generator=generator)
    interval = percentile_interval(auroc_draws(prob, target, weights))

    reference = stats.bootstrap(
        (prob, target), auroc, paired=True, vectorized=False, n_resamples=3000,
        method="percentile", random_state=4,
    ).confidence_interval  # fmt: skip

    assert interval == pytest.approx((reference.low, reference.high), abs=0.01)


def test_interval_leaves_out_undefined_draws() -> None:
    assert percentile_interval([np.nan, *range(101)], level=0.5) == (25, 75)
    assert np.isnan(percentile_interval([np.nan, 1.0])).all()


@pytest.mark.parametrize(
    ("prob", "target", "message"),
    [
        ([0.1], [0, 1], r"both have shape \(N,\)"),
        ([0.1, np.nan], [0, 1], "prob holds NaN"),
        ([0.1, 0.2], [0, 0.7], "threshold probabilistic labels"),
    ],
)
def test_arrays_that_break_the_contract_are_refused(
    prob: list[float], target: list[float], message: str
) -> None:
    with pytest.raises(ValueError, match=message):
        auroc(prob, target)
    with pytest.raises(ValueError, match=message):
        auroc_draws(prob, target, np.ones((len(prob), 2), dtype=np.float32))


def test_weights_of_other_exams_are_refused() -> None:
    with pytest.raises(ValueError, match="with N = 2"):
        auroc_draws([0.1, 0.2], [0, 1], np.ones((3, 2), dtype=np.float32))


def test_bootstrap_of_nothing_is_refused() -> None:
    with pytest.raises(ValueError, match="at least one exam"):
        draw_weights([], num_draws=3, generator=np.random.default_rng(0))
    with pytest.raises(ValueError, match="inside"):
        percentile_interval([1, 2], level=1.0)


def test_brier_score_equals_that_of_scikit_learn() -> None:
    generator = np.random.default_rng(5)
    prob, target = generator.random(50), generator.integers(0, 2, 50)

    assert brier_score(prob, target) == pytest.approx(brier_score_loss(target, prob))
    assert np.isnan(brier_score([0.5], [np.nan]))


def test_reliability_bins_equal_those_of_scikit_learn() -> None:
    generator = np.random.default_rng(6)
    prob, target = generator.random(400), generator.integers(0, 2, 400)
    bins = reliability_bins(prob, target, num_bins=8)
    observed, mean_prob = calibration_curve(target, prob, n_bins=8)

    np.testing.assert_allclose(bins.observed, observed)
    np.testing.assert_allclose(bins.mean_prob, mean_prob)
    assert bins.count.sum() == 400


def test_probability_of_one_belongs_to_the_last_bin() -> None:
    bins = reliability_bins([1.0, 0.0], [1, 0], num_bins=4)

    assert bins.count.tolist() == [1, 0, 0, 1]
    assert np.isnan(bins.observed[1])


def test_perfectly_calibrated_probabilities_have_no_error() -> None:
    assert expected_calibration_error([0.5] * 4, [0, 1, 0, 1]) == 0
    assert np.isnan(expected_calibration_error([0.5], [np.nan]))


@pytest.mark.parametrize(
    ("prob", "message"), [([1.2], "probabilities in"), ([0.1, 0.2], "both have shape")]
)
def test_calibration_refuses_what_is_no_probability(prob: list[float], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        brier_score(prob, [1])


@settings(max_examples=40)
@given(SCORES, LABELS, st.integers(0, 2**32 - 1))
def test_mean_over_seeds_equals_the_mean_of_single_draws(
    prob: np.ndarray, target: np.ndarray, seed: int
) -> None:
    generator = np.random.default_rng(seed)
    probs = np.stack([prob, generator.permutation(prob), prob[::-1]])
    weights = draw_weights(np.arange(len(prob)), num_draws=6, generator=generator)
    expected = np.mean([auroc_draws(row, target, weights) for row in probs], axis=0)

    np.testing.assert_allclose(mean_auroc_draws(probs, target, weights), expected, atol=1e-12)


@given(SCORES, LABELS)
def test_area_equals_the_fraction_of_won_pairs(prob: np.ndarray, target: np.ndarray) -> None:
    pairs = [(p, n) for p in prob[target == 1] for n in prob[target == 0]]
    won = [1.0 if p > n else 0.5 if p == n else 0.0 for p, n in pairs]

    expected = sum(won) / len(won) if won else np.nan
    assert auroc(prob, target) == pytest.approx(expected, nan_ok=True)


def test_blocks_of_weights_are_the_weights() -> None:
    clusters = np.arange(50_000)
    blocks = list(weight_blocks(clusters, num_draws=410, generator=np.random.default_rng(0)))
    whole = draw_weights(clusters, num_draws=410, generator=np.random.default_rng(0))

    assert len(blocks) == 2
    np.testing.assert_array_equal(np.concatenate(blocks, axis=1), whole)


def test_few_seeds_are_drawn_in_every_way() -> None:
    values = np.array([0.80, 0.82, 0.85, 0.79, 0.90])
    draws = mean_draws(values, num_draws=7, generator=np.random.default_rng(0))
    reference = stats.bootstrap(
        (values,), np.mean, n_resamples=20_000, method="percentile", random_state=1
    ).confidence_interval

    assert len(draws) == 5**5
    assert draws.mean() == pytest.approx(values.mean())
    interval = percentile_interval(draws)
    assert interval == pytest.approx((reference.low, reference.high), abs=0.003)


def test_many_seeds_are_drawn_at_random() -> None:
    draws = mean_draws(np.arange(12.0), num_draws=50, generator=np.random.default_rng(0))

    assert draws.shape == (50,)
    with pytest.raises(ValueError, match="needs a seed"):
        mean_draws([], num_draws=3, generator=np.random.default_rng(0))
