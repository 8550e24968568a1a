"""A reader's judgements of whole exams: labels of regions, and the summary code.

Some departments end every report with a code: 1 no significant abnormality; 2 abnormal, noted
before; 4 possible significant abnormality or change; 9 abnormal, action needed. The code is the
reader's own judgement of the whole exam, so a model trained on it needs no weak labels.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from pathlib import Path
from typing import Final

import pandas as pd

from petct_ext.errors import InputDataError, did_you_mean
from petct_ext.ontology import RegionOntology
from petct_ext.tables.schemas import HAND_LABELS, IDENTIFIERS, REPORTS, read_table

__all__ = [
    "ABNORMAL_CODES",
    "SUMMARY_CODE_TASK",
    "hand_labels_by_exam",
    "read_hand_labels",
    "summary_code_labels",
]


def read_hand_labels(path: str | Path, work: Path, ontology: RegionOntology) -> pd.DataFrame:
    """Reads hand labels and names their exams as the work folder does.

    Args:
        path: table HAND_LABELS.
        work: work folder with ``private/identifiers.csv``.
        ontology: regions that may be columns.

    Returns:
        One row per exam that is indexed: ``exam_id`` and a column per region, 0, 1 or NaN.

    Raises:
        InputDataError: if a table is missing or broken, a column is no region, or no study is
            among the indexed exams.
    """
    path = Path(path)
    table = read_table(path, HAND_LABELS)
    strangers = [c for c in table.columns if c != "study_instance_uid" and c not in ontology]
    if strangers:
        raise InputDataError(
            f"{path}: column {strangers[0]!r} is no region of the ontology."
            f"{did_you_mean(strangers[0], ontology)}"
        )
    identifiers = read_table(work / "private" / "identifiers.csv", IDENTIFIERS)
    known = identifiers[["exam_id", "study_instance_uid"]]
    merged = known.merge(table, on="study_instance_uid").drop(columns="study_instance_uid")
    if merged.empty:
        raise InputDataError(
            f"{path}: none of its {len(table)} studies is among the {len(known)} indexed exams; "
            "study_instance_uid must be DICOM tag (0020,000D)."
        )
    return merged


def hand_labels_by_exam(table: pd.DataFrame) -> dict[str, dict[str, float]]:
    """Returns the known labels of each exam, as a datalist takes them.

    Args:
        table: of :func:`read_hand_labels`.
    """
    rows = table.set_index("exam_id").iterrows()
    return {str(exam): {str(k): float(v) for k, v in row.dropna().items()} for exam, row in rows}


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
