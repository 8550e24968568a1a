"""Facts about sensitivity, specificity, average precision and ROC curves."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn import metrics

from petct_ext.statistics.operating_points import (
    average_precision,
    roc_curve,
    sensitivity,
    specificity,
)

EXAMS = st.lists(
    st.tuples(st.sampled_from([0.0, 0.25, 0.5, 0.75, 1.0]), st.integers(0, 1)), min_size=2
).filter(lambda rows: len({label for _, label in rows}) == 2)


@given(EXAMS)
def test_average_precision_equals_that_of_scikit_learn(rows: list[tuple[float, int]]) -> None:
    prob, target = map(list, zip(*rows, strict=True))

    expected = metrics.average_precision_score(target, prob)
    assert average_precision(prob, target) == pytest.approx(expected)


@given(EXAMS)
def test_area_under_the_curve_equals_that_of_scikit_learn(rows: list[tuple[float, int]]) -> None:
    prob, target = map(list, zip(*rows, strict=True))
    false, true = roc_curve(prob, target)

    assert metrics.auc(false, true) == pytest.approx(metrics.roc_auc_score(target, prob))
    assert (false[0], true[0], false[-1], true[-1]) == (0, 0, 1, 1)


def test_probability_at_the_threshold_counts_as_abnormal() -> None:
    assert sensitivity([0.5, 0.49], [1, 1]) == 0.5
    assert specificity([0.5, 0.49], [0, 0]) == 0.5
    assert sensitivity([0.3, 0.1], [1, 1], threshold=0.2) == 0.5


def test_measures_without_their_class_are_undefined() -> None:
    assert np.isnan(sensitivity([0.5], [0]))
    assert np.isnan(specificity([0.5], [1]))
    assert np.isnan(average_precision([0.5], [0]))
    assert np.isnan(average_precision([], []))


def test_unknown_labels_are_left_out() -> None:
    assert average_precision([0.9, 0.8, 0.1], [1, np.nan, 1]) == 1
    assert sensitivity([0.9, 0.8], [1, np.nan]) == 1
