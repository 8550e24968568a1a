"""Ignite handlers that write one file per epoch, and the table of predictions."""

from __future__ import annotations

import logging
from abc import ABC, abstractmethod
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Generic, TypeVar

import numpy as np
import pandas as pd
from ignite.engine import Events

from petct_ext.errors import InputDataError
from petct_ext.keys import EXAM_ID, LABEL, PRED, SPLIT
from petct_ext.tables.schemas import PREDICTIONS, write_table
from petct_ext.training.stops import require_finite_scores

if TYPE_CHECKING:
    from ignite.engine import Engine

__all__ = [
    "EpochSaver",
    "PredictionSaver",
]

_LOGGER = logging.getLogger(__name__)
_Item = TypeVar("_Item")


class EpochSaver(ABC, Generic[_Item]):
    """Ignite handler that collects items of every batch and writes them when the epoch is complete.

    An epoch that fails writes nothing and leaves an earlier file as it is, provided that
    :meth:`write` is atomic. The engine must run in a single process.

    Args:
        path: the file; its folder is created and an existing file is replaced.
    """

    def __init__(self, path: str | Path) -> None:
        self.path = Path(path)
        self._items: list[_Item] = []

    def attach(self, engine: Engine) -> None:
        """Registers the handler; MONAI calls this for every entry of ``val_handlers``."""
        engine.add_event_handler(Events.EPOCH_STARTED, self._start)
        engine.add_event_handler(Events.ITERATION_COMPLETED, self._collect)
        engine.add_event_handler(Events.EPOCH_COMPLETED, self._finish)

    @abstractmethod
    def collect(self, batch: Any, output: Any) -> Iterable[_Item]:
        """Returns the items of one batch, given the batch and the output of the engine."""

    @abstractmethod
    def write(self, items: Sequence[_Item]) -> None:
        """Writes the items of the whole epoch, in the order of the batches, to ``self.path``."""

    def _start(self, engine: Engine) -> None:
        self._items = []

    def _collect(self, engine: Engine) -> None:
        self._items.extend(self.collect(engine.state.batch, engine.state.output))

    def _finish(self, engine: Engine) -> None:
        self.write(self._items)


class PredictionSaver(EpochSaver[dict[str, object]]):
    """Ignite handler that writes one row per exam and output.

    The table is what passes predictions on: ``petct_ext.statistics``, ``petct_ext.survival`` and
    figures read it. ``target`` is the label of the datalist, empty where unknown, and
    ``target_kind`` says where it comes from. Values are probabilities in full precision. The file
    appears under its name only when the epoch is complete.

    The evaluator must run in a single process; its data must carry ``exam_id``, ``split`` and
    ``label``, its output ``pred`` (R,) after a sigmoid.

    Args:
        path: the CSV file; its folder is created and an existing file is replaced.
        tasks: names of the network outputs, in order.
        experiment: name of the experiment.
        seed: seed of the training.
        target_kind: ``"weak"`` (from reports), ``"hand"`` or ``"outcome"``.
    """

    def __init__(
        self,
        path: str | Path,
        tasks: Sequence[str],
        *,
        experiment: str,
        seed: int = 0,
        target_kind: str = "weak",
    ) -> None:
        super().__init__(path)
        self.tasks = list(tasks)
        self.facts = {"experiment": experiment, "seed": seed, "target_kind": target_kind}

    def collect(self, batch: Any, output: Any) -> Iterable[dict[str, object]]:
        """Returns one row per exam and task of a batch.

        Raises:
            ValueError: if the network has another number of outputs than there are tasks.
            InputDataError: if it returned values that are not finite.
        """
        rows: list[dict[str, object]] = []
        # MONAI has decollated both by now: one dictionary per exam.
        for exam, result in zip(batch, output, strict=True):
            probabilities = result[PRED].flatten().tolist()
            if len(probabilities) != len(self.tasks):
                raise ValueError(
                    f"The network returned {len(probabilities)} values for exam "
                    f"{exam[EXAM_ID]!r}, but {len(self.tasks)} tasks are configured."
                )
            likely = "its volume or the checkpoint is broken"
            require_finite_scores(probabilities, exam[EXAM_ID], likely)
            targets = np.asarray(exam[LABEL], dtype=np.float64).flatten().tolist()
            for task, target, probability in zip(self.tasks, targets, probabilities, strict=True):
                row = {"split": exam[SPLIT], "task": task, "exam_id": exam[EXAM_ID]}
                rows.append(self.facts | row | {"target": target, "prob": probability})
        return rows

    def write(self, items: Sequence[dict[str, object]]) -> None:
        """Writes the table.

        Raises:
            InputDataError: if there is no exam, or a row breaks the table's contract.
        """
        table = pd.DataFrame(items)
        if table.empty:
            raise InputDataError(f"{self.path}: no exam was predicted; the datalist is empty.")
        # float32 sums can pass 1 by a rounding error when targets are averaged labels
        table["target"] = table.target.clip(0.0, 1.0)
        write_table(table, self.path, PREDICTIONS)
        count = table["exam_id"].nunique()
        _LOGGER.info("%d exam(s), %d output(s) -> %s", count, len(self.tasks), self.path)
