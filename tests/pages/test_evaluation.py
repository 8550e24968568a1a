"""Facts about what an evaluation writes: tables, figures, page."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from petct_ext.figures.training import read_histories, read_training_sizes
from petct_ext.pages.evaluation import write_evaluation
from petct_ext.statistics.evaluation import EvaluationOptions, evaluate_experiments
from tests.package_regions import ONTOLOGY
from tests.statistics.comparison_cases import experiment

OPTIONS = EvaluationOptions(num_bootstrap=50, num_rounds=50)


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
    write_evaluation(
        experiments,
        evaluate_experiments(experiments, OPTIONS),
        folder,
        options=OPTIONS,
        ontology=ONTOLOGY,
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
    path = write_evaluation(
        [weak], evaluate_experiments([weak], OPTIONS), tmp_path, options=OPTIONS, ontology=ONTOLOGY
    )
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
    tables = evaluate_experiments([of], OPTIONS)
    write_evaluation([of], tables, tmp_path, options=OPTIONS, ontology=ONTOLOGY)

    assert not (tmp_path / "comparisons.csv").exists()
    assert not (tmp_path / "ensembles.csv").exists()
