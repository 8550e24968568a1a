"""How well each region is detected, with confidence intervals.

The interval that a reader should trust for one model comes from resampling patients, not seeds:
differences between five seeds say nothing about which patients happened to be in the test set.

Letters in shapes: S seeds, T tasks, N exams, B bootstrap draws.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

import numpy as np
import pandas as pd

from petct_ext.arrays import Floats
from petct_ext.errors import InputDataError
from petct_ext.statistics.bootstrap import auroc, mean_draws, percentile_interval
from petct_ext.statistics.calibration import brier_score, expected_calibration_error
from petct_ext.statistics.delong import delong_interval
from petct_ext.statistics.operating_points import average_precision, operating_point
from petct_ext.statistics.predictions import Experiment, task_title
from petct_ext.statistics.resampling import mean_over_tasks, resample_areas
from petct_ext.statistics.thresholds import Thresholds, fixed_threshold
from petct_ext.tables.contract import write_csv

__all__ = ["RegionTable", "region_table", "write_region_table"]


_MEASURES: Final = (
    "average_precision",
    "f1",
    "sensitivity",
    "specificity",
    "ppv",
    "npv",
    "brier",
    "calibration_error",
)


@dataclass(frozen=True, slots=True, eq=False)
class RegionTable:
    """The result of :func:`region_table`.

    Attributes:
        tasks: one row per experiment and task. ``auroc``, ``average_precision``, ``f1``,
            ``sensitivity``, ``specificity``, ``ppv``, ``npv``, ``brier`` and
            ``calibration_error`` are means over seeds; ``auroc_seed_<seed>`` is each seed's; NaN
            where undefined, with the reason in ``note``. ``auroc_ci_*`` resamples patients or
            exams, ``auroc_ci_seeds_*`` resamples seeds as the paper does, ``auroc_delong_*`` is
            DeLong's interval.
        macro: one row per experiment: means over the tasks with enough positives.
        draws: bootstrap areas (T, B) by experiment, mean over seeds, for differences.
    """

    tasks: pd.DataFrame
    macro: pd.DataFrame
    draws: Mapping[str, Floats] = field(default_factory=dict)


def region_table(
    experiments: Iterable[Experiment],
    *,
    num_bootstrap: int = 2000,
    seed: int = 0,
    min_positives: int = 5,
    thresholds: Thresholds | None = None,
    threshold: float = 0.5,
) -> RegionTable:
    """Scores every task of every experiment.

    The intervals to trust for one model (``auroc_ci_*``) are 95 % percentile intervals from a
    bootstrap over patients (over exams if none are known). In each draw, all tasks and seeds see
    the same patients, so that the macro mean gets its interval from the same draws; a draw in
    which a task lacks a class leaves that task out of its mean.

    Args:
        experiments: predictions with targets.
        num_bootstrap: number of draws B.
        seed: seed of the draws; each experiment starts from it, so that experiments on the same
            exams get the same draws.
        min_positives: a task needs as many positives, and a negative, to enter the macro mean.
        thresholds: from which probability on an exam counts as called abnormal, if it is not the
            same for all.
        threshold: the same for all.

    Returns:
        The rows of every experiment.

    Raises:
        InputDataError: if a number is out of range.
    """
    if num_bootstrap < 1 or min_positives < 1:
        raise InputDataError(
            f"the number of bootstrap draws ({num_bootstrap}) and of positives ({min_positives}) "
            "must be at least 1."
        )
    experiments = list(experiments)
    if thresholds is None:
        thresholds = fixed_threshold(threshold)
    draws = resample_areas(experiments, num_draws=num_bootstrap, seed=seed)
    tasks, macro = [], []
    for experiment, areas in zip(experiments, draws, strict=True):
        generator = np.random.default_rng(seed)
        by_seed = [
            _seed_measures(experiment, t, thresholds.of(experiment)[:, t])
            for t in range(len(experiment.tasks))
        ]
        rows = pd.DataFrame(
            [
                _task_row(
                    experiment,
                    t,
                    measures,
                    draws=areas[t],
                    min_positives=min_positives,
                    generator=generator,
                )
                for t, measures in enumerate(by_seed)
            ]
        ).assign(threshold_rule=thresholds.rule)
        tasks.append(rows)
        macro.append(
            _macro_row(
                experiment,
                rows,
                by_seed,
                draws=areas,
                min_positives=min_positives,
                generator=generator,
            )
        )
    by_name = {e.name: areas for e, areas in zip(experiments, draws, strict=True)}
    return RegionTable(pd.concat(tasks, ignore_index=True), pd.DataFrame(macro), by_name)


def write_region_table(table: RegionTable, folder: str | Path) -> None:
    """Writes ``metrics_macro.csv`` and ``metrics.csv`` (last) into ``folder``.

    Raises:
        OutputError: if a file cannot be written.
    """
    for name, rows in (("metrics_macro.csv", table.macro), ("metrics.csv", table.tasks)):
        write_csv(rows, Path(folder) / name, float_format="%.6g")


def _seed_measures(experiment: Experiment, task: int, thresholds: Floats) -> pd.DataFrame:
    """Every measure of one task, one row per seed."""
    known = ~np.isnan(experiment.target[task])
    target = experiment.target[task, known]
    rows = []
    for prob, threshold in zip(experiment.prob[:, task, known], thresholds, strict=True):
        point = operating_point(prob, target, threshold=float(threshold))
        rows.append(
            {
                "auroc": auroc(prob, target),
                "threshold": threshold,
                "average_precision": average_precision(prob, target),
                "f1": point.f1,
                "sensitivity": point.sensitivity,
                "specificity": point.specificity,
                "ppv": point.ppv,
                "npv": point.npv,
                "brier": brier_score(prob, target),
                "calibration_error": expected_calibration_error(prob, target),
            }
        )
    return pd.DataFrame(rows)


def _task_row(
    experiment: Experiment,
    task: int,
    measures: pd.DataFrame,
    *,
    draws: Floats,
    min_positives: int,
    generator: np.random.Generator,
) -> dict[str, object]:
    known = ~np.isnan(experiment.target[task])
    target, probs = experiment.target[task, known], experiment.prob[:, task, known]
    positives = int(target.sum())
    low, high = percentile_interval(draws)
    delong_low, delong_high = delong_interval(probs, target)
    areas = measures["auroc"].to_numpy()
    seeds_low, seeds_high = _seed_interval(areas, num_draws=len(draws), generator=generator)
    means = {name: float(measures[name].mean(skipna=False)) for name in measures.columns}
    return {
        "experiment": experiment.name,
        "split": experiment.split,
        "task": experiment.tasks[task],
        "title": task_title(experiment.tasks[task]),
        "target_kind": experiment.target_kind,
        "n": len(target),
        "n_positive": positives,
        "n_seeds": len(experiment.seeds),
        "auroc": means.pop("auroc"),
        "auroc_ci_low": low,
        "auroc_ci_high": high,
        "auroc_ci_seeds_low": seeds_low,
        "auroc_ci_seeds_high": seeds_high,
        "auroc_delong_low": delong_low,
        "auroc_delong_high": delong_high,
        "average_precision": means.pop("average_precision"),
        **means,
        "in_macro": bool(positives >= min_positives and not np.isnan(areas[0])),
        "note": _note(positives, len(target), draws, min_positives=min_positives),
        **{f"auroc_seed_{s}": a for s, a in zip(experiment.seeds, areas, strict=True)},
    }


def _seed_interval(
    values: Floats, *, num_draws: int, generator: np.random.Generator
) -> tuple[float, float]:
    if len(values) < 2:
        return float("nan"), float("nan")
    return percentile_interval(mean_draws(values, num_draws=num_draws, generator=generator))


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
    experiment: Experiment,
    rows: pd.DataFrame,
    by_seed: list[pd.DataFrame],
    *,
    draws: Floats,
    min_positives: int,
    generator: np.random.Generator,
) -> dict[str, object]:
    entered = rows["in_macro"].to_numpy(dtype=bool)
    low, high = percentile_interval(mean_over_tasks(draws[entered]))
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
        **_macro_over_seeds(
            [of_task for of_task, enters in zip(by_seed, entered, strict=True) if enters],
            num_seeds=len(experiment.seeds),
            num_draws=draws.shape[1],
            generator=generator,
        ),
    }


def _macro_over_seeds(
    by_seed: list[pd.DataFrame],
    *,
    num_seeds: int,
    num_draws: int,
    generator: np.random.Generator,
) -> dict[str, float]:
    """Macro means of the other measures, and intervals of all by drawing seeds."""
    result: dict[str, float] = {}
    for name in ("auroc", *_MEASURES):
        # Without a called exam there is no predictive value; such tasks are left out of its mean.
        values = np.array([of_task[name] for of_task in by_seed]).reshape(-1, num_seeds)
        of_seed = mean_over_tasks(values)
        low, high = _seed_interval(of_seed, num_draws=num_draws, generator=generator)
        if name != "auroc":
            result[f"macro_{name}"] = float(np.mean(of_seed))
        result |= {f"macro_{name}_ci_seeds_low": low, f"macro_{name}_ci_seeds_high": high}
    return result
