"""What averaging the probabilities of several seeds gains.

Letters in shapes: S seeds, T tasks, N exams, B bootstrap draws.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd

from petct_ext.arrays import Floats
from petct_ext.statistics.bootstrap import (
    auroc,
    mean_over_tasks,
    percentile_interval,
    resample_areas,
)
from petct_ext.statistics.comparison import ALL_TASKS
from petct_ext.statistics.predictions import Experiment
from petct_ext.statistics.region_table import RegionTable

__all__ = ["as_ensemble", "ensemble_table"]


def as_ensemble(experiment: Experiment) -> Experiment:
    """Returns the experiment with one seed, whose probability is the mean over all seeds."""
    return replace(
        experiment, seeds=(0,), prob=np.asarray(experiment.prob.mean(axis=0, keepdims=True))
    )


def ensemble_table(
    experiments: Sequence[Experiment], table: RegionTable, *, seed: int = 0
) -> pd.DataFrame:
    """Scores the ensemble over seeds against the single seeds.

    Args:
        experiments: predictions with targets.
        table: their rows and draws, from ``region_table``.
        seed: the one that ``region_table`` got, so that both see the same draws.

    Returns:
        One row per task of every experiment with several seeds, and one for the mean over the
        tasks of the macro mean: ``auroc_ensemble``, ``auroc_single`` (mean of the seeds),
        ``auroc_best_seed`` and ``gain`` = ensemble - single with its 95 % bootstrap interval over
        patients (exams if none are known).
    """
    several = [experiment for experiment in experiments if len(experiment.seeds) > 1]
    if not several:
        return pd.DataFrame()
    ensembles = [as_ensemble(experiment) for experiment in several]
    num_draws = table.draws[several[0].name].shape[1]
    draws = resample_areas(ensembles, num_draws=num_draws, seed=seed)
    parts = []
    for ensemble, areas in zip(ensembles, draws, strict=True):
        rows = table.tasks[table.tasks["experiment"] == ensemble.name]
        gained = areas - table.draws[ensemble.name]
        parts.append(_rows(ensemble, rows.reset_index(drop=True), gained))
    return pd.concat(parts, ignore_index=True)


def _rows(ensemble: Experiment, rows: pd.DataFrame, gained: Floats) -> pd.DataFrame:
    by_seed = rows[[name for name in rows.columns if str(name).startswith("auroc_seed_")]]
    result: list[dict[str, Any]] = []
    for t, task in enumerate(ensemble.tasks):
        known = ~np.isnan(ensemble.target[t])
        area = auroc(ensemble.prob[0, t, known], ensemble.target[t, known])
        low, high = percentile_interval(gained[t])
        single = float(rows["auroc"].iloc[t])
        result.append(
            {
                "experiment": ensemble.name,
                "split": ensemble.split,
                "task": task,
                "title": ensemble.title(task),
                "target_kind": ensemble.target_kind,
                "n_seeds": int(rows["n_seeds"].iloc[t]),
                "auroc_ensemble": area,
                "auroc_single": single,
                "auroc_best_seed": float(by_seed.iloc[t].max()),
                "gain": area - single,
                "gain_ci_low": low,
                "gain_ci_high": high,
            }
        )
    entered = rows["in_macro"].to_numpy(dtype=bool)
    if entered.any():
        chosen = pd.DataFrame(result)[entered]
        low, high = percentile_interval(mean_over_tasks(gained[entered]))
        means = {n: float(chosen[n].mean()) for n in ("auroc_ensemble", "auroc_single", "gain")}
        best = float(by_seed[entered].mean().max())
        names = {"task": ALL_TASKS, "title": ALL_TASKS, "gain_ci_low": low, "gain_ci_high": high}
        result.append({**result[0], **means, "auroc_best_seed": best, **names})
    return pd.DataFrame(result)
