"""Parquet files as tables of text, so that they go through the same checks as CSV files."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Final

import pandas as pd

from petct_ext.errors import InputDataError

__all__ = ["is_parquet", "read_parquet", "text_columns", "write_parquet"]

_SUFFIXES: Final = (".parquet", ".pq")
_REMEDY: Final = "needs pyarrow: pip install 'petct_ext[parquet]', or use CSV"


def is_parquet(path: str | Path) -> bool:
    """Whether a path names a Parquet file (``.parquet``, ``.pq``)."""
    return Path(path).suffix.lower() in _SUFFIXES


def read_parquet(path: str | Path) -> pd.DataFrame:
    """Reads a Parquet file; columns keep their types and have names of type str.

    Raises:
        InputDataError: if the file is missing or damaged, or pyarrow is not installed.
    """
    try:
        table = pd.read_parquet(path)
    except FileNotFoundError:
        raise InputDataError(f"{path} does not exist; check the path.") from None
    except ImportError:
        raise InputDataError(f"{path} is a Parquet file, which {_REMEDY}.") from None
    except (OSError, ValueError) as error:
        first = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise InputDataError(f"{path} cannot be read as Parquet: {first}.") from None
    return table.rename(columns=str)


def text_columns(table: pd.DataFrame) -> pd.DataFrame:
    """Returns the cells as they would stand in a CSV file: str, missing values "".

    Whole numbers have no decimal point, also in a column that pandas made a float because of
    missing values.
    """
    return pd.DataFrame({name: table[name].map(_cell).astype(object) for name in table.columns})


def write_parquet(table: pd.DataFrame, path: str | Path) -> None:
    """Writes a table.

    Raises:
        InputDataError: if pyarrow is not installed.
    """
    try:
        table.to_parquet(path, index=False)
    except ImportError:
        raise InputDataError(f"{path}: writing Parquet {_REMEDY}.") from None


def _cell(value: Any) -> str:
    if pd.api.types.is_scalar(value) and pd.isna(value):
        return ""
    if isinstance(value, bool):
        return str(int(value))
    if isinstance(value, float) and value.is_integer():
        return str(int(value))
    return str(value)
