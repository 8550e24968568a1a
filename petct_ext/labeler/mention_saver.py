"""Writes what the report labeler found, and how well it did."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Sequence
from typing import Any

import pandas as pd
import torch

from petct_ext.errors import InputDataError
from petct_ext.keys import MENTION_LABEL, MENTION_PLACES, MENTION_PROB, MENTION_RULE
from petct_ext.labels.agreement import binary_scores
from petct_ext.reports.repeats import rows_of_mentions
from petct_ext.tables.contract import write_csv
from petct_ext.tables.schemas import MENTIONS as MENTIONS_TABLE
from petct_ext.tables.schemas import write_table
from petct_ext.training.savers import EpochSaver

__all__ = ["MentionSaver", "MentionScoreSaver"]


class MentionSaver(EpochSaver[dict[str, Any]]):
    """Ignite handler that writes one row per mention (table MENTIONS).

    Rows are sorted by exam and place, so the file does not depend on the order of batches. It
    appears under its final name only when the epoch is complete.

    The evaluator must run in a single process, must not decollate, and must post-process with
    :class:`petct_ext.labeler.tokens.MentionProbabilitiesd`.

    Args:
        path: the CSV file; its folder is created and an existing file is replaced.
    """

    def collect(self, batch: Any, output: Any) -> Iterable[dict[str, Any]]:
        """Returns one row per mention of a batch, and per copy of it in other sentences."""
        return rows_of_mentions(batch[MENTION_PLACES], output[MENTION_PROB].flatten().tolist())

    def write(self, items: Sequence[dict[str, Any]]) -> None:
        """Writes the table; one without rows is allowed."""
        table = pd.DataFrame(items, columns=list(MENTIONS_TABLE.columns))
        table = table.sort_values(["exam_id", "start", "end", "region"], kind="stable")
        write_table(table, self.path, MENTIONS_TABLE)
        logging.getLogger(__name__).info("%s: %d mentions", self.path, len(table))


_Scored = tuple[torch.Tensor, torch.Tensor, torch.Tensor]


class MentionScoreSaver(EpochSaver[_Scored]):
    """Ignite handler that scores the labeler and the rules on the same annotated mentions.

    Writes one row per labeler (``model``, ``rules``) with the columns of
    :func:`petct_ext.labels.agreement.binary_scores`.

    Args:
        path: the CSV file.
    """

    def collect(self, batch: Any, output: Any) -> Iterable[_Scored]:
        """Returns probability of the model, that of the rules, and label, each (M, 1)."""
        return [(output[MENTION_PROB], batch[MENTION_RULE], batch[MENTION_LABEL])]

    def write(self, items: Sequence[_Scored]) -> None:
        """Writes the scores of the whole epoch.

        Raises:
            InputDataError: if no batch came.
        """
        if not items:
            raise InputDataError(f"{self.path}: no annotated mention was scored.")
        model, rules, label = (_column(items, i) for i in range(3))
        table = pd.DataFrame(
            [
                {"labeler": "model", **binary_scores(model, label)},
                {"labeler": "rules", **binary_scores(rules, label)},
            ]
        )
        write_csv(table, self.path)
        for row in table.itertuples():
            logging.getLogger(__name__).info(
                "%s: AUROC %.3f, F1 %.3f on %d mentions", row.labeler, row.auroc, row.f1, row.num
            )


def _column(batches: Sequence[tuple[torch.Tensor, ...]], index: int) -> list[float]:
    values: list[float] = torch.cat([batch[index].flatten() for batch in batches]).tolist()
    return values
