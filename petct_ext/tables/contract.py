"""Tables with a contract: types, required columns, keys, CSV and Parquet, and errors for people.

Every table is a CSV file in UTF-8, or a Parquet file where its name ends in ``.parquet``. An empty
cell is a missing value. A column that no schema names is kept, so that a group may carry its own
columns along.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path
from typing import Any, Final

import pandas as pd

from petct_ext.errors import InputDataError, did_you_mean
from petct_ext.files import atomic_path

__all__ = [
    "Column",
    "Kind",
    "Schema",
    "is_parquet",
    "read_parquet",
    "read_table",
    "text_columns",
    "write_csv",
    "write_parquet",
    "write_table",
]


class Kind(StrEnum):
    """Type of a column."""

    TEXT = "text"
    INTEGER = "whole number"
    NUMBER = "number"
    PROBABILITY = "probability in [0, 1]"
    BINARY = "0 or 1"
    DATE = "date YYYY-MM-DD"


@dataclass(frozen=True, slots=True)
class Column:
    """One column.

    Attributes:
        kind: type of the values.
        required: whether the table must have the column.
        filled: whether every row must have a value.
        choices: allowed values; empty if any.
        verbatim: whether text is kept to the letter, for columns into which others count
            characters; blanks around other values are no part of them.
    """

    kind: Kind = Kind.TEXT
    required: bool = True
    filled: bool = True
    choices: tuple[str, ...] = ()
    verbatim: bool = False


@dataclass(frozen=True, slots=True)
class Schema:
    """The contract of one table.

    Attributes:
        name: what the table is called in messages.
        columns: its columns by name.
        key: columns that together identify a row; no two rows may agree in all of them.
        others: type of all columns that ``columns`` does not name, or None if they are free.
    """

    name: str
    columns: Mapping[str, Column]
    key: tuple[str, ...] = ()
    others: Column | None = field(default=None)


def read_table(path: str | Path, schema: Schema, *, allow_empty: bool = False) -> pd.DataFrame:
    """Reads a table and checks it against its contract.

    Args:
        path: the file, CSV or Parquet.
        schema: its contract.
        allow_empty: whether a table without rows is fine.

    Returns:
        One row per line. TEXT and DATE columns hold str ("" if missing) without blanks around it,
        but for verbatim columns; INTEGER and BINARY ``Int64``, NUMBER and PROBABILITY ``float64``
        with NaN if missing. Optional columns of the schema that the file lacks are added, empty.

    Raises:
        InputDataError: if the file is missing, unreadable, lacks a column, is empty, repeats a
            key, or holds a value of the wrong type; names file, line and column, and the value
            unless the table is keyed by identities.
    """
    path = Path(path)
    table = _read_text_table(path, schema)
    missing = [n for n, c in schema.columns.items() if c.required and n not in table.columns]
    if missing:
        hint = did_you_mean(missing[0], set(table.columns) - set(schema.columns))
        raise InputDataError(
            f"{path}: the {schema.name} table lacks the column(s) {', '.join(missing)}; it has "
            f"{', '.join(map(str, table.columns)) or 'none'}.{hint}"
        )
    if table.empty and not allow_empty:
        raise InputDataError(f"{path}: the {schema.name} table has no rows; nothing can be done.")
    for name, column in schema.columns.items():
        if name not in table.columns:
            table[name] = ""
        table[name] = _convert(table[name], column, path)
    if schema.others is not None:
        for name in table.columns.difference(list(schema.columns)):
            table[name] = _convert(table[name], schema.others, path)
    _require_unique(table, schema, path)
    return table


def write_table(table: pd.DataFrame, path: str | Path, schema: Schema) -> Path:
    """Checks a table against its contract and writes it atomically.

    Args:
        table: the rows; columns of the schema come first, in its order.
        path: where to write; CSV, or Parquet if it ends in ``.parquet`` or ``.pq``.
        schema: the contract.

    Returns:
        The path.

    Raises:
        InputDataError: as in :func:`read_table`; nothing is written then.
        OutputError: if the file cannot be written.
    """
    known = [name for name in schema.columns if name in table.columns]
    ordered = table[known + [name for name in table.columns if name not in schema.columns]]
    with atomic_path(path) as partial:
        if is_parquet(partial):
            write_parquet(ordered, partial)
        else:
            ordered.to_csv(partial, index=False, lineterminator="\n")
        read_table(partial, schema, allow_empty=True)
    return Path(path)


def write_csv(table: pd.DataFrame, path: str | Path, *, float_format: str | None = None) -> None:
    """Writes a table that has no contract, such as results for people, in one step.

    Args:
        table: the rows; the index is left out.
        path: where to write.
        float_format: of numbers with a point, e.g. ``%.6g``; None keeps every digit.

    Raises:
        OutputError: if the file cannot be written.
    """
    with atomic_path(path) as partial:
        table.to_csv(partial, index=False, lineterminator="\n", float_format=float_format)


def _read_text_table(path: Path, schema: Schema) -> pd.DataFrame:
    if is_parquet(path):
        return text_columns(read_parquet(path))
    try:
        return pd.read_csv(path, dtype=str, keep_default_na=False, encoding="utf-8-sig")
    except FileNotFoundError:
        raise InputDataError(
            f"{path} does not exist; it should hold the {schema.name} table. Check the path or "
            "run the step that writes it."
        ) from None
    except pd.errors.EmptyDataError:
        raise InputDataError(f"{path} is empty; it should hold the {schema.name} table.") from None
    except UnicodeDecodeError as error:
        raise InputDataError(
            f"{path} is not UTF-8 (byte {error.start}); save it as 'CSV UTF-8' and try again."
        ) from None
    except (pd.errors.ParserError, OSError) as error:
        raise InputDataError(f"{path} cannot be read as CSV: {error}.") from None


def _convert(values: pd.Series, column: Column, path: Path) -> pd.Series:
    stripped = values if column.verbatim else values.str.strip()
    absent = stripped == ""
    if column.filled and column.required:
        _refuse(absent, values, path, "is empty, but every row needs a value")
    if column.choices:
        allowed = ", ".join(column.choices)
        _refuse(~absent & ~stripped.isin(column.choices), values, path, f"is none of {allowed}")
    if column.kind is Kind.TEXT:
        return stripped
    if column.kind is Kind.DATE:
        # Dates are compared as text later on, so that 2020-9-15 must not pass as 2020-09-15.
        parsed = pd.to_datetime(stripped.where(~absent), format="%Y-%m-%d", errors="coerce")
        is_iso = stripped.str.fullmatch(r"[0-9]{4}-[0-9]{2}-[0-9]{2}").astype(bool)
        _refuse(~absent & (parsed.isna() | ~is_iso), values, path, f"is not a {column.kind}")
        return stripped
    numbers = pd.to_numeric(stripped.where(~absent), errors="coerce").astype("float64")
    wrong = ~absent & (numbers.isna() | numbers.isin([float("inf"), float("-inf")]))
    if column.kind is Kind.PROBABILITY:
        wrong |= (numbers < 0) | (numbers > 1)
    elif column.kind is Kind.BINARY:
        wrong |= ~absent & ~numbers.isin([0, 1])
    elif column.kind is Kind.INTEGER:
        wrong |= ~absent & (numbers % 1 != 0)
    _refuse(wrong, values, path, f"is not a {column.kind}")
    return numbers.astype("Int64") if column.kind in (Kind.INTEGER, Kind.BINARY) else numbers


def _refuse(wrong: pd.Series, values: pd.Series, path: Path, reason: str) -> None:
    if wrong.any():
        first = int(wrong.to_numpy().argmax())
        found = repr(values.iloc[first][:40])
        more = f" ({int(wrong.sum())} rows in all)" if wrong.sum() > 1 else ""
        raise InputDataError(
            f"{path}, line {first + 2}, column {values.name!r}: {found} {reason}{more}."
        )


def _require_unique(table: pd.DataFrame, schema: Schema, path: Path) -> None:
    key: Iterable[str] = schema.key
    if not schema.key:
        return
    repeated = table.duplicated(list(key))
    if repeated.any():
        first = int(repeated.to_numpy().argmax())
        raise InputDataError(
            f"{path}, line {first + 2}: {', '.join(key)} repeat an earlier line "
            f"({int(repeated.sum())} repeats); the {schema.name} table has one line for each."
        )


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
