"""Rows of a table of reports, read so that a broken row costs that row only.

Reports hold line breaks, quotation marks and letters of any code page, so tables of them are often
damaged in places. A reader for whole tables either stops at the first such place or silently joins
a row with the next ones.
"""

from __future__ import annotations

import csv
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import pandas as pd

from petct_ext.errors import InputDataError, did_you_mean
from petct_ext.tables.schemas import REPORTS

__all__ = ["RowProblem", "TextRows", "read_report_rows", "read_text_rows"]

_MAX_LINES: Final = 20_000
"""A row of more lines has lost a quotation mark."""
_MAX_CHARACTERS: Final = 2**24


@dataclass(frozen=True, slots=True)
class RowProblem:
    """A row that was not read, or not fully.

    Attributes:
        line: line of the file where the row begins, from 1.
        study_instance_uid: of the row, if it could be read; an identity, keep it private.
        message: what is wrong.
    """

    line: int
    study_instance_uid: str
    message: str


@dataclass(frozen=True, slots=True)
class TextRows:
    """Rows of a CSV file that may be damaged.

    Attributes:
        header: names of the columns, without white space around them.
        header_problem: what is wrong with the first row, or "".
        rows: line where a row begins, its fields, and what is wrong with it or ""; a broken row has
            no fields or too many or too few. Bytes that are not UTF-8 are lone surrogates.
    """

    header: tuple[str, ...]
    header_problem: str
    rows: Iterator[tuple[int, list[str], str]]


def read_text_rows(path: str | Path) -> TextRows:
    """Opens a CSV file of texts; a lost quotation mark costs the row it stands in.

    Raises:
        InputDataError: if the file is missing or cannot be read.
    """
    path = Path(path)
    try:
        data = path.read_bytes()
    except FileNotFoundError:
        raise InputDataError(
            f"{path} does not exist; it should hold the reports table. Check the path."
        ) from None
    except OSError as error:
        raise InputDataError(f"{path} cannot be read: {error.strerror or error}.") from None
    # Bytes that are not UTF-8 survive as lone surrogates until their row is known.
    text = data.decode("utf-8-sig", errors="surrogateescape")
    lines = text.replace("\x00", " ").splitlines(keepends=True)
    rows = _rows(_joined_newlines(lines))
    _, header, problem = next(rows, (1, [], ""))
    names = tuple(name.strip() for name in header)
    return TextRows(names, problem, _with_counts(rows, len(names)))


def read_report_rows(
    path: str | Path, *, encoding: str | None = None
) -> tuple[pd.DataFrame, list[RowProblem]]:
    """Reads ``reports.csv`` (table REPORTS) row by row.

    Args:
        path: CSV in UTF-8 with or without byte order mark.
        encoding: code page of bytes that are not UTF-8, e.g. ``cp1252``; None: such rows are
            problems.

    Returns:
        The rows that could be read, with all columns of REPORTS as str, and what is wrong with the
        others: wrong number of fields, a lost quotation mark, bytes that are not UTF-8, no or a
        repeated study, a summary code that does not exist (the report itself is kept).

    Raises:
        InputDataError: if the file is missing, lacks a column, or has no row that can be read.
    """
    path = Path(path)
    source = read_text_rows(path)
    _require_columns(source.header, path, source.header_problem)
    table, problems = _Reader(source.header, encoding).read(source.rows)
    if table.empty:
        first = f" First: line {problems[0].line}: {problems[0].message}" if problems else ""
        raise InputDataError(f"{path}: the reports table has no row that can be read.{first}")
    return table, problems


class _Reader:
    def __init__(self, header: tuple[str, ...], encoding: str | None) -> None:
        self.header = header
        self.encoding = encoding
        self.rows: list[dict[str, str]] = []
        self.problems: list[RowProblem] = []
        self._seen: dict[str, int] = {}

    def read(
        self, rows: Iterator[tuple[int, list[str], str]]
    ) -> tuple[pd.DataFrame, list[RowProblem]]:
        for line, fields, problem in rows:
            if problem:
                study = self._study(fields) if len(fields) >= len(self.header) else ""
                self.problems.append(RowProblem(line, study, problem))
                continue
            row, problem = self._decode(fields)
            self._take(line, row, problem)
        table = pd.DataFrame(self.rows, columns=list(self.header), dtype=str)
        for name in REPORTS.columns:
            if name not in table.columns:
                table[name] = ""
        return table, self.problems

    def _take(self, line: int, row: dict[str, str], problem: str) -> None:
        study = row["study_instance_uid"] = row["study_instance_uid"].strip()
        if not problem and not study:
            problem = "no study_instance_uid"
        if not problem and study in self._seen:
            problem = f"the study of line {self._seen[study]} again; the first one is used"
        if problem:
            self.problems.append(RowProblem(line, study, problem))
            return
        self._seen[study] = line
        code = row.get("summary_code", "").strip()
        if "summary_code" in row and code not in ("", *REPORTS.columns["summary_code"].choices):
            self.problems.append(RowProblem(line, study, f"summary code {code[:20]!r} left out"))
            code = ""
        if "summary_code" in row:
            row["summary_code"] = code
        self.rows.append(row)

    def _study(self, fields: list[str]) -> str:
        value = fields[self.header.index("study_instance_uid")]
        return value.encode("utf-8", "replace").decode("utf-8").strip()

    def _decode(self, fields: list[str]) -> tuple[dict[str, str], str]:
        problem = ""
        values = []
        for name, value in zip(self.header, fields, strict=True):
            raw = value if value.isascii() else value.encode("utf-8", errors="surrogateescape")
            if isinstance(raw, bytes):
                value, wrong = _decode(raw, self.encoding)
                problem = problem or (f"column {name!r}: {wrong}" if wrong else "")
            values.append(value)
        return dict(zip(self.header, values, strict=True)), problem


def _decode(raw: bytes, encoding: str | None) -> tuple[str, str]:
    try:
        return raw.decode("utf-8"), ""
    except UnicodeDecodeError as error:
        place = f"byte {error.start} (0x{raw[error.start]:02x}) is not UTF-8"
    if encoding is None:
        return "", f"{place}; save the table as 'CSV UTF-8', or name its code page, e.g. cp1252"
    try:
        return raw.decode(encoding), ""
    except (UnicodeDecodeError, LookupError):
        return "", f"{place} and not {encoding}"


def _require_columns(header: tuple[str, ...], path: Path, problem: str) -> None:
    missing = [n for n, c in REPORTS.columns.items() if c.required and n not in header]
    if missing or problem:
        hint = did_you_mean(missing[0], header) if missing else f" ({problem})"
        raise InputDataError(
            f"{path}: the reports table lacks the column(s) {', '.join(missing)}; it has "
            f"{', '.join(header)[:200] or 'none'}.{hint}"
        )


def _with_counts(
    rows: Iterator[tuple[int, list[str], str]], number: int
) -> Iterator[tuple[int, list[str], str]]:
    """Adds the problem of rows that have not as many fields as the header."""
    for line, fields, problem in rows:
        if not problem and len(fields) != number:
            problem = (
                f"{len(fields)} fields instead of {number}; a text with commas needs quotation "
                "marks around it"
            )
        yield line, fields, problem


def _joined_newlines(lines: list[str]) -> list[str]:
    """Undoes the splitting at characters that end no line of a CSV file (form feed and others)."""
    result: list[str] = []
    going = False
    for line in lines:
        if going:
            result[-1] += line
        else:
            result.append(line)
        going = not line.endswith(("\n", "\r"))
    return result


def _rows(lines: list[str]) -> Iterator[tuple[int, list[str], str]]:
    """Yields line number, fields and problem of each row.

    A row ends where its quotation marks are even. If that is never the case, or its fields are not
    well formed, only its first line is given up, and reading goes on with the next one.
    """
    position = 0
    while position < len(lines):
        end, size, is_open = position, 0, False
        while end < len(lines):
            is_open ^= lines[end].count('"') % 2 == 1
            size += len(lines[end])
            end += 1
            if not is_open or end - position > _MAX_LINES or size > _MAX_CHARACTERS:
                break
        fields, problem = _parse(lines[position:end], is_open=is_open)
        if problem:
            yield position + 1, [], problem
            position += 1
            continue
        if fields:
            yield position + 1, fields, ""
        position = end


def _parse(lines: list[str], *, is_open: bool) -> tuple[list[str], str]:
    """Returns the fields of a row, none if it is blank, and what is wrong with it."""
    if is_open:
        return [], "a quotation mark is missing"
    limit = csv.field_size_limit(_MAX_CHARACTERS)
    try:
        rows = list(csv.reader(lines, strict=True))
    except csv.Error as error:
        return [], f"not well formed ({error}); is a quotation mark missing?"
    finally:
        csv.field_size_limit(limit)
    return rows[0] if rows else [], ""
