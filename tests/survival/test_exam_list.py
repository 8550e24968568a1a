"""A list of exams that is broken on purpose, in every way that was met or feared."""

from __future__ import annotations

import logging
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from petct_ext.errors import InputDataError
from petct_ext.survival.exam_list import parse_age, read_manifest, table_from_exams
from petct_ext.tables.schemas import SURVIVAL, write_table

HEAD = (
    "exam_id,patient_id,exam_date,split,death_date,last_contact_date,age,indication,summary_code\n"
)
SOUND = (
    "E1,P1,2020-01-01,validation,2020-03-01,,061Y,lymphoma,4\n"
    "E2,P1,2020-02-01,validation,2020-03-01,,061Y,lymphoma,2\n"
    "E3,P2,2020-01-01,test,,2021-01-01,61Y,lung cancer,1\n"
)


def _exams(tmp_path: Path, text: str) -> pd.DataFrame:
    path = tmp_path / "exams.csv"
    path.write_text(HEAD + text)
    return read_manifest(path)


def test_last_exam_counts_from_its_own_day(tmp_path: Path) -> None:
    table, left_out = table_from_exams(_exams(tmp_path, SOUND))

    assert table[
        ["patient_id", "exam_id", "time_days", "event", "age_years"]
    ].to_numpy().tolist() == [
        ["P1", "E2", 29, 1, 61.0],
        ["P2", "E3", 366, 0, 61.0],
    ]
    assert left_out.empty
    write_table(table, tmp_path / "survival_table.csv", SURVIVAL)


@pytest.mark.parametrize(
    ("row", "message"),
    [
        (
            "E4,P2,2020-02-01,validation,,2021-01-01,61,x,1\n",
            r"patient P2 is in 2 splits \(1 such patients\): exam E3 in test, E4 in validation",
        ),
        (
            "E4,P4,2020-02-01,test,2020-01-30,,61,x,1\n",
            "patient P4: death 2 days before the last exam; correct the date",
        ),
        (
            "E4,P4,2020-02-01,test,,2020-01-31,61,x,1\n",
            "patient P4: last contact 1 days before the last exam",
        ),
        ("E4,P4,2020-02-01,test,,,61,x,1\n", "patient P4: neither death_date nor last_contact"),
        (
            "E4,P4,2020-02-01,test,2020-03-01,2020-04-01,61,x,1\n",
            "patient P4: last contact 31 days after the day of death",
        ),
        (
            "E4,P2,2020-02-01,test,,2022-02-02,61,x,1\n",
            "patient P2: its exams state different last_contact_dates",
        ),
        ("E4,P4,2020-02-01,test,2020-03-01,,old,x,1\n", "patient P4, exam E4: age 'old' is no age"),
        ("E4,P4,2020-02-01,test,2020-03-01,,-5,x,1\n", "patient P4, exam E4: age '-5' is no age"),
        ("E4,P4,2020-02-01,test,2020-03-01,,200Y,x,1\n", "exam E4: age '200Y' is no age from 0"),
    ],
)
def test_broken_rows_stop_with_patient_and_fix(tmp_path: Path, row: str, message: str) -> None:
    with pytest.raises(InputDataError, match=message) as error:
        table_from_exams(_exams(tmp_path, SOUND + row))
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    ("row", "message"),
    [
        ("E3,P4,2020-02-01,test,,,61,x,1\n", "line 5: exam_id repeat an earlier line"),
        ("E4,P4,01.02.2020,test,,,61,x,1\n", "line 5, column 'exam_date': '01.02.2020' is not a"),
        ("E4,P4,2020-02-01,tset,,,61,x,1\n", "column 'split': 'tset' is none of training"),
        ("E4,P4,2020-02-01,test,,,61,x,7\n", "column 'summary_code': '7' is none of 1, 2, 4, 9"),
    ],
)
def test_broken_columns_stop_with_line_and_column(tmp_path: Path, row: str, message: str) -> None:
    with pytest.raises(InputDataError, match=message):
        _exams(tmp_path, SOUND + row)


def test_of_two_exams_on_one_day_the_last_id_counts_and_the_log_says_so(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    again = "E9,P2,2020-01-01,test,,2021-01-01,61Y,lung cancer,4\n"
    with caplog.at_level(logging.WARNING):
        table, _ = table_from_exams(_exams(tmp_path, SOUND + again))

    assert table.set_index("patient_id").loc["P2", "exam_id"] == "E9"
    assert "patient P2: exams E3, E9 are of one day; E9 counts, as its id sorts last" in caplog.text


def test_missing_age_stays_missing_and_the_log_names_the_patient(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    row = "E4,P4,2020-02-01,test,2020-03-01,,,x,1\n"
    with caplog.at_level(logging.WARNING):
        table, _ = table_from_exams(_exams(tmp_path, SOUND + row))

    assert table.loc[table["patient_id"] == "P4", "age_years"].isna().all()
    assert "1 patients have no age, among them P4" in caplog.text


def test_absent_column_of_ages_is_missing_for_all(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    exams = _exams(tmp_path, SOUND).drop(columns="age")
    exams.to_csv(tmp_path / "without.csv", index=False)
    with caplog.at_level(logging.WARNING):
        table, _ = table_from_exams(read_manifest(tmp_path / "without.csv"))

    assert table["age_years"].isna().all()
    assert "2 patients have no age" in caplog.text


def test_bad_patients_are_listed_and_the_others_go_on_if_asked(tmp_path: Path) -> None:
    bad = "E4,P4,2020-02-01,test,2020-01-30,,61,x,1\nE5,P5,2020-02-01,test,2020-03-01,,old,x,1\n"
    table, left_out = table_from_exams(_exams(tmp_path, SOUND + bad), leave_out_bad=True)

    assert table["patient_id"].tolist() == ["P1", "P2"]
    assert sorted(left_out["patient_id"]) == ["P4", "P5"]
    with pytest.raises(InputDataError, match=r"patient P4: death .* \(2 such patients\)"):
        table_from_exams(_exams(tmp_path, SOUND + bad))


def test_death_that_stands_in_the_row_of_an_earlier_exam_is_not_lost(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    rows = (
        "E1,P1,2020-01-01,test,2020-05-01,2020-04-01,61,x,1\n"
        "E2,P1,2020-03-01,test,,2020-04-01,61,x,1\n"
        "E3,P2,2020-01-01,test,,2021-01-01,61,x,1\n"
        "E4,P2,2020-03-01,test,,,61,x,1\n"
    )
    with caplog.at_level(logging.WARNING):
        table, _ = table_from_exams(_exams(tmp_path, rows))

    found = table[["exam_id", "time_days", "event"]].to_numpy().tolist()
    assert found == [["E2", 61, 1], ["E4", 306, 0]]
    assert "death_date stands in some rows only of 1 patients, among them P1" in caplog.text
    assert "last_contact_date stands in some rows only of 1 patients, among them P2" in caplog.text


def test_nobody_left_is_an_error(tmp_path: Path) -> None:
    row = "E4,P4,2020-02-01,test,2020-01-30,,61,x,1\n"
    with pytest.raises(InputDataError, match="no patient has a usable follow-up"):
        table_from_exams(_exams(tmp_path, row), leave_out_bad=True)


def _durations(tmp_path: Path, *rows: str) -> pd.DataFrame:
    path = tmp_path / "exams.csv"
    head = "exam_id,patient_id,exam_date,split,time_days,event,age\n"
    path.write_text(head + "E1,P1,2020-01-01,test,30,1,61\n" + "".join(rows))
    return read_manifest(path)


def test_durations_may_be_given_instead_of_dates(tmp_path: Path) -> None:
    table, _ = table_from_exams(_durations(tmp_path, "E2,P1,2020-01-11,test,20,1,61\n"))

    assert table[["exam_id", "time_days", "event"]].to_numpy().tolist() == [["E2", 20, 1]]


@pytest.mark.parametrize(
    ("row", "message"),
    [
        ("E2,P2,2020-01-01,test,-3,1,61\n", "patient P2, exam E2: time_days is -3, but death"),
        ("E2,P2,2020-01-01,test,,1,61\n", "patient P2, exam E2: has no time_days or no event"),
        ("E2,P2,2020-01-01,test,10,,61\n", "patient P2, exam E2: has no time_days or no event"),
    ],
)
def test_impossible_durations_stop_with_patient_and_exam(
    tmp_path: Path, row: str, message: str
) -> None:
    with pytest.raises(InputDataError, match=message):
        table_from_exams(_durations(tmp_path, row))


@pytest.mark.parametrize(
    ("row", "message"),
    [
        (
            "E2,P1,2020-06-15,test,900,0,61\n",
            "patient P1: exam E1 states death at 30 days from 2020-01-01 and exam E2 no death",
        ),
        ("E2,P1,2020-01-11,test,40,1,61\n", "and exam E2 death at 40 days from 2020-01-11; exam_d"),
        ("E2,P1,2020-01-11,test,20,0,61\n", "and exam E2 no death up to 20 days"),
    ],
)
def test_durations_of_one_patient_must_end_on_the_same_day(
    tmp_path: Path, row: str, message: str
) -> None:
    with pytest.raises(InputDataError, match=message):
        table_from_exams(_durations(tmp_path, row))
    sound = "E3,P2,2020-01-01,test,10,0,61\n"
    table, left_out = table_from_exams(_durations(tmp_path, row, sound), leave_out_bad=True)
    assert (table["patient_id"].tolist(), left_out["patient_id"].tolist()) == (["P2"], ["P1"])


@pytest.mark.parametrize(
    ("row", "message"),
    [
        (
            "10,1,2020-02-01,",
            "E1 states death at 10 days from 2020-01-01, but death_date is 2020-0",
        ),
        ("31,0,2020-02-01,", "exam E1 has event 0 but death_date 2020-02-01"),
        ("31,0,,2020-06-01", "but last_contact_date is 2020-06-01"),
        ("31,1,,2020-06-01", "but last_contact_date is 2020-06-01"),
        (",1,,2020-06-01", "exam E1 has event 1 but no death_date"),
    ],
)
def test_durations_must_agree_with_dates(tmp_path: Path, row: str, message: str) -> None:
    path = tmp_path / "exams.csv"
    head = "exam_id,patient_id,exam_date,split,time_days,event,death_date,last_contact_date\n"
    path.write_text(f"{head}E1,P1,2020-01-01,test,{row}\n")
    with pytest.raises(InputDataError, match=message):
        table_from_exams(read_manifest(path))


@pytest.mark.parametrize(
    "row", ["31,1,2020-02-01,2020-01-20", "31,0,,2020-02-01", "31,1,,2020-01-20"]
)
def test_durations_that_agree_with_dates_are_taken(tmp_path: Path, row: str) -> None:
    path = tmp_path / "exams.csv"
    head = "exam_id,patient_id,exam_date,split,time_days,event,death_date,last_contact_date\n"
    path.write_text(f"{head}E1,P1,2020-01-01,test,{row}\n")
    table, _ = table_from_exams(read_manifest(path))
    assert table["time_days"].tolist() == [31]


@pytest.mark.parametrize(
    ("text", "years"),
    [
        ("061Y", 61),
        ("61Y", 61),
        ("61", 61),
        ("61.5", 61.5),
        ("018M", 1.5),
        ("000Y", 0),
        (" 61y ", 61),
    ],
)
def test_ages_of_every_form_are_read(text: str, years: float) -> None:
    assert parse_age(text, where="") == years


def test_weeks_and_days_are_read_and_empty_text_is_missing() -> None:
    assert parse_age("052W", where="") == pytest.approx(1.0, abs=0.01)
    assert parse_age("100D", where="") == pytest.approx(100 / 365.25)
    assert np.isnan(parse_age("", where=""))


@given(st.text(max_size=6))
def test_an_age_is_read_missing_or_refused_but_never_wrong(text: str) -> None:
    try:
        years = parse_age(text, where="")
    except InputDataError:
        with pytest.raises(InputDataError, match=r"^patient P1, exam E1: age"):
            parse_age(text, where="patient P1, exam E1")
    else:
        assert np.isnan(years) == (not text.strip())
        assert np.isnan(years) or 0 <= years <= 120
