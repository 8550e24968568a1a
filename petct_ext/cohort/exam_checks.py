"""The checks of prepared exams, as they stand in ``exam.json`` and in ``quality/checks.csv``.

``exam.json`` has the checks of the preparation. ``scripts/check_exams.py`` adds those that look at
the volumes and writes all of them into one table, a row per exam and check.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import pandas as pd

from petct_ext.dicom.checking.check import Check, CheckState, accepted_names, read_checks
from petct_ext.dicom.volumes.exam_record import RECORD
from petct_ext.errors import InputDataError
from petct_ext.files import read_json
from petct_ext.tables.schemas import CHECKS, read_table, write_table

__all__ = [
    "CHECK_TABLE",
    "CheckedExam",
    "checked_exam",
    "most_in_need_first",
    "read_checked_exams",
    "write_check_table",
]

CHECK_TABLE: Final = "quality/checks.csv"
"""The table of all checks, within a work folder."""


@dataclass(frozen=True, slots=True)
class CheckedExam:
    """What is known of one prepared exam after its checks.

    Attributes:
        exam_id: pseudonym.
        checks: in the order of the record.
        accepted: names of checks whose hard findings a person has accepted.
        problem: why the checks cannot be read; then ``checks`` says nothing.
    """

    exam_id: str
    checks: tuple[Check, ...] = ()
    accepted: tuple[str, ...] = ()
    problem: str = ""

    def named(self, state: CheckState) -> list[Check]:
        """Returns the checks in one state."""
        return [check for check in self.checks if check.state is state]

    def is_accepted(self, check: Check) -> bool:
        """Returns whether a finding is hard and a person has accepted it."""
        return check.is_hard and check.state is CheckState.NOT_FINE and check.name in self.accepted

    def findings(self) -> list[str]:
        """Returns what is not fine, in words; accepted findings say so."""
        if self.problem:
            return [self.problem]
        return [
            f"{check.text} (accepted)" if self.is_accepted(check) else check.text
            for check in self.named(CheckState.NOT_FINE)
        ]


def checked_exam(
    exam_id: str, record: Mapping[str, Any], more: Iterable[Check] = ()
) -> CheckedExam:
    """Reads the checks of an ``exam.json``.

    Args:
        exam_id: pseudonym.
        record: the content of the file.
        more: checks that the file does not have; one of the same name counts instead of its own.

    Raises:
        InputDataError: if the record has no checks, or they are damaged.
    """
    if "checks" not in record:
        raise InputDataError(
            f"{RECORD} has no checks; it is from an earlier version. Run scripts/prepare_exams.py "
            "again."
        )
    try:
        checks = {check.name: check for check in [*read_checks(record), *more]}
        accepted = tuple(accepted_names(map(str, record["parameters"].get("accepted", ()))))
    except (AttributeError, KeyError, TypeError, ValueError):
        raise InputDataError(
            f"the checks in {RECORD} are damaged; run scripts/prepare_exams.py --verify."
        ) from None
    return CheckedExam(exam_id, tuple(checks.values()), accepted)


def read_checked_exams(work: Path, exam_ids: Collection[str]) -> list[CheckedExam]:
    """Reads the checks of prepared exams, with those of the quality page as far as it was made.

    A row of the table counts only where it is younger than the exam's record: an exam that was
    prepared anew must be looked at again.

    Args:
        work: the work folder.
        exam_ids: which exams.

    Returns:
        One entry per exam, in order; one whose checks cannot be read has a ``problem``.

    Raises:
        InputDataError: if the table of the quality page is broken.
    """
    table = work / CHECK_TABLE
    added: dict[str, list[Check]] = {}
    written = 0
    if table.is_file():
        written = table.stat().st_mtime_ns
        for row in read_table(table, CHECKS, allow_empty=True).to_dict("records"):
            added.setdefault(str(row["exam_id"]), []).append(_check(row))
    return [_read_one(work, str(exam), added.get(str(exam), []), written) for exam in exam_ids]


def _read_one(work: Path, exam_id: str, added: Sequence[Check], written: int) -> CheckedExam:
    path = work / "volumes" / exam_id / RECORD
    try:
        record = read_json(path)
        is_younger = path.stat().st_mtime_ns <= written
        if not isinstance(record, dict):
            raise InputDataError(f"{RECORD} is damaged; run scripts/prepare_exams.py --verify.")
        own = {str(one.get("name")) for one in record.get("checks", []) if isinstance(one, dict)}
        more = [check for check in added if check.name not in own] if is_younger else []
        return checked_exam(exam_id, record, more)
    except (InputDataError, OSError) as error:
        is_ours = isinstance(error, InputDataError) and str(path) not in str(error)
        reason = (
            str(error) if is_ours else f"{RECORD} cannot be read; run scripts/prepare_exams.py."
        )
        return CheckedExam(exam_id, problem=reason)


def _check(row: Mapping[Any, Any]) -> Check:
    value = None if pd.isna(row["value"]) else float(row["value"])
    state, is_hard = CheckState(row["state"]), bool(row["is_hard"])
    return Check(str(row["check"]), state, str(row["text"]), is_hard, value, str(row["unit"]))


def write_check_table(exams: Sequence[CheckedExam], work: Path) -> None:
    """Writes ``quality/checks.csv``, schema CHECKS.

    Raises:
        OutputError: if the table cannot be written.
    """
    rows = [
        {
            "exam_id": exam.exam_id,
            "check": check.name,
            "state": str(check.state),
            "text": check.text,
            "is_hard": int(check.is_hard),
            "accepted": int(exam.is_accepted(check)),
            "value": check.value,
            "unit": check.unit,
        }
        for exam in exams
        for check in exam.checks
    ]
    write_table(pd.DataFrame(rows, columns=list(CHECKS.columns)), work / CHECK_TABLE, CHECKS)


def most_in_need_first(exam: CheckedExam) -> tuple[int, int, int, str]:
    """Returns the key by which exams are sorted for a person who looks at them.

    What cannot be read comes first, then findings that are hard (accepted ones), then by the number
    of findings, then by what could not be measured, then by name.
    """
    findings = exam.named(CheckState.NOT_FINE)
    hard = 2 if exam.problem else int(any(check.is_hard for check in findings))
    return (-hard, -len(findings), -len(exam.named(CheckState.NOT_MEASURED)), exam.exam_id)
