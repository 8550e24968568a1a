"""Whether one experiment detects better than another, on the same exams.

Letters in shapes: S seeds, T tasks, N exams, B bootstrap draws, C patients.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, Final

import numpy as np
import numpy.typing as npt
import pandas as pd

from petct_ext.arrays import Floats
from petct_ext.errors import InputDataError
from petct_ext.statistics.bootstrap import auroc, mean_over_tasks, percentile_interval
from petct_ext.statistics.delong import DeLongResult, delong_test
from petct_ext.statistics.permutation import (
    PermutationResult,
    bonferroni,
    holm,
    sign_flip_test,
    swap_contributions,
    unpaired_test,
)
from petct_ext.statistics.predictions import Experiment
from petct_ext.statistics.region_table import RegionTable

__all__ = [
    "ALL_TASKS",
    "NULL_HYPOTHESES",
    "compare_experiments",
]


ALL_TASKS: Final = "all tasks"
"""What the row of the mean over tasks is called in the column ``task``."""

NULL_HYPOTHESES: Final = {
    "p_exams": "permutation over patients (exams if none are known), mid-ranks of the two "
    "experiments swapped per patient in all tasks and seeds at once. Null hypothesis: for every "
    "patient the two experiments' ranks are exchangeable, so neither orders patients better. "
    "Another test set would be drawn, the trained models stay.",
    "p_delong": "DeLong. Null hypothesis: both areas (mean over the given models) are equal in the "
    "population of exams. Exams count as independent.",
    "p_seeds": "permutation over seeds, paired in order of seed, signs of the differences flipped. "
    "Null hypothesis: a pair of trainings favors either experiment alike, on these very exams. "
    "With 5 seeds no two-sided p can be below 1/16.",
    "p_seeds_unpaired": "the published code's scheme: areas of all seeds exchanged between the "
    "experiments. Null hypothesis: all areas come from one distribution of trainings, on these "
    "very exams. For all tasks the areas of all tasks are pooled.",
    "p_tasks": "permutation over tasks, signs of their differences flipped. Null hypothesis: the "
    "difference of a task is distributed symmetrically about 0. Tasks overlap and are not "
    "independent; for all tasks only.",
}
"""What each column of p values tests; ``_greater`` is the one-sided version."""


@dataclass(frozen=True, slots=True, eq=False)
class _Pair:
    """Two aligned experiments with their bootstrap areas."""

    first: Experiment
    second: Experiment
    draws: Floats
    in_macro: npt.NDArray[np.bool_]


def compare_experiments(
    experiments: Sequence[Experiment],
    table: RegionTable,
    *,
    pairs: Sequence[tuple[str, str]],
    num_rounds: int = 10_000,
    seed: int = 0,
) -> pd.DataFrame:
    """Compares pairs of experiments task by task and over all tasks.

    ``NULL_HYPOTHESES`` says what each p value tests. ``difference_ci_*`` is the 95 % bootstrap
    interval over patients (exams) of the difference in mean areas, from the draws that both
    experiments share; ``delong_ci_*`` is DeLong's.

    Args:
        experiments: experiments from ``align_experiments``.
        table: their rows and draws, from ``region_table``.
        pairs: names (one, reference), from ``experiment_pairs``.
        num_rounds: rearrangements in each permutation test, unless there are fewer in all.
        seed: seed of the rearrangements.

    Returns:
        One row per pair and common task, and one per pair with task :data:`ALL_TASKS`: the mean
        over the tasks that are in both macro means. ``_holm`` and ``_bonferroni`` correct for the
        number of tasks within the pair; the row of all tasks is one test and is not corrected.

    Raises:
        InputDataError: if two experiments share no task, or ``num_rounds`` is below 1.
    """
    if num_rounds < 1:
        raise InputDataError(f"the number of permutation rounds ({num_rounds}) must be at least 1.")
    by_name = {experiment.name: experiment for experiment in experiments}
    parts = []
    for one, reference in pairs:
        pair = _as_pair(by_name[one], by_name[reference], table)
        parts.append(_compare(pair, num_rounds=num_rounds, seed=seed))
    return pd.concat(parts, ignore_index=True) if parts else pd.DataFrame()


def _as_pair(one: Experiment, reference: Experiment, table: RegionTable) -> _Pair:
    tasks = tuple(task for task in one.tasks if task in reference.tasks)
    if not tasks:
        raise InputDataError(
            f"experiments {one.name!r} and {reference.name!r} share no task; compare experiments "
            "on the same regions."
        )
    chosen = [_choose_tasks(experiment, tasks) for experiment in (one, reference)]
    draws = []
    for experiment in (one, reference):
        at = [experiment.tasks.index(task) for task in tasks]
        draws.append(table.draws[experiment.name][at])
    rows = table.tasks[table.tasks["experiment"] == one.name].set_index("task")
    return _Pair(
        first=chosen[0],
        second=chosen[1],
        draws=draws[0] - draws[1],
        in_macro=rows.loc[list(tasks), "in_macro"].to_numpy(dtype=bool),
    )


def _choose_tasks(experiment: Experiment, tasks: tuple[str, ...]) -> Experiment:
    at = [experiment.tasks.index(task) for task in tasks]
    return replace(
        experiment, tasks=tasks, prob=experiment.prob[:, at], target=experiment.target[at]
    )


def _compare(pair: _Pair, *, num_rounds: int, seed: int) -> pd.DataFrame:
    generator = np.random.default_rng(seed)
    first, second = pair.first, pair.second
    areas, other = _areas(first), _areas(second)
    delong = [
        delong_test(first.prob[:, t], second.prob[:, t], target)
        for t, target in enumerate(first.target)
    ]
    contributions = _patient_contributions(pair)
    over_all = contributions[:, pair.in_macro].mean(axis=1) if pair.in_macro.any() else np.nan
    exams = sign_flip_test(
        np.column_stack([contributions, np.broadcast_to(over_all, len(contributions))]),
        num_rounds=num_rounds,
        generator=generator,
    )
    rows = [
        _row(pair, t, delong[t])
        | _of_exams(exams, t)
        | _of_seeds(areas[:, t], other[:, t], num_rounds=num_rounds, generator=generator)
        for t in range(len(first.tasks))
    ]
    tasks = pd.DataFrame(rows)
    for name in ("p_exams", "p_delong", "p_seeds"):
        p = tasks[name].to_numpy(dtype=np.float64)
        tasks[f"{name}_holm"], tasks[f"{name}_bonferroni"] = holm(p), bonferroni(p)
    last = _row_of_all(pair, areas, other, num_rounds=num_rounds, generator=generator)
    last |= _of_exams(exams, len(first.tasks))
    return pd.concat([tasks, pd.DataFrame([last])], ignore_index=True)


def _areas(experiment: Experiment) -> Floats:
    """Area of every seed and task (S, T)."""
    return np.array(
        [
            [
                auroc(prob[~np.isnan(target)], target[~np.isnan(target)])
                for prob, target in zip(of_seed, experiment.target, strict=True)
            ]
            for of_seed in experiment.prob
        ]
    )


def _patient_contributions(pair: _Pair) -> Floats:
    """What each patient adds to each task's difference (C, T); NaN columns lack a class."""
    first, second = pair.first, pair.second
    # Unequal numbers of seeds: every seed of one is paired with every seed of the other.
    one, other = np.arange(len(first.seeds)), np.arange(len(second.seeds))
    if len(one) != len(other):
        one, other = np.repeat(one, len(second.seeds)), np.tile(other, len(first.seeds))
    of_exams = np.column_stack(
        [
            swap_contributions(first.prob[one, t], second.prob[other, t], target)
            for t, target in enumerate(first.target)
        ]
    )
    _, patient = np.unique(first.clusters, return_inverse=True)
    result = np.zeros((patient.max() + 1, of_exams.shape[1]))
    np.add.at(result, patient, of_exams)
    return result


def _row(pair: _Pair, task: int, delong: DeLongResult) -> dict[str, Any]:
    low, high = percentile_interval(pair.draws[task])
    target = pair.first.target[task]
    return {
        **_names(pair),
        "task": pair.first.tasks[task],
        "title": pair.first.title(pair.first.tasks[task]),
        "n": int((~np.isnan(target)).sum()),
        "n_positive": int(np.nansum(target)),
        "n_tasks": 1,
        "auroc": delong.auroc,
        "auroc_reference": delong.auroc_reference,
        "difference": delong.difference,
        "difference_ci_low": low,
        "difference_ci_high": high,
        "p_delong": delong.p_two_sided,
        "p_delong_greater": delong.p_greater,
        "delong_z": delong.z,
        "delong_ci_low": delong.ci_low,
        "delong_ci_high": delong.ci_high,
        "note": "" if not np.isnan(delong.difference) else "undefined: only one class",
    }


def _names(pair: _Pair) -> dict[str, Any]:
    return {
        "experiment": pair.first.name,
        "reference": pair.second.name,
        "split": pair.first.split,
        "target_kind": pair.first.target_kind,
    }


def _of_exams(result: PermutationResult, column: int) -> dict[str, Any]:
    return {
        "p_exams": float(result.p_two_sided[column]),
        "p_exams_greater": float(result.p_greater[column]),
        "rounds_exams": result.num_rounds,
        "exact_exams": result.is_exact,
    }


def _of_seeds(
    areas: Floats, other: Floats, *, num_rounds: int, generator: np.random.Generator
) -> dict[str, Any]:
    result: dict[str, Any] = {}
    if len(areas) == len(other):
        differences = areas - other
        paired = sign_flip_test(differences, num_rounds=num_rounds, generator=generator)
        result |= {f"difference_seed_{i + 1}": value for i, value in enumerate(differences)}
        result |= {
            "p_seeds": float(paired.p_two_sided[0]),
            "p_seeds_greater": float(paired.p_greater[0]),
            "rounds_seeds": paired.num_rounds,
            "exact_seeds": paired.is_exact,
        }
    else:
        result |= {"p_seeds": np.nan, "p_seeds_greater": np.nan}
    unpaired = unpaired_test(areas, other, num_rounds=num_rounds, generator=generator)
    return result | {
        "p_seeds_unpaired": float(unpaired.p_two_sided[0]),
        "p_seeds_unpaired_greater": float(unpaired.p_greater[0]),
        "rounds_seeds_unpaired": unpaired.num_rounds,
        "exact_seeds_unpaired": unpaired.is_exact,
    }


def _row_of_all(
    pair: _Pair,
    areas: Floats,
    other: Floats,
    *,
    num_rounds: int,
    generator: np.random.Generator,
) -> dict[str, Any]:
    entered = pair.in_macro
    row = {
        **_names(pair),
        "task": ALL_TASKS,
        "title": ALL_TASKS,
        "n": len(pair.first.exam_ids),
        "n_tasks": int(entered.sum()),
        "note": "" if entered.any() else "undefined: no task is in the macro mean",
    }
    if not entered.any():
        return row
    areas, other = areas[:, entered], other[:, entered]
    differences = areas.mean(axis=0) - other.mean(axis=0)
    low, high = percentile_interval(mean_over_tasks(pair.draws[entered]))
    rounds: Any = {"num_rounds": num_rounds, "generator": generator}
    over_tasks = sign_flip_test(differences, **rounds)
    by_seed = _of_seeds(areas.mean(axis=1), other.mean(axis=1), **rounds)
    pooled = unpaired_test(areas.ravel(), other.ravel(), **rounds)
    return row | by_seed | {
        "auroc": float(areas.mean()),
        "auroc_reference": float(other.mean()),
        "difference": float(differences.mean()),
        "difference_ci_low": low,
        "difference_ci_high": high,
        "p_tasks": float(over_tasks.p_two_sided[0]),
        "p_tasks_greater": float(over_tasks.p_greater[0]),
        "rounds_tasks": over_tasks.num_rounds,
        "p_seeds_unpaired": float(pooled.p_two_sided[0]),
        "p_seeds_unpaired_greater": float(pooled.p_greater[0]),
        "rounds_seeds_unpaired": pooled.num_rounds,
        "exact_seeds_unpaired": pooled.is_exact,
    }  # fmt: skip
