"""The reader's summary code of an exam as a label: is anything abnormal?

Some departments end every report with a code: 1 no significant abnormality; 2 abnormal, noted
before; 4 possible significant abnormality or change; 9 abnormal, action needed. The code is the
reader's own judgement of the whole exam, so a model trained on it needs no weak labels.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from typing import Final

import pandas as pd

from petct_ext.errors import InputDataError
from petct_ext.tables.schemas import REPORTS

__all__ = ["ABNORMAL_CODES", "SUMMARY_CODE_TASK", "summary_code_labels"]

_LOGGER = logging.getLogger(__name__)

SUMMARY_CODE_TASK: Final = "summary_code_abnormal"
"""Name of the label in a datalist."""

ABNORMAL_CODES: Final = ("2", "4", "9")
"""Codes that count as abnormal; 2 as well, since known disease is to be seen in the scan."""


def summary_code_labels(
    reports: pd.DataFrame,
    identifiers: pd.DataFrame,
    *,
    abnormal_codes: Sequence[str] = ABNORMAL_CODES,
) -> dict[str, dict[str, float]]:
    """Returns the label of every exam whose report has a summary code.

    Args:
        reports: table in the form of ``REPORTS``.
        identifiers: table in the form of ``IDENTIFIERS``, which links studies and exams.
        abnormal_codes: codes that count as abnormal; all others count as normal.

    Returns:
        ``{exam_id: {"summary_code_abnormal": 1.0 or 0.0}}``; exams without a code are left out and
        counted in the log.

    Raises:
        InputDataError: if a code does not exist, or no exam has one.
    """
    known = REPORTS.columns["summary_code"].choices
    for code in abnormal_codes:
        if code not in known:
            raise InputDataError(
                f"summary code {code!r} does not exist; known: {', '.join(known)}."
            )
    if "summary_code" not in reports.columns:
        reports = reports.assign(summary_code="")
    joined = identifiers[["study_instance_uid", "exam_id"]].merge(
        reports[["study_instance_uid", "summary_code"]], on="study_instance_uid"
    )
    coded = joined[joined.summary_code != ""]
    if coded.empty:
        raise InputDataError(
            f"none of {len(identifiers)} exams has a summary code; reports.csv needs the column "
            "summary_code (1, 2, 4 or 9). Without codes there is no fully supervised model."
        )
    positive = coded.summary_code.isin(list(abnormal_codes)).astype(float)
    _LOGGER.info(
        "summary codes: %d of %d exams have one, %d abnormal (%s), %d normal",
        len(coded),
        len(identifiers),
        int(positive.sum()),
        ", ".join(abnormal_codes),
        int((1 - positive).sum()),
    )
    return {
        str(exam): {SUMMARY_CODE_TASK: label}
        for exam, label in zip(coded.exam_id, positive, strict=True)
    }
