"""Facts about worklist triage, ensembles and thresholds."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from petct_ext.errors import InputDataError
from petct_ext.figures.detection import draw_triage, triage_tasks
from petct_ext.statistics.bootstrap import auroc
from petct_ext.statistics.ensembles import as_ensemble, ensemble_table
from petct_ext.statistics.operating_points import (
    choose_thresholds,
    fixed_threshold,
    operating_point,
    threshold_for_sensitivity,
)
from petct_ext.statistics.predictions import as_experiments, read_predictions
from petct_ext.statistics.region_table import region_table
from petct_ext.statistics.worklist import (
    fraction_unread,
    number_needed_to_read,
    sensitivity_when_read,
    triage_curve,
    triage_table,
)
from tests.conftest import SHARED
from tests.package_regions import ONTOLOGY
from tests.statistics.comparison_cases import TASKS, experiment

PUBLISHED = SHARED / "published_predictions"
EXAMS = st.lists(
    st.tuples(st.sampled_from([0.0, 0.25, 0.5, 1.0]), st.integers(0, 1)), min_size=1
).filter(lambda rows: any(label for _, label in rows))


@given(EXAMS)
def test_curve_rises_from_zero_to_one(rows: list[tuple[float, int]]) -> None:
    prob, target = map(list, zip(*rows, strict=True))
    curve = triage_curve(prob, target)

    assert len(curve) == len(rows) + 1
    assert (curve[0], curve[-1]) == (0, 1)
    assert (np.diff(curve) >= -1e-12).all()


@given(EXAMS)
def test_ties_are_read_in_random_order(rows: list[tuple[float, int]]) -> None:
    prob, target = map(np.array, zip(*rows, strict=True))
    generator = np.random.default_rng(0)
    curves = []
    for _ in range(400):
        jittered = prob + generator.random(len(prob)) * 1e-6
        curves.append(triage_curve(jittered, target))

    np.testing.assert_allclose(np.mean(curves, axis=0), triage_curve(prob, target), atol=0.15)


@given(EXAMS)
def test_area_under_the_curve_follows_from_the_auroc(rows: list[tuple[float, int]]) -> None:
    prob, target = map(np.array, zip(*rows, strict=True))
    area = auroc(prob, target)
    if np.isnan(area):
        return
    curve, prevalence = triage_curve(prob, target), target.mean()
    under = float(np.trapezoid(curve, dx=1 / len(target)))

    assert under == pytest.approx((1 - prevalence) * area + prevalence / 2)


def test_numbers_of_a_sorted_worklist() -> None:
    curve = triage_curve([0.9, 0.8, 0.7, 0.2], [1, 0, 1, 0])

    assert sensitivity_when_read(curve, 0.5) == 0.5
    assert sensitivity_when_read(curve, 0.75) == 1
    assert fraction_unread(curve, 0.95) == 0.25
    assert number_needed_to_read(curve, 0.75, num_positive=2) == 1.5


def test_worklist_without_findings_has_no_numbers() -> None:
    curve = triage_curve([0.9, 0.1], [0, 0])

    assert np.isnan(curve).all()
    assert np.isnan(fraction_unread(curve, 0.95))
    assert np.isnan(number_needed_to_read(curve, 0.5, num_positive=0))


def test_unknown_labels_are_not_on_the_worklist() -> None:
    assert triage_curve([0.9, 0.8, 0.1], [1, np.nan, 0]).tolist() == [0, 1, 1]


def test_table_has_mean_and_range_over_seeds() -> None:
    row = triage_table([experiment("a")]).iloc[0]

    names = ("sensitivity_at_75_lowest", "sensitivity_at_75", "sensitivity_at_75_highest")
    assert sorted(row[list(names)]) == row[list(names)].tolist()
    assert row["number_needed_to_read_random"] == pytest.approx(row["n"] / row["n_positive"])


def test_figure_takes_tasks_with_findings_only() -> None:
    of = experiment("a")
    of.target[1] = 0

    assert triage_tasks(of) == ["full", "axillary_lymph_node"] or "liver" not in triage_tasks(of)
    assert draw_triage(of, []) is None
    of.target[:] = 0
    assert triage_tasks(of) == []


def test_ensemble_is_the_mean_probability() -> None:
    of = experiment("a", strength=1.5)
    table = region_table([of], num_bootstrap=100)
    rows = ensemble_table([of], table).set_index("task")
    expected = auroc(of.prob.mean(axis=0)[0], of.target[0])

    assert as_ensemble(of).prob.shape == (1, 3, 60)
    assert rows.loc["full", "auroc_ensemble"] == pytest.approx(expected)
    gain = expected - table.tasks["auroc"].iloc[0]
    assert rows.loc["full", "gain"] == pytest.approx(gain)
    assert rows.loc["full", "gain_ci_low"] < gain < rows.loc["full", "gain_ci_high"]
    assert rows.loc["all tasks", "gain"] == pytest.approx(rows.loc[list(TASKS), "gain"].mean())


def test_single_seed_is_no_ensemble() -> None:
    of = experiment("a", seeds=(1,))

    assert ensemble_table([of], region_table([of], num_bootstrap=20)).empty


@given(EXAMS, st.floats(0.01, 1))
def test_chosen_threshold_reaches_the_sensitivity(
    rows: list[tuple[float, int]], wanted: float
) -> None:
    prob, target = map(np.array, zip(*rows, strict=True))
    threshold = threshold_for_sensitivity(prob, target, sensitivity=wanted)

    assert operating_point(prob, target, threshold=threshold).sensitivity >= wanted - 1e-9
    higher = prob[prob > threshold]
    if len(higher):
        point = operating_point(prob, target, threshold=float(higher.min()))
        assert point.sensitivity < wanted + 1e-9


def test_thresholds_come_from_the_other_split() -> None:
    of = experiment("a")
    other = replace(experiment("a", generator_seed=5), split="validation", target_kind="weak")
    chosen = choose_thresholds([of], [other], sensitivity=0.9)
    expected = threshold_for_sensitivity(other.prob[2, 1], other.target[1], sensitivity=0.9)

    assert chosen.of(of)[2, 1] == expected
    assert chosen.rule == "sensitivity 0.9 on split validation (weak labels)"
    row = region_table([of], num_bootstrap=20, thresholds=chosen).tasks.iloc[1]
    assert row["threshold_rule"] == chosen.rule
    assert row["threshold"] == pytest.approx(chosen.of(of)[:, 1].mean())


def test_other_split_must_have_every_seed() -> None:
    with pytest.raises(InputDataError, match="lacks seed 3"):
        choose_thresholds([experiment("a")], [experiment("a", seeds=(1, 2))], sensitivity=0.9)
    with pytest.raises(InputDataError, match="no prediction of experiment 'a'"):
        choose_thresholds([experiment("a")], [experiment("b")], sensitivity=0.9)


def test_thresholds_out_of_range_are_refused() -> None:
    with pytest.raises(InputDataError, match=r"in \[0, 1\]"):
        fixed_threshold(1.2)
    with pytest.raises(InputDataError, match=r"in \(0, 1\]"):
        choose_thresholds([experiment("a")], [experiment("a")], sensitivity=0)


@pytest.mark.shared
@pytest.mark.skipif(not PUBLISHED.is_dir(), reason="needs ../shared/published_predictions")
def test_triage_and_ensembles_of_the_paper() -> None:
    path = PUBLISHED / "multi_task_then_single_task.csv.gz"
    experiments = as_experiments(
        read_predictions([path], split="test"), default_kind="hand", ontology=ONTOLOGY
    )
    found = triage_table(experiments).set_index("task")["sensitivity_at_75"]
    paper = {"chest": 0.95, "liver": 0.98, "inguinal_lymph_node": 0.96}
    gains = ensemble_table(experiments, region_table(experiments, num_bootstrap=20))

    assert found[list(paper)].round(2).tolist() == list(paper.values())
    # "Up to 3 points": pelvic skeleton.
    assert gains["gain"].max() == pytest.approx(0.030, abs=5e-4)
