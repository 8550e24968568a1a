"""Writes the predictions of an evaluator as a table in long form."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from ignite.engine import Events

from petct_ext.data.schemas import PREDICTIONS, write_table
from petct_ext.errors import InputDataError
from petct_ext.keys import EXAM_ID, LABEL, PRED, SPLIT

if TYPE_CHECKING:
    from ignite.engine import Engine

__all__ = ["PredictionSaver"]


class PredictionSaver:
    """Ignite handler that writes one row per exam and output.

    The table is what passes predictions on: ``petct_ext.evaluation``, ``petct_ext.survival`` and
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
        self.path = Path(path)
        self.tasks = list(tasks)
        self.facts = {"experiment": experiment, "seed": seed, "target_kind": target_kind}
        self._rows: list[dict[str, object]] = []

    def attach(self, engine: Engine) -> None:
        """Registers the handler; MONAI calls this for every entry of ``val_handlers``."""
        engine.add_event_handler(Events.EPOCH_STARTED, self._start)
        engine.add_event_handler(Events.ITERATION_COMPLETED, self._collect)
        engine.add_event_handler(Events.EPOCH_COMPLETED, self._write)

    def _start(self, engine: Engine) -> None:
        self._rows = []

    def _collect(self, engine: Engine) -> None:
        # MONAI has decollated both by now: one dictionary per exam.
        exams: Any = engine.state.batch
        outputs: Any = engine.state.output
        for exam, output in zip(exams, outputs, strict=True):
            probabilities = output[PRED].flatten().tolist()
            if len(probabilities) != len(self.tasks):
                raise ValueError(
                    f"The network returned {len(probabilities)} values for exam "
                    f"{exam[EXAM_ID]!r}, but {len(self.tasks)} tasks are configured."
                )
            if not np.isfinite(probabilities).all():
                raise InputDataError(
                    f"exam {exam[EXAM_ID]}: the network returned values that are not finite; its "
                    "volume or the checkpoint is broken."
                )
            targets = np.asarray(exam[LABEL], dtype=np.float64).flatten().tolist()
            for task, target, probability in zip(self.tasks, targets, probabilities, strict=True):
                row = {"split": exam[SPLIT], "task": task, "exam_id": exam[EXAM_ID]}
                self._rows.append(self.facts | row | {"target": target, "prob": probability})

    def _write(self, engine: Engine) -> None:
        table = pd.DataFrame(self._rows)
        if table.empty:
            raise InputDataError(f"{self.path}: no exam was predicted; the datalist is empty.")
        # float32 sums can pass 1 by a rounding error when targets are averaged labels
        table["target"] = table.target.clip(0.0, 1.0)
        write_table(table, self.path, PREDICTIONS)
