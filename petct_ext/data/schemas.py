"""Columns, types and checks of the tables through which steps and bundles meet.

Every table is a CSV file in UTF-8. An empty cell is a missing value. A column that no schema
names is kept, so that a group may carry its own columns along.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path
from types import MappingProxyType

import pandas as pd

from petct_ext.errors import InputDataError, did_you_mean
from petct_ext.files import atomic_path

__all__ = [
    "ANNOTATIONS",
    "EXAMS",
    "HAND_LABELS",
    "IDENTIFIERS",
    "LABELS",
    "MENTIONS",
    "OUTCOMES",
    "PREDICTIONS",
    "PREPARED",
    "REPORTS",
    "SERIES",
    "SPLITS",
    "SURVIVAL",
    "SUV_OVERRIDES",
    "Column",
    "Kind",
    "Schema",
    "read_table",
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
    """

    kind: Kind = Kind.TEXT
    required: bool = True
    filled: bool = True
    choices: tuple[str, ...] = ()


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


def _schema(
    name: str, *, key: tuple[str, ...] = (), others: Column | None = None, **columns: Column
) -> Schema:
    return Schema(name, MappingProxyType(columns), key, others)


_TEXT = Column()
_MAYBE_TEXT = Column(required=False, filled=False)
_NUMBER = Column(Kind.NUMBER)
_MAYBE_NUMBER = Column(Kind.NUMBER, required=False, filled=False)
_INTEGER = Column(Kind.INTEGER)
_DATE = Column(Kind.DATE)
_MAYBE_DATE = Column(Kind.DATE, filled=False)
_CT_MATCHES = ("frame_of_reference", "nearest_in_time")

# What a group brings. Keys are raw DICOM identifiers, so these files stay in the hospital.

REPORTS = _schema(
    "reports",
    key=("study_instance_uid",),
    study_instance_uid=_TEXT,  # DICOM (0020,000D)
    text=Column(filled=False),
    indication=_MAYBE_TEXT,
    summary_code=Column(required=False, filled=False, choices=("1", "2", "4", "9")),
)
"""Free-text reports, one row per study, unchanged text."""

ANNOTATIONS = _schema(
    "annotations",
    key=("study_instance_uid", "start", "end", "region"),
    study_instance_uid=_TEXT,
    start=_INTEGER,
    end=_INTEGER,
    region=_TEXT,
    abnormal=Column(Kind.BINARY),
)
"""Mentions that a reader has judged; ``start`` and ``end`` are offsets into the report's text."""

OUTCOMES = _schema(
    "outcomes",
    key=("patient_id",),
    patient_id=_TEXT,  # DICOM (0010,0020)
    death_date=_MAYBE_DATE,
    last_contact_date=_MAYBE_DATE,
)
"""Follow-up, one row per patient: date of death, or else the date when last known alive."""

HAND_LABELS = _schema(
    "hand labels",
    key=("study_instance_uid",),
    others=Column(Kind.BINARY, filled=False),
    study_instance_uid=_TEXT,
)
"""A reader's judgement per region (one column each), used for scoring only."""

# What the steps write. Ids are pseudonymous.

IDENTIFIERS = _schema(
    "identifiers",
    key=("exam_id",),
    exam_id=_TEXT,
    patient_id=_TEXT,
    study_instance_uid=_TEXT,
    raw_patient_id=_TEXT,
    date_shift_days=Column(Kind.INTEGER, required=False, filled=False),  # added to true dates
)
"""The only table that links pseudonymous ids to identities; lies in ``private/``."""

EXAMS = _schema(
    "exams",
    key=("exam_id",),
    exam_id=_TEXT,
    patient_id=_TEXT,
    exam_date=_DATE,
    status=Column(choices=("ok", "quarantined")),
    reason=_MAYBE_TEXT,
    pet_series=_MAYBE_TEXT,
    ct_series=_MAYBE_TEXT,
    sex=Column(required=False, filled=False, choices=("F", "M", "O")),
    age_years=_MAYBE_NUMBER,
    weight_kg=_MAYBE_NUMBER,
    height_m=_MAYBE_NUMBER,
    study_description=_MAYBE_TEXT,
    manufacturer=_MAYBE_TEXT,
    model=_MAYBE_TEXT,
    tracer=_MAYBE_TEXT,
    injected_dose_bq=_MAYBE_NUMBER,
    uptake_time_s=_MAYBE_NUMBER,
    uptake_min=_MAYBE_NUMBER,  # by a few slices' headers; preparation checks all and is exact
    ct_match=Column(required=False, filled=False, choices=_CT_MATCHES),
    notes=_MAYBE_TEXT,
)
"""One row per exam with its chosen PET and CT series."""

SERIES = _schema(
    "series",
    key=("exam_id", "series_id"),  # a CT of its own study may serve several exams
    series_id=_TEXT,
    exam_id=_TEXT,
    modality=_TEXT,
    description=_MAYBE_TEXT,
    num_slices=_INTEGER,
    extent_mm=_MAYBE_NUMBER,
    chosen=Column(Kind.BINARY),
    reason=_TEXT,
)
"""One row per series with the reason why it was chosen or left out."""

PREPARED = _schema(
    "prepared exams",
    key=("exam_id",),
    exam_id=_TEXT,
    status=Column(choices=("ok", "quarantined")),
    reason=_MAYBE_TEXT,
    pet=Column(filled=False),
    ct=Column(filled=False),
    num_slices=Column(Kind.INTEGER, filled=False),
    suv_bw_factor=_MAYBE_NUMBER,
    pet_units=_MAYBE_TEXT,  # empty in tables of earlier versions, which knew SUVbw only
)
"""Volumes on one grid: CT in HU, PET in ``pet_units``; paths relative to the table."""

SUV_OVERRIDES = _schema(
    "SUV overrides",
    key=("exam_id",),
    exam_id=_TEXT,
    weight_kg=_MAYBE_NUMBER,
    injected_dose_bq=_MAYBE_NUMBER,
    half_life_s=_MAYBE_NUMBER,
    injection_time=_MAYBE_TEXT,
)
"""What a group supplies where DICOM headers lack it or are known to be wrong."""

MENTIONS = _schema(
    "mentions",
    exam_id=_TEXT,
    section=_TEXT,
    sentence=_INTEGER,
    start=_INTEGER,
    end=_INTEGER,
    region=_TEXT,
    probability=Column(Kind.PROBABILITY),
)
"""Every mention with the probability that it is said to be abnormal; offsets into the report."""

LABELS = _schema(
    "labels", key=("exam_id",), others=Column(Kind.PROBABILITY, filled=False), exam_id=_TEXT
)
"""Weak labels: probability that a region is described as abnormal, one column per region."""

SPLITS = _schema(
    "splits",
    key=("exam_id",),
    exam_id=_TEXT,
    patient_id=_TEXT,
    split=Column(choices=("training", "validation", "test")),
)
"""Which exam is used for what; a patient never has two values of ``split``."""

PREDICTIONS = _schema(
    "predictions",
    key=("experiment", "seed", "split", "task", "exam_id"),
    experiment=_TEXT,
    seed=_INTEGER,
    split=_TEXT,
    task=_TEXT,
    exam_id=_TEXT,
    target=Column(Kind.PROBABILITY, filled=False),
    prob=Column(Kind.PROBABILITY),
    target_kind=Column(required=False, choices=("weak", "hand", "outcome")),
)
"""Long form: one row per experiment, seed, task and exam; ``target_kind`` says who judged."""

SURVIVAL = _schema(
    "survival table",
    key=("patient_id",),
    patient_id=_TEXT,
    exam_id=_TEXT,
    split=Column(choices=("training", "validation", "test")),
    time_days=_NUMBER,
    event=Column(Kind.BINARY),
    age_years=Column(Kind.NUMBER, filled=False),
    sex=Column(filled=False, choices=("F", "M", "O")),
    indication=Column(filled=False),
    summary_code=Column(filled=False, choices=("1", "2", "4", "9")),
)
"""One row per patient: days from the last exam to death (``event`` 1) or last contact (0)."""


def read_table(path: str | Path, schema: Schema, *, allow_empty: bool = False) -> pd.DataFrame:
    """Reads a CSV table and checks it against its contract.

    Args:
        path: the file.
        schema: its contract.
        allow_empty: whether a table without rows is fine.

    Returns:
        One row per line. TEXT and DATE columns hold str ("" if missing), INTEGER and BINARY
        ``Int64``, NUMBER and PROBABILITY ``float64`` with NaN if missing. Optional columns of the
        schema that the file lacks are added, empty.

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
    """Checks a table against its contract and writes it atomically as CSV.

    Args:
        table: the rows; columns of the schema come first, in its order.
        path: where to write.
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
        ordered.to_csv(partial, index=False, lineterminator="\n")
        read_table(partial, schema, allow_empty=True)
    return Path(path)


def _read_text_table(path: Path, schema: Schema) -> pd.DataFrame:
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
    stripped = values if column.kind is Kind.TEXT and not column.choices else values.str.strip()
    absent = stripped == ""
    if column.filled and column.required:
        _refuse(absent, values, path, "is empty, but every row needs a value")
    if column.choices:
        allowed = ", ".join(column.choices)
        _refuse(~absent & ~stripped.isin(column.choices), values, path, f"is none of {allowed}")
    if column.kind is Kind.TEXT:
        return stripped
    if column.kind is Kind.DATE:
        parsed = pd.to_datetime(stripped.where(~absent), format="%Y-%m-%d", errors="coerce")
        _refuse(~absent & parsed.isna(), values, path, f"is not a {column.kind}")
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
