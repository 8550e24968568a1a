"""A reader's judgements of whole exams."""

from __future__ import annotations

from pathlib import Path

import pandas as pd

from petct_ext.errors import InputDataError, did_you_mean
from petct_ext.ontology import RegionOntology
from petct_ext.tables.schemas import HAND_LABELS, IDENTIFIERS, read_table

__all__ = ["hand_labels_by_exam", "read_hand_labels"]


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
