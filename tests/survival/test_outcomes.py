"""Facts about dates, survival times and the status at a horizon."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from petct_ext.errors import InputDataError
from petct_ext.survival.outcomes import follow_up, last_exams, status_at, survival_time


@pytest.mark.parametrize(
    ("death", "contact", "expected"),
    [
        ("2020-03-31", "", (30, 1)),
        ("2020-03-31", "2020-03-20", (30, 1)),
        ("", "2021-03-01", (365, 0)),
        ("2020-03-01", "", (0, 1)),
    ],
)
def test_time_runs_from_the_exam_to_death_or_last_contact(
    death: str, contact: str, expected: tuple[int, int]
) -> None:
    assert survival_time("2020-03-01", death, contact, patient_id="P1") == expected


@pytest.mark.parametrize(
    ("exam", "death", "contact", "message"),
    [
        ("2020-03-01", "2020-02-28", "", "patient P1: death 2 days before the last exam; correct"),
        ("2020-03-01", "", "2020-02-01", "patient P1: last contact 29 days before the last exam"),
        ("2020-03-01", "", "", "patient P1: neither death_date nor last_contact_date"),
        ("", "2020-03-31", "", "patient P1: the exam has no date"),
        ("2020-03-01", "2020-04-01", "2020-04-11", "last contact 10 days after the day of death"),
    ],
)
def test_impossible_dates_are_refused_with_the_pseudonym(
    exam: str, death: str, contact: str, message: str
) -> None:
    with pytest.raises(InputDataError, match=message):
        survival_time(exam, death, contact, patient_id="P1")


def test_last_exam_counts_and_of_two_on_one_day_the_one_that_sorts_last() -> None:
    exams = pd.DataFrame(
        [
            ("E3", "P1", "2020-01-01"),
            ("E1", "P1", "2020-05-01"),
            ("E2", "P1", "2020-05-01"),
            ("E9", "P0", "2019-01-01"),
        ],
        columns=["exam_id", "patient_id", "exam_date"],
    )

    assert last_exams(exams)["exam_id"].tolist() == ["E9", "E2"]


def test_patient_with_a_bad_date_is_listed_and_the_others_continue() -> None:
    exams = pd.DataFrame(
        {
            "exam_id": ["E1", "E2", "E3"],
            "patient_id": ["P1", "P2", "P3"],
            "exam_date": ["2020-01-01"] * 3,
        }
    )
    outcomes = pd.DataFrame(
        {
            "patient_id": ["P1", "P2"],
            "death_date": ["2019-01-01", ""],
            "last_contact_date": ["", "2020-01-11"],
        }
    )
    kept, left_out = follow_up(exams, outcomes)

    assert kept[["patient_id", "time_days", "event"]].to_numpy().tolist() == [["P2", 10, 0]]
    assert left_out["patient_id"].tolist() == ["P1", "P3"]
    assert "no row in outcomes.csv" in left_out["reason"].iloc[1]


def test_status_is_unknown_if_censored_before_the_horizon() -> None:
    status = status_at([179, 180, 179, 180, 181], [1, 1, 0, 0, 1], horizon_days=180)

    np.testing.assert_array_equal(status, [1, 1, np.nan, 0, 0])


@given(st.lists(st.tuples(st.integers(0, 900), st.integers(0, 1)), min_size=1))
def test_deaths_within_a_longer_horizon_include_those_within_a_shorter_one(
    rows: list[tuple[int, int]],
) -> None:
    times, events = zip(*rows, strict=True)
    short, long = (status_at(times, events, horizon_days=days) for days in (90, 365))

    assert np.all(long[short == 1] == 1)
    assert np.all(short[long == 0] == 0)


@pytest.mark.parametrize(
    ("times", "horizon", "message"),
    [([-1], 180, "at least 0"), ([np.nan], 180, "at least 0"), ([1], 0, "must be positive")],
)
def test_status_of_impossible_times_is_refused(
    times: list[float], horizon: float, message: str
) -> None:
    with pytest.raises(ValueError, match=message):
        status_at(times, [1], horizon_days=horizon)
