"""Writes the tables of weak labels of a cohort."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Any, Literal

import pandas as pd

from petct_ext.cohort.reader_labels import read_hand_labels
from petct_ext.errors import InputDataError, did_you_mean
from petct_ext.files import read_json
from petct_ext.labels.aggregation import UnmentionedPolicy, exam_labels, label_prevalence
from petct_ext.labels.agreement import audit_labels
from petct_ext.ontology import RegionOntology
from petct_ext.reports.repeats import place_of_mention
from petct_ext.tables.contract import write_csv
from petct_ext.tables.schemas import LABELS, MENTIONS, read_table, write_table

__all__ = ["rule_mention_rows", "write_weak_labels"]

_LOGGER = logging.getLogger(__name__)


def rule_mention_rows(items: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Returns rows of the table MENTIONS with the probabilities by rules of tagged items."""
    return [
        {**place_of_mention(item, mention), "probability": mention["rule"]}
        for item in items
        for mention in item["mentions"]
    ]


def write_weak_labels(
    work: str | Path,
    ontology: RegionOntology,
    *,
    labeler: Literal["model", "rules"] = "model",
    policy: UnmentionedPolicy | str = UnmentionedPolicy.NORMAL,
    hand_labels: str | Path | None = None,
) -> Path:
    """Combines mentions to labels of exams.

    Writes into ``work``: ``labels.csv`` (table LABELS, all regions), ``label_prevalence.csv``, with
    hand labels ``label_audit.csv`` (see :func:`petct_ext.labels.agreement.audit_labels`), and with
    the rules as labeler ``mentions.csv``. An exam whose report has neither findings nor impression
    gets NaN for every region: it is not an exam in which all is normal.

    Args:
        work: work folder with ``private/report_items.json`` and, for the model, ``mentions.csv``.
        ontology: regions.
        labeler: whose probabilities are combined.
        policy: what an unmentioned region means.
        hand_labels: table HAND_LABELS, used for scoring only.

    Returns:
        Path of ``labels.csv``.

    Raises:
        InputDataError: if a file is missing or wrong, or a mention names an unknown region.
        OutputError: if ``work`` cannot be written to.
    """
    work = Path(work)
    exams, by_rules = _read_items(work)
    if labeler == "rules":
        mentions = by_rules
        write_table(mentions, work / "mentions.csv", MENTIONS)
        _LOGGER.info("mentions.csv holds probabilities by rules; no model was used")
    else:
        mentions = _read_mentions(work / "mentions.csv", ontology)
    labels = exam_labels(mentions, ontology, policy, exams=exams)
    audit = None
    if hand_labels is not None:
        tables: dict[str, pd.DataFrame] = {labeler: labels}
        tables |= {"rules": exam_labels(by_rules, ontology, policy, exams=exams)}
        audit = audit_labels(tables, read_hand_labels(hand_labels, work, ontology), ontology)
    path = write_table(labels, work / "labels.csv", LABELS)
    write_csv(label_prevalence(labels, ontology), work / "label_prevalence.csv")
    if audit is not None:
        write_csv(audit, work / "label_audit.csv")
    unknown = sum(not has_text for has_text in exams.values())
    _LOGGER.info("%s: %d exams, %d whose report was not read (all NaN)", path, len(exams), unknown)
    return path


def _read_items(work: Path) -> tuple[dict[str, bool], pd.DataFrame]:
    path = work / "private" / "report_items.json"
    document = read_json(path)
    if not isinstance(document, dict) or not {"exams", "all"} <= document.keys():
        raise InputDataError(
            f"{path} lacks 'exams' or 'all'; run scripts/prepare_reports.py to write it anew."
        )
    rows = rule_mention_rows(document["all"])
    return document["exams"], pd.DataFrame(rows, columns=list(MENTIONS.columns))


def _read_mentions(path: Path, ontology: RegionOntology) -> pd.DataFrame:
    if not path.is_file():
        raise InputDataError(
            f"{path} does not exist; run 'python -m monai.bundle run --config_file bundles/"
            "report_labeler/configs/inference.json' (README), or use --labeler rules."
        )
    mentions = read_table(path, MENTIONS, allow_empty=True)
    for name in mentions["region"].unique():
        if name not in ontology:
            raise InputDataError(
                f"{path}, column 'region': {name!r} is no region of the ontology "
                f"({len(ontology)} regions).{did_you_mean(name, ontology)}"
            )
    return mentions
