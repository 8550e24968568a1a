"""Exams with what became of the patient, as the mortality bundle reads them.

Each patient counts once. Who is last seen alive before a horizon has no label for it, unless asked
otherwise; how many these are stands in the log.
"""

from __future__ import annotations

import logging
import re
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final

import numpy as np

from petct_ext.data.datalist import load_datalist
from petct_ext.errors import InputDataError, did_you_mean
from petct_ext.files import read_json
from petct_ext.survival.outcomes import status_at

__all__ = ["CENSORED", "load_outcomes"]

_LOGGER = logging.getLogger(__name__)

CENSORED: Final = ("unknown", "alive")
"""What patients count as who were lost before the horizon."""

_TASK: Final = re.compile(r"dead_within_(\d+)_days")


def load_outcomes(
    path: str | Path, section: str, tasks: Sequence[str], *, censored: str = "unknown"
) -> list[dict[str, Any]]:
    """Reads one section of the data list that ``scripts/make_survival_table.py`` writes.

    A label stands in the file (``labels``), or follows from ``time_days`` and ``event``, so that
    any horizon can be had from one file. A file without either serves prediction only.

    Args:
        path: the JSON file.
        section: ``training``, ``validation``, ``test`` or ``all``.
        tasks: outputs of the network, e.g. ``dead_within_180_days``.
        censored: ``unknown`` gives patients who were lost before the horizon no label (NaN), so
            that they count neither in the loss nor in the AUROC; ``alive`` counts them as alive,
            as the paper did, though some of them may have died.

    Returns:
        Items as of :func:`petct_ext.data.load_datalist`; ``label`` has shape (T,): 1 dead within
        the horizon, 0 alive at it, NaN unknown.

    Raises:
        InputDataError: as ``load_datalist``; if a patient occurs twice; if a task is no horizon or
            can be told for nobody; or if ``censored`` is another word.
    """
    if censored not in CENSORED:
        raise InputDataError(
            f"censored is {censored!r}, expected one of {', '.join(CENSORED)}."
            f"{did_you_mean(censored, CENSORED)}"
        )
    horizons = {task: _horizon(task) for task in tasks}
    exams = load_datalist(path, section, ())
    document = read_json(path)
    raw = {
        (name, item["exam_id"]): item
        for name in dict.fromkeys(exam["split"] for exam in exams)
        for item in document[name]
    }
    _require_outcomes(list(raw.values()), tasks, Path(path))
    _require_each_patient_once(raw, Path(path))
    for exam in exams:
        item = raw[exam["split"], exam["exam_id"]]
        exam["label"] = np.array(
            [_label(item, task, days) for task, days in horizons.items()], dtype=np.float32
        )
    _log(exams, tasks, section=section, censored=censored)
    if censored == "alive":
        for exam in exams:
            item = raw[exam["split"], exam["exam_id"]]
            if _has_outcome(item):
                exam["label"] = np.nan_to_num(exam["label"], nan=0.0)
    return exams


def _horizon(task: str) -> int:
    found = _TASK.fullmatch(task)
    if found is None or int(found[1]) < 1:
        raise InputDataError(
            f"{task!r} is no outcome; name it like 'dead_within_180_days', with a positive number "
            "of days."
        )
    return int(found[1])


def _has_outcome(item: Mapping[str, Any]) -> bool:
    return bool(item.get("labels")) or "time_days" in item


def _label(item: Mapping[str, Any], task: str, horizon_days: int) -> float:
    labels = item.get("labels") or {}
    if task in labels:
        value = labels[task]
        if value not in (0, 1, None):
            raise InputDataError(
                f"exam {item['exam_id']}: {task} is {value!r}, expected 1 (dead), 0 (alive), null."
            )
        return float("nan") if value is None else float(value)
    if "time_days" not in item:
        return float("nan")
    return float(status_at(item["time_days"], item["event"], horizon_days=horizon_days))


def _require_outcomes(
    items: Sequence[Mapping[str, Any]], tasks: Sequence[str], source: Path
) -> None:
    """Refuses a task that nobody has, unless the file holds no outcome at all."""
    named = {task for item in items for task in item.get("labels") or {}}
    if any("time_days" in item for item in items) or not named:
        return
    for task in tasks:
        if task not in named:
            raise InputDataError(
                f"{source}: no patient has {task!r}, and time_days and event are not given; write "
                f"it again with scripts/make_survival_table.py.{did_you_mean(task, named)}"
            )


def _require_each_patient_once(raw: Mapping[Any, Mapping[str, Any]], source: Path) -> None:
    counts = Counter(item["patient_id"] for item in raw.values() if _has_outcome(item))
    patient, number = counts.most_common(1)[0] if counts else ("", 0)
    if number > 1:
        raise InputDataError(
            f"{source}: patient {patient!r} has {number} exams, but each patient counts once, with "
            "the last one; write it with scripts/make_survival_table.py."
        )


def _log(
    exams: Sequence[Mapping[str, Any]], tasks: Sequence[str], *, section: str, censored: str
) -> None:
    meaning = "counted as alive" if censored == "alive" else "no label: not in loss and AUROC"
    status = np.stack([exam["label"] for exam in exams])
    for task, column in zip(tasks, status.T, strict=True):
        _LOGGER.info(
            "%s, %s: %d patients, %d dead, %d alive, %d censored before (%s)",
            task,
            section,
            len(column),
            int((column == 1).sum()),
            int((column == 0).sum()),
            int(np.isnan(column).sum()),
            meaning,
        )
