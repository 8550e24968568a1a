"""Who is trained on and who is tested: patients, never exams, are assigned."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from pathlib import Path

import pandas as pd

from petct_ext.errors import InputDataError
from petct_ext.tables.schemas import PREPARED, SPLITS, read_table, write_table

__all__ = ["split_by_patient", "write_splits"]


def split_by_patient(
    patient_ids: Sequence[str], *, fractions: tuple[float, float, float], seed: int
) -> dict[str, str]:
    """Assigns every patient to training, validation or test.

    A patient's place depends on the id and the seed alone, so exams that are added later move
    nobody. The shares are therefore met on average only.

    Args:
        patient_ids: ids of the patients, repeats allowed.
        fractions: shares of training, validation and test; they sum to one.
        seed: another seed, another split.

    Returns:
        The split of each patient.

    Raises:
        InputDataError: if the fractions are no shares, or a split stays empty.

    Example:
        >>> patients = [f"P{i}" for i in range(40)]
        >>> split = split_by_patient(patients, fractions=(0.5, 0.25, 0.25), seed=0)
        >>> sorted(set(split.values()))
        ['test', 'training', 'validation']
    """
    if not (min(fractions) > 0 and abs(sum(fractions) - 1) <= 1e-6):
        raise InputDataError(f"fractions are {fractions}; they must be positive and sum to 1.")
    split = {}
    for patient in sorted(set(patient_ids)):
        digest = hashlib.sha256(f"{seed}:{patient}".encode()).digest()
        place = int.from_bytes(digest[:8], "big") / 2**64
        is_training, is_validation = place < fractions[0], place < fractions[0] + fractions[1]
        split[patient] = "training" if is_training else "validation" if is_validation else "test"
    missing = {"training", "validation", "test"} - set(split.values())
    if missing:
        raise InputDataError(
            f"{len(split)} patient(s) leave no one for {', '.join(sorted(missing))}; add patients "
            "or choose another --seed."
        )
    return split


def write_splits(
    work: Path, exams: pd.DataFrame, *, fractions: tuple[float, float, float], seed: int
) -> pd.DataFrame:
    """Writes ``splits.csv`` for all prepared exams.

    Args:
        work: the work folder with ``prepared.csv``.
        exams: schema EXAMS; gives the patient of every exam.
        fractions: see :func:`split_by_patient`.
        seed: see :func:`split_by_patient`.

    Returns:
        The table, schema SPLITS.

    Raises:
        InputDataError: see :func:`split_by_patient`.
        OutputError: if the table cannot be written.
    """
    prepared = read_table(work / "prepared.csv", PREPARED).query("status == 'ok'")
    table = exams.loc[exams.exam_id.isin(prepared.exam_id), ["exam_id", "patient_id"]].copy()
    split = split_by_patient(table.patient_id.tolist(), fractions=fractions, seed=seed)
    table["split"] = table.patient_id.map(split)
    write_table(table, work / "splits.csv", SPLITS)
    return table
