"""Facts about the survival table and the mortality model's data list."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pandas as pd
import pytest

from petct_ext.errors import InputDataError
from petct_ext.files import read_json
from petct_ext.survival.table import (
    CohortTables,
    mortality_datalist,
    survival_table,
    write_survival,
)
from petct_ext.tables.schemas import SURVIVAL, read_table


def _tables() -> CohortTables:
    exams = pd.DataFrame(
        [
            ("E1", "P1", "2020-01-01", 60.0, "F"),
            ("E2", "P1", "2020-06-01", 60.4, "F"),  # quarantined when prepared
            ("E3", "P2", "2020-01-01", 50.0, "M"),
            ("E4", "P2", "2020-02-01", 50.1, "M"),
            ("E5", "P3", "2020-01-01", 70.0, "M"),
        ],
        columns=["exam_id", "patient_id", "exam_date", "age_years", "sex"],
    )
    prepared = pd.DataFrame(
        {
            "exam_id": exams["exam_id"],
            "status": ["ok", "quarantined", "ok", "ok", "ok"],
            "pet": [f"volumes/{e}/pet.nii.gz" for e in exams["exam_id"]],
            "ct": [f"volumes/{e}/ct.nii.gz" for e in exams["exam_id"]],
            "pet_units": "SUVbw",
        }
    )
    splits = exams[["exam_id", "patient_id"]].assign(
        split=["training", "training", "test", "test", "validation"]
    )
    identifiers = exams[["exam_id", "patient_id"]].assign(
        study_instance_uid=[f"1.2.{i}" for i in range(5)],
        raw_patient_id=["A", "A", "B", "B", "C"],
    )
    outcomes = pd.DataFrame(
        [("A", "2020-03-01", ""), ("B", "", "2020-05-01"), ("C", "2019-12-01", ""), ("D", "", "")],
        columns=["patient_id", "death_date", "last_contact_date"],
    )
    reports = pd.DataFrame(
        {
            "study_instance_uid": ["1.2.0", "1.2.3"],
            "text": "",
            "indication": ["lymphoma", "lung"],
            "summary_code": ["4", "1"],
        }
    )
    return CohortTables(exams, prepared, splits, identifiers, outcomes, reports)


def test_patient_counts_once_with_the_last_prepared_exam() -> None:
    table, left_out = survival_table(_tables())

    assert table[["exam_id", "time_days", "event", "indication"]].to_numpy().tolist() == [
        ["E1", 60, 1, "lymphoma"],
        ["E4", 90, 0, "lung"],
    ]
    assert left_out["patient_id"].tolist() == ["P3"]
    assert "death 31 days before the last exam" in left_out["reason"].iloc[0]


def test_outcomes_are_shifted_by_as_much_as_the_exams_of_the_patient() -> None:
    tables = _tables()
    days = pd.Series([-100, -100, 31, 31, 7])
    shifted = pd.to_datetime(tables.exams["exam_date"]) + pd.to_timedelta(days, unit="D")
    exams = tables.exams.assign(exam_date=shifted.dt.strftime("%Y-%m-%d"))
    identifiers = tables.identifiers.assign(date_shift_days=days.astype("Int64"))
    table, left_out = survival_table(replace(tables, exams=exams, identifiers=identifiers))

    expected, expected_left_out = survival_table(tables)
    pd.testing.assert_frame_equal(table, expected)
    pd.testing.assert_frame_equal(left_out, expected_left_out)


def test_patient_in_two_splits_is_refused() -> None:
    tables = _tables()
    tables.splits.loc[3, "split"] = "training"
    with pytest.raises(InputDataError, match=r"patient P2 is in 2 splits \(1 such patients\)"):
        survival_table(tables)


def test_nobody_left_is_an_error_that_tells_the_first_reason() -> None:
    tables = _tables()
    tables.outcomes["death_date"] = "2000-01-01"
    with pytest.raises(InputDataError, match=r"none of 3 patients.*patient P1: death \d+ days"):
        survival_table(tables)


def test_tables_of_different_runs_are_refused() -> None:
    tables = _tables()
    tables.prepared["exam_id"] = tables.prepared["exam_id"] + "x"
    with pytest.raises(InputDataError, match="no exam is prepared and has a split"):
        survival_table(tables)


def test_datalist_labels_each_horizon_and_leaves_censored_patients_without(tmp_path: Path) -> None:
    tables = _tables()
    table, _ = survival_table(tables)
    datalist = mortality_datalist(
        table,
        tables.prepared,
        horizons_days=[45, 180],
        root=tmp_path,
        folder=tmp_path / "mortality",
    )

    assert datalist["test"] == [
        {
            "exam_id": "E4",
            "patient_id": "P2",
            "pet": "../volumes/E4/pet.nii.gz",
            "ct": "../volumes/E4/ct.nii.gz",
            "time_days": 90,
            "event": 0,
            "labels": {"dead_within_45_days": 0, "dead_within_180_days": None},
        }
    ]
    assert datalist["training"][0]["labels"] == {
        "dead_within_45_days": 0,
        "dead_within_180_days": 1,
    }
    assert datalist["validation"] == []


def test_written_table_keeps_its_schema(tmp_path: Path) -> None:
    paths = write_survival(_tables(), tmp_path, horizons_days=[180])

    assert len(read_table(paths["survival_table"], SURVIVAL)) == 2
    assert set(read_json(paths["datalist"])) == {"training", "validation", "test"}
    assert pd.read_csv(paths["left_out"])["patient_id"].tolist() == ["P3"]
