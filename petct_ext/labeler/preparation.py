"""From a cohort's reports and annotations to ``report_items.json`` and a vocabulary."""

from __future__ import annotations

import json
import logging
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

import pandas as pd
from tqdm import tqdm

from petct_ext.errors import InputDataError, did_you_mean
from petct_ext.files import write_text
from petct_ext.labeler.vocabulary import learn_vocabulary, save_tokenizer
from petct_ext.ontology import RegionOntology
from petct_ext.reports.context import report_sentences
from petct_ext.reports.items import SentenceTagger, annotated_items
from petct_ext.reports.readable import readable_text
from petct_ext.reports.reading import read_report
from petct_ext.reports.rows import RowProblem, read_report_rows
from petct_ext.reports.several import Several
from petct_ext.reports.status import LABELED
from petct_ext.tables.contract import write_csv
from petct_ext.tables.schemas import ANNOTATIONS, IDENTIFIERS, SPLITS, read_table

__all__ = ["MIN_VALIDATION_MENTIONS", "prepare_report_items", "read_report_problems"]

MIN_VALIDATION_MENTIONS: Final = 20
"""With fewer annotated mentions the choice of the best epoch is mostly chance."""
_MAX_TOLD: Final = 10
_PROBLEMS: Final = "report_problems.csv"
_PROBLEM_COLUMNS: Final = ("line", "exam_id", "problem")
_SPLITS: Final = ("training", "validation", "test")
_REMEDY: Final = "annotate more reports (README, 'Annotations'), or use --labeler rules"

_LOGGER = logging.getLogger(__name__)


def prepare_report_items(
    cohort: str | Path,
    work: str | Path,
    ontology: RegionOntology,
    *,
    with_annotations: bool = True,
    vocabulary_size: int = 3000,
    min_frequency: int = 3,
    encoding: str | None = None,
    several: Several = "join",
) -> Path:
    """Writes what the report labeler needs into ``<work>/private``, as it holds report text.

    - ``report_items.json``: ``training``, ``validation`` and ``test`` hold annotated mentions by
      the split of their patient, ``all`` every mention of every exam, and ``exams`` says of every
      exam whether its report could be read.
    - ``<work>/report_status.csv`` (``exam_id, status, read_share, message``, without any text):
      what became of each report, see :class:`petct_ext.reports.status.ReportStatus`.
    - ``report_problems.csv`` (``line, exam_id, problem``): rows of ``reports.csv`` that could not
      be read and reports that took too long; their exams have no text, all others are labeled.
      Where a broken row does not tell its study, every exam without a report is named as well.
    - ``vocabulary/``: WordPiece vocabulary learned from the reports of the training split.

    Args:
        cohort: folder with ``reports.csv`` and ``annotations.csv``.
        work: folder with ``private/identifiers.csv`` and ``splits.csv``.
        ontology: regions to look for.
        with_annotations: whether a model will be trained; without, the three sections are
            empty and no vocabulary is learned.
        vocabulary_size: most tokens.
        min_frequency: see :func:`petct_ext.labeler.vocabulary.learn_vocabulary`.
        encoding: code page of reports that are not UTF-8, e.g. ``cp1252``.
        several: what becomes of several reports of one study, see
            :func:`petct_ext.reports.several.combine_reports`. Annotations of joined reports count
            from the start of the joined text.

    Returns:
        Path of ``report_items.json``.

    Raises:
        InputDataError: if a table is missing or wrong, an annotation names an unknown region or
            lies outside its text, or too little is annotated to train.
        OutputError: if the work folder cannot be written to.
    """
    cohort, work = Path(cohort), Path(work)
    reports, problems = _read_reports(cohort, work, encoding, several)
    annotations = _read_annotations(cohort, ontology) if with_annotations else {}
    document, training_text, status = _tag_all(
        reports, annotations, _split_of_exams(work), ontology, problems=problems
    )
    write_csv(pd.DataFrame(status), work / "report_status.csv")
    _write_problems(problems, work / "private" / _PROBLEMS)
    if with_annotations:
        _require_enough(document, cohort / "annotations.csv")
        tokenizer = learn_vocabulary(
            training_text, size=vocabulary_size, min_frequency=min_frequency
        )
        save_tokenizer(tokenizer, work / "private" / "vocabulary")
        _LOGGER.info("vocabulary of %d tokens from training reports", tokenizer.get_vocab_size())
    path = work / "private" / "report_items.json"
    # Not indented: a cohort of thousands of exams has some hundred thousand sentences.
    write_text(path, json.dumps(document, allow_nan=False, separators=(",", ":")) + "\n")
    _log_counts(document)
    return path


def read_report_problems(work: str | Path) -> pd.DataFrame:
    """Reads ``private/report_problems.csv``, all cells as str; empty if there is none."""
    path = Path(work) / "private" / _PROBLEMS
    if not path.is_file():
        return pd.DataFrame(columns=list(_PROBLEM_COLUMNS), dtype=str)
    return pd.read_csv(path, dtype=str, keep_default_na=False)


def _tag_all(
    reports: pd.DataFrame,
    annotations: Mapping[str, list[tuple[int, int, str, int]]],
    splits: Mapping[str, str],
    ontology: RegionOntology,
    *,
    problems: list[dict[str, Any]],
) -> tuple[dict[str, Any], list[str], list[dict[str, Any]]]:
    """Returns document, sentences of the training split and statuses; adds to ``problems``."""
    tagger = SentenceTagger(ontology)
    document: dict[str, Any] = {name: [] for name in (*_SPLITS, "all")} | {"exams": {}}
    training_text: list[str] = []
    states: list[dict[str, Any]] = []
    outside = 0
    names = ("exam_id", "study_instance_uid", "text", "note")
    columns = (reports[name].tolist() for name in names)
    rows = tqdm(zip(*columns, strict=True), desc="reports", total=len(reports), disable=None)
    for exam_id, study, text, note in rows:
        items, state = read_report(exam_id, text, tagger)
        document["all"].extend(items)
        document["exams"][exam_id] = state.status == LABELED
        share = round(state.read_share, 3)
        states.append(
            {"exam_id": exam_id, "status": state.status, "read_share": share}
            | {"message": "; ".join(x for x in (state.message, note) if x)}
        )
        if text.strip() and state.message:
            problems.append({"line": "", "exam_id": exam_id, "problem": state.message})
        if state.status != LABELED:
            continue
        split = splits.get(exam_id)
        if split == "training":
            training_text += _sentences(text)
        if split is not None and study in annotations:
            items, unused = annotated_items(exam_id, text, annotations[study], tagger)
            document[split].extend(items)
            outside += unused
    if outside:
        _LOGGER.warning("%d annotations lie outside findings and impression: not used", outside)
    return document, training_text, states


def _sentences(text: str) -> list[str]:
    return [text[s.start : s.end] for s in report_sentences(readable_text(text))]


def _read_reports(
    cohort: Path, work: Path, encoding: str | None, several: Several
) -> tuple[pd.DataFrame, list[dict[str, Any]]]:
    """Reports with their exam_id, sorted by it, and what is wrong with rows of the table.

    Every exam has a row, if need be without text.
    """
    reports, damaged = read_report_rows(cohort / "reports.csv", encoding=encoding, several=several)
    identifiers = read_table(work / "private" / "identifiers.csv", IDENTIFIERS)
    known = identifiers[["exam_id", "study_instance_uid"]]
    strangers = ~reports["study_instance_uid"].isin(known["study_instance_uid"])
    if strangers.all():
        raise InputDataError(
            f"{cohort / 'reports.csv'}: none of its {len(reports)} studies is among the "
            f"{len(known)} indexed exams; study_instance_uid must be DICOM tag (0020,000D)."
        )
    if strangers.any():
        _LOGGER.warning("%d reports belong to no indexed exam: not used", int(strangers.sum()))
    merged = known.merge(reports, on="study_instance_uid", how="left").sort_values("exam_id")
    missing = merged["text"].isna() | (merged["text"].str.strip() == "")
    if missing.any():
        _LOGGER.warning("%d of %d exams have no report text", int(missing.sum()), len(merged))
    problems = _by_exam(damaged, known)
    if not all(row.study_instance_uid for row in damaged):
        told = {problem["exam_id"] for problem in problems}
        absent = merged.loc[merged["text"].isna(), "exam_id"]
        reason = "no report; its row may be one of those that could not be read"
        problems += [
            {"line": "", "exam_id": exam, "problem": reason} for exam in absent if exam not in told
        ]
    filled = {name: merged[name].fillna("") for name in ("text", "note")}
    return merged.assign(**filled), problems


def _by_exam(damaged: list[RowProblem], known: pd.DataFrame) -> list[dict[str, Any]]:
    exams = dict(zip(known["study_instance_uid"], known["exam_id"], strict=True))
    return [
        {
            "line": row.line,
            "exam_id": exams.get(row.study_instance_uid, ""),
            "problem": row.message,
        }
        for row in damaged
    ]


def _write_problems(problems: list[dict[str, Any]], path: Path) -> None:
    table = pd.DataFrame(problems, columns=list(_PROBLEM_COLUMNS))
    write_csv(table, path)
    for problem in problems[:_MAX_TOLD]:
        where = f"reports.csv, line {problem['line']}: " if problem["line"] else ""
        _LOGGER.warning("%s%s %s", where, problem["exam_id"], problem["problem"])
    if problems:
        _LOGGER.warning("%d rows or reports have a problem; all of them in %s", len(problems), path)


def _read_annotations(
    cohort: Path, ontology: RegionOntology
) -> Mapping[str, list[tuple[int, int, str, int]]]:
    path = cohort / "annotations.csv"
    if not path.is_file():
        raise InputDataError(
            f"{path} does not exist; the labeler learns from judged mentions: {_REMEDY}, which "
            "needs none."
        )
    table = read_table(path, ANNOTATIONS)
    grouped: dict[str, list[tuple[int, int, str, int]]] = {}
    columns = ("study_instance_uid", "start", "end", "region", "abnormal")
    rows = zip(*(table[name].tolist() for name in columns), strict=True)
    for line, (study, start, end, region, abnormal) in enumerate(rows, start=2):
        if region not in ontology:
            hint = did_you_mean(region, ontology)
            raise InputDataError(
                f"{path}, line {line}, column 'region': {region!r} is no region of the ontology "
                f"({len(ontology)} regions).{hint}"
            )
        grouped.setdefault(study, []).append((int(start), int(end), region, int(abnormal)))
    return grouped


def _split_of_exams(work: Path) -> dict[str, str]:
    table = read_table(work / "splits.csv", SPLITS)
    return dict(zip(table["exam_id"], table["split"], strict=True))


def _require_enough(document: Mapping[str, Any], source: Path) -> None:
    for split in ("training", "validation"):
        labels = [m["label"] for item in document[split] for m in item["mentions"]]
        if len(set(labels)) < 2:
            what = "no annotated mention" if not labels else f"only mentions judged {labels[0]}"
            raise InputDataError(
                f"{source}: the {split} split has {what}, but training needs abnormal and other "
                f"ones; {_REMEDY}."
            )
        if split == "validation" and len(labels) < MIN_VALIDATION_MENTIONS:
            _LOGGER.warning(
                "the validation split has %d annotated mentions only: the best epoch is chosen by "
                "chance; %s",
                len(labels),
                _REMEDY,
            )


def _log_counts(document: Mapping[str, Any]) -> None:
    for name in (*_SPLITS, "all"):
        mentions = [m for item in document[name] for m in item["mentions"]]
        abnormal = sum(m["label"] == 1 for m in mentions)
        _LOGGER.info(
            "%s: %d mentions in %d sentences, %d judged abnormal",
            name,
            len(mentions),
            len(document[name]),
            abnormal,
        )
    silent = sum(not has_text for has_text in document["exams"].values())
    if silent:
        _LOGGER.warning(
            "%d of %d exams have no report that could be read: their labels stay unknown",
            silent,
            len(document["exams"]),
        )
