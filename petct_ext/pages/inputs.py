"""Reads what the page shows; a file that is not there is None, a malformed one is an error."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Final

import pandas as pd

from petct_ext.errors import InputDataError, did_you_mean
from petct_ext.tables.schemas import Schema, read_table

__all__ = ["not_written", "read_free_table", "read_if_there"]

_IDENTITIES: Final = ("study_instance_uid", "raw_patient_id", "patient_name", "accession_number")


def read_if_there(path: Path, schema: Schema) -> pd.DataFrame | None:
    """Reads a table with a schema, or returns None if there is no such file.

    Raises:
        InputDataError: if it breaks its schema.
    """
    return read_table(path, schema) if path.is_file() else None


def read_free_table(path: Path, required: Sequence[str]) -> pd.DataFrame | None:
    """Reads a table that has no schema, without columns that hold raw identifiers.

    Args:
        path: the CSV file.
        required: columns that it must have.

    Returns:
        The rows with types guessed by pandas; text is missing as ``""``. None if there is no file.

    Raises:
        InputDataError: if it is unreadable, empty, or lacks a column.
    """
    if not path.is_file():
        return None
    try:
        table = pd.read_csv(path)
    except (pd.errors.ParserError, pd.errors.EmptyDataError, UnicodeDecodeError) as error:
        first = str(error).splitlines()[0]
        raise InputDataError(
            f"{path} cannot be read as CSV ({first}); run the step that writes it again."
        ) from None
    lacking = [name for name in required if name not in table.columns]
    if lacking:
        raise InputDataError(
            f"{path} lacks the column(s) {', '.join(lacking)}; run the step that writes it again."
            f"{did_you_mean(lacking[0], map(str, table.columns))}"
        )
    if table.empty:
        raise InputDataError(f"{path} has no rows; run the step that writes it again.")
    return table.drop(columns=[name for name in _IDENTITIES if name in table.columns])


def not_written(script: str) -> str:
    """Returns why a file is not there, with the script that writes it."""
    return f"not written: scripts/{script}.py has not run or did not finish"
