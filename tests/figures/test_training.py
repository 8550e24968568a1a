"""Facts about what an evaluation reads: predictions, training sizes, histories."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from petct_ext.errors import InputDataError
from petct_ext.figures.training import (
    epochs_to_best,
    read_histories,
    read_training_sizes,
)
from petct_ext.statistics.predictions import as_experiments, read_predictions
from tests.package_regions import ONTOLOGY
from tests.statistics.comparison_cases import as_table, experiment


def test_best_epoch_is_the_first_with_the_highest_area() -> None:
    histories = pd.DataFrame(
        [("a", 1, "liver", 3, 0.8), ("a", 1, "liver", 1, 0.7), ("a", 1, "liver", 2, 0.8),
         ("a", 2, "liver", 1, np.nan)],
        columns=["experiment", "seed", "task", "epoch", "auroc"],
    )  # fmt: skip

    assert epochs_to_best(histories)["best_epoch"].tolist() == [2]


def test_histories_of_weak_and_hand_labels_are_never_mixed(tmp_path: Path) -> None:
    (tmp_path / "h.csv").write_text(
        "experiment,seed,task,epoch,auroc,target_kind\na,1,x,1,0.5,weak\na,1,x,2,0.5,hand\n"
    )
    with pytest.raises(InputDataError, match="mixes target kinds"):
        read_histories(tmp_path / "h.csv")


def test_training_size_of_an_unknown_experiment_is_refused(tmp_path: Path) -> None:
    (tmp_path / "s.csv").write_text("experiment,series,training_exams\nsingel,x,100\n")
    with pytest.raises(InputDataError, match="Did you mean 'single'"):
        read_training_sizes(tmp_path / "s.csv", {"single": 1})


@pytest.mark.parametrize("bad", ["", "nan", "1.5"])
def test_wrong_probability_is_told_with_exam_and_task(tmp_path: Path, bad: str) -> None:
    table = as_table(experiment("a", num_exams=4)).astype({"prob": str})
    table.loc[7, "prob"] = bad
    table.to_csv(tmp_path / "p.csv", index=False)

    with pytest.raises(InputDataError, match=r"line 9.*task 'liver', exam E3"):
        read_predictions([tmp_path / "p.csv"], split="test")


def test_missing_probability_of_an_array_is_told_with_exam_and_task() -> None:
    table = as_table(experiment("a", num_exams=4))
    table.loc[7, "prob"] = np.nan

    with pytest.raises(InputDataError, match=r"seed 1, task 'liver', exam E3: the prob"):
        as_experiments(table, ontology=ONTOLOGY)


def test_majority_of_seeds_decides_on_targets() -> None:
    table = as_table(experiment("a", num_exams=4))
    whole = as_experiments(table, ontology=ONTOLOGY)[0].target
    at = (table["seed"] == 2) & (table["task"] == "liver")
    table.loc[at, "target"] = 1 - table.loc[at, "target"]

    with pytest.raises(InputDataError, match=r"\(4 differences\).*--majority-targets"):
        as_experiments(table, ontology=ONTOLOGY)
    np.testing.assert_array_equal(
        as_experiments(table, majority_targets=True, ontology=ONTOLOGY)[0].target, whole
    )


def test_tie_between_seeds_leaves_the_target_unknown() -> None:
    table = as_table(experiment("a", seeds=(1, 2), num_exams=4))
    table.loc[(table["seed"] == 2) & (table["exam_id"] == "E1"), "target"] = 0.0
    table.loc[(table["seed"] == 1) & (table["exam_id"] == "E1"), "target"] = 1.0

    target = as_experiments(table, majority_targets=True, ontology=ONTOLOGY)[0].target
    assert np.isnan(target[:, 1]).all()
    assert not np.isnan(target[:, [0, 2, 3]]).any()


def test_parquet_without_its_library_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "pyarrow", None)  # as if it were not installed
    (tmp_path / "p.parquet").touch()

    with pytest.raises(InputDataError, match=r"needs pyarrow: pip install"):
        read_predictions([tmp_path / "p.parquet"], split="test")


def test_parquet_is_read_like_csv(tmp_path: Path) -> None:
    pytest.importorskip("pyarrow")
    table = as_table(experiment("a", num_exams=4))
    table.to_parquet(tmp_path / "p.parquet")
    table.to_csv(tmp_path / "p.csv", index=False)
    (one,), (other,) = (
        as_experiments(read_predictions([tmp_path / name], split="test"), ontology=ONTOLOGY)
        for name in ("p.parquet", "p.csv")
    )

    np.testing.assert_allclose(one.prob, other.prob)
    np.testing.assert_array_equal(one.target, other.target)
    table.assign(prob=2.0).to_parquet(tmp_path / "q.parquet")
    with pytest.raises(InputDataError, match=r"task 'full', exam E0: column 'prob' holds '2\.0'"):
        read_predictions([tmp_path / "q.parquet"], split="test")
    table.drop(columns="task").to_parquet(tmp_path / "q.parquet")
    with pytest.raises(InputDataError, match=r"lacks the column\(s\) task"):
        read_predictions([tmp_path / "q.parquet"], split="test")
