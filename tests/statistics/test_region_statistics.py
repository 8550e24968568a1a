"""Facts about the table of statistics: an entry is all that tables, figures and pages need."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from petct_ext.figures.detection import draw_by_region
from petct_ext.statistics.region_statistics import AUROC, STATISTICS, ScoredTask, Statistic
from petct_ext.statistics.region_table import RegionTable, region_table, write_region_table
from tests.statistics.comparison_cases import experiment


@pytest.fixture(scope="module")
def table() -> RegionTable:
    return region_table([experiment("a")], num_bootstrap=20)


def test_columns_of_the_tables_are_these_and_in_this_order(
    table: RegionTable, tmp_path: Path
) -> None:
    write_region_table(table, tmp_path)
    tasks, macro = (
        pd.read_csv(tmp_path / f"{name}.csv").columns.tolist()
        for name in ("metrics", "metrics_macro")
    )
    names = [statistic.name for statistic in STATISTICS]

    assert [name for name in tasks if name in {*names, "threshold"}] == [
        "auroc", "average_precision", "threshold", "f1", "sensitivity", "specificity", "ppv",
        "npv", "brier", "calibration_error",
    ]  # fmt: skip
    assert [c for c in tasks if c.startswith("auroc_") and "seed_" not in c] == [
        f"auroc_{kind}_{end}" for kind in ("ci", "ci_seeds", "delong") for end in ("low", "high")
    ]
    assert [c for c in macro if c.endswith("_ci_seeds_low")] == [
        f"macro_{name}_ci_seeds_low" for name in names
    ]
    assert all(f"macro_{name}" in macro for name in names)


@pytest.mark.parametrize("statistic", STATISTICS, ids=lambda statistic: statistic.name)
def test_statistic_needs_its_threshold_only_if_it_says_so(statistic: Statistic) -> None:
    generator = np.random.default_rng(0)
    target = (np.arange(40) < 15).astype(float)
    prob = np.clip(generator.normal(0.3, 0.2, 40) + 0.3 * target, 0, 1)
    low, high = (statistic.value(ScoredTask(prob, target, at)) for at in (0.3, 0.5))

    assert np.isfinite(low)
    assert (low != high) == statistic.needs_threshold


def test_statistic_without_draws_is_drawn_with_its_interval_over_seeds(table: RegionTable) -> None:
    # The columns of another statistic that would be drawn, under the name of a new one.
    renamed = [
        rows.rename(columns=lambda name: str(name).replace("auroc", "new"))
        for rows in (table.tasks, table.macro)
    ]
    statistic = replace(AUROC, name="new", title="New", resample=None, chance=None)
    figure = draw_by_region(renamed[0], renamed[1].iloc[0], statistic)

    assert figure.axes[0].get_xlabel() == "New (bar: 95 % CI over seeds, small dots: seeds)"
    assert figure.axes[0].get_title(loc="left").startswith("Macro mean New 0.")
