"""What was checked about an exam: fine, not fine, or not measured, always with words.

A check that could not be measured is said as such and never counts as fine. What is not fine is
*hard* (the exam is quarantined until someone accepts it) or *soft* (a warning that goes with the
exam into ``exam.json``, ``prepared.csv`` and the quality page).
"""

from __future__ import annotations

import math
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from petct_ext.errors import InputDataError, did_you_mean

__all__ = [
    "Check",
    "CheckState",
    "accepted_names",
    "find_problems",
    "read_checks",
    "require_acceptable",
]

_SAME_VALUE = 0.005  # the message gives four digits


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


def accepted_names(accepted: Iterable[str]) -> list[str]:
    """Returns the names of accepted checks, without their values."""
    return [one.partition("=")[0] for one in accepted]


def require_acceptable(checks: Sequence[Check], accepted: Collection[str]) -> None:
    """Refuses an exam with a hard finding that nobody has accepted.

    An acceptance holds for the value that a person has seen: if the exam changes, so that another
    value is found, it is asked for again.

    Args:
        checks: all checks of the exam.
        accepted: ``name=value`` of checks whose findings a person has accepted for this exam, or
            ``name`` for a check without a value.

    Raises:
        InputDataError: names every such finding, its values, and how to go on; or an accepted name
            that is not a check.
    """
    known = {check.name for check in checks}
    for name in accepted_names(accepted):
        if name not in known:
            raise InputDataError(
                f"the table of --accept names {name!r}, which is not a check of this exam."
                f"{did_you_mean(name, known)}"
            )
    hard = [
        check
        for check in checks
        if check.state is CheckState.NOT_FINE
        and check.is_hard
        and not any(_is_same(check, one) for one in accepted)
    ]
    if hard:
        found = "; ".join(check.text for check in hard)
        rows = ", ".join(_row(check) for check in hard)
        raise InputDataError(
            f"implausible: {found}. Correct the cause (values of the header also by "
            f"--suv-overrides), or accept it for this exam in a table of --accept ({rows})."
        )


def _row(check: Check) -> str:
    value = "" if check.value is None else f", value: {check.value:.4g}"
    return f"check: {check.name}{value}"


def _is_same(check: Check, accepted: str) -> bool:
    name, _, value = accepted.partition("=")
    if name != check.name:
        return False
    if check.value is None:
        return not value
    return bool(value) and math.isclose(float(value), check.value, rel_tol=_SAME_VALUE)
