"""Writes what the report labeler found, and how well it did."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pandas as pd
import torch
from ignite.engine import Events

from petct_ext.data.schemas import MENTIONS as MENTIONS_TABLE
from petct_ext.data.schemas import write_table
from petct_ext.errors import InputDataError
from petct_ext.files import atomic_path
from petct_ext.labels.agreement import binary_scores
from petct_ext.transforms.text import MENTION_LABEL, MENTION_PROB, MENTION_RULE, MENTIONS

if TYPE_CHECKING:
    from ignite.engine import Engine

__all__ = ["MentionSaver", "MentionScoreSaver"]

_COLUMNS = ("exam_id", "section", "sentence", "start", "end", "region", "probability")


class MentionSaver:
    """Ignite handler that writes one row per mention (table MENTIONS).

    Rows are sorted by exam and place, so the file does not depend on the order of batches. It
    appears under its final name only when the epoch is complete.

    The evaluator must run in a single process, must not decollate, and must post-process with
    :class:`petct_ext.transforms.text.MentionProbabilitiesd`.

    Args:
        path: the CSV file; its folder is created and an existing file is replaced.
    """

    def __init__(self, path: str | Path) -> None:
        self.path = Path(path)
        self._rows: list[dict[str, Any]] = []

    def attach(self, engine: Engine) -> None:
        """Registers the handler; MONAI calls this for every entry of ``val_handlers``."""
        engine.add_event_handler(Events.EPOCH_STARTED, self._start)
        engine.add_event_handler(Events.ITERATION_COMPLETED, self._collect)
        engine.add_event_handler(Events.EPOCH_COMPLETED, self._write)

    def _start(self, engine: Engine) -> None:
        self._rows = []

    def _collect(self, engine: Engine) -> None:
        batch: Any = engine.state.batch
        output: Any = engine.state.output
        probabilities = output[MENTION_PROB].flatten().tolist()
        self._rows.extend(
            {**mention, "probability": probability}
            for mention, probability in zip(batch[MENTIONS], probabilities, strict=True)
        )

    def _write(self, engine: Engine) -> None:
        table = pd.DataFrame(self._rows, columns=list(_COLUMNS))
        table = table.sort_values(["exam_id", "start", "end", "region"], kind="stable")
        write_table(table, self.path, MENTIONS_TABLE)
        logging.getLogger(__name__).info("%s: %d mentions", self.path, len(table))


class MentionScoreSaver:
    """Ignite handler that scores the labeler and the rules on the same annotated mentions.

    Writes one row per labeler (``model``, ``rules``) with the columns of
    :func:`petct_ext.labels.agreement.binary_scores`.

    Args:
        path: the CSV file.
    """

    def __init__(self, path: str | Path) -> None:
        self.path = Path(path)
        self._batches: list[tuple[torch.Tensor, torch.Tensor, torch.Tensor]] = []

    def attach(self, engine: Engine) -> None:
        """Registers the handler."""
        engine.add_event_handler(Events.EPOCH_STARTED, self._start)
        engine.add_event_handler(Events.ITERATION_COMPLETED, self._collect)
        engine.add_event_handler(Events.EPOCH_COMPLETED, self._write)

    def _start(self, engine: Engine) -> None:
        self._batches = []

    def _collect(self, engine: Engine) -> None:
        batch: Any = engine.state.batch
        output: Any = engine.state.output
        self._batches.append((output[MENTION_PROB], batch[MENTION_RULE], batch[MENTION_LABEL]))

    def _write(self, engine: Engine) -> None:
        if not self._batches:
            raise InputDataError(f"{self.path}: no annotated mention was scored.")
        model, rules, label = (_column(self._batches, i) for i in range(3))
        table = pd.DataFrame(
            [
                {"labeler": "model", **binary_scores(model, label)},
                {"labeler": "rules", **binary_scores(rules, label)},
            ]
        )
        with atomic_path(self.path) as partial:
            table.to_csv(partial, index=False)
        for row in table.itertuples():
            logging.getLogger(__name__).info(
                "%s: AUROC %.3f, F1 %.3f on %d mentions", row.labeler, row.auroc, row.f1, row.num
            )


def _column(batches: Sequence[tuple[torch.Tensor, ...]], index: int) -> list[float]:
    values: list[float] = torch.cat([batch[index].flatten() for batch in batches]).tolist()
    return values
