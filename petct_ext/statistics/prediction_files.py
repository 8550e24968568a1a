"""Reading one prediction table, CSV or Parquet, with messages that name exam and task."""

from __future__ import annotations

from pathlib import Path

import pandas as pd

from petct_ext.errors import InputDataError
from petct_ext.tables.contract import is_parquet, read_parquet
from petct_ext.tables.schemas import PREDICTIONS, Column, Kind, read_table

__all__ = ["read_prediction_file"]


def read_prediction_file(path: str | Path) -> pd.DataFrame:
    """Reads a prediction table.

    Args:
        path: CSV, also compressed, or Parquet (``.parquet``, ``.pq``; needs pyarrow).

    Returns:
        One row per experiment, seed, split, task and exam, with the columns of ``PREDICTIONS`` in
        the types of ``read_table``; ``target_kind`` is ``""`` where the file does not say it.

    Raises:
        InputDataError: if the file cannot be read or breaks the schema. A wrong or missing
            probability or target is told with experiment, seed, task and exam.
    """
    path = Path(path)
    if is_parquet(path):
        return _checked(read_parquet(path), path)
    try:
        return read_table(path, PREDICTIONS)
    except InputDataError as error:
        raise InputDataError(f"{error}{_whose(path)}") from None


def _whose(path: Path) -> str:
    """Names the prediction of the first unusable probability or target, if that is the fault."""
    try:
        table = pd.read_csv(path, dtype=str, keep_default_na=False, encoding="utf-8-sig")
        prob = pd.to_numeric(table["prob"], errors="coerce")
        target = pd.to_numeric(table["target"], errors="coerce")
        wrong = ~prob.between(0, 1) | ((table["target"] != "") & ~target.between(0, 1))
        return f" It is {_prediction(table[wrong].iloc[0])}." if wrong.any() else ""
    except (OSError, ValueError, KeyError):
        return ""  # the table is not a table of predictions at all; the first message says it


def _prediction(row: pd.Series) -> str:
    return (
        f"experiment {row['experiment']!r}, seed {row['seed']}, task {row['task']!r}, "
        f"exam {row['exam_id']}"
    )


def _checked(table: pd.DataFrame, path: Path) -> pd.DataFrame:
    columns = PREDICTIONS.columns
    lacking = [n for n, c in columns.items() if c.required and n not in table.columns]
    if lacking:
        raise InputDataError(
            f"{path}: the predictions table lacks the column(s) {', '.join(lacking)}; it has "
            f"{', '.join(map(str, table.columns)) or 'none'}."
        )
    if table.empty:
        raise InputDataError(f"{path}: the predictions table has no rows; nothing can be done.")
    table = table.reset_index(drop=True)
    if "target_kind" not in table.columns:
        table["target_kind"] = ""
    for name, column in columns.items():
        table[name] = _typed(table, name, column, path=path)
    repeated = table.duplicated(list(PREDICTIONS.key))
    if repeated.any():
        raise InputDataError(
            f"{path}: {_prediction(table[repeated].iloc[0])} is there twice "
            f"({int(repeated.sum())} repeats); give each prediction once."
        )
    return table


def _typed(table: pd.DataFrame, name: str, column: Column, *, path: Path) -> pd.Series:
    values = table[name]
    absent = values.isna()
    if column.kind is Kind.TEXT:
        text = values.astype(str).where(~absent, "")
        wrong = (text == "") if column.required else pd.Series(False, index=text.index)
        if column.choices:
            wrong |= (text != "") & ~text.isin(column.choices)
        _refuse(wrong, table, name, path=path)
        return text
    numbers = pd.to_numeric(values, errors="coerce").astype("float64")
    wrong = numbers.isna() & (~absent | column.filled)
    if column.kind is Kind.PROBABILITY:
        wrong |= ~absent & ~numbers.between(0, 1)
    else:
        wrong |= ~absent & (numbers % 1 != 0)
    _refuse(wrong, table, name, path=path)
    return numbers if column.kind is Kind.PROBABILITY else numbers.astype("Int64")


def _refuse(wrong: pd.Series, table: pd.DataFrame, name: str, *, path: Path) -> None:
    if wrong.any():
        row = table[wrong].iloc[0]
        rule = PREDICTIONS.columns[name]
        expected = f"one of {', '.join(rule.choices)}" if rule.choices else f"a {rule.kind}"
        raise InputDataError(
            f"{path}, {_prediction(row)}: column {name!r} holds {str(row[name])!r}, which is "
            f"not {expected} ({int(wrong.sum())} rows in all)."
        )
