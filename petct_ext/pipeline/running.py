"""Runs many fine-tunings, each once, and joins what they predict into one table."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import pandas as pd

from petct_ext.pipeline.steps import Step, StepError, run_steps
from petct_ext.tables.contract import write_csv
from petct_ext.tables.schemas import PREDICTIONS, read_table, write_table

__all__ = ["Finetuning", "run_finetunings", "status_in_words"]

_LOGGER = logging.getLogger(__name__)

_STATUS_COLUMNS: Final = ("name", "experiment", "task", "seed", "status", "reason")


@dataclass(frozen=True, slots=True)
class Finetuning:
    """One training and its predictions.

    Attributes:
        name: unique, a folder below the output folder.
        experiment: what the prediction table calls it; tells the start.
        task: the output.
        seed: of the training.
        steps: what is run, in order.
        predictions: the table that the last step writes; None if it only serves others.
        needs: name of another one that has to be done first.
        skip_because: if not empty, it is left out and this is the reason.
    """

    name: str
    experiment: str
    task: str
    seed: int
    steps: tuple[Step, ...] = ()
    predictions: Path | None = None
    needs: str = ""
    skip_because: str = ""


def run_finetunings(finetunings: Sequence[Finetuning], out: Path) -> pd.DataFrame:
    """Runs those that are not done, one after another; a failure does not stop the others.

    Args:
        finetunings: what to run.
        out: folder of manifests and logs, of ``finetunings.csv`` (the status) and, if any is done,
            ``predictions.csv`` (all predictions, in the form of ``PREDICTIONS``).

    Returns:
        One row each: name, experiment, task, seed, status (done, skipped, failed) and reason.

    Raises:
        InputDataError: if a table of predictions breaks its schema, or two hold the same one.
        OutputError: if ``out`` cannot be written to.
    """
    status: dict[str, tuple[str, str]] = {}
    for number, item in enumerate(finetunings, start=1):
        _LOGGER.info("fine-tuning %d of %d: %s", number, len(finetunings), item.name)
        status[item.name] = _run(item, status, out)
        if status[item.name][1]:
            _LOGGER.warning("%s %s: %s", item.name, *status[item.name])
    rows = [(i.name, i.experiment, i.task, i.seed, *status[i.name]) for i in finetunings]
    table = pd.DataFrame(rows, columns=list(_STATUS_COLUMNS))
    write_csv(table, out / "finetunings.csv")
    predictions = [
        read_table(item.predictions, PREDICTIONS)
        for item in finetunings
        if item.predictions is not None and status[item.name][0] == "done"
    ]
    (out / "predictions.csv").unlink(missing_ok=True)  # of an earlier, larger plan
    if predictions:
        write_table(pd.concat(predictions, ignore_index=True), out / "predictions.csv", PREDICTIONS)
    return table


def status_in_words(status: pd.DataFrame) -> str:
    """Returns how many fine-tunings are done, skipped and failed.

    Example:
        >>> status_in_words(pd.DataFrame({"status": ["done", "failed", "done"]}))
        '3 trainings: 2 done, 0 skipped, 1 failed'
    """
    counts = status["status"].value_counts()
    told = ", ".join(f"{counts.get(name, 0)} {name}" for name in ("done", "skipped", "failed"))
    return f"{len(status)} trainings: {told}"


def _run(item: Finetuning, before: Mapping[str, tuple[str, str]], out: Path) -> tuple[str, str]:
    if item.skip_because:
        return "skipped", item.skip_because
    if item.needs and before.get(item.needs, ("done", ""))[0] != "done":
        return "failed", f"{item.needs}, from which it starts, is not done."
    try:
        run_steps(item.steps, out, facts={"seed": item.seed, "experiment": item.experiment})
    except StepError as error:
        return "failed", str(error)
    return "done", ""
