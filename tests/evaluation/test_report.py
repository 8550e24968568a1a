"""Facts about the written report: files, page, input formats."""

from __future__ import annotations

import re
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from petct_ext.errors import InputDataError
from petct_ext.evaluation.report import ReportOptions, evaluate_experiments, write_report
from petct_ext.figures.training import (
    epochs_to_best,
    read_histories,
    read_training_sizes,
)
from petct_ext.statistics.predictions import as_experiments, read_predictions
from tests.statistics.comparison_cases import as_table, experiment

OPTIONS = ReportOptions(num_bootstrap=50, num_rounds=50)


@pytest.fixture(scope="module")
def report(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A report of two experiments with every table and figure."""
    folder = tmp_path_factory.mktemp("report")
    experiments = [experiment("single"), experiment("multi/all", strength=3, generator_seed=1)]
    experiments[0].target[1] = experiments[1].target[1] = 0
    (folder / "sizes.csv").write_text(
        "experiment,series,training_exams\nsingle,x,100\nmulti/all,x,1000\n"
    )
    (folder / "histories.csv").write_text(
        "experiment,seed,task,epoch,auroc\nsingle,1,liver,1,0.6\nsingle,1,liver,2,0.7\n"
    )
    names = {of.name: of for of in experiments}
    write_report(
        experiments,
        evaluate_experiments(experiments, OPTIONS),
        folder,
        options=OPTIONS,
        training_sizes=read_training_sizes(folder / "sizes.csv", names),
        histories=read_histories(folder / "histories.csv"),
    )
    return folder


def test_every_figure_is_there_as_svg_and_png(report: Path) -> None:
    stems = {path.stem for path in report.glob("*.svg")}

    assert stems == {path.stem for path in report.glob("*.png")}
    kinds = {
        "auroc_by_group", "auroc_by_region_multi_all", "auroc_by_region_single",
        "auroc_by_training_size", "differences_multi_all_vs_single", "epochs_to_best",
        "gain_by_balance_multi_all_vs_single", "reliability_multi_all", "reliability_single",
        "roc_curves_multi_all", "roc_curves_single", "triage_multi_all", "triage_single",
    }  # fmt: skip
    assert stems == kinds


def test_tables_are_written(report: Path) -> None:
    for name in ("metrics", "metrics_macro", "comparisons", "triage", "ensembles"):
        assert len(pd.read_csv(report / f"{name}.csv")) > 0
    metrics = pd.read_csv(report / "metrics.csv")
    undefined = metrics[metrics["task"] == "liver"].iloc[0]
    assert np.isnan(undefined["auroc"])
    assert undefined["note"] == "undefined: 0 positives"


def test_page_asks_for_nothing_from_outside(report: Path) -> None:
    page = (report / "index.html").read_text()

    assert not re.findall(r"(?:src|href)=\"(?!data:|#)", page)
    assert page.count("<img ") == 13
    assert page.count("aria-sort") > 0
    assert "Null hypothesis" in page


def test_page_of_weak_labels_says_so_at_the_top(tmp_path: Path) -> None:
    weak = replace(experiment("a"), target_kind="weak")
    path = write_report([weak], evaluate_experiments([weak], OPTIONS), tmp_path, options=OPTIONS)
    page = path.read_text()

    assert 'class="notice loud"' in page.split("<main")[1].split("<section")[0]
    assert "Evaluated on WEAK labels" in page
    captions = re.findall(r"<caption>(.*?)</caption>", page)
    assert all("WEAK" in caption for caption in captions)


def test_page_of_hand_labels_does_not_warn(report: Path) -> None:
    page = (report / "index.html").read_text()

    assert "Evaluated on hand labels" in page
    assert 'class="notice loud"' not in page


def test_tables_that_no_longer_apply_are_removed(tmp_path: Path) -> None:
    (tmp_path / "comparisons.csv").write_text("old")
    of = experiment("a", seeds=(1,))
    write_report([of], evaluate_experiments([of], OPTIONS), tmp_path, options=OPTIONS)

    assert not (tmp_path / "comparisons.csv").exists()
    assert not (tmp_path / "ensembles.csv").exists()


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
        as_experiments(table)


def test_majority_of_seeds_decides_on_targets() -> None:
    table = as_table(experiment("a", num_exams=4))
    whole = as_experiments(table)[0].target
    at = (table["seed"] == 2) & (table["task"] == "liver")
    table.loc[at, "target"] = 1 - table.loc[at, "target"]

    with pytest.raises(InputDataError, match=r"\(4 differences\).*--majority-targets"):
        as_experiments(table)
    np.testing.assert_array_equal(as_experiments(table, majority_targets=True)[0].target, whole)


def test_tie_between_seeds_leaves_the_target_unknown() -> None:
    table = as_table(experiment("a", seeds=(1, 2), num_exams=4))
    table.loc[(table["seed"] == 2) & (table["exam_id"] == "E1"), "target"] = 0.0
    table.loc[(table["seed"] == 1) & (table["exam_id"] == "E1"), "target"] = 1.0

    target = as_experiments(table, majority_targets=True)[0].target
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
        as_experiments(read_predictions([tmp_path / name], split="test"))
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
