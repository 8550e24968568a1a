"""How well each region is detected, with confidence intervals.

The interval that a reader should trust for one model comes from resampling patients, not seeds:
differences between five seeds say nothing about which patients happened to be in the test set.

Letters in shapes: S seeds, T tasks, N exams, B bootstrap draws.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pandas as pd

from petct_ext.arrays import Floats
from petct_ext.errors import InputDataError
from petct_ext.statistics.bootstrap import mean_draws, mean_over_tasks, percentile_interval
from petct_ext.statistics.operating_points import Thresholds, fixed_threshold
from petct_ext.statistics.predictions import Experiment
from petct_ext.statistics.region_statistics import AUROC, STATISTICS, ScoredTask
from petct_ext.tables.contract import write_csv

__all__ = ["RegionTable", "region_table", "write_region_table"]


@dataclass(frozen=True, slots=True, eq=False)
class RegionTable:
    """The result of :func:`region_table`.

    Attributes:
        tasks: one row per experiment and task. Every entry of ``STATISTICS`` is a mean over
            seeds; ``auroc_seed_<seed>`` is each seed's; NaN where undefined, with the reason in
            ``note``. ``auroc_ci_*`` resamples patients or exams, ``auroc_ci_seeds_*`` resamples
            seeds as the paper does, ``auroc_delong_*`` is DeLong's interval.
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
    draws = {
        statistic.name: statistic.resample(experiments, num_draws=num_bootstrap, seed=seed)
        for statistic in STATISTICS
        if statistic.resample is not None
    }
    tasks, macro = [], []
    for i, experiment in enumerate(experiments):
        scored = _Scored(
            experiment,
            [
                _seed_values(experiment, t, thresholds.of(experiment)[:, t])
                for t in range(len(experiment.tasks))
            ],
            {name: of_statistic[i] for name, of_statistic in draws.items()},
            min_positives,
            np.random.default_rng(seed),
        )
        rows = pd.DataFrame([_task_row(scored, t) for t in range(len(experiment.tasks))])
        tasks.append(rows.assign(threshold_rule=thresholds.rule))
        macro.append(_macro_row(scored, rows))
    areas = {e.name: of for e, of in zip(experiments, draws[AUROC.name], strict=True)}
    return RegionTable(pd.concat(tasks, ignore_index=True), pd.DataFrame(macro), areas)


def write_region_table(table: RegionTable, folder: str | Path) -> None:
    """Writes ``metrics_macro.csv`` and ``metrics.csv`` (last) into ``folder``.

    Raises:
        OutputError: if a file cannot be written.
    """
    for name, rows in (("metrics_macro.csv", table.macro), ("metrics.csv", table.tasks)):
        write_csv(rows, Path(folder) / name, float_format="%.6g")


@dataclass(frozen=True, slots=True, eq=False)
class _Scored:
    """One experiment on the way to its rows.

    Attributes:
        experiment: what is scored.
        values: for each task one row per seed: threshold and every statistic.
        draws: bootstrap draws (T, B) by statistic.
        min_positives: what a task needs to enter the macro mean.
        generator: of the intervals over seeds.
    """

    experiment: Experiment
    values: list[pd.DataFrame]
    draws: Mapping[str, Floats]
    min_positives: int
    generator: np.random.Generator

    @property
    def num_draws(self) -> int:
        return int(self.draws[AUROC.name].shape[1])

    def known(self, task: int) -> tuple[Floats, Floats]:
        """Probabilities (S, N) and labels (N,) of a task, where there is a label."""
        known = ~np.isnan(self.experiment.target[task])
        return self.experiment.prob[:, task, known], self.experiment.target[task, known]

    def interval_over_seeds(self, values: Floats) -> tuple[float, float]:
        """Draws seeds; NaN if there is one only."""
        if len(values) < 2:
            return float("nan"), float("nan")
        drawn = mean_draws(values, num_draws=self.num_draws, generator=self.generator)
        return percentile_interval(drawn)


def _seed_values(experiment: Experiment, task: int, thresholds: Floats) -> pd.DataFrame:
    """Threshold and every statistic of one task, one row per seed."""
    known = ~np.isnan(experiment.target[task])
    target = experiment.target[task, known]
    rows = []
    for prob, threshold in zip(experiment.prob[:, task, known], thresholds, strict=True):
        scored = ScoredTask(prob, target, float(threshold))
        values = {statistic.name: statistic.value(scored) for statistic in STATISTICS}
        rows.append({"threshold": threshold, **values})
    return pd.DataFrame(rows)


def _task_row(scored: _Scored, task: int) -> dict[str, object]:
    experiment = scored.experiment
    _, target = scored.known(task)
    positives = int(target.sum())
    return {
        "experiment": experiment.name,
        "split": experiment.split,
        "task": experiment.tasks[task],
        "title": experiment.title(experiment.tasks[task]),
        "target_kind": experiment.target_kind,
        "n": len(target),
        "n_positive": positives,
        "n_seeds": len(experiment.seeds),
        **_task_values(scored, task),
        "in_macro": scored.min_positives <= positives < len(target),
        "note": _note(scored, task, target),
        **{
            f"{statistic.name}_seed_{seed}": value
            for statistic in STATISTICS
            if statistic.is_drawn
            for seed, value in zip(
                experiment.seeds, scored.values[task][statistic.name], strict=True
            )
        },
    }


def _task_values(scored: _Scored, task: int) -> dict[str, float]:
    """Means over seeds with their intervals; the threshold before the first that depends on it."""
    values = scored.values[task]
    result: dict[str, float] = {}
    for statistic in STATISTICS:
        name = statistic.name
        if statistic.needs_threshold and "threshold" not in result:
            result["threshold"] = float(values["threshold"].mean(skipna=False))
        result[name] = float(values[name].mean(skipna=False))
        intervals = {}
        if statistic.resample is not None:
            intervals["ci"] = percentile_interval(scored.draws[name][task])
        if statistic.is_drawn:
            intervals["ci_seeds"] = scored.interval_over_seeds(values[name].to_numpy())
        if statistic.delong is not None:
            intervals["delong"] = statistic.delong(*scored.known(task))
        for kind, (low, high) in intervals.items():
            result |= {f"{name}_{kind}_low": low, f"{name}_{kind}_high": high}
    return result


def _note(scored: _Scored, task: int, target: Floats) -> str:
    positives, draws = int(target.sum()), scored.draws[AUROC.name][task]
    if len(target) == 0:
        return "undefined: no exam has a known label"
    if positives == 0:
        return "undefined: 0 positives"
    if positives == len(target):
        return "undefined: 0 negatives"
    notes = []
    if positives < scored.min_positives:
        notes.append(f"under {scored.min_positives} positives: not in macro mean")
    if np.isnan(draws).mean() > 0.05:
        notes.append(f"CI from {int((~np.isnan(draws)).sum())} of {len(draws)} draws")
    return "; ".join(notes)


def _macro_row(scored: _Scored, rows: pd.DataFrame) -> dict[str, object]:
    experiment = scored.experiment
    entered = rows["in_macro"].to_numpy(dtype=bool)
    left_out = rows.loc[~entered, "task"].tolist()
    least = scored.min_positives
    return {
        "experiment": experiment.name,
        "split": experiment.split,
        "target_kind": experiment.target_kind,
        **_macro_over_patients(scored, rows[entered]),
        "n_tasks": int(entered.sum()),
        "n_tasks_left_out": len(left_out),
        "min_positives": least,
        "n_exams": len(experiment.exam_ids),
        "n_patients": len(set(experiment.clusters)) if experiment.has_patients else pd.NA,
        "n_seeds": len(experiment.seeds),
        "resampled": "patients" if experiment.has_patients else "exams",
        "num_bootstrap": scored.num_draws,
        "note": "" if entered.any() else f"undefined: no task has {least} positives",
        "tasks_left_out": " ".join(left_out),
        **_macro_over_seeds(scored, np.flatnonzero(entered)),
    }


def _macro_over_patients(scored: _Scored, entered: pd.DataFrame) -> dict[str, float]:
    """Macro means of the statistics that have bootstrap draws, with these intervals."""
    result: dict[str, float] = {}
    for name, draws in scored.draws.items():
        low, high = percentile_interval(mean_over_tasks(draws[entered.index]))
        result |= {f"macro_{name}": float(entered[name].mean())}
        result |= {f"macro_{name}_ci_low": low, f"macro_{name}_ci_high": high}
    return result


def _macro_over_seeds(scored: _Scored, entered: npt.NDArray[np.intp]) -> dict[str, float]:
    """Macro means of the other statistics, and intervals of all by drawing seeds."""
    result: dict[str, float] = {}
    num_seeds = len(scored.experiment.seeds)
    for name in (statistic.name for statistic in STATISTICS):
        # Without a called exam there is no predictive value; such tasks are left out of its mean.
        values = np.array([scored.values[t][name] for t in entered]).reshape(-1, num_seeds)
        of_seed = mean_over_tasks(values)
        low, high = scored.interval_over_seeds(of_seed)
        if name not in scored.draws:
            result[f"macro_{name}"] = float(np.mean(of_seed))
        result |= {f"macro_{name}_ci_seeds_low": low, f"macro_{name}_ci_seeds_high": high}
    return result
