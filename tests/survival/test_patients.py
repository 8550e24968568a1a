"""Facts about which patients are fitted and scored, and about tables that cannot be true."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pytest

from petct_ext.errors import InputDataError
from petct_ext.survival.patients import (
    AnalysisOptions,
    require_same_split,
    require_sound_table,
    select_patients,
)
from petct_ext.survival.simulation import PatientPool, make_pool, simulate_tables


@pytest.fixture(scope="module")
def pool() -> PatientPool:
    return make_pool(120, seed=1)


def _tables(pool: PatientPool) -> tuple[pd.DataFrame, pd.DataFrame]:
    return simulate_tables(pool, num_patients=120, seed=1)


def test_every_patient_is_fitted_or_scored_never_both(pool: PatientPool) -> None:
    table, predictions = _tables(pool)
    selection = select_patients(table, predictions, AnalysisOptions(regions=("liver",)))
    fitted, scored = (set(p.rows["patient_id"]) for p in (selection.fit, selection.score))

    assert not fitted & scored
    assert len(fitted | scored) == 120


def test_exam_predicted_in_another_split_is_refused(pool: PatientPool) -> None:
    table, predictions = _tables(pool)
    predictions.loc[predictions["exam_id"] == table["exam_id"].iloc[1], "split"] = "training"

    with pytest.raises(
        InputDataError,
        match=r"patient P\d+, exam E\d+ is in split 'test' .* predicted in split 'tr",
    ):
        require_same_split(table, predictions)
    with pytest.raises(InputDataError, match="must not cross splits"):
        select_patients(table, predictions, AnalysisOptions())


def test_predictions_without_split_or_of_other_names_are_not_compared(pool: PatientPool) -> None:
    table, predictions = _tables(pool)
    require_same_split(table, predictions.assign(split="fold_3"))
    require_same_split(table, predictions.drop(columns="split"))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"time_days": -4.0}, r"patient P\d+, exam E\d+: time_days is -4.0, but must be 0 or more"),
        ({"time_days": np.nan}, "time_days is nan, but must be 0"),
        ({"event": 2}, "event is 2, but must be 1"),
        ({"age_years": 610.0}, "age_years is 610.0, but is no age in years"),
    ],
)
def test_impossible_rows_are_refused_with_the_patient(
    pool: PatientPool, change: dict[str, Any], message: str
) -> None:
    table, _ = _tables(pool)
    for column, value in change.items():
        table.loc[table.index[3], column] = value
    with pytest.raises(InputDataError, match=message):
        require_sound_table(table)


def test_patient_with_two_rows_is_refused(pool: PatientPool) -> None:
    table, _ = _tables(pool)
    with pytest.raises(InputDataError, match=r"patient P\d+ has 2 rows in the survival table"):
        require_sound_table(pd.concat([table, table[:1].assign(exam_id="E9")]))


def test_who_lacks_a_covariate_is_listed_with_what(pool: PatientPool) -> None:
    table, predictions = _tables(pool)
    table.loc[0, "age_years"] = np.nan
    selection = select_patients(table, predictions, AnalysisOptions(regions=("liver",)))

    assert selection.fit.left_out.to_dict("records") == [
        {
            "patient_id": table.loc[0, "patient_id"],
            "exam_id": table.loc[0, "exam_id"],
            "split": "validation",
            "reason": "missing: age (per decade)",
        }
    ]
