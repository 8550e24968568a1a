"""Scores of a model of "dead within x days" against the recorded follow-up."""

from __future__ import annotations

import re
from operator import itemgetter
from typing import Any, Final

import pandas as pd

from petct_ext.errors import InputDataError
from petct_ext.statistics.bootstrap import auroc, auroc_draws
from petct_ext.survival.covariates import median_probabilities
from petct_ext.survival.discrimination import concordance, concordance_draws
from petct_ext.survival.outcomes import status_at
from petct_ext.survival.patients import AnalysisOptions, require_same_split
from petct_ext.survival.performance import (
    interval_or_none,
    number_or_none,
    patient_weights,
    why_no_interval,
)

__all__ = ["mortality_model_auroc"]

_TASK: Final = re.compile(r"dead_within_(\d+)_days")


def mortality_model_auroc(
    table: pd.DataFrame, predictions: pd.DataFrame, *, options: AnalysisOptions
) -> tuple[dict[str, Any], pd.DataFrame]:
    """Scores a model of "dead within x days" against the recorded follow-up.

    The score is the median probability over seeds. Patients last seen alive before the horizon have
    no status and are left out of the area (counted), but not of the concordance index.

    Args:
        table: survival table, one row per patient.
        predictions: table in the form of ``PREDICTIONS`` with tasks ``dead_within_<days>_days``;
            with several horizons the one with most exams, then the longest, comes first.
        options: choices.

    Returns:
        Numbers of the first horizon for the summary, under ``horizons`` those of every horizon in
        ascending order; and the patients of the score split with ``time_days``, ``event`` and
        ``risk`` (the probability at the first horizon). An area of few deaths or survivors, or
        undefined in many draws, has no interval; ``note`` says why.

    Raises:
        InputDataError: if no task has this form, no patient of the split is predicted, or a patient
            crosses splits.
    """
    require_same_split(table, predictions)
    table = table[table["split"] == options.score_split]
    first, *others = _outcome_tasks(predictions)
    numbers, rows = _score(table, predictions, first, options=options)
    if rows.empty:
        raise InputDataError(
            f"the mortality model has no prediction of a patient's last exam in split "
            f"{options.score_split!r}; run its inference on mortality/datalist.json."
        )
    scored = [numbers, *(_score(table, predictions, task, options=options)[0] for task in others)]
    scored.sort(key=itemgetter("horizon_days"))
    return {**numbers, "horizons": scored}, rows


def _score(
    table: pd.DataFrame,
    predictions: pd.DataFrame,
    outcome: tuple[str, int],
    *,
    options: AnalysisOptions,
) -> tuple[dict[str, Any], pd.DataFrame]:
    task, horizon_days = outcome
    probs = median_probabilities(predictions, [task])[task].rename("risk")
    rows = table.join(probs, on="exam_id").dropna(subset=["risk"]).reset_index(drop=True)
    status = status_at(rows["time_days"], rows["event"], horizon_days=horizon_days)
    dead, alive = int((status == 1).sum()), int((status == 0).sum())
    numbers = {
        "task": task,
        "horizon_days": horizon_days,
        "n_patients": len(rows),
        "n_dead": dead,
        "n_alive": alive,
        "n_censored_before": len(rows) - dead - alive,
    }
    absent = {"auroc": None, "auroc_ci": None, "c_index": None, "c_index_ci": None}
    if rows.empty:
        return {**numbers, **absent, "note": "no patient of the split is predicted"}, rows
    weights = patient_weights(len(rows), num_bootstrap=options.num_bootstrap, seed=options.seed)
    areas = auroc_draws(rows["risk"], status, weights)
    c_index = concordance_draws(rows["time_days"], rows["event"], rows["risk"], weights=weights)
    note = why_no_interval(areas, n_dead=dead, n_alive=alive)
    numbers |= {
        "auroc": number_or_none(auroc(rows["risk"], status)),
        "auroc_ci": None if note else interval_or_none(areas),
        "c_index": number_or_none(concordance(rows["time_days"], rows["event"], rows["risk"])),
        "c_index_ci": interval_or_none(c_index),
        "note": note if dead and alive else f"AUROC undefined: {dead} dead, {alive} alive",
    }
    return numbers, rows[["patient_id", "exam_id", "time_days", "event", "risk"]]


def _outcome_tasks(predictions: pd.DataFrame) -> list[tuple[str, int]]:
    """Returns tasks and horizons in days, that with most exams first, then the longest."""
    counts = predictions["task"].value_counts()
    found = [
        (int(n), int(m[1]), str(t)) for t, n in counts.items() if (m := _TASK.fullmatch(str(t)))
    ]
    if not found:
        raise InputDataError(
            "the mortality predictions have no task of the form 'dead_within_<days>_days'; tasks "
            f"are {', '.join(map(str, counts.index[:5]))}."
        )
    return [(task, days) for _, days, task in sorted(found, reverse=True)]
