"""Which experiments are compared, and that they are about the same exams and labels."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from itertools import combinations

import numpy as np

from petct_ext.errors import InputDataError, did_you_mean
from petct_ext.statistics.predictions import Experiment

__all__ = ["align_experiments", "experiment_pairs"]


def experiment_pairs(
    names: Sequence[str], *, reference: str | None = None
) -> list[tuple[str, str]]:
    """Returns which experiments are compared: (one, reference).

    Args:
        names: experiments in order.
        reference: compare the others with this one only; without it each is compared with each
            earlier one.

    Raises:
        InputDataError: if there is no such experiment.

    Example:
        >>> experiment_pairs(["a", "b", "c"])
        [('b', 'a'), ('c', 'a'), ('c', 'b')]
    """
    if reference is None:
        return sorted(
            ((later, earlier) for earlier, later in combinations(names, 2)),
            key=lambda pair: (names.index(pair[0]), names.index(pair[1])),
        )
    if reference not in names:
        raise InputDataError(
            f"there is no experiment {reference!r} to compare with; there is {', '.join(names)}."
            f"{did_you_mean(reference, names)}"
        )
    return [(name, reference) for name in names if name != reference]


def align_experiments(
    experiments: Sequence[Experiment], *, common_exams: bool = False
) -> list[Experiment]:
    """Brings experiments to the same exams in the same order, and checks that they may be compared.

    Args:
        experiments: predictions with targets.
        common_exams: score the exams that all have, instead of refusing unequal sets.

    Returns:
        The experiments; a single one is returned as it is. Tasks are not changed.

    Raises:
        InputDataError: if the experiments were judged by different kinds of labels, their exams
            differ, or they state different targets or patients for an exam.
    """
    if len(experiments) < 2:
        return list(experiments)
    first = experiments[0]
    for other in experiments[1:]:
        if other.target_kind != first.target_kind:
            raise InputDataError(
                f"experiment {first.name!r} has {first.target_kind} targets and {other.name!r} "
                f"{other.target_kind} ones; weak and hand labels are never compared. Run the "
                "script once for each kind."
            )
    shared = set(first.exam_ids).intersection(*(other.exam_ids for other in experiments[1:]))
    for experiment in experiments:
        extra = [exam for exam in experiment.exam_ids if exam not in shared]
        if extra and not common_exams:
            raise InputDataError(
                f"the experiments have different exams: {experiment.name!r} has {extra[0]}, which "
                f"another lacks ({len(extra)} of {len(experiment.exam_ids)}); predict the same "
                "exams, or score those that all have (--common-exams)."
            )
    if not shared:
        raise InputDataError("the experiments have no exam in common; they are not comparable.")
    order = [exam for exam in first.exam_ids if exam in shared]
    aligned = [_choose_exams(experiment, order) for experiment in experiments]
    for other in aligned[1:]:
        _require_equal_targets(aligned[0], other)
    return aligned


def _choose_exams(experiment: Experiment, order: Sequence[str]) -> Experiment:
    if list(experiment.exam_ids) == list(order):
        return experiment
    place = {exam: i for i, exam in enumerate(experiment.exam_ids)}
    at = np.array([place[exam] for exam in order])
    return replace(
        experiment,
        exam_ids=tuple(order),
        prob=experiment.prob[:, :, at],
        target=experiment.target[:, at],
        clusters=experiment.clusters[at],
    )


def _require_equal_targets(first: Experiment, other: Experiment) -> None:
    tasks = [task for task in first.tasks if task in other.tasks]
    a = first.target[[first.tasks.index(task) for task in tasks]]
    b = other.target[[other.tasks.index(task) for task in tasks]]
    differing = np.argwhere((a != b) & ~(np.isnan(a) & np.isnan(b)))
    if len(differing):
        task, exam = differing[0]
        raise InputDataError(
            f"task {tasks[task]!r}, exam {first.exam_ids[exam]}: experiments {first.name!r} and "
            f"{other.name!r} state different targets ({len(differing)} differences); score both "
            "with the same labels."
        )
    if not np.array_equal(first.clusters, other.clusters):
        raise InputDataError(
            f"experiments {first.name!r} and {other.name!r} state different patients for an exam; "
            "give one table of patients (--patients)."
        )
