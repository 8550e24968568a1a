"""Rows of a table of reports, read so that a broken row costs that row only.

Reports hold line breaks, quotation marks and letters of any code page, so tables of them are often
damaged in places. A reader for whole tables either stops at the first such place or silently joins
a row with the next ones.
"""

from __future__ import annotations

import codecs
import csv
import logging
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import pandas as pd

from petct_ext.errors import InputDataError, did_you_mean
from petct_ext.reports.several import OneReport, Several, combine_reports
from petct_ext.tables.contract import is_parquet
from petct_ext.tables.schemas import REPORTS, read_table

__all__ = ["RowProblem", "TextRows", "read_report_rows", "read_report_table", "read_text_rows"]

_LOGGER = logging.getLogger(__name__)

_USUAL_CODE_PAGE: Final = "cp1252"
"""Of Windows in Western Europe and America."""


_MAX_LINES: Final = 20_000
"""A row of more lines has lost a quotation mark."""
_MAX_CHARACTERS: Final = 2**24
_HEAD_BYTES: Final = 400
_SEPARATORS: Final = {",": "commas", ";": "semicolons", "\t": "tabs", "|": "bars"}


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
        form: how the file is written if not as CSV in UTF-8, for people; "" if it is.
    """

    header: tuple[str, ...]
    header_problem: str
    rows: Iterator[tuple[int, list[str], str]]
    form: str = ""


def read_text_rows(path: str | Path) -> TextRows:
    """Opens a CSV file of texts; a lost quotation mark costs the row it stands in.

    Spreadsheets write semicolons or tabs in place of commas, and UTF-16: both are found out from
    the first bytes and the header, and told in ``form``.

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
    text, encoding = _decoded(data)
    lines = _joined_newlines(text.replace("\x00", " ").splitlines(keepends=True))
    separator = _separator(lines[0] if lines else "")
    rows = _rows(lines, separator)
    _, header, problem = next(rows, (1, [], ""))
    names = tuple(name.strip() for name in header)
    told = [f"{_SEPARATORS[separator]} between its columns"] if separator != "," else []
    form = ", ".join([*told, encoding] if encoding else told)
    return TextRows(names, problem, _with_counts(rows, len(names), separator), form)


def _decoded(data: bytes) -> tuple[str, str]:
    """Returns the text of a file and its encoding, "" for UTF-8.

    Bytes that are not UTF-8 survive as lone surrogates until their row is known.
    """
    if data.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        return data.decode("utf-16", errors="replace"), "UTF-16"
    head = data[:_HEAD_BYTES]
    for number, name in ((1, "utf-16-le"), (0, "utf-16-be")):  # Latin text: each other byte is 0
        if len(head) >= 2 and head[number::2].count(0) > len(head) / 4:
            return data.decode(name, errors="replace"), "UTF-16"
    return data.decode("utf-8-sig", errors="surrogateescape"), ""


def _separator(header: str) -> str:
    """Returns what separates the columns: the commonest of the usual signs in the header."""
    outside = re.sub(r'"[^"]*"', "", header)
    return max(_SEPARATORS, key=outside.count)  # a comma if none is there


def read_report_rows(
    path: str | Path, *, encoding: str | None = None, several: Several = "join"
) -> tuple[pd.DataFrame, list[RowProblem]]:
    """Reads ``reports.csv`` (table REPORTS) row by row.

    Args:
        path: CSV in UTF-8 with or without byte order mark.
        encoding: code page of bytes that are not UTF-8; None takes them for Windows-1252 and says
            so in the log.
        several: what becomes of several reports of one study, see
            :func:`petct_ext.reports.several.combine_reports`.

    Returns:
        A row per study that could be read, with all columns of REPORTS as str and ``note``, which
        tells what became of several reports; and what is wrong with the other rows: wrong number
        of fields, a lost quotation mark, bytes of another code page, no study, a summary code that
        does not exist (the report itself is kept).

    Raises:
        InputDataError: if the file is missing, lacks a column, or has no row that can be read.
    """
    path = Path(path)
    source = read_text_rows(path)
    _require_columns(source.header, path, source.header_problem)
    if source.form:
        _LOGGER.warning("%s is read with %s", path, source.form)
    reader = _Reader(source.header, encoding)
    rows, problems = reader.read(source.rows)
    table = _one_per_study(rows, several)
    if reader.num_guessed:
        _LOGGER.warning(
            "%s: %d rows are not UTF-8 and were read as Windows-1252; if their letters are wrong, "
            "name the code page with --encoding",
            path,
            reader.num_guessed,
        )
    if table.empty:
        first = f" First: line {problems[0].line}: {problems[0].message}" if problems else ""
        raise InputDataError(f"{path}: the reports table has no row that can be read.{first}")
    return table, problems


def read_report_table(path: str | Path, *, several: Several = "join") -> pd.DataFrame:
    """Returns the reports that can be read; the same ones wherever a table of reports is read.

    Args:
        path: ``reports.csv``, or a Parquet file.
        several: as in :func:`read_report_rows`.

    Returns:
        Table REPORTS, all cells as str, and the column ``note``.

    Raises:
        InputDataError: as :func:`read_report_rows`.
    """
    if is_parquet(Path(path)):
        return read_table(path, REPORTS).assign(note="")
    table, problems = read_report_rows(path, several=several)
    if problems:
        first = f"line {problems[0].line}: {problems[0].message}"
        _LOGGER.warning("%s: %d rows have a problem; first: %s", path, len(problems), first)
    return table


class _Reader:
    def __init__(self, header: tuple[str, ...], encoding: str | None) -> None:
        self.header = header
        self.encoding = encoding
        self.rows: list[dict[str, str]] = []
        self.problems: list[RowProblem] = []
        self.num_guessed = 0

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
        if problem:
            self.problems.append(RowProblem(line, study, problem))
            return
        code = row.get("summary_code", "").strip()
        if "summary_code" in row and code not in ("", *REPORTS.columns["summary_code"].choices):
            self.problems.append(RowProblem(line, study, f"summary code {code[:20]!r} left out"))
            code = ""
        if "summary_code" in row:
            row["summary_code"] = code
        if "indication" in row:
            row["indication"] = row["indication"].strip()
        self.rows.append(row)

    def _study(self, fields: list[str]) -> str:
        value = fields[self.header.index("study_instance_uid")]
        return value.encode("utf-8", "replace").decode("utf-8").strip()

    def _decode(self, fields: list[str]) -> tuple[dict[str, str], str]:
        problem, is_guessed = "", False
        values = []
        for name, value in zip(self.header, fields, strict=True):
            if not value.isascii() and any(0xDC80 <= ord(c) <= 0xDCFF for c in value):
                raw = value.encode("utf-8", errors="surrogateescape")
                value, wrong = _decode(raw, self.encoding or _USUAL_CODE_PAGE)
                problem = problem or (f"column {name!r}: {wrong}" if wrong else "")
                is_guessed = self.encoding is None and not problem
            values.append(value)
        self.num_guessed += is_guessed
        return dict(zip(self.header, values, strict=True)), problem


def _decode(raw: bytes, encoding: str) -> tuple[str, str]:
    try:
        return raw.decode(encoding), ""
    except LookupError:
        return "", f"there is no code page {encoding!r}"
    except UnicodeDecodeError as error:
        place = f"byte {error.start} (0x{raw[error.start]:02x})"
        return "", f"{place} is neither UTF-8 nor {encoding}; save the table as 'CSV UTF-8'"


def _one_per_study(rows: pd.DataFrame, several: Several) -> pd.DataFrame:
    """Joins the rows of a study; other columns are those of the newest report that has them."""
    studies: dict[str, list[dict[str, Any]]] = {}
    for row in rows.to_dict("records"):
        studies.setdefault(row["study_instance_uid"], []).append(
            {str(k): v for k, v in row.items()}
        )
    joined = []
    for group in studies.values():
        reports = [OneReport(row["text"], row["report_date"]) for row in group]
        text, used, note = combine_reports(reports, several)
        newest = {
            name: next((value for i in reversed(used) if (value := group[i][name])), "")
            for name in group[0]
        }
        joined.append({**newest, "text": text, "note": note})
    return pd.DataFrame(joined, columns=[*rows.columns, "note"], dtype=str)


def _require_columns(header: tuple[str, ...], path: Path, problem: str) -> None:
    missing = [n for n, c in REPORTS.columns.items() if c.required and n not in header]
    if missing or problem:
        hint = did_you_mean(missing[0], header) if missing else f" ({problem})"
        raise InputDataError(
            f"{path}: the reports table lacks the column(s) {', '.join(missing)}; it has "
            f"{', '.join(header)[:200] or 'none'}.{hint}"
        )


def _with_counts(
    rows: Iterator[tuple[int, list[str], str]], number: int, separator: str
) -> Iterator[tuple[int, list[str], str]]:
    """Adds the problem of rows that have not as many fields as the header."""
    for line, fields, problem in rows:
        if not problem and len(fields) != number:
            problem = (
                f"{len(fields)} fields instead of {number}; a text with {_SEPARATORS[separator]} "
                "needs quotation marks around it"
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


def _rows(lines: list[str], separator: str) -> Iterator[tuple[int, list[str], str]]:
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
        fields, problem = _parse(lines[position:end], separator, is_open=is_open)
        if problem:
            yield position + 1, [], problem
            position += 1
            continue
        if fields:
            yield position + 1, fields, ""
        position = end


def _parse(lines: list[str], separator: str, *, is_open: bool) -> tuple[list[str], str]:
    """Returns the fields of a row, none if it is blank, and what is wrong with it."""
    if is_open:
        return [], "a quotation mark is missing"
    limit = csv.field_size_limit(_MAX_CHARACTERS)
    try:
        rows = list(csv.reader(lines, strict=True, delimiter=separator))
    except csv.Error as error:
        return [], f"not well formed ({error}); is a quotation mark missing?"
    finally:
        csv.field_size_limit(limit)
    return rows[0] if rows else [], ""
