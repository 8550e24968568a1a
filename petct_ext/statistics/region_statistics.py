"""The statistics that are computed for every region: one entry each.

An entry of :data:`STATISTICS` is all that a statistic needs: ``metrics.csv`` and
``metrics_macro.csv`` get its columns, the pages its column and legend, and, if it is drawn, the
evaluation its figure. New entries go to the end: the intervals over seeds draw from one stream of
random numbers, in order.

Letters in shapes: S seeds, T tasks, N exams, B bootstrap draws.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Final

from petct_ext.arrays import Floats
from petct_ext.statistics.bootstrap import auroc, resample_areas
from petct_ext.statistics.calibration import brier_score, expected_calibration_error
from petct_ext.statistics.delong import delong_interval
from petct_ext.statistics.operating_points import (
    OperatingPoint,
    average_precision,
    operating_point,
)

__all__ = ["AUROC", "STATISTICS", "ScoredTask", "Statistic"]


@dataclass(frozen=True, eq=False)
class ScoredTask:
    """Predictions of one seed for one task, as far as labels are known.

    Attributes:
        prob: probabilities (N,).
        target: labels (N,), 1 or 0.
        threshold: from which probability on an exam is called abnormal; NaN if unknown.
    """

    prob: Floats
    target: Floats
    threshold: float

    @cached_property
    def point(self) -> OperatingPoint:
        """What the threshold gives."""
        return operating_point(self.prob, self.target, threshold=self.threshold)


@dataclass(frozen=True, slots=True)
class Statistic:
    """One number for each region, and where it is shown.

    Attributes:
        name: its column of ``metrics.csv``; ``macro_<name>`` in ``metrics_macro.csv``.
        title: what headings and axes call it.
        value: computes it from one seed's predictions of one task; NaN where it is undefined.
        needs_threshold: whether it depends on what is called abnormal.
        resample: computes bootstrap draws over patients (T, B) of each experiment; None if it has
            no such interval (``<name>_ci_low``, ``<name>_ci_high``).
        delong: computes a further interval from probabilities (S, N) and labels (N,); None if it
            has none (``<name>_delong_low``, ``<name>_delong_high``).
        is_drawn: whether there is a figure ``<name>_by_region``; the table then also has
            ``<name>_seed_<seed>`` and the interval over seeds of every region.
        chance: what a detector without skill has, drawn as a line; None if that depends on the
            prevalence.
        is_brief: whether the page of a run shows it as well.
        digits: decimal places on pages.
    """

    name: str
    title: str
    value: Callable[[ScoredTask], float]
    needs_threshold: bool = False
    resample: Callable[..., Sequence[Floats]] | None = None
    delong: Callable[[Floats, Floats], tuple[float, float]] | None = None
    is_drawn: bool = False
    chance: float | None = None
    is_brief: bool = False
    digits: int = 3

    @property
    def interval(self) -> str:
        """The interval that figures draw: ``ci`` over patients, or ``ci_seeds`` over seeds."""
        return "ci" if self.resample is not None else "ci_seeds"

    @property
    def interval_title(self) -> str:
        """How legends call it."""
        return "95 % CI" if self.resample is not None else "95 % CI over seeds"


def _of_point(name: str, title: str, *, is_brief: bool = False) -> Statistic:
    """Entry of a number that :class:`OperatingPoint` has."""
    return Statistic(
        name,
        title,
        lambda of: float(getattr(of.point, name)),
        needs_threshold=True,
        is_brief=is_brief,
    )


AUROC: Final = Statistic(
    "auroc",
    "AUROC",
    lambda of: auroc(of.prob, of.target),
    resample=resample_areas,
    delong=delong_interval,
    is_drawn=True,
    chance=0.5,
    is_brief=True,
)
STATISTICS: Final = (
    AUROC,
    Statistic(
        "average_precision",
        "average precision",
        lambda of: average_precision(of.prob, of.target),
        is_brief=True,
    ),
    _of_point("f1", "F1"),
    _of_point("sensitivity", "sensitivity", is_brief=True),
    _of_point("specificity", "specificity", is_brief=True),
    _of_point("ppv", "PPV"),
    _of_point("npv", "NPV"),
    Statistic("brier", "Brier", lambda of: brier_score(of.prob, of.target), is_brief=True),
    Statistic(
        "calibration_error",
        "calibration error",
        lambda of: expected_calibration_error(of.prob, of.target),
    ),
)
"""Every statistic, in the order of the columns; the first one decides on order and macro means."""
