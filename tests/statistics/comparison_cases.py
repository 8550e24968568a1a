"""Made-up experiments for the tests of comparisons, triage, ensembles and reports."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pandas as pd

from petct_ext.statistics.predictions import Experiment

TASKS = ("full", "liver", "axillary_lymph_node")


def experiment(
    name: str,
    *,
    strength: float = 1.0,
    seeds: tuple[int, ...] = (1, 2, 3),
    num_exams: int = 60,
    generator_seed: int = 0,
) -> Experiment:
    """Returns predictions whose logit grows by ``strength`` if the exam is abnormal.

    Targets depend on the number of exams only; every second exam belongs to the same patient.
    """
    target = (np.random.default_rng(99).random((len(TASKS), num_exams)) < 0.35).astype(float)
    noise = np.random.default_rng(generator_seed).normal(0, 1, (len(seeds), len(TASKS), num_exams))
    return Experiment(
        name=name,
        split="test",
        target_kind="hand",
        seeds=seeds,
        tasks=TASKS,
        exam_ids=tuple(f"E{i}" for i in range(num_exams)),
        prob=1 / (1 + np.exp(-(noise + strength * (target - 0.5)))),
        target=target,
        clusters=np.array([f"P{i // 2}" for i in range(num_exams)]),
        has_patients=True,
    )


def as_table(of: Experiment, *, split: str = "test") -> pd.DataFrame:
    """Returns the predictions of an experiment in the long form."""
    rows: list[Mapping[str, object]] = [
        {
            "experiment": of.name,
            "seed": seed,
            "split": split,
            "task": task,
            "exam_id": exam,
            "target": of.target[t, n],
            "prob": of.prob[s, t, n],
        }
        for s, seed in enumerate(of.seeds)
        for t, task in enumerate(of.tasks)
        for n, exam in enumerate(of.exam_ids)
    ]
    return pd.DataFrame(rows)
