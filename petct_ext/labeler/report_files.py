"""Reports as people have them (CSV, Parquet, a folder of text files), ready for the labeler.

No report is lost silently: one that cannot be read, or has nothing to read, is named with the
reason and the others are labeled.
"""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import pandas as pd
from tqdm import tqdm

from petct_ext.errors import SOME_FAILED, InputDataError
from petct_ext.labels.aggregation import exam_labels
from petct_ext.ontology import RegionOntology
from petct_ext.reports.items import SentenceTagger, load_report_items
from petct_ext.reports.reading import read_report
from petct_ext.reports.repeats import join_repeats
from petct_ext.reports.rows import read_text_rows
from petct_ext.reports.several import OneReport, Several, combine_reports, require_several
from petct_ext.reports.texts import TEXT_SUFFIXES, decode_text, read_report_file
from petct_ext.tables.contract import is_parquet, read_parquet, text_columns, write_csv
from petct_ext.tables.schemas import LABELS, MENTIONS, read_table, write_table

__all__ = [
    "ReportTexts",
    "end_with_problems",
    "items_to_label",
    "read_reports",
    "write_report_labels",
]

_LOGGER = logging.getLogger(__name__)
_ID_NAMES: Final = ("exam_id", "study_instance_uid", "report_id", "id", "accession")
_TEXT_NAMES: Final = ("text", "report", "report_text", "narrative", "body")
_DATE_NAMES: Final = ("report_date", "date", "signed", "report_time", "dictated")
_MAX_NAMED: Final = 5


@dataclass(slots=True)
class ReportTexts:
    """Reports by exam id, in the order of the source, and what was wrong with others.

    Attributes:
        texts: unchanged report text; empty where it cannot be read.
        problems: reason per exam id (or row) whose report was not or not fully read.
        notes: what else was done, e.g. several reports of an exam joined.
    """

    texts: dict[str, str] = field(default_factory=dict)
    problems: dict[str, str] = field(default_factory=dict)
    notes: dict[str, str] = field(default_factory=dict)


def read_reports(path: str | Path, *, several: str = "join") -> ReportTexts:
    """Reads reports from a CSV or Parquet table or from a folder of files, a report each.

    A table needs a column with the text (``text``, ``report``, ...) and should have one with ids
    (``exam_id``, ``study_instance_uid``, ``id``, ...); otherwise the rows are counted. Files are
    named by their name; those that cannot be read (:mod:`petct_ext.reports.texts`) are problems.
    Bytes that are not UTF-8 are read as Windows-1252, which is noted. Several rows with one id are
    several reports of an exam.

    Args:
        path: the table or the folder.
        several: what becomes of several reports of one exam, see
            :func:`petct_ext.reports.several.combine_reports`; their order is that of the column
            ``report_date`` (or ``date``, ...).

    Raises:
        InputDataError: if the source is missing, or has no such column or no report at all.
    """
    path, choice = Path(path), require_several(several)
    if path.is_dir():
        found = _read_folder(path)
    elif not path.is_file():
        raise InputDataError(f"{path} does not exist; give a CSV or Parquet file, or a folder.")
    else:
        rows = _read_parquet(path) if is_parquet(path) else _read_csv(path)
        found = rows.combined(choice)
    if not found.texts:
        raise InputDataError(f"{path} holds no report; expected one a row, or text files.")
    for name, text in found.texts.items():
        if not text.strip():
            found.problems.setdefault(name, "the report is empty")
    return found


def items_to_label(
    ontology: RegionOntology,
    *,
    items: str | Path,
    section: str = "all",
    reports: str | Path | None = None,
    status: str | Path | None = None,
    several: str = "join",
) -> list[dict[str, Any]]:
    """Returns sentences with mentions, sorted by length: of prepared items, or of any reports.

    Sentences that repeat are there once (:func:`petct_ext.reports.repeats.join_repeats`), and
    batches of sentences of one length need little padding: both make the labeling faster.

    Args:
        ontology: regions to look for.
        items: ``report_items.json``, used if ``reports`` is None.
        section: of ``report_items.json``.
        reports: see :func:`read_reports`.
        status: with ``reports``: CSV with one row per report (``exam_id, status, read_share,
            message``; see :class:`petct_ext.reports.status.ReportStatus`).
        several: see :func:`read_reports`.

    Raises:
        InputDataError: if the source is wrong, or no report names a region.
    """
    if reports is None:
        return _by_length(load_report_items(items, section))
    source = read_reports(reports, several=several)
    tagger, found, rows = SentenceTagger(ontology), [], []
    for name, text in tqdm(source.texts.items(), desc="reports", disable=None):
        tagged, state = read_report(name, text, tagger)
        found.extend(tagged)
        messages = (source.problems.get(name, ""), state.message, source.notes.get(name, ""))
        told = dict.fromkeys(message for message in messages if message)
        rows.append(_row(name, state.status, state.read_share, "; ".join(told)))
    rows += [
        _row(name, "unreadable", 0.0, reason)
        for name, reason in source.problems.items()
        if name not in source.texts
    ]
    _report(rows, status)
    if not found:
        raise InputDataError(
            f"{reports}: none of {len(source.texts)} reports names a region in its findings or "
            "impression; is the text in English, and in the right column?"
        )
    return _by_length(found)


def write_report_labels(
    mentions: str | Path,
    path: str | Path,
    ontology: RegionOntology,
    *,
    reports: str | Path | None,
    status: str | Path,
) -> Path | None:
    """Combines the mentions of a run on ``reports`` to labels of exams (table LABELS).

    An exam whose report has no findings gets NaN for every region.

    Args:
        mentions: table MENTIONS that the run has written.
        path: the table of labels.
        ontology: regions.
        reports: None: nothing is written (``scripts/label_reports.py`` does it for a cohort).
        status: table that :func:`items_to_label` has written.

    Returns:
        ``path``, or None.
    """
    if reports is None:
        return None
    states = pd.read_csv(status, dtype=str, keep_default_na=False)
    exams = dict(zip(states["exam_id"], states["status"] == "labeled", strict=True))
    table = read_table(mentions, MENTIONS, allow_empty=True)
    labels = exam_labels(table, ontology, exams=exams)
    return write_table(labels, Path(path), LABELS)


def end_with_problems(status: str | Path, *, reports: str | Path | None) -> None:
    """Ends the process with code 3, "done, but some failed", if a report was not labeled.

    Args:
        status: table that :func:`items_to_label` has written.
        reports: None: nothing was read here, and nothing is done.

    Raises:
        SystemExit: with code 3.
    """
    if reports is None:
        return
    states = pd.read_csv(status, dtype=str, keep_default_na=False)
    lost = states["status"] != "labeled"
    if lost.any():
        counts = states.loc[lost, "status"].value_counts()
        told = ", ".join(f"{count} {name}" for name, count in counts.items())
        _LOGGER.warning("%d of %d reports are not labeled: %s", lost.sum(), len(states), told)
        raise SystemExit(SOME_FAILED)


def _by_length(items: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return sorted(join_repeats(items), key=lambda item: len(item["text"]))


def _row(name: str, status: str, share: float, message: str) -> dict[str, Any]:
    share = round(share, 3)
    return {"exam_id": name, "status": status, "read_share": share, "message": message}


def _report(rows: list[dict[str, Any]], status: str | Path | None) -> None:
    if status is not None:
        write_csv(pd.DataFrame(rows), status)
    noted = [row for row in rows if row["message"]]
    for row in noted[:_MAX_NAMED]:
        _LOGGER.warning("report %s (%s): %s", row["exam_id"], row["status"], row["message"])
    if noted:
        _LOGGER.warning("%d of %d reports have a message%s", len(noted), len(rows), _where(status))


def _where(status: str | Path | None) -> str:
    return "" if status is None else f"; all of them in {status}"


def _read_folder(folder: Path) -> ReportTexts:
    found = ReportTexts()
    paths = [p for p in sorted(folder.rglob("*")) if p.is_file() and p.name[0] != "."]
    stems = Counter(path.relative_to(folder).with_suffix("").as_posix() for path in paths)
    for path in paths:
        name = path.relative_to(folder).with_suffix("").as_posix()
        if stems[name] > 1:  # a.rtf and a.txt: neither is "a"
            name = path.relative_to(folder).as_posix()
        if path.suffix.lower() not in TEXT_SUFFIXES:
            found.problems[name] = f"{path.suffix} files are not read; save it as plain text"
            continue
        try:
            found.texts[name], note = read_report_file(path)
        except InputDataError as error:
            found.problems[name] = str(error)
            continue
        if note:
            found.problems[name] = note
    return found


@dataclass(slots=True)
class _Rows:
    """Rows of a table by id, before several reports of an exam become one."""

    reports: dict[str, list[OneReport]] = field(default_factory=dict)
    problems: dict[str, str] = field(default_factory=dict)

    def add(self, name: str, text: str, date: str) -> None:
        self.reports.setdefault(name, []).append(OneReport(text, date))

    def combined(self, several: Several) -> ReportTexts:
        found = ReportTexts(problems=self.problems)
        for name, reports in self.reports.items():
            found.texts[name], _, note = combine_reports(reports, several)
            if note:
                found.notes[name] = note
        return found


def _read_parquet(path: Path) -> _Rows:
    table = read_parquet(path)
    columns = _columns(list(table.columns), path)
    values = text_columns(table[[name for name in columns if name is not None]])
    none = [""] * len(values)
    ids, dates, texts = (none if name is None else values[name].tolist() for name in columns)
    found = _Rows()
    for number, (name, date, value) in enumerate(zip(ids, dates, texts, strict=True), start=1):
        found.add(name.strip() or f"row_{number}", value, date)
    return found


def _read_csv(path: Path) -> _Rows:
    """Reads row by row, so that a broken row costs that row only."""
    source = read_text_rows(path)
    if source.form:
        _LOGGER.warning("%s is read with %s", path, source.form)
    columns = _columns(source.header, path)
    ids = columns[0]
    places = [None if name is None else source.header.index(name) for name in columns]
    found = _Rows()
    for number, (line, fields, problem) in enumerate(source.rows, start=1):
        is_whole = len(fields) >= len(source.header)
        cells = [fields[i] if i is not None and is_whole else "" for i in places]
        (name, _), (date, _), (text, note) = map(_mend, cells)
        name = name.strip()
        if problem:
            key = name if name and name not in found.reports else f"line_{line}"
            found.problems[key] = f"line {line}: {problem}"
            continue
        if not name and ids is not None:
            note = "; ".join(x for x in (f"line {line} has no id", note) if x)
        name = name or f"row_{number}"
        found.add(name, text, date)
        if note:
            found.problems[name] = note
    return found


def _mend(value: str) -> tuple[str, str]:
    """Reads bytes that are not UTF-8, kept as surrogates, as Windows-1252."""
    if value.isascii():
        return value, ""
    return decode_text(value.encode("utf-8", errors="surrogateescape"))


def _columns(header: Sequence[str], path: Path) -> tuple[str | None, str | None, str]:
    """Returns the names of the columns with ids, with dates (or None) and with text."""
    lower: Mapping[str, str] = {name.strip().lower(): name for name in reversed(header)}

    def first(names: Sequence[str]) -> str | None:
        return next((lower[name] for name in names if name in lower), None)

    text = first(_TEXT_NAMES)
    if text is None:
        raise InputDataError(
            f"{path} has no column with the report's text (found: {', '.join(header) or 'none'}); "
            "call it 'text'."
        )
    return first(_ID_NAMES), first(_DATE_NAMES), text
