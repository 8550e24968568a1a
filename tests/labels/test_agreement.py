"""Scores agree with scikit-learn and say so where they are not defined."""

from __future__ import annotations

import math

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.metrics import f1_score, recall_score, roc_auc_score

from petct_ext.labels.agreement import audit_labels, binary_scores
from petct_ext.ontology import RegionOntology

CASES = st.lists(
    st.tuples(st.sampled_from([0.0, 0.2, 0.5, 0.7, 1.0]), st.integers(0, 1)),
    min_size=2,
    max_size=30,
).filter(lambda cases: len({y for _, y in cases}) == 2)


@given(CASES)
def test_scores_equal_scikit_learn(cases: list[tuple[float, int]]) -> None:
    p, y = np.array([c[0] for c in cases]), np.array([c[1] for c in cases])
    scores = binary_scores(p, y)
    assert scores["auroc"] == pytest.approx(roc_auc_score(y, p))
    assert scores["f1"] == pytest.approx(f1_score(y, p >= 0.5))
    assert scores["sensitivity"] == pytest.approx(recall_score(y, p >= 0.5))
    assert scores["specificity"] == pytest.approx(recall_score(y, p >= 0.5, pos_label=0))


def test_missing_values_are_left_out() -> None:
    scores = binary_scores([0.9, math.nan, 0.1, 0.9], [1, 1, 0, math.nan])
    assert (scores["num"], scores["num_abnormal"], scores["auroc"]) == (2, 1, 1.0)


def test_scores_of_one_class_are_not_defined() -> None:
    scores = binary_scores([0.1, 0.2], [0, 0])
    assert math.isnan(scores["auroc"])
    assert math.isnan(scores["sensitivity"])
    assert scores["specificity"] == 1.0


def test_audit_has_a_row_per_labeler_and_judged_region_and_pools_the_main_ones() -> None:
    ontology = RegionOntology.default()
    hand = pd.DataFrame({"exam_id": ["a", "b"], "liver": [1, 0], "spleen": [0, 1]})
    good = pd.DataFrame({"exam_id": ["b", "a"], "liver": [0.1, 0.9], "spleen": [0.9, 0.1]})
    bad = good.assign(liver=[0.9, 0.1])
    table = audit_labels({"model": good, "rules": bad}, hand, ontology)
    assert table[["labeler", "region"]].to_numpy().tolist() == [
        [labeler, region]
        for labeler in ("model", "rules")
        for region in ("liver", "spleen", "main_regions")
    ]
    areas = table.set_index(["labeler", "region"])["auroc"]
    assert areas["model", "liver"] == 1.0
    assert areas["rules", "main_regions"] == 0.0  # the liver is a main region, the spleen is not
