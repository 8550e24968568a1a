"""How well each region is detected, with confidence intervals.

The interval that a reader should trust for one model comes from resampling patients, not seeds:
differences between five seeds say nothing about which patients happened to be in the test set.

Letters in shapes: S seeds, T tasks, N exams, B bootstrap draws.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pandas as pd

from petct_ext.errors import InputDataError
from petct_ext.evaluation.operating_points import average_precision, sensitivity, specificity
from petct_ext.evaluation.predictions import Experiment, task_title
from petct_ext.files import atomic_path
from petct_ext.metrics import (
    auroc,
    auroc_draws,
    brier_score,
    draw_weights,
    expected_calibration_error,
    percentile_interval,
)

__all__ = ["RegionTable", "region_table", "write_region_table"]

Floats = npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True, eq=False)
class RegionTable:
    """The result of :func:`region_table`.

    Attributes:
        tasks: one row per experiment and task. ``auroc``, ``average_precision``, ``sensitivity``,
            ``specificity``, ``brier`` and ``calibration_error`` are means over seeds;
            ``auroc_seed_<seed>`` is each seed's; NaN where undefined, with the reason in ``note``.
        macro: one row per experiment: the mean over the tasks with enough positives.
    """

    tasks: pd.DataFrame
    macro: pd.DataFrame


def region_table(
    experiments: Iterable[Experiment],
    *,
    num_bootstrap: int = 2000,
    seed: int = 0,
    min_positives: int = 5,
    threshold: float = 0.5,
) -> RegionTable:
    """Scores every task of every experiment.

    Confidence intervals are 95 % percentile intervals from a bootstrap over patients (over exams
    if none are known). In each draw, all tasks and seeds see the same patients, so that the macro
    mean gets its interval from the same draws; a draw in which a task lacks a class leaves that
    task out of its mean.

    Args:
        experiments: predictions with targets.
        num_bootstrap: number of draws B.
        seed: seed of the draws; each experiment starts from it, so that experiments on the same
            exams get the same draws.
        min_positives: a task needs as many positives, and a negative, to enter the macro mean.
        threshold: from which probability on an exam counts as called abnormal.

    Returns:
        The rows of every experiment.

    Raises:
        InputDataError: if a number is out of range.
    """
    if num_bootstrap < 1 or min_positives < 1 or not 0 <= threshold <= 1:
        raise InputDataError(
            f"the number of bootstrap draws ({num_bootstrap}) and of positives ({min_positives}) "
            f"must be at least 1, the threshold ({threshold}) in [0, 1]."
        )
    tasks, macro = [], []
    for experiment in experiments:
        weights = draw_weights(
            experiment.clusters,
            num_draws=num_bootstrap,
            generator=np.random.default_rng(seed),
        )
        draws = np.stack(
            [_task_draws(experiment, t, weights) for t in range(len(experiment.tasks))]
        )
        rows = pd.DataFrame(
            [
                _task_row(experiment, t, draws[t], threshold=threshold, min_positives=min_positives)
                for t in range(len(experiment.tasks))
            ]
        )
        tasks.append(rows)
        macro.append(_macro_row(experiment, rows, draws, min_positives=min_positives))
    return RegionTable(pd.concat(tasks, ignore_index=True), pd.DataFrame(macro))


def write_region_table(table: RegionTable, folder: str | Path) -> None:
    """Writes ``metrics_macro.csv`` and ``metrics.csv`` (last) into ``folder``.

    Raises:
        OutputError: if a file cannot be written.
    """
    for name, rows in (("metrics_macro.csv", table.macro), ("metrics.csv", table.tasks)):
        with atomic_path(Path(folder) / name) as partial:
            rows.to_csv(partial, index=False, lineterminator="\n", float_format="%.6g")


def _task_draws(experiment: Experiment, task: int, weights: npt.NDArray[np.float32]) -> Floats:
    """Mean area over seeds in every draw (B,)."""
    known = ~np.isnan(experiment.target[task])
    areas = [
        auroc_draws(prob[task, known], experiment.target[task, known], weights[known])
        for prob in experiment.prob
    ]
    return np.asarray(np.mean(areas, axis=0))


def _task_row(
    experiment: Experiment, task: int, draws: Floats, *, threshold: float, min_positives: int
) -> dict[str, object]:
    known = ~np.isnan(experiment.target[task])
    target, probs = experiment.target[task, known], experiment.prob[:, task, known]
    positives = int(target.sum())
    by_seed = [auroc(prob, target) for prob in probs]
    low, high = percentile_interval(draws)
    return {
        "experiment": experiment.name,
        "split": experiment.split,
        "task": experiment.tasks[task],
        "title": task_title(experiment.tasks[task]),
        "target_kind": experiment.target_kind,
        "n": len(target),
        "n_positive": positives,
        "n_seeds": len(experiment.seeds),
        "auroc": float(np.mean(by_seed)),
        "auroc_ci_low": low,
        "auroc_ci_high": high,
        "average_precision": float(np.mean([average_precision(p, target) for p in probs])),
        "threshold": threshold,
        "sensitivity": _mean(sensitivity(p, target, threshold=threshold) for p in probs),
        "specificity": _mean(specificity(p, target, threshold=threshold) for p in probs),
        "brier": _mean(brier_score(p, target) for p in probs),
        "calibration_error": _mean(expected_calibration_error(p, target) for p in probs),
        "in_macro": bool(positives >= min_positives and not np.isnan(by_seed[0])),
        "note": _note(positives, len(target), draws, min_positives=min_positives),
        **{f"auroc_seed_{s}": a for s, a in zip(experiment.seeds, by_seed, strict=True)},
    }


def _mean(values: Iterable[float]) -> float:
    return float(np.mean(list(values)))


def _note(positives: int, num_exams: int, draws: Floats, *, min_positives: int) -> str:
    if num_exams == 0:
        return "undefined: no exam has a known label"
    if positives == 0:
        return "undefined: 0 positives"
    if positives == num_exams:
        return "undefined: 0 negatives"
    notes = []
    if positives < min_positives:
        notes.append(f"under {min_positives} positives: not in macro mean")
    if np.isnan(draws).mean() > 0.05:
        notes.append(f"CI from {int((~np.isnan(draws)).sum())} of {len(draws)} draws")
    return "; ".join(notes)


def _macro_row(
    experiment: Experiment, rows: pd.DataFrame, draws: Floats, *, min_positives: int
) -> dict[str, object]:
    entered = rows["in_macro"].to_numpy(dtype=bool)
    defined = ~np.isnan(draws[entered])
    total = np.where(defined, draws[entered], 0).sum(axis=0)
    with np.errstate(invalid="ignore"):
        means = total / defined.sum(axis=0)
    low, high = percentile_interval(means)
    left_out = rows.loc[~entered, "task"].tolist()
    return {
        "experiment": experiment.name,
        "split": experiment.split,
        "target_kind": experiment.target_kind,
        "macro_auroc": float(rows.loc[entered, "auroc"].mean()),
        "macro_auroc_ci_low": low,
        "macro_auroc_ci_high": high,
        "n_tasks": int(entered.sum()),
        "n_tasks_left_out": len(left_out),
        "min_positives": min_positives,
        "n_exams": len(experiment.exam_ids),
        "n_patients": len(set(experiment.clusters)) if experiment.has_patients else pd.NA,
        "n_seeds": len(experiment.seeds),
        "resampled": "patients" if experiment.has_patients else "exams",
        "num_bootstrap": draws.shape[1],
        "note": "" if entered.any() else f"undefined: no task has {min_positives} positives",
        "tasks_left_out": " ".join(left_out),
    }
