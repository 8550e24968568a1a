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
import numpy.typing as npt

from petct_ext.errors import InputDataError, did_you_mean
from petct_ext.files import read_json
from petct_ext.scan.data.datalist import load_datalist
from petct_ext.survival.outcomes import status_at

__all__ = ["CENSORED", "load_outcomes", "trained_horizons"]

_LOGGER = logging.getLogger(__name__)

CENSORED: Final = ("unknown", "alive")
"""What patients count as who were lost before the horizon."""

_TASK: Final = re.compile(r"dead_within_(\d+)_days")


def load_outcomes(
    path: str | Path, section: str, tasks: Sequence[str], *, censored: str = "unknown"
) -> list[dict[str, Any]]:
    """Reads one section of the data list that ``scripts/make_survival_table.py`` writes.

    A label stands in the file (``labels``), or follows from ``time_days`` and ``event``, so that
    any horizon can be had from one file, or from labels at other horizons: who is dead within 90
    days is so within 180, who is alive at 180 was so at 90. A ``null`` means censored before the
    horizon and gives no label, also where something else would tell it. A file without any of these
    serves prediction only.

    Args:
        path: the JSON file.
        section: ``training``, ``validation``, ``test`` or ``all``.
        tasks: outputs of the network, e.g. ``dead_within_180_days``.
        censored: ``unknown`` gives patients who were lost before the horizon no label (NaN), so
            that they count neither in the loss nor in the AUROC; ``alive`` counts them as alive,
            as the paper did, though some of them may have died. They are those whose follow-up ends
            before the horizon, and those with ``null`` for that very task who are not known to have
            died by then; an item that says nothing about a task has no label either way.

    Returns:
        Items as of :func:`petct_ext.scan.data.datalist.load_datalist`; ``label`` has shape (T,): 1
        dead within the horizon, 0 alive at it, NaN unknown.

    Raises:
        InputDataError: as ``load_datalist``; if a patient occurs twice; if a task is no horizon or
            can be told for nobody; if an item's ``time_days``, ``event`` or labels are no such
            values or contradict each other (names the exam); or if ``censored`` is another word.
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
    for item in raw.values():
        _require_sound(item)
    _require_outcomes(list(raw.values()), tasks, Path(path))
    _require_each_patient_once(raw, Path(path))
    counted = np.zeros((len(exams), len(tasks)), dtype=bool)
    for number, exam in enumerate(exams):
        item = raw[exam["split"], exam["exam_id"]]
        exam["label"] = np.array([_label(item, days) for days in horizons.values()], np.float32)
        counted[number] = [_is_censored(item, days) for days in horizons.values()]
    _log(exams, tasks, counted=counted, section=section, censored=censored)
    if censored == "alive":
        for exam, censored_at in zip(exams, counted, strict=True):
            item = raw[exam["split"], exam["exam_id"]]
            known = [_known_status(item, days) for days in horizons.values()]
            exam["label"][censored_at] = np.nan_to_num(known, nan=0.0)[censored_at]
    return exams


def trained_horizons(design: Mapping[str, Any]) -> list[int]:
    """Returns the horizons in days of the outputs of weights, in their order.

    Args:
        design: of :func:`petct_ext.scan.networks.design.read_design`.

    Raises:
        InputDataError: if the weights have other outputs.
    """
    tasks = design["regions"]
    if not tasks or not all(_TASK.fullmatch(task) for task in tasks):
        raise InputDataError(
            f"{design['source']} holds weights of {', '.join(tasks[:3]) or 'nothing named'}, which "
            "is no outcome (dead_within_<days>_days); give weights of the mortality bundle."
        )
    return [_horizon(task) for task in tasks]


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


def _stated(item: Mapping[str, Any]) -> dict[int, int | None]:
    """Returns the item's own labels by their horizon."""
    return {
        int(found[1]): value
        for task, value in (item.get("labels") or {}).items()
        if (found := _TASK.fullmatch(task))
    }


def _known_status(item: Mapping[str, Any], horizon_days: int) -> float:
    """Returns what follow-up, or else any label, says about a horizon: 1, 0 or NaN."""
    if "time_days" in item:
        status = status_at(item["time_days"], item["event"], horizon_days=horizon_days)
        if not np.isnan(status):
            return float(status)
    for days, value in _stated(item).items():
        if value == 1 and days <= horizon_days:
            return 1.0
        if value == 0 and days >= horizon_days:
            return 0.0
    return float("nan")


def _label(item: Mapping[str, Any], horizon_days: int) -> float:
    if _stated(item).get(horizon_days, 0) is None:
        return float("nan")
    return _known_status(item, horizon_days)


def _is_censored(item: Mapping[str, Any], horizon_days: int) -> bool:
    """Whether the item says of this very horizon that the status is unknown at it."""
    is_null = _stated(item).get(horizon_days, 0) is None
    return is_null or ("time_days" in item and bool(np.isnan(_known_status(item, horizon_days))))


def _require_sound(item: Mapping[str, Any]) -> None:
    """Refuses an item whose follow-up or labels cannot be true; names the exam."""
    where = f"exam {item['exam_id']}"
    for task, value in (item.get("labels") or {}).items():
        if _TASK.fullmatch(task) and value not in (0, 1, None):
            raise InputDataError(
                f"{where}: {task} is {value!r}, expected 1 (dead), 0 (alive), null."
            )
    if "time_days" in item or "event" in item:
        time: Any = item.get("time_days")
        event = item.get("event")
        is_number = isinstance(time, int | float) and not isinstance(time, bool)
        if not is_number or not 0 <= time < float("inf") or event not in (0, 1):
            raise InputDataError(
                f"{where}: time_days is {time!r} and event {event!r}, expected 0 or more days and "
                "1 (death) or 0 (censored); correct them, or leave both out."
            )
    _require_consistent(item, where)


def _require_consistent(item: Mapping[str, Any], where: str) -> None:
    labels = {days: value for days, value in _stated(item).items() if value is not None}
    first_dead = min((days for days, value in labels.items() if value == 1), default=None)
    last_alive = max((days for days, value in labels.items() if value == 0), default=None)
    if first_dead is not None and last_alive is not None and first_dead <= last_alive:
        raise InputDataError(
            f"{where}: dead within {first_dead} days but alive at {last_alive}; correct its labels."
        )
    if "time_days" not in item:
        return
    for days, value in labels.items():
        if status_at(item["time_days"], item["event"], horizon_days=days) != value:
            raise InputDataError(
                f"{where}: dead_within_{days}_days is {value}, which does not follow from "
                f"time_days {item['time_days']:g} and event {item['event']}; correct them, or "
                "leave the labels out."
            )


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
    exams: Sequence[Mapping[str, Any]],
    tasks: Sequence[str],
    *,
    counted: npt.NDArray[np.bool_],
    section: str,
    censored: str,
) -> None:
    meaning = "counted as alive" if censored == "alive" else "no label: not in loss and AUROC"
    status = np.stack([exam["label"] for exam in exams])
    for task, column, lost in zip(tasks, status.T, counted.T, strict=True):
        without = int((np.isnan(column) & ~lost).sum())
        _LOGGER.info(
            "%s, %s: %d patients, %d dead, %d alive, %d censored before (%s)%s",
            task,
            section,
            len(column),
            int((column == 1).sum()),
            int((column == 0).sum()),
            int((np.isnan(column) & lost).sum()),
            meaning,
            f", {without} of whom nothing is known (no label)" if without else "",
        )
