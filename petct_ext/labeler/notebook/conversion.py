"""Reads judged mentions from a file of one format and writes them into one of another."""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum
from pathlib import Path
from typing import Any

from petct_ext.errors import InputDataError
from petct_ext.files import read_json, write_json, write_text
from petct_ext.labeler.notebook.annotation_formats import (
    annotation_table,
    doccano_lines,
    label_studio_tasks,
    labeling_config,
    read_annotation_table,
    read_doccano,
    read_label_studio,
)
from petct_ext.labeler.notebook.answers import AnswerFile, Judgement
from petct_ext.ontology import RegionOntology
from petct_ext.reports.rows import read_report_table
from petct_ext.tables.schemas import ANNOTATIONS, read_table, write_table

__all__ = ["Format", "convert_annotations", "read_judgements", "write_judgements"]


class Format(StrEnum):
    """Formats of judged mentions."""

    ANSWERS = "answers"
    """File of answers of the labelling tool (JSONL)."""
    ANNOTATIONS = "annotations"
    """Table ANNOTATIONS (CSV), which scripts/prepare_reports.py reads."""
    LABEL_STUDIO = "label-studio"
    """JSON of Label Studio. Holds report text."""
    DOCCANO = "doccano"
    """JSONL of doccano. Holds report text."""


def convert_annotations(
    source: str | Path,
    target: str | Path,
    *,
    source_format: Format,
    target_format: Format,
    reports: str | Path,
    ontology: RegionOntology,
    merge: bool = False,
) -> int:
    """Converts judged mentions.

    Args:
        source: file to read.
        target: file to write; must not exist unless ``merge``.
        source_format: format of ``source``.
        target_format: format of ``target``.
        reports: table REPORTS with the reports that were judged, unchanged.
        ontology: regions that may be judged.
        merge: whether the judgements are added to those of an existing ``target``; where both
            judge a mention, ``source`` holds.

    Returns:
        Number of judgements written.

    Raises:
        InputDataError: if a file is wrong, or the target exists.
        OutputError: if the target cannot be written.
    """
    table = read_report_table(reports)
    texts = dict(zip(table["study_instance_uid"], table["text"], strict=True))
    judgements = read_judgements(source, source_format, texts, ontology=ontology)
    if Path(target).exists():
        if not merge:
            raise InputDataError(
                f"{target} exists and may hold a reader's work; give another file, or --merge."
            )
        judgements = _merged(
            read_judgements(target, target_format, texts, ontology=ontology), judgements
        )
    return write_judgements(judgements, target, target_format, texts, ontology=ontology)


def read_judgements(
    path: str | Path,
    source_format: Format,
    texts: Mapping[str, str],
    *,
    ontology: RegionOntology,
) -> list[Judgement]:
    """Returns the judgements of a file.

    Args:
        path: the file.
        source_format: its format.
        texts: report of each study.
        ontology: regions that may be judged.

    Raises:
        InputDataError: if the file is missing or wrong, or does not belong to the reports.
    """
    path = Path(path)
    if not path.is_file():
        raise InputDataError(f"{path} does not exist; it should hold judged mentions.")
    if source_format is Format.ANSWERS:
        return AnswerFile(path).judgements()
    if source_format is Format.ANNOTATIONS:
        return read_annotation_table(read_table(path, ANNOTATIONS, allow_empty=True), texts)
    if source_format is Format.LABEL_STUDIO:
        return read_label_studio(read_json(path), texts, ontology)
    try:
        return read_doccano(path.read_text(encoding="utf-8-sig"), texts, ontology)
    except UnicodeDecodeError as error:
        raise InputDataError(f"{path} is not UTF-8 (byte {error.start}).") from None


def write_judgements(
    judgements: list[Judgement],
    path: str | Path,
    target_format: Format,
    texts: Mapping[str, str],
    *,
    ontology: RegionOntology,
) -> int:
    """Writes judgements and returns how many the file holds.

    With Label Studio, ``<path>.xml`` with the labeling interface is written beside it. A file of
    answers is appended to, mention by mention, where the answer is new or another one.

    Raises:
        InputDataError: if a judgement does not belong to the reports.
        OutputError: if the file cannot be written.
    """
    path = Path(path)
    if target_format is Format.ANSWERS:
        return _append(judgements, AnswerFile(path))
    if target_format is Format.ANNOTATIONS:
        table = annotation_table(judgements)
        write_table(table, path, ANNOTATIONS)
        return len(table)
    if target_format is Format.LABEL_STUDIO:
        tasks: Any = label_studio_tasks(judgements, texts)
        write_json(path, tasks)
        write_text(path.with_suffix(".xml"), labeling_config(ontology))
    else:
        write_text(path, doccano_lines(judgements, texts))
    return len(judgements)


def _append(judgements: list[Judgement], answers: AnswerFile) -> int:
    known = {judgement.key: judgement.answer for judgement in answers.judgements()}
    for judgement in judgements:
        if known.get(judgement.key) is not judgement.answer:
            answers.append(judgement)
    return len(answers.judgements())


def _merged(old: list[Judgement], new: list[Judgement]) -> list[Judgement]:
    return list({judgement.key: judgement for judgement in [*old, *new]}.values())
