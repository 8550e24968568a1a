"""Facts about the table of regions and its macro mean."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from sklearn.metrics import roc_auc_score

from petct_ext.errors import InputDataError
from petct_ext.statistics.predictions import Experiment, as_experiments, read_predictions
from petct_ext.statistics.region_table import region_table, write_region_table
from tests.conftest import SHARED
from tests.package_regions import ONTOLOGY

PUBLISHED = SHARED / "published_predictions"


def needs_published(test: Callable[[], None]) -> Callable[[], None]:
    """Marks a test on the authors' own predictions."""
    reason = "needs ../shared/published_predictions"
    skip = pytest.mark.skipif(not PUBLISHED.is_dir(), reason=reason)
    marked: Callable[[], None] = pytest.mark.shared(skip(test))
    return marked


def _experiment(
    positives: dict[str, int], *, num_exams: int = 60, seeds: tuple[int, ...] = (1, 2)
) -> Experiment:
    generator = np.random.default_rng(0)
    target = np.zeros((len(positives), num_exams))
    for row, count in zip(target, positives.values(), strict=True):
        row[generator.permutation(num_exams)[:count]] = 1
    noise = generator.normal(0.3, 0.2, (len(seeds), *target.shape))
    return Experiment(
        name="e",
        split="test",
        target_kind="hand",
        seeds=seeds,
        tasks=tuple(positives),
        exam_ids=tuple(f"E{i}" for i in range(num_exams)),
        prob=np.clip(noise + 0.2 * target, 0, 1),
        target=target,
        clusters=np.array([f"P{i // 2}" for i in range(num_exams)]),
        has_patients=True,
    )


def test_area_is_the_mean_over_seeds_of_scikit_learns() -> None:
    experiment = _experiment({"liver": 20})
    row = region_table([experiment], num_bootstrap=50).tasks.iloc[0]
    areas = [roc_auc_score(experiment.target[0], prob[0]) for prob in experiment.prob]

    assert row["auroc"] == pytest.approx(np.mean(areas))
    assert [row["auroc_seed_1"], row["auroc_seed_2"]] == pytest.approx(areas)
    assert row["auroc_ci_low"] < row["auroc"] < row["auroc_ci_high"]


def test_undefined_area_is_missing_with_the_reason() -> None:
    rows = region_table([_experiment({"liver": 0, "lungs": 60, "full": 30})], num_bootstrap=20)

    assert rows.tasks["auroc"].isna().tolist() == [True, True, False]
    assert rows.tasks["note"].tolist() == ["undefined: 0 positives", "undefined: 0 negatives", ""]
    assert rows.macro["tasks_left_out"].iloc[0] == "liver lungs"


def test_task_whose_labels_are_all_unknown_is_reported() -> None:
    experiment = _experiment({"liver": 10})
    experiment.target[:] = np.nan
    rows = region_table([experiment], num_bootstrap=20)

    assert rows.tasks["note"].iloc[0] == "undefined: no exam has a known label"
    assert rows.macro["note"].iloc[0] == "undefined: no task has 5 positives"
    assert rows.macro["macro_auroc"].isna().all()


def test_macro_mean_counts_tasks_with_enough_positives_only() -> None:
    rows = region_table([_experiment({"liver": 20, "lungs": 4, "full": 5})], num_bootstrap=200)
    macro = rows.macro.iloc[0]

    assert macro["macro_auroc"] == pytest.approx(rows.tasks["auroc"].to_numpy()[[0, 2]].mean())
    assert (macro["n_tasks"], macro["n_tasks_left_out"]) == (2, 1)
    assert macro["macro_auroc_ci_low"] < macro["macro_auroc"] < macro["macro_auroc_ci_high"]
    assert (macro["n_patients"], macro["resampled"]) == (30, "patients")


def test_macro_interval_of_one_task_is_the_interval_of_the_task() -> None:
    rows = region_table([_experiment({"liver": 20})], num_bootstrap=100)

    assert rows.macro["macro_auroc_ci_low"].iloc[0] == rows.tasks["auroc_ci_low"].iloc[0]


def test_same_seed_gives_the_same_interval_and_another_does_not() -> None:
    first, again, other = (
        region_table([_experiment({"liver": 20})], num_bootstrap=100, seed=seed).tasks
        for seed in (0, 0, 1)
    )

    pd.testing.assert_frame_equal(first, again)
    assert first["auroc_ci_low"].iloc[0] != other["auroc_ci_low"].iloc[0]


def test_interval_over_patients_is_wider_when_their_exams_agree() -> None:
    experiment = _experiment({"liver": 30}, seeds=(1,))
    twice = {
        field: getattr(experiment, field)
        for field in ("name", "split", "target_kind", "seeds", "tasks")
    }
    doubled = [
        Experiment(
            **twice,
            exam_ids=tuple(f"E{i}" for i in range(120)),
            prob=np.repeat(experiment.prob, 2, axis=2),
            target=np.repeat(experiment.target, 2, axis=1),
            clusters=clusters,
            has_patients=True,
        )
        for clusters in (np.repeat(np.arange(60), 2).astype(str), np.arange(120).astype(str))
    ]
    rows = region_table(doubled, num_bootstrap=1000).tasks
    width = rows["auroc_ci_high"] - rows["auroc_ci_low"]

    assert width[0] > 1.2 * width[1]


def test_numbers_out_of_range_are_refused() -> None:
    with pytest.raises(InputDataError, match="must be at least 1"):
        region_table([_experiment({"liver": 20})], num_bootstrap=0)


def test_written_table_keeps_undefined_tasks(tmp_path: Path) -> None:
    write_region_table(region_table([_experiment({"liver": 0})], num_bootstrap=9), tmp_path)

    assert pd.read_csv(tmp_path / "metrics.csv")["note"].tolist() == ["undefined: 0 positives"]
    assert (tmp_path / "metrics_macro.csv").is_file()


@needs_published
def test_areas_equal_those_of_the_paper() -> None:
    path = PUBLISHED / "multi_task_then_single_task.csv.gz"
    experiments = as_experiments(
        read_predictions([path], split="test"), default_kind="hand", ontology=ONTOLOGY
    )
    tasks = region_table(experiments, num_bootstrap=20).tasks.set_index("task")
    # Mean AUROC after single-task fine-tuning, to three decimals (Fig. 2a of the paper). The paper
    # gives 0.915 for axillary lymph nodes, these predictions 0.9144. It is not our arithmetic:
    # scikit-learn gives the same, and so do the authors' own files (test_metrics.json of the best
    # epoch: 0.90639, 0.91652, 0.91833, 0.91348, 0.91708, mean 0.91436). Nor is it the median
    # (0.9165), the mean of rounded seeds (0.9142) or the ensemble (0.9236). Probabilities below
    # 1e-7 are stored as 0, so ties leave room for 0.9139 to 0.9148 only; the authors' own areas
    # lie inside. What remains is a slip in the text or another choice of epoch (the last one's
    # published areas, 0.9112, 0.9218 and 0.9051 for three seeds, differ by more than 0.003).
    paper = {
        "liver": 0.905,
        "hilar_lymph_node": 0.908,
        "axillary_lymph_node": 0.914,
        "carinal_lymph_node": 0.906,
        "inguinal_lymph_node": 0.894,
        "lungs": 0.860,
        "full": 0.803,
    }

    assert tasks.loc[list(paper), "auroc"].tolist() == pytest.approx(
        list(paper.values()), abs=5.1e-4
    )


@needs_published
def test_areas_of_the_joint_model_equal_scikit_learns() -> None:
    table = read_predictions([PUBLISHED / "multi_task.csv.gz"], split="test")
    rows = region_table(
        as_experiments(table, default_kind="hand", ontology=ONTOLOGY), num_bootstrap=20
    )
    expected = (
        table.groupby(["task", "seed"], sort=False)[["target", "prob"]]
        .apply(lambda of_seed: roc_auc_score(of_seed["target"], of_seed["prob"]))
        .groupby("task", sort=False)
        .mean()
    )

    found = rows.tasks.set_index("task")["auroc"]
    assert found.tolist() == pytest.approx(expected[found.index].tolist())
    assert rows.macro["n_tasks"].tolist() == [26]
