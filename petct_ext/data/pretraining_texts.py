"""Report text for the domain pretraining of an encoder."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from pathlib import Path

from petct_ext.data.report_items import report_sentences
from petct_ext.data.report_sources import read_reports
from petct_ext.data.schemas import IDENTIFIERS, SPLITS, read_table
from petct_ext.errors import InputDataError

__all__ = ["pair_places", "pretraining_documents"]

_log = logging.getLogger(__name__)


def pretraining_documents(
    reports: str | Path, *, work: str | Path | None = None
) -> list[list[str]]:
    """Returns the sentences of findings and impression of each report with two or more.

    Args:
        reports: see :func:`petct_ext.data.report_sources.read_reports`.
        work: work folder of a cohort: reports of validation and test patients are left out, so that
            no model has read them. None: all reports are used; then none of them may be tested on.

    Raises:
        InputDataError: if no report is left.
    """
    texts = read_reports(reports).texts
    if work is None:
        _log.warning(
            "work is null: all %d reports are used, also those of test patients", len(texts)
        )
    else:
        texts = _of_training(texts, Path(work))
    documents = [
        [" ".join(text[a:b].split()) for _, a, b in report_sentences(text)]
        for text in texts.values()
    ]
    documents = [sentences for sentences in documents if len(sentences) > 1]
    if not documents:
        raise InputDataError(
            f"{reports}: no training report has two sentences of findings or impression."
        )
    _log.info("pretraining on %d reports", len(documents))
    return documents


def pair_places(documents: Sequence[Sequence[str]]) -> list[dict[str, int]]:
    """Returns every sentence that has a next one, as ``document`` and ``sentence`` numbers."""
    return [
        {"document": number, "sentence": i}
        for number, sentences in enumerate(documents)
        for i in range(len(sentences) - 1)
    ]


def _of_training(texts: dict[str, str], work: Path) -> dict[str, str]:
    splits = read_table(work / "splits.csv", SPLITS)
    identifiers = read_table(work / "private" / "identifiers.csv", IDENTIFIERS)
    training = set(splits.loc[splits["split"] == "training", "exam_id"])
    known = dict(zip(identifiers["study_instance_uid"], identifiers["exam_id"], strict=True))
    return {name: text for name, text in texts.items() if known.get(name, name) in training}
