"""A broken row of reports.csv costs that row only."""

from __future__ import annotations

from pathlib import Path

import pytest

from petct_ext.errors import InputDataError
from petct_ext.reports.rows import read_report_rows

HEAD = b"study_instance_uid,text\n"


def read(folder: Path, content: bytes, encoding: str | None = None) -> tuple[list[str], list[str]]:
    path = folder / "reports.csv"
    path.write_bytes(content)
    table, problems = read_report_rows(path, encoding=encoding)
    return table["study_instance_uid"].tolist(), [f"{p.line}: {p.message}" for p in problems]


@pytest.mark.parametrize(
    ("broken", "message"),
    [
        (b'1.2,"never closed\n', "3: not well formed"),
        (b'1.2,"a "quoted" word"\n', "3: not well formed"),
        (b"1.2,with, commas\n", "3: 3 fields instead of 2"),
        (b"1.2\n", "3: 1 fields instead of 2"),
        (b"1.2,caf\x81\n", r"3: column 'text': byte 3 (0x81) is neither UTF-8 nor cp1252"),
        (b",no study\n", "3: no study_instance_uid"),
    ],
)
def test_rows_around_a_broken_one_are_read(tmp_path: Path, broken: bytes, message: str) -> None:
    rest = b'1.3,"two\nlines, ""quoted"""\n1.4,\xc3\xa9\n'
    studies, problems = read(tmp_path, b"\xef\xbb\xbf" + HEAD + b"1.1,a\n" + broken + rest)
    assert studies == ["1.1", "1.3", "1.4"]
    assert problems[0].startswith(message)


def test_hundred_thousand_rows_lose_the_broken_one_only(tmp_path: Path) -> None:
    rows = [b'1.%d,"Liver normal.\nNo nodes."\n' % i for i in range(100_000)]
    rows[777] = b'1.777,"Liver normal.\n'
    studies, problems = read(tmp_path, HEAD + b"".join(rows))
    assert len(studies) == 99_999
    assert len(problems) == 1


def test_declared_code_page_is_used_where_a_row_is_not_utf8(tmp_path: Path) -> None:
    content = HEAD + b"1.1,caf\xe9\n1.2,caf\xc3\xa9\n"
    path = tmp_path / "reports.csv"
    path.write_bytes(content)
    table, problems = read_report_rows(path, encoding="cp1252")
    assert table["text"].tolist() == ["caf\u00e9", "caf\u00e9"]
    assert problems == []


def test_windows_letters_are_read_and_told(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    path = tmp_path / "reports.csv"
    path.write_bytes(HEAD + b"1.1,caf\xe9 \x96 \x93quoted\x94\n1.2,plain\n")
    table, problems = read_report_rows(path)
    assert table["text"].tolist() == ["caf\u00e9 \u2013 \u201cquoted\u201d", "plain"]
    assert problems == []
    assert "1 rows are not UTF-8 and were read as Windows-1252" in caplog.text


@pytest.mark.parametrize("separator", [",", ";", "\t", "|"])
@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-16-le", "utf-16-be"])
def test_tables_of_spreadsheets_are_read_and_told(
    separator: str, encoding: str, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    rows = [
        ["study_instance_uid", "text", "indication"],
        ["1.1", '"Liver, spleen; normal.\nSize | 3 mm"', "staging"],
        ["1.2", "caf\u00e9", ""],
    ]
    content = "\n".join(separator.join(row) for row in rows) + "\n"
    path = tmp_path / "reports.csv"
    path.write_bytes(content.encode(encoding))
    table, problems = read_report_rows(path)
    assert problems == []
    assert table["text"].tolist() == ["Liver, spleen; normal.\nSize | 3 mm", "caf\u00e9"]
    assert table["indication"].tolist() == ["staging", ""]
    assert ("UTF-16" in caplog.text) == encoding.startswith("utf-16")
    named = {",": "", ";": "semicolons", "\t": "tabs", "|": "bars"}[separator]
    assert named in caplog.text


def test_text_of_a_megabyte_is_one_row(tmp_path: Path) -> None:
    assert read(tmp_path, HEAD + b"1.1," + b"x" * 1_000_000 + b"\n") == (["1.1"], [])


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "lacks the column"),
        (b"a,text\n1,x\n", "lacks the column"),
        (HEAD, "no row that can be"),
    ],
)
def test_table_without_reports_is_refused(tmp_path: Path, content: bytes, message: str) -> None:
    with pytest.raises(InputDataError, match=message):
        read(tmp_path, content)


def test_missing_table_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputDataError, match="does not exist; it should hold the reports"):
        read_report_rows(tmp_path / "none.csv")
