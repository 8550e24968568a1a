"""How well Cox models and the mortality model do on other patients."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from operator import itemgetter
from typing import Any, Final

import numpy as np
import numpy.typing as npt
import pandas as pd

from petct_ext.arrays import Floats
from petct_ext.errors import InputDataError
from petct_ext.statistics.bootstrap import auroc, auroc_draws, draw_weights, percentile_interval
from petct_ext.survival.calibration import Calibration, calibration_at, calibration_slope
from petct_ext.survival.covariates import median_probabilities
from petct_ext.survival.discrimination import (
    concordance,
    concordance_draws,
    time_dependent_auroc,
    time_dependent_auroc_draws,
)
from petct_ext.survival.outcomes import status_at
from petct_ext.survival.patients import AnalysisOptions, require_same_split

__all__ = [
    "HorizonScores",
    "Predictor",
    "concordance_numbers",
    "horizon_scores",
    "mortality_model_auroc",
    "patient_weights",
]

FEWEST_PATIENTS: Final = 5
"""Deaths, and survivors, from which on an area gets an interval: fewer make it far too narrow."""
MOST_UNDEFINED: Final = 0.05
"""Share of draws without an area up to which an interval is given."""


@dataclass(frozen=True, slots=True, eq=False)
class Predictor:
    """A model's predictions of the patients on whom it is scored (N).

    Attributes:
        risk: linear predictor (N,).
        death_probability: probability to die within each horizon (N,), by the horizon in days.
    """

    risk: Floats
    death_probability: Mapping[int, Floats]


@dataclass(frozen=True, slots=True, eq=False)
class HorizonScores:
    """Scores at every horizon.

    Attributes:
        scores: one row per model and horizon, and one per horizon for the difference ("gain", with
            AUROC only): ``model``, ``horizon_days``, ``n_dead``, ``n_alive``,
            ``n_censored_before``, ``auroc`` (cumulative/dynamic, IPCW), ``auroc_ci_low``,
            ``auroc_ci_high``, ``predicted``, ``observed``, ``observed_to_predicted``, ``brier``,
            ``brier_scaled``, and ``note``, which says why there is no interval.
        calibration: one row per model, horizon and group, as in ``Calibration.groups``.
    """

    scores: pd.DataFrame
    calibration: pd.DataFrame


def patient_weights(num_patients: int, *, num_bootstrap: int, seed: int) -> npt.NDArray[np.float32]:
    """Draws patients with replacement; returns how often each occurs in each draw (N, B)."""
    return draw_weights(
        np.arange(num_patients),
        num_draws=num_bootstrap,
        generator=np.random.default_rng(seed),
    )


def concordance_numbers(
    rows: pd.DataFrame,
    without: Predictor,
    with_: Predictor,
    *,
    weights: npt.NDArray[np.float32],
) -> dict[str, Any]:
    """Returns both models' c-index, the gain, calibration slopes, and 95 % intervals.

    Intervals of the c-index and the gain are percentiles over draws of patients, the same draws for
    both models; slopes have Wald intervals.
    """
    times, events = rows["time_days"], rows["event"]
    numbers: dict[str, Any] = {}
    values, draws = {}, {}
    for name, predictor in (("without_regions", without), ("with_regions", with_)):
        values[name] = concordance(times, events, predictor.risk)
        draws[name] = concordance_draws(times, events, predictor.risk, weights=weights)
        numbers[f"c_index_{name}"] = number_or_none(values[name])
        numbers[f"c_index_{name}_ci"] = interval_or_none(draws[name])
    gain = draws["with_regions"] - draws["without_regions"]
    numbers["c_index_gain"] = number_or_none(values["with_regions"] - values["without_regions"])
    numbers["c_index_gain_ci"] = interval_or_none(gain)
    for name, predictor in (("without_regions", without), ("with_regions", with_)):
        slope, low, high = calibration_slope(times, events, predictor.risk)
        numbers[f"calibration_slope_{name}"] = number_or_none(slope)
        numbers[f"calibration_slope_{name}_ci"] = None if np.isnan(slope) else [low, high]
    return numbers


def horizon_scores(
    rows: pd.DataFrame,
    predictors: Mapping[str, Predictor],
    *,
    horizons_days: Sequence[int],
    weights: npt.NDArray[np.float32],
) -> HorizonScores:
    """Scores predictors at every horizon.

    Args:
        rows: patients with ``time_days`` and ``event`` (N).
        predictors: by name; the gain is that of the last over the first.
        horizons_days: the horizons.
        weights: draws of patients (N, B).

    Returns:
        Scores with intervals (percentiles over draws of patients) and calibration.
    """
    scores: list[dict[str, Any]] = []
    groups: list[pd.DataFrame] = []
    for days in horizons_days:
        found_scores, found_groups = _at_horizon(rows, predictors, days, weights=weights)
        scores += found_scores
        groups += found_groups
    calibration = pd.concat(groups, ignore_index=True)
    first = ["model", "horizon_days"]
    return HorizonScores(
        pd.DataFrame(scores),
        calibration[first + [c for c in calibration.columns if c not in first]],
    )


def _at_horizon(
    rows: pd.DataFrame,
    predictors: Mapping[str, Predictor],
    days: int,
    *,
    weights: npt.NDArray[np.float32],
) -> tuple[list[dict[str, Any]], list[pd.DataFrame]]:
    times, events = rows["time_days"], rows["event"]
    status = status_at(times, events, horizon_days=days)
    counts = {
        "horizon_days": days,
        "n_dead": int((status == 1).sum()),
        "n_alive": int((status == 0).sum()),
        "n_censored_before": int(np.isnan(status).sum()),
    }
    scores, groups, areas, draws = [], [], [], []
    for name, predictor in predictors.items():
        areas.append(time_dependent_auroc(times, events, predictor.risk, horizon_days=days))
        draws.append(
            time_dependent_auroc_draws(
                times, events, predictor.risk, horizon_days=days, weights=weights
            )
        )
        found = calibration_at(times, events, predictor.death_probability[days], horizon_days=days)
        scores.append({"model": name, **counts, **_area(areas[-1], draws[-1], counts)})
        scores[-1] |= _accuracy(found)
        groups.append(found.groups.assign(model=name, horizon_days=days))
    if len(areas) > 1:
        gain = _area(areas[-1] - areas[0], draws[-1] - draws[0], counts)
        scores.append({"model": "gain", **counts, **gain})
    return scores, groups


def number_or_none(value: float) -> float | None:
    """Returns the number, or None for NaN, which JSON does not know."""
    return None if np.isnan(value) else float(value)


def interval_or_none(draws: npt.ArrayLike) -> list[float] | None:
    """Returns the 95 % percentile interval, or None if it is undefined."""
    low, high = percentile_interval(draws)
    return None if np.isnan(low) else [low, high]


def why_no_interval(draws: npt.ArrayLike, *, n_dead: int, n_alive: int) -> str:
    """Tells why an area under the ROC curve gets no bootstrap interval; "" if it gets one.

    Args:
        draws: the area in each draw of patients (B,), NaN where it is undefined.
        n_dead: who died within the horizon.
        n_alive: who is known to be alive at it.
    """
    if not n_dead or not n_alive:
        return ""  # there is no area either
    if min(n_dead, n_alive) < FEWEST_PATIENTS:
        found = f"{n_dead} dead and {n_alive} alive"
        return f"no interval: {found}, but it needs {FEWEST_PATIENTS} of each"
    undefined = float(np.isnan(np.asarray(draws, dtype=np.float64)).mean())
    if undefined > MOST_UNDEFINED:
        return f"no interval: the area is undefined in {undefined:.0%} of the draws of patients"
    return ""


def _area(value: float, draws: Floats, counts: Mapping[str, int]) -> dict[str, Any]:
    note = why_no_interval(draws, n_dead=counts["n_dead"], n_alive=counts["n_alive"])
    low, high = (float("nan"), float("nan")) if note else percentile_interval(draws)
    return {"auroc": value, "auroc_ci_low": low, "auroc_ci_high": high, "note": note}


def _accuracy(found: Calibration) -> dict[str, float]:
    return {
        "predicted": found.predicted,
        "observed": found.observed,
        "observed_to_predicted": found.ratio,
        "brier": found.brier,
        "brier_scaled": found.brier_scaled,
    }


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
