"""Protocols of a cohort: facts, groups and outliers."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from petct_ext.cohort.protocols import (
    count_series_choices,
    find_outliers,
    protocol_facts,
    protocols,
)


def record(slice_mm: float = 3.0, **changes: Any) -> dict[str, Any]:
    affine = np.diag([4.0, 4.0, slice_mm, 1.0]).tolist()
    grid = {"shape": [2, 2, 2], "affine": affine}
    return {"original_grids": {"pet": grid, "ct": grid}, "checks": [], **changes}


def exams(*uptakes: float) -> pd.DataFrame:
    rows = [
        {
            "exam_id": f"E{number}",
            "manufacturer": "Maker",
            "model": "One",
            "tracer": "FDG",
            "uptake_min": uptake,
            "injected_dose_bq": 350e6,
            "weight_kg": 70.0,
        }
        for number, uptake in enumerate(uptakes)
    ]
    return pd.DataFrame(rows)


def test_facts_come_from_exams_series_and_records() -> None:
    series = pd.DataFrame(
        {
            "exam_id": ["E0", "E0", "E0"],
            "modality": ["PT", "PT", "CT"],
            "chosen": [1, 0, 1],
            "reconstruction": ["OSEM", "FBP", "B30f"],
            "choice_rule": ["matrix", "", ""],
        }
    )
    checked = record(checks=[{"name": "dose_per_kg", "value": 4.5}])
    facts = protocol_facts(exams(60, 61), series, {"E0": checked, "E1": record()})
    assert facts.reconstruction.tolist() == ["OSEM", "not stated"]
    assert facts.ct_kernel.tolist() == ["B30f", "not stated"]
    assert facts.dose_per_kg.tolist() == [4.5, 5.0]
    assert len(protocols(facts)) == 2
    assert {"exams": 1, "reconstruction": "OSEM", "chosen by": "matrix"} in count_series_choices(
        facts
    )


def test_unknown_uptake_is_told_and_not_taken_for_usual() -> None:
    facts = protocol_facts(exams(np.nan, 80), None, {"E0": record(), "E1": record()})
    (row,) = protocols(facts)
    assert row["uptake_min"] == "80 (80 to 80), 1 not stated"
    assert row["outside_guideline"] == 1


@pytest.mark.parametrize(("value", "found"), [(66.0, 1), (64.0, 0)])
def test_outlier_needs_a_distance_that_matters(value: float, found: int) -> None:
    records = {f"E{n}": record() for n in range(9)}
    facts = protocol_facts(exams(*[60.0] * 8, value), None, records)
    assert len(find_outliers(facts)) == found


@given(st.lists(st.floats(0, 300), max_size=7))
def test_few_exams_have_no_outliers(uptakes: list[float]) -> None:
    facts = pd.DataFrame({"exam_id": map(str, range(len(uptakes))), "uptake_min": uptakes})
    assert find_outliers(facts) == []
