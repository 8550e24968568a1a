"""Reads one report: its mentions, and whether it could be read."""

from __future__ import annotations

from typing import Any

from petct_ext.errors import InputDataError
from petct_ext.reports.items import SentenceTagger, tag_report
from petct_ext.reports.readable import readable_text
from petct_ext.reports.sections import TAGGED_SECTIONS, split_sections
from petct_ext.reports.status import LABELED, ReportStatus, report_status

__all__ = ["read_report", "show_sections"]


def read_report(
    exam_id: str, text: str, tagger: SentenceTagger
) -> tuple[list[dict[str, Any]], ReportStatus]:
    """Returns the sentences of a report that have mentions, and what became of the report.

    Args:
        exam_id: pseudonymous id.
        text: the report, unchanged.
        tagger: finds the mentions.

    Returns:
        Items (see :mod:`petct_ext.reports.items`) and status; no item unless it is ``labeled``.
    """
    status = report_status(text)
    if status.status != LABELED:
        return [], status
    try:
        items = tag_report(exam_id, text, tagger)
    except InputDataError as error:
        return [], ReportStatus("unreadable", status.read_share, str(error))
    if not items:
        message = "its findings and impression name no region"
        return [], ReportStatus("no region", status.read_share, message)
    return items, status


def show_sections(text: str) -> str:
    """Returns a report with a line before each section that names it, for people.

    Example:
        >>> print(show_sections("HISTORY: cough. FINDINGS: Lungs clear."))
        HISTORY:
        ==== history (not read)
         cough.
        FINDINGS:
        ==== findings
         Lungs clear.
    """
    readable = readable_text(text)
    pieces, position = [], 0
    for section in split_sections(readable):
        before = readable[position : section.start].rstrip("\n")
        pieces += [before] if before.strip() else []
        read = "" if section.name in TAGGED_SECTIONS else " (not read)"
        pieces += [f"==== {section.name}{read}", readable[section.start : section.end].rstrip()]
        position = section.end
    return "\n".join(pieces)
