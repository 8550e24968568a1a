"""Which prepared exams are left out of a datalist because of their checks, and the record of it."""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from petct_ext.cohort.exam_checks import CHECK_TABLE, CheckedExam, read_checked_exams
from petct_ext.dicom.checking.check import Check, CheckState
from petct_ext.errors import InputDataError, did_you_mean

__all__ = ["FlaggedExams", "find_flagged"]

_LOGGER = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class FlaggedExams:
    """Exams that are left out.

    Attributes:
        reasons: why, by exam.
        record: what the datalist says of it, JSON-ready.
    """

    reasons: dict[str, str]
    record: dict[str, Any]


def find_flagged(work: Path, exam_ids: Sequence[str], names: Sequence[str] = ()) -> FlaggedExams:
    """Finds exams with a check that is not fine.

    ``exam.json`` of each exam has the checks of the preparation, so that the quality page need not
    exist; where it does, its checks (such as the alignment of PET and CT) count as well. A check
    that was not measured leaves no exam out, but is counted. An exam whose checks cannot be read is
    left out, too: nothing is known of it.

    Args:
        work: the work folder.
        exam_ids: exams that could be listed.
        names: checks that count, also if a person has accepted their finding; none for all of them,
            but for findings that a person has accepted.

    Returns:
        The exams to leave out, with reasons and counts.

    Raises:
        InputDataError: if no exam has a check of a given name.
    """
    exams = read_checked_exams(work, exam_ids)
    _require_known(names, exams)
    reasons: dict[str, str] = {}
    counts: Counter[str] = Counter()
    unmeasured: Counter[str] = Counter()
    for exam in exams:
        found = _counting(exam, names)
        if exam.problem:
            counts["cannot be read"] += 1
            reasons[exam.exam_id] = exam.problem
        elif found:
            counts.update(check.name for check in found)
            reasons[exam.exam_id] = "; ".join(f"{check.name}: {check.text}" for check in found)
        unmeasured.update(
            c.name for c in exam.named(CheckState.NOT_MEASURED) if not names or c.name in names
        )
    has_page = (work / CHECK_TABLE).is_file()
    record = {
        "because_of": list(names) or "every check that is not fine and not accepted",
        "num_exams": len(reasons),
        "exams_by_check": dict(counts.most_common()),
        "not_measured_but_listed": dict(unmeasured.most_common()),
        "checks_of_quality_page": has_page,
        "reasons": reasons,
    }
    _tell(reasons, counts, len(exams), has_page=has_page)
    return FlaggedExams(reasons, record)


def _counting(exam: CheckedExam, names: Sequence[str]) -> list[Check]:
    found = exam.named(CheckState.NOT_FINE)
    if names:
        return [check for check in found if check.name in names]
    return [check for check in found if not exam.is_accepted(check)]


def _require_known(names: Sequence[str], exams: Sequence[CheckedExam]) -> None:
    known = sorted({check.name for exam in exams for check in exam.checks})
    for name in names:
        if name not in known:
            raise InputDataError(
                f"no exam has a check {name!r}; there are {', '.join(known) or 'none'}."
                f"{did_you_mean(name, known)} scripts/check_exams.py adds checks of the volumes."
            )


def _tell(reasons: dict[str, str], counts: Counter[str], total: int, *, has_page: bool) -> None:
    said = ", ".join(f"{name} {n}" for name, n in counts.most_common())
    if reasons:
        _LOGGER.warning("%d of %d exams are left out as flagged: %s", len(reasons), total, said)
    if not has_page:
        _LOGGER.warning(
            "the quality page was not made: only the checks of the preparation count; "
            "scripts/check_exams.py adds others"
        )
