"""Facts about which patients are fitted and scored, and about tables that cannot be true."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pytest

from benchmarks.survival_simulation import PatientPool, make_pool, simulate_tables
from petct_ext.errors import InputDataError
from petct_ext.survival.patients import (
    AnalysisOptions,
    require_same_split,
    require_sound_table,
    select_patients,
)
from tests.package_regions import ONTOLOGY


@pytest.fixture(scope="module")
def pool() -> PatientPool:
    return make_pool(120, seed=1, ontology=ONTOLOGY)


def _tables(pool: PatientPool) -> tuple[pd.DataFrame, pd.DataFrame]:
    return simulate_tables(pool, num_patients=120, seed=1)


def test_every_patient_is_fitted_or_scored_never_both(pool: PatientPool) -> None:
    table, predictions = _tables(pool)
    selection = select_patients(
        table, predictions, AnalysisOptions(regions=("liver",), ontology=ONTOLOGY)
    )
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
        select_patients(table, predictions, AnalysisOptions(ontology=ONTOLOGY))


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
    selection = select_patients(
        table, predictions, AnalysisOptions(regions=("liver",), ontology=ONTOLOGY)
    )

    assert selection.fit.left_out.to_dict("records") == [
        {
            "patient_id": table.loc[0, "patient_id"],
            "exam_id": table.loc[0, "exam_id"],
            "split": "validation",
            "reason": "missing: age (per decade)",
        }
    ]


def _clinical_table(num_patients: int) -> pd.DataFrame:
    generator = np.random.default_rng(0)
    number = np.arange(num_patients)
    return pd.DataFrame(
        {
            "patient_id": [f"P{i}" for i in number],
            "exam_id": [f"E{i}" for i in number],
            "split": np.where(number % 2, "validation", "test"),
            "time_days": generator.integers(10, 900, num_patients).astype(float),
            "event": 1,
            "age_years": generator.normal(60, 9, num_patients),
            "sex": "F",
            "indication": "lymphoma",
            "summary_code": "",
        }
    )


def _predictions_of(table: pd.DataFrame, *tasks: str) -> pd.DataFrame:
    generator = np.random.default_rng(1)
    return pd.concat(
        table[["exam_id"]].assign(task=task, seed=0, prob=generator.uniform(size=len(table)))
        for task in tasks
    )


def test_only_deaths_of_patients_with_predictions_and_covariates_carry_regions() -> None:
    table = _clinical_table(120)
    names = ("full", "liver", "lungs", "skeleton")
    everyone = select_patients(
        table, _predictions_of(table, *names), AnalysisOptions(ontology=ONTOLOGY)
    )
    few = _predictions_of(table[table["patient_id"].isin([f"P{i}" for i in range(40)])], *names)
    some = select_patients(table, few, AnalysisOptions(ontology=ONTOLOGY))
    without_age = table.assign(age_years=table["age_years"].where(table.index < 32))
    fewer = select_patients(without_age, few, AnalysisOptions(ontology=ONTOLOGY))

    assert len(everyone.design.regions) == 4  # 60 deaths
    assert (int(some.fit.rows["event"].sum()), some.design.regions) == (20, names[:3])
    assert (int(fewer.fit.rows["event"].sum()), fewer.design.regions) == (16, names[:2])


def test_region_that_few_exams_have_does_not_take_the_deaths_of_the_others() -> None:
    table = _clinical_table(120)
    predictions = pd.concat(
        [_predictions_of(table, "full", "liver"), _predictions_of(table[:16], "lungs")]
    )
    selection = select_patients(table, predictions, AnalysisOptions(ontology=ONTOLOGY))

    assert selection.design.regions == ("full", "liver")
    assert len(selection.fit.rows) == 60


def test_summary_code_is_no_region() -> None:
    table = _clinical_table(40)
    predictions = _predictions_of(table, "summary_code")
    with pytest.raises(InputDataError, match=r"predicted tasks \(summary_code\) is a region"):
        select_patients(table, predictions, AnalysisOptions(ontology=ONTOLOGY))
    with pytest.raises(InputDataError, match="'summary_code' is a column of the survival table"):
        select_patients(
            table, predictions, AnalysisOptions(regions=("summary_code",), ontology=ONTOLOGY)
        )
    both = pd.concat([predictions, _predictions_of(table, "liver")])
    assert select_patients(table, both, AnalysisOptions(ontology=ONTOLOGY)).design.regions == (
        "liver",
    )
