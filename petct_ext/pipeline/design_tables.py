"""Tables of a comparison of designs: detection per design, and where their heads look."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import pandas as pd

from petct_ext.arrays import Floats
from petct_ext.errors import InputDataError
from petct_ext.ontology import RegionOntology
from petct_ext.pipeline.designs import DESIGNS, REFERENCE_DESIGN
from petct_ext.statistics.alignment import align_experiments, experiment_pairs
from petct_ext.statistics.bootstrap import draw_weights, percentile_interval
from petct_ext.statistics.comparison import ALL_TASKS, compare_experiments
from petct_ext.statistics.predictions import Experiment, as_experiments
from petct_ext.statistics.region_table import RegionTable, region_table

__all__ = ["ALL_REGIONS", "MIN_EXAMS", "RegionGroup", "design_table", "localization_table"]


ALL_REGIONS: Final = "all regions"
"""What the row of the mean over regions is called in the column ``region``."""

MIN_EXAMS: Final = 3
"""A region with fewer exams is not counted over regions and not shown."""


_MEASURED: Final = ("mass", "chance", "best", "hit", "hit_chance")


@dataclass(frozen=True, slots=True)
class RegionGroup:
    """Regions over which the mean area is taken.

    Attributes:
        name: for people.
        regions: which; designs that lack one are not in the group.
        min_positives: a region with fewer exams that are truly abnormal is left out.
    """

    name: str
    regions: tuple[str, ...]
    min_positives: int = 5


def design_table(
    predictions: pd.DataFrame,
    groups: Sequence[RegionGroup],
    *,
    ontology: RegionOntology,
    patients: Mapping[str, str],
    num_bootstrap: int = 2000,
    num_rounds: int = 10_000,
    seed: int = 0,
) -> pd.DataFrame:
    """Scores every design over groups of regions and compares it with the default.

    Args:
        predictions: of one split, one experiment per design, with the truth as targets
            (:func:`petct_ext.statistics.predictions.use_hand_labels`).
        groups: what is averaged.
        ontology: tells the titles of regions.
        patients: patient of each exam; patients are resampled, not exams.
        num_bootstrap: bootstrap draws.
        num_rounds: permutation rounds.
        seed: of both.

    Returns:
        One row per group and design: ``auroc`` (mean over regions and seeds) with ``auroc_ci_*``,
        ``auroc_seed_*``, and ``difference`` to the default with ``difference_ci_*`` (95 %, same
        draws), ``p_exams`` and ``p_seeds`` (``NULL_HYPOTHESES`` of
        :mod:`petct_ext.statistics.comparison`); NaN for the default itself. A group in which no
        region has enough positives has no rows.

    Raises:
        InputDataError: if the default lacks predictions, or designs differ in exams or truth.
    """
    rows: list[dict[str, Any]] = []
    for group in groups:
        experiments = align_experiments(_experiments_of(predictions, group, patients, ontology))
        names = [experiment.name for experiment in experiments]
        if REFERENCE_DESIGN not in names:
            raise InputDataError(
                f"group {group.name!r}: design {REFERENCE_DESIGN!r} has no predictions of its "
                "regions; train it first, the others are compared with it."
            )
        table = region_table(
            experiments,
            num_bootstrap=num_bootstrap,
            seed=seed,
            min_positives=group.min_positives,
        )
        compared = compare_experiments(
            experiments,
            table,
            pairs=experiment_pairs(names, reference=REFERENCE_DESIGN),
            num_rounds=num_rounds,
            seed=seed,
        )
        if table.tasks["in_macro"].any():
            rows += [_row(group, e, table=table, compared=compared) for e in experiments]
    return pd.DataFrame(rows)


def localization_table(
    measured: pd.DataFrame, *, patients: Mapping[str, str], num_bootstrap: int = 2000, seed: int = 0
) -> pd.DataFrame:
    """Averages where heads looked, per region and over regions, against chance.

    Args:
        measured: rows of :func:`petct_ext.scan.interpretation.localization.localize_exams` with the
            columns ``design`` and ``seed``.
        patients: patient of each exam; patients are resampled.
        num_bootstrap: bootstrap draws.
        seed: of the draws.

    Returns:
        One row per design, map, box and region: ``n`` exams, ``mass``, ``chance`` and ``best``
        (means over exams, of seeds first), ``ratio`` (mass over chance) with ``ratio_ci_*``,
        ``hit`` and ``hit_chance``. The row :data:`ALL_REGIONS` has the means over regions with
        at least :data:`MIN_EXAMS` exams, and as ratio the median of their ratios.
    """
    keys = ["design", "map", "box", "region", "exam_id"]
    means = measured.groupby(keys, sort=False)[list(_MEASURED)].mean().reset_index()
    rows: list[dict[str, Any]] = []
    for (design, name, box), part in means.groupby(["design", "map", "box"], sort=False):
        about = {"design": design, "map": name, "box": box}
        rows += _localization_rows(
            about, part.dropna(subset="mass"), patients, num_draws=num_bootstrap, seed=seed
        )
    return pd.DataFrame(rows)


def _experiments_of(
    predictions: pd.DataFrame,
    group: RegionGroup,
    patients: Mapping[str, str],
    ontology: RegionOntology,
) -> list[Experiment]:
    table = predictions[predictions["task"].isin(group.regions)]
    counts = table.groupby("experiment")["task"].nunique()
    complete = counts.index[counts == len(group.regions)]
    # A common order of tasks, so that equal draws meet equal regions.
    order = {region: i for i, region in enumerate(group.regions)}
    table = table[table["experiment"].isin(complete)]
    table = table.sort_values("task", key=lambda tasks: tasks.map(order), kind="stable")
    made = as_experiments(table, ontology=ontology, patients=patients, default_kind="hand")
    by_name = {experiment.name: experiment for experiment in made}
    return [by_name[name] for name in DESIGNS if name in by_name]


def _row(
    group: RegionGroup, experiment: Experiment, *, table: RegionTable, compared: pd.DataFrame
) -> dict[str, Any]:
    tasks = table.tasks[table.tasks["experiment"] == experiment.name]
    entered = tasks[tasks["in_macro"].astype(bool)]
    macro = table.macro[table.macro["experiment"] == experiment.name].iloc[0]
    row = {
        "group": group.name,
        "design": experiment.name,
        "title": DESIGNS[experiment.name].title,
        "n_regions": len(entered),
        "min_positives": group.min_positives,
        "n_positives": int(entered["n_positive"].sum()),
        "n_exams": int(macro["n_exams"]),
        "n_patients": macro["n_patients"],
        "auroc": macro["macro_auroc"],
        "auroc_ci_low": macro["macro_auroc_ci_low"],
        "auroc_ci_high": macro["macro_auroc_ci_high"],
        **{f"auroc_seed_{s}": float(entered[f"auroc_seed_{s}"].mean()) for s in experiment.seeds},
        "regions": " ".join(entered["task"]),
    }
    if compared.empty:
        return row
    last = (compared["experiment"] == experiment.name) & (compared["task"] == ALL_TASKS)
    for _, pair in compared[last].iterrows():
        names = ("difference", "difference_ci_low", "difference_ci_high", "p_exams", "p_seeds")
        row |= {name: pair.get(name, np.nan) for name in names}
    return row


def _localization_rows(
    about: Mapping[str, Any],
    part: pd.DataFrame,
    patients: Mapping[str, str],
    *,
    num_draws: int,
    seed: int,
) -> list[dict[str, Any]]:
    if part.empty:
        return []
    exams = part["exam_id"].unique()
    weights = draw_weights(
        [patients.get(str(exam), str(exam)) for exam in exams],
        num_draws=num_draws,
        generator=np.random.default_rng(seed),
    )
    place = {exam: i for i, exam in enumerate(exams)}
    rows, draws = [], []
    for region, of_region in part.groupby("region", sort=False):
        drawn = weights[[place[exam] for exam in of_region["exam_id"]]].astype(np.float64)
        with np.errstate(invalid="ignore", divide="ignore"):
            ratios = (drawn.T @ of_region["mass"]) / (drawn.T @ of_region["chance"])
        rows.append(dict(about) | _summary(str(region), of_region, np.asarray(ratios)))
        draws.append(np.asarray(ratios))
    counted = [i for i, row in enumerate(rows) if row["n"] >= MIN_EXAMS]
    return rows + ([_overall(rows, draws, counted)] if counted else [])


def _summary(region: str, rows: pd.DataFrame, ratios: Floats) -> dict[str, Any]:
    means = {name: float(rows[name].mean()) for name in _MEASURED}
    low, high = percentile_interval(ratios)
    ratio = means["mass"] / means["chance"]
    return {
        "region": region,
        "n": len(rows),
        **means,
        "ratio": ratio,
        "ratio_ci_low": low,
        "ratio_ci_high": high,
    }


def _overall(
    rows: Sequence[dict[str, Any]], draws: Sequence[Floats], counted: Sequence[int]
) -> dict[str, Any]:
    table = pd.DataFrame([rows[i] for i in counted])
    of_draws = np.array([draws[i] for i in counted])
    medians = np.nanmedian(of_draws[:, ~np.isnan(of_draws).all(axis=0)], axis=0)
    low, high = percentile_interval(medians)
    return {
        **{name: rows[0][name] for name in ("design", "map", "box")},
        "region": ALL_REGIONS,
        "n": int(table["n"].sum()),
        **{name: float(table[name].mean()) for name in _MEASURED},
        "ratio": float(table["ratio"].median()),
        "ratio_ci_low": low,
        "ratio_ci_high": high,
    }
