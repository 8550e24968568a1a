"""DeLong's test agrees with a published worked example, all pairs, and itself."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from petct_ext.statistics.bootstrap import auroc
from petct_ext.statistics.delong import delong_interval, delong_test, placements

SCORES = arrays(
    np.float64,
    st.shared(st.integers(4, 30), key="n"),
    elements=st.sampled_from([0.0, 0.1, 0.2, 0.5, 0.9, 1.0]),
)
LABELS = arrays(
    np.float64, st.shared(st.integers(4, 30), key="n"), elements=st.sampled_from([0.0, 1.0])
)

# DeLong, DeLong & Clarke-Pearson 1988: albumin, total protein, K-G score and benefit of surgery in
# ovarian cancer; data and expected output as in the SAS/STAT User's Guide, PROC LOGISTIC,
# "Comparing Receiver Operating Characteristic Curves" (43 complete records).
OVARIAN = np.fromstring(
    """3.0 5.8 10 0 3.2 6.3 5 1 3.9 6.8 3 1 2.8 4.8 6 0 3.2 5.8 3 1 0.9 4.0 5 0 2.5 5.7 8 0
    1.6 5.6 5 1 3.8 5.7 5 1 3.7 6.7 6 1 3.2 5.4 4 1 3.8 6.6 6 1 4.1 6.6 5 1 3.6 5.7 5 1
    4.3 7.0 4 1 3.6 6.7 4 0 2.3 4.4 6 1 4.2 7.6 4 0 4.0 6.6 6 0 3.5 5.8 6 1 3.8 6.8 7 1
    3.0 4.7 8 0 4.5 7.4 5 1 3.7 7.4 5 1 3.1 6.6 6 1 4.1 8.2 6 1 4.3 7.0 5 1 4.3 6.5 4 1
    3.2 5.1 5 1 2.6 4.7 6 1 3.3 6.8 6 0 1.7 4.0 7 0 3.7 6.1 5 1 3.3 6.3 7 1 4.2 7.7 6 1
    3.5 6.2 5 1 2.9 5.7 9 0 2.1 4.8 7 1 2.8 6.2 8 0 4.0 7.0 7 1 3.3 5.7 6 1 3.7 6.9 5 1
    3.6 6.6 5 1""",
    sep=" ",
).reshape(-1, 4)


def test_worked_example_of_delong_is_reproduced() -> None:
    albumin, protein, score, benefit = OVARIAN.T
    first = delong_test(albumin, -score, benefit)
    second = delong_test(protein, -score, benefit)

    areas = (first.auroc, first.auroc_reference, second.auroc)
    assert areas == pytest.approx((0.7366, 0.7258, 0.6478), abs=5e-5)
    assert (first.difference, first.standard_error) == pytest.approx((0.0108, 0.0953), abs=5e-5)
    assert (first.ci_low, first.ci_high) == pytest.approx((-0.1761, 0.1976), abs=5e-5)
    assert (first.z**2, first.p_two_sided) == pytest.approx((0.0127, 0.9102), abs=5e-5)
    assert (second.difference, second.standard_error) == pytest.approx((-0.0780, 0.1046), abs=5e-5)
    assert (second.z**2, second.p_two_sided) == pytest.approx((0.5554, 0.4561), abs=5e-5)


def test_worked_example_of_a_single_area_is_reproduced() -> None:
    albumin, *_, benefit = OVARIAN.T

    assert delong_interval(albumin, benefit) == pytest.approx((0.5549, 0.9182), abs=5e-5)


@given(SCORES, LABELS)
def test_components_equal_those_of_all_pairs(prob: np.ndarray, target: np.ndarray) -> None:
    positive, negative = prob[target == 1], prob[target == 0]
    if min(len(positive), len(negative)) == 0:
        return
    won = (positive[:, None] > negative) + 0.5 * (positive[:, None] == negative)
    of_positive, of_negative = placements(positive, negative)

    np.testing.assert_allclose(of_positive, won.mean(axis=1))
    np.testing.assert_allclose(of_negative, won.mean(axis=0))
    assert of_positive.mean() == pytest.approx(auroc(prob, target))


@settings(max_examples=50)
@given(SCORES, LABELS, st.integers(0, 2**32 - 1))
def test_exchanging_the_models_mirrors_the_test(
    prob: np.ndarray, target: np.ndarray, seed: int
) -> None:
    other = np.random.default_rng(seed).random(len(prob))
    forth, back = delong_test(prob, other, target), delong_test(other, prob, target)

    assert forth.difference == pytest.approx(-back.difference, nan_ok=True)
    assert forth.p_two_sided == pytest.approx(back.p_two_sided, nan_ok=True)
    assert forth.p_greater == pytest.approx(1 - back.p_greater, nan_ok=True)


def test_mean_of_equal_seeds_is_the_single_model() -> None:
    generator = np.random.default_rng(0)
    target = generator.integers(0, 2, 50)
    prob, other = generator.random(50), generator.random(50)

    assert delong_test(np.stack([prob] * 3), other, target) == delong_test(prob, other, target)


def test_model_does_not_differ_from_itself() -> None:
    result = delong_test([0.1, 0.4, 0.35, 0.8], [0.1, 0.4, 0.35, 0.8], [0, 0, 1, 1])

    assert (result.difference, result.z, result.p_two_sided) == (0, 0, 1)


def test_single_class_has_no_area() -> None:
    assert np.isnan(delong_test([0.1, 0.2], [0.3, 0.4], [1, 1]).auroc)
    assert np.isnan(delong_interval([0.1, 0.2, 0.3], [1, 1, 0])).all()


def test_unknown_labels_are_left_out() -> None:
    prob, other = [0.1, 0.4, 0.35, 0.8, 0.3, np.nan], [0.2, 0.1, 0.5, 0.6, 0.9, np.nan]
    target = [0, 0, 1, 1, 0, np.nan]

    assert delong_test(prob, other, target) == delong_test(prob[:5], other[:5], target[:5])


@pytest.mark.parametrize(
    ("prob", "target", "message"),
    [
        ([0.1], [0, 1], "must have shape"),
        ([0.1, np.nan], [0, 1], "hold NaN"),
        ([0.1, 0.2], [0, 0.7], "threshold probabilistic labels"),
    ],
)
def test_arrays_that_break_the_contract_are_refused(
    prob: list[float], target: list[float], message: str
) -> None:
    with pytest.raises(ValueError, match=message):
        delong_test(prob, prob, target)


def test_p_values_are_uniform_under_the_null() -> None:
    generator = np.random.default_rng(1)
    target = np.repeat([0, 1], 60)
    p = [
        delong_test(s + generator.normal(size=120), s + generator.normal(size=120), target)
        .p_two_sided
        for s in generator.normal(size=(400, 120)) + target
    ]  # fmt: skip

    assert np.quantile(p, [0.05, 0.25, 0.5, 0.75]) == pytest.approx(
        [0.05, 0.25, 0.5, 0.75], abs=0.07
    )
