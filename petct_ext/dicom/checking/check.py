"""What was checked about an exam: fine, not fine, or not measured, always with words.

A check that could not be measured is said as such and never counts as fine. What is not fine is
*hard* (the exam is quarantined until someone accepts it) or *soft* (a warning that goes with the
exam into ``exam.json``, ``prepared.csv`` and the quality page).
"""

from __future__ import annotations

import math
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from petct_ext.errors import InputDataError

__all__ = ["Check", "CheckState", "find_problems", "read_checks", "require_acceptable"]


class CheckState(StrEnum):
    """What is known after a check."""

    FINE = "fine"
    NOT_FINE = "not fine"
    NOT_MEASURED = "not measured"


@dataclass(frozen=True, slots=True)
class Check:
    """One check of one exam.

    Attributes:
        name: stable identifier such as ``body_mass_index``; a person accepts a finding by it.
        state: what is known.
        text: what was found, with element, value and unit; for a check that could not be
            measured, why; without identity and without a full stop.
        is_hard: whether an exam that is not fine is quarantined.
        value: what was measured; None if nothing or no number.
        unit: of ``value``.
    """

    name: str
    state: CheckState
    text: str
    is_hard: bool = False
    value: float | None = None
    unit: str = ""

    def to_json(self) -> dict[str, Any]:
        """Returns the check as it stands in ``exam.json``."""
        finite = self.value is not None and math.isfinite(self.value)
        return {
            "name": self.name,
            "state": str(self.state),
            "text": self.text,
            "is_hard": self.is_hard,
            "value": self.value if finite else None,
            "unit": self.unit,
        }


def read_checks(record: Mapping[str, Any]) -> list[Check]:
    """Returns the checks of an ``exam.json``; none if it was written before there were any."""
    return [Check(**{**one, "state": CheckState(one["state"])}) for one in record.get("checks", [])]


def find_problems(checks: Sequence[Check]) -> list[str]:
    """Returns what is not fine, in words."""
    return [check.text for check in checks if check.state is CheckState.NOT_FINE]


def require_acceptable(checks: Sequence[Check], accepted: Collection[str]) -> None:
    """Refuses an exam with a hard finding that nobody has accepted.

    Args:
        checks: all checks of the exam.
        accepted: names of checks whose findings a person has accepted for this exam.

    Raises:
        InputDataError: names every such finding, its values, and how to go on.
    """
    hard = [
        check
        for check in checks
        if check.state is CheckState.NOT_FINE and check.is_hard and check.name not in accepted
    ]
    if hard:
        found = "; ".join(check.text for check in hard)
        names = ", ".join(check.name for check in hard)
        raise InputDataError(
            f"implausible: {found}. Correct the cause (values of the header also by "
            f"--suv-overrides), or accept it for this exam in a table of --accept (check: {names})."
        )
