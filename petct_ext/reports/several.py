"""Several reports of one exam: addenda and corrections."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final, Literal, get_args

from petct_ext.errors import InputDataError

__all__ = ["SEVERAL", "OneReport", "Several", "combine_reports", "require_several"]

Several = Literal["join", "newest", "first"]
SEVERAL: Final[tuple[str, ...]] = get_args(Several)
"""What becomes of several reports of one exam: joined in the order of their dates, the newest one,
or the first one."""

_FORMATS: Final = ("%Y%m%d", "%Y%m%d%H%M%S", "%d.%m.%Y", "%m/%d/%Y %H:%M", "%d.%m.%Y %H:%M")


@dataclass(frozen=True, slots=True)
class OneReport:
    """A report among several of an exam.

    Attributes:
        text: unchanged.
        date: as the table has it, "" if it has none.
    """

    text: str
    date: str = ""


def require_several(several: str) -> Several:
    """Returns a choice of :data:`SEVERAL`.

    Raises:
        InputDataError: if there is no such choice.
    """
    choices: dict[str, Several] = {"join": "join", "newest": "newest", "first": "first"}
    if several not in choices:
        told = ", ".join(SEVERAL)
        raise InputDataError(f"several reports: {several!r} is not a choice; one of {told}.")
    return choices[several]


def combine_reports(reports: Sequence[OneReport], several: Several) -> tuple[str, list[int], str]:
    r"""Makes one text of the reports of an exam.

    Reports that say the same count once. Without a date of each, the order of the table counts; a
    date without a time keeps that order within its day. A correction joined to what it corrects
    leaves the wrong finding in place: take the newest one where corrections are whole reports.

    Args:
        reports: at least one, in the order of their source.
        several: what becomes of them.

    Returns:
        The text, joined by blank lines; the numbers of the reports that it holds, oldest first;
        and what was done, for people, "" for one report.

    Example:
        >>> combine_reports([OneReport("B.", "2024-02-02"), OneReport("A.", "2024-01-01")], "join")
        ('A.\n\nB.', [1, 0], '2 reports joined in the order of their dates')
    """
    dates = [_parsed(report.date) for report in reports]
    order = list(range(len(reports)))
    told = "in the order of their dates"
    if any(date is None for date in dates):
        told = "in the order of the table, as not all have a date"
    else:
        order.sort(key=lambda i: dates[i] or datetime.min)
    kept: list[int] = []
    for number in order:
        if all(reports[number].text.strip() != reports[k].text.strip() for k in kept):
            kept.append(number)
    if len(kept) == 1:
        note = f"{len(reports)} equal reports" if len(reports) > 1 else ""
        return reports[kept[0]].text, kept, note
    if several == "join":
        text = "\n\n".join(reports[number].text for number in kept)
        return text, kept, f"{len(kept)} reports joined {told}"
    chosen = kept[-1] if several == "newest" else kept[0]
    note = f"the {several} of {len(kept)} reports is read, {told}; the others are not"
    return reports[chosen].text, [chosen], note


def _parsed(date: str) -> datetime | None:
    date = date.strip()
    try:
        return datetime.fromisoformat(date).replace(tzinfo=None)
    except ValueError:
        pass
    for form in _FORMATS:
        try:
            return datetime.strptime(date, form)
        except ValueError:
            continue
    return None
