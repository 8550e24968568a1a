"""Checks of prepared exams as they are read, ordered and written."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from petct_ext.cohort.exam_checks import (
    CHECK_TABLE,
    CheckedExam,
    most_in_need_first,
    read_checked_exams,
    write_check_table,
)
from petct_ext.dicom.checking.check import Check, CheckState
from petct_ext.files import write_json

FINE, BAD, UNKNOWN = CheckState.FINE, CheckState.NOT_FINE, CheckState.NOT_MEASURED


def write_record(work: Path, exam_id: str, *checks: Check, accepted: tuple[str, ...] = ()) -> None:
    record: dict[str, Any] = {"parameters": {"accepted": list(accepted)}}
    record["checks"] = [check.to_json() for check in checks]
    write_json(work / "volumes" / exam_id / "exam.json", record)


def test_table_of_the_page_adds_its_checks_to_those_of_the_record(tmp_path: Path) -> None:
    own, added = (
        Check("height", FINE, "1.80 m", value=1.8, unit="m"),
        Check("alignment", BAD, "off"),
    )
    write_record(tmp_path, "E1", own)
    write_check_table([CheckedExam("E1", (own, added))], tmp_path)
    (exam,) = read_checked_exams(tmp_path, ["E1"])
    assert exam.checks == (own, added)


def test_table_older_than_the_record_does_not_count(tmp_path: Path) -> None:
    write_check_table([CheckedExam("E1", (Check("alignment", BAD, "off"),))], tmp_path)
    os.utime(tmp_path / CHECK_TABLE, (1, 1))
    write_record(tmp_path, "E1", Check("height", FINE, "1.80 m"))
    (exam,) = read_checked_exams(tmp_path, ["E1"])
    assert [check.name for check in exam.checks] == ["height"]


@pytest.mark.parametrize(
    ("record", "message"),
    [
        ({"parameters": {}}, "has no checks; it is from an earlier version"),
        ({"parameters": {}, "checks": [{"name": "x"}]}, "are damaged"),
        ({"checks": []}, "are damaged"),
        ([], "is damaged"),
        (None, "cannot be read"),
    ],
)
def test_checks_that_cannot_be_read_are_a_problem(
    record: Any, message: str, tmp_path: Path
) -> None:
    if record is not None:
        write_json(tmp_path / "volumes" / "E1" / "exam.json", record)
    (exam,) = read_checked_exams(tmp_path, ["E1"])
    assert message in exam.problem
    assert exam.findings() == [exam.problem]


def test_accepted_finding_says_so(tmp_path: Path) -> None:
    bad = Check("height", BAD, "9 m", is_hard=True)
    write_record(tmp_path, "E1", bad, accepted=("height",))
    (exam,) = read_checked_exams(tmp_path, ["E1"])
    assert exam.findings() == ["9 m (accepted)"]


states = st.lists(st.sampled_from([FINE, BAD, UNKNOWN]), max_size=5)


@given(first=states, second=states)
def test_exam_with_more_findings_comes_first_then_with_more_unknown(
    first: list[CheckState], second: list[CheckState]
) -> None:
    keys = [
        most_in_need_first(
            CheckedExam("E", tuple(Check(str(n), state, "") for n, state in enumerate(found)))
        )
        for found in (first, second)
    ]
    counts = [(-found.count(BAD), -found.count(UNKNOWN)) for found in (first, second)]
    assert (keys[0] < keys[1]) == (counts[0] < counts[1])
