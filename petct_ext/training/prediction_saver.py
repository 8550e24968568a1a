"""Writes the predictions of an evaluator as a table in long form."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from petct_ext.errors import InputDataError
from petct_ext.keys import EXAM_ID, LABEL, PRED, SPLIT
from petct_ext.tables.schemas import PREDICTIONS, write_table
from petct_ext.training.epoch_saver import EpochSaver
from petct_ext.training.stops import require_finite_scores

__all__ = ["PredictionSaver"]


class PredictionSaver(EpochSaver[dict[str, object]]):
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
