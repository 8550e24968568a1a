"""Whether a report could be read; one that could not says nothing of any region."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final

from petct_ext.reports.language import is_english
from petct_ext.reports.readable import readable_text
from petct_ext.reports.sections import TAGGED_SECTIONS, read_share, split_sections

__all__ = ["LABELED", "LEAST_READ", "ReportStatus", "report_status"]

LABELED: Final = "labeled"

LEAST_READ: Final = 0.6
"""Least share of a report, outside of history, technique and comparison, that has to be read."""

_BINARY_SHARE: Final = 0.1
_ELSEWHERE: Final = re.compile(
    r"\b(?:see|refer to|reported (?:in|on|under)|dictated (?:in|under)|as per|please see)\b"
    r"[^.\n]{0,40}\b(?:separate|other|another|previous|attached|scanned|paper|external|addendum"
    r"|main|final)\b[^.\n]{0,20}\b(?:report|dictation|document|letter|pdf)\b",
    flags=re.IGNORECASE,
)
_SHORT_WORDS: Final = 25


@dataclass(frozen=True, slots=True)
class ReportStatus:
    """What became of a report.

    Attributes:
        status: ``labeled``, or why nothing is known: ``empty``, ``binary``, ``not English``,
            ``elsewhere``, ``no findings``, ``not read``, ``no region``, ``unreadable``.
        read_share: share that was read, in [0, 1]; NaN where there is nothing to read.
        message: for people, "" if it is labeled.
    """

    status: str
    read_share: float
    message: str


def report_status(text: str) -> ReportStatus:
    """Judges a report by its text.

    Args:
        text: as it is stored.

    Returns:
        Status with the reason. Only a labeled report may count a region as normal because it is
        not mentioned. Whether it names a region at all is not looked at:
        :func:`petct_ext.reports.reading.read_report` does.
    """
    nothing = float("nan")
    if not text.strip():
        return ReportStatus("empty", nothing, "the report is empty")
    if _is_binary(text):
        message = "the text is binary data; export the reports as text"
        return ReportStatus("binary", 0.0, message)
    readable = readable_text(text)
    if not is_english(readable):
        message = "the report is not in English, which alone the labeler reads"
        return ReportStatus("not English", 0.0, message)
    if len(readable.split()) <= _SHORT_WORDS and _ELSEWHERE.search(readable):
        message = "it refers to another report; join them in one text"
        return ReportStatus("elsewhere", 0.0, message)
    sections = split_sections(readable)
    share = read_share(readable, sections)
    if not any(section.name in TAGGED_SECTIONS for section in sections):
        message = "neither findings nor impression has text"
        return ReportStatus("no findings", 0.0, message)
    if share < LEAST_READ:
        message = (
            f"only {100 * share:.0f} % of it could be assigned to findings or impression; look at "
            "its sections: scripts/label_reports.py --text FILE --show-sections"
        )
        return ReportStatus("not read", share, message)
    return ReportStatus(LABELED, share, "")


def _is_binary(text: str) -> bool:
    if text.startswith(("%PDF-", "PK\x03\x04", "\x89PNG", "\xff\xd8\xff", "\xd0\xcf\x11\xe0")):
        return True
    odd = sum(c == "\ufffd" or (ord(c) < 32 and c not in "\t\n\r\x0b\x0c") for c in text[:4000])
    return odd > _BINARY_SHARE * len(text[:4000])
