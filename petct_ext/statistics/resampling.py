"""Bootstrap areas of whole experiments, with the same draws wherever the exams are the same.

Letters in shapes: S seeds, T tasks, N exams, B bootstrap draws.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from petct_ext.arrays import Floats
from petct_ext.statistics.bootstrap import mean_auroc_draws, weight_blocks
from petct_ext.statistics.predictions import Experiment

__all__ = ["mean_over_tasks", "resample_areas"]


def resample_areas(experiments: Sequence[Experiment], *, num_draws: int, seed: int) -> list[Floats]:
    """Draws patients (exams if none are known) with replacement and computes every area.

    Args:
        experiments: predictions with targets.
        num_draws: number of draws B.
        seed: seed of the draws. All tasks and seeds of an experiment see the same draws, and so do
            experiments on the same exams, so that differences between them can be formed.

    Returns:
        Mean areas over seeds (T, B) of each experiment; NaN where a draw lacks a class.
    """
    groups: dict[bytes, list[int]] = {}
    for i, experiment in enumerate(experiments):
        groups.setdefault("\0".join(experiment.clusters).encode(), []).append(i)
    parts: list[list[Floats]] = [[] for _ in experiments]
    for group in groups.values():
        blocks = weight_blocks(
            experiments[group[0]].clusters,
            num_draws=num_draws,
            generator=np.random.default_rng(seed),
        )
        for weights in blocks:
            for i in group:
                parts[i].append(_areas(experiments[i], weights))
    return [np.concatenate(blocks, axis=1) for blocks in parts]


def mean_over_tasks(values: npt.ArrayLike) -> Floats:
    """Returns the mean over the first axis without NaN; NaN where there is nothing else.

    Example:
        >>> mean_over_tasks([[0.5, float("nan")], [0.75, float("nan")]]).tolist()
        [0.625, nan]
    """
    table = np.asarray(values, dtype=np.float64)
    defined = ~np.isnan(table)
    with np.errstate(invalid="ignore"):
        return np.asarray(np.where(defined, table, 0).sum(axis=0) / defined.sum(axis=0))


def _areas(experiment: Experiment, weights: npt.NDArray[np.float32]) -> Floats:
    rows = []
    for target, probs in zip(experiment.target, experiment.prob.transpose(1, 0, 2), strict=True):
        known = ~np.isnan(target)
        if known.any():
            rows.append(mean_auroc_draws(probs[:, known], target[known], weights[known]))
        else:
            rows.append(np.full(weights.shape[1], np.nan))
    return np.stack(rows)
