"""Comparing designs: the better one is told from the worse, with the numbers that say how sure."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch

from petct_ext.errors import InputDataError
from petct_ext.figures.designs import draw_designs, draw_localization
from petct_ext.pages.designs import designs_page
from petct_ext.pipeline.design_tables import (
    ALL_REGIONS,
    RegionGroup,
    design_table,
    localization_table,
)
from petct_ext.pipeline.designs import (
    DESIGNS,
    REFERENCE_DESIGN,
    choose_designs,
    with_true_labels,
)
from tests.package_regions import ONTOLOGY
from tests.scan.networks.region_networks import region_classifier

EXAMS = [f"E{i:02d}" for i in range(40)]
PATIENTS = {exam: f"P{i // 2}" for i, exam in enumerate(EXAMS)}
REGIONS = ("liver", "lungs", "spine")


def predictions(skill: dict[str, float], *, seeds: tuple[int, ...] = (0, 1)) -> pd.DataFrame:
    """Made up: ``skill`` is how much of a prediction is the truth, by design."""
    rows: list[dict[str, Any]] = []
    for name, share in skill.items():
        for seed in seeds:
            rng = np.random.default_rng([seed, len(name)])
            for t, task in enumerate(REGIONS):
                for i, exam in enumerate(EXAMS):
                    target = float((i + t) % 3 == 0)
                    prob = share * target + (1 - share) * rng.random()
                    rows.append(
                        {"experiment": name, "seed": seed, "split": "test", "task": task,
                         "exam_id": exam, "target": target, "prob": prob, "target_kind": "hand"}
                    )  # fmt: skip
    return pd.DataFrame(rows)


def scored(table: pd.DataFrame, *groups: RegionGroup) -> pd.DataFrame:
    return design_table(
        table, groups, patients=PATIENTS, num_bootstrap=200, num_rounds=500, ontology=ONTOLOGY
    )


def test_worse_design_loses_by_the_difference_of_the_means() -> None:
    table = scored(predictions({"sum": 0.1, REFERENCE_DESIGN: 0.6}), RegionGroup("three", REGIONS))
    assert table["design"].tolist() == [REFERENCE_DESIGN, "sum"]  # in the order of DESIGNS
    default, worse = (table[table["design"] == n].iloc[0] for n in (REFERENCE_DESIGN, "sum"))
    assert default["auroc"] > 0.95 > 0.8 > worse["auroc"]
    assert worse["difference"] == pytest.approx(worse["auroc"] - default["auroc"])
    assert worse["difference_ci_low"] < worse["difference"] < worse["difference_ci_high"] < 0
    assert worse["p_exams"] < 0.05
    assert np.isnan(default["difference"])
    seeds = [default["auroc_seed_0"], default["auroc_seed_1"]]
    assert default["auroc"] == pytest.approx(np.mean(seeds))
    assert default["auroc_ci_low"] <= default["auroc"] <= default["auroc_ci_high"]


def test_design_without_all_regions_of_a_group_is_not_in_it() -> None:
    table = predictions({REFERENCE_DESIGN: 0.5, "single_task": 0.4})
    table = table[(table["experiment"] == REFERENCE_DESIGN) | (table["task"] == "liver")]
    rows = scored(table, RegionGroup("three", REGIONS), RegionGroup("one", ("liver",)))
    assert rows.groupby("group")["design"].apply(list).to_dict() == {
        "three": [REFERENCE_DESIGN],
        "one": [REFERENCE_DESIGN, "single_task"],
    }


def test_group_without_positives_has_no_rows() -> None:
    table = predictions({REFERENCE_DESIGN: 0.5, "sum": 0.4})
    rare = RegionGroup("rare", ("spine",), min_positives=30)
    assert set(scored(table, rare, RegionGroup("three", REGIONS))["group"]) == {"three"}


def test_default_without_predictions_is_refused() -> None:
    with pytest.raises(InputDataError, match=r"'attention' has no predictions .* train it first"):
        scored(predictions({"sum": 0.5}), RegionGroup("three", REGIONS))


def measured(factor: float) -> pd.DataFrame:
    """Exams in which a map has ``factor`` times what chance has."""
    rng = np.random.default_rng(0)
    rows = [
        {"design": REFERENCE_DESIGN, "seed": seed, "exam_id": exam, "region": region, "map": name,
         "box": box, "mass": factor * chance, "chance": chance, "best": 0.9,
         "hit": 1.0, "hit_chance": 0.1}
        for box in ("lesion", "region")
        for name in ("attention", "evidence")
        for region in REGIONS
        for exam in EXAMS[:6]
        for chance in [rng.uniform(0.01, 0.1)]
        for seed in (0, 1)
    ]  # fmt: skip
    return pd.DataFrame(rows)


@pytest.mark.parametrize("factor", [1.0, 3.0])
def test_ratio_over_chance_is_what_maps_have(factor: float) -> None:
    table = localization_table(measured(factor), patients=PATIENTS, num_bootstrap=100)
    assert len(table) == 2 * 2 * (len(REGIONS) + 1)
    np.testing.assert_allclose(table[["ratio", "ratio_ci_low", "ratio_ci_high"]], factor)
    assert set(table.loc[table["region"] != ALL_REGIONS, "n"]) == {6}


def test_maps_without_mass_are_left_out() -> None:
    rows = measured(2.0)
    rows.loc[rows["exam_id"] == EXAMS[0], ["mass", "hit"]] = np.nan
    table = localization_table(rows, patients=PATIENTS, num_bootstrap=100)
    assert set(table.loc[table["region"] != ALL_REGIONS, "n"]) == {5}


def test_page_and_figures_say_that_patients_are_artificial() -> None:
    table = scored(predictions({REFERENCE_DESIGN: 0.6, "sum": 0.1}), RegionGroup("three", REGIONS))
    places = localization_table(measured(2.0), patients=PATIENTS, num_bootstrap=100)
    page = designs_page(table, places, facts="made up")
    assert "Artificial patients" in page
    assert "| `sum`: sum over all positions" in page
    for figure in (draw_designs(table), draw_localization(places, ontology=ONTOLOGY)):
        assert "artificial patients, not clinical" in figure.get_suptitle()


@pytest.mark.parametrize("name", sorted(DESIGNS))
def test_every_design_builds_a_network(name: str) -> None:
    options: dict[str, Any] = {
        "num_frequencies": 3,
        "width": 0.0625,
        "last_stage": "mixed_4b",
        "num_heads": 2,
    }
    changes = {k.rpartition("#")[2]: v for k, v in DESIGNS[name].overrides.items()}
    network = region_classifier(2, 3, **(options | changes)).eval()
    with torch.inference_mode():
        assert network(torch.rand(1, 2, 32, 32, 9)).shape == (1, 3)


def test_default_is_always_trained_and_first() -> None:
    assert [design.name for design in choose_designs(["sum"])] == [REFERENCE_DESIGN, "sum"]
    with pytest.raises(InputDataError, match=r"no design 'summ'.*Did you mean 'sum'"):
        choose_designs(["summ"])


def test_true_labels_replace_weak_ones_and_nothing_else() -> None:
    item = {"exam_id": "E1", "pet": "a.nii", "labels": {"liver": 0.7}}
    document = {"labels_are": "weak", "training": [item], "test": []}
    changed = with_true_labels(document, {"E1": {"liver": 0.0}})
    assert changed["training"] == [item | {"labels": {"liver": 0.0}}]
    assert changed["labels_are"] == "the truth of artificial patients"
    assert item["labels"] == {"liver": 0.7}
    with pytest.raises(InputDataError, match="exam E1 of the datalist has no true labels"):
        with_true_labels(document, {})
