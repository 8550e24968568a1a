"""Noisy-or over mentions: bounded, monotone, free of order, closed outward."""

from __future__ import annotations

import math

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from petct_ext.errors import InputDataError, UnknownRegionError
from petct_ext.labels.aggregation import (
    UnmentionedPolicy,
    exam_labels,
    label_prevalence,
    region_probabilities,
)
from petct_ext.ontology import RegionOntology

ONTOLOGY = RegionOntology.default()
Rows = list[tuple[int, int, str, float]]
MENTIONS = st.lists(
    st.tuples(
        st.integers(0, 5),
        st.integers(6, 9),
        st.sampled_from(sorted(ONTOLOGY)),
        st.floats(0, 1),
    ),
    max_size=12,
)


def frame(**columns: list[object]) -> pd.DataFrame:
    return pd.DataFrame(columns)


@given(MENTIONS)
def test_container_is_never_less_probable_than_its_parts(mentions: Rows) -> None:
    labels = region_probabilities(mentions, ONTOLOGY)
    for name, probability in labels.items():
        assert 0.0 <= probability <= 1.0
        for container in ONTOLOGY.containers(name):
            assert labels[container] >= probability - 1e-12


@given(MENTIONS, st.randoms(use_true_random=False))
def test_order_of_mentions_does_not_matter(mentions: Rows, random: object) -> None:
    shuffled = sorted(mentions, key=repr, reverse=True)
    assert region_probabilities(shuffled, ONTOLOGY) == region_probabilities(mentions, ONTOLOGY)


@given(MENTIONS, st.integers(0, 5), st.floats(0, 1))
def test_another_mention_never_lowers_a_label(mentions: Rows, start: int, extra: float) -> None:
    before = region_probabilities(mentions, ONTOLOGY)
    after = region_probabilities([*mentions, (start, 9, "liver", extra)], ONTOLOGY)
    assert all(after[name] >= value - 1e-12 for name, value in before.items())


@given(MENTIONS)
def test_saying_the_same_words_twice_changes_nothing(mentions: Rows) -> None:
    twice = region_probabilities([*mentions, *mentions], ONTOLOGY)
    assert twice == region_probabilities(mentions, ONTOLOGY)


def test_two_words_for_a_region_combine_by_noisy_or() -> None:
    labels = region_probabilities([(0, 5, "liver", 0.5), (9, 14, "liver", 0.4)], ONTOLOGY)
    assert labels["liver"] == pytest.approx(0.7)


def test_mention_counts_once_though_two_paths_lead_up() -> None:
    """The hilar nodes lie within the chest and within the lymph nodes, both within the body."""
    labels = region_probabilities([(0, 5, "hilar_lymph_node", 0.3)], ONTOLOGY)
    assert {round(p, 12) for p in labels.values()} == {0.3}
    assert {"full", "chest", "lymph_node", "thoracic_lymph_node"} <= labels.keys()


def test_bilateral_words_count_once_for_the_region_around_both_sides() -> None:
    rows = [(0, 15, f"{side}hilar_lymph_node", 0.4) for side in ("", "left_", "right_")]
    labels = region_probabilities(rows, ONTOLOGY)
    assert labels["hilar_lymph_node"] == pytest.approx(0.4)
    assert labels["left_hilar_lymph_node"] == pytest.approx(0.4)


def test_unknown_region_is_refused() -> None:
    with pytest.raises(UnknownRegionError, match=r"no region 'livr'. Did you mean 'liver'"):
        region_probabilities([(0, 1, "livr", 0.5)], ONTOLOGY)


@pytest.mark.parametrize(("policy", "spleen"), [("normal", 0.0), ("unknown", math.nan)])
def test_unmentioned_region_follows_the_policy(policy: str, spleen: float) -> None:
    mentions = frame(exam_id=["a"], start=[0], end=[5], region=["liver"], probability=[0.9])
    labels = exam_labels(mentions, ONTOLOGY, policy).iloc[0]
    assert labels["liver"] == labels["abdomen"] == pytest.approx(0.9)
    assert labels["spleen"] == pytest.approx(spleen, nan_ok=True)


def test_exam_without_text_is_unknown_everywhere_not_normal() -> None:
    mentions = frame(exam_id=["a"], start=[0], end=[5], region=["liver"], probability=[0.9])
    labels = exam_labels(mentions, ONTOLOGY, exams={"a": True, "b": False, "c": True})
    rows = labels.set_index("exam_id")
    assert list(rows.index) == ["a", "b", "c"]
    assert rows.loc["b"].isna().all()
    assert (rows.loc["c"] == 0).all()
    assert list(rows.columns) == list(ONTOLOGY)


def test_mentions_of_strange_exams_are_refused() -> None:
    mentions = frame(exam_id=["z"], start=[0], end=[5], region=["liver"], probability=[0.9])
    with pytest.raises(InputDataError, match="1 exams with mentions are not among the 1 exams"):
        exam_labels(mentions, ONTOLOGY, exams={"a": True})


def test_unknown_policy_is_refused() -> None:
    with pytest.raises(ValueError, match="'maybe' is not a valid UnmentionedPolicy"):
        UnmentionedPolicy("maybe")


def test_prevalence_counts_known_labels_only() -> None:
    mentions = frame(exam_id=["a"], start=[0], end=[5], region=["liver"], probability=[0.9])
    labels = exam_labels(mentions, ONTOLOGY, exams={"a": True, "b": True, "c": False})
    rows = {row["region"]: row for row in label_prevalence(labels, ONTOLOGY).to_dict("records")}
    liver = rows["liver"]
    assert (liver["num_exams"], liver["num_abnormal"], liver["prevalence"]) == (2, 1, 0.5)
    assert list(rows) == list(ONTOLOGY)
    unknown = exam_labels(mentions.iloc[:0], ONTOLOGY, exams={"c": False})
    assert np.isnan(label_prevalence(unknown, ONTOLOGY)["prevalence"]).all()
