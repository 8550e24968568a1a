"""Prediction tables as arrays, and the question who judged the targets.

Letters in shapes: S seeds, T tasks, N exams.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from types import MappingProxyType
from typing import Final

import numpy as np
import numpy.typing as npt
import pandas as pd

from petct_ext.errors import InputDataError, did_you_mean
from petct_ext.ontology import RegionOntology
from petct_ext.statistics.prediction_files import read_prediction_file
from petct_ext.tables.schemas import PREDICTIONS, Column, Schema, read_table

__all__ = [
    "TARGET_KINDS",
    "Experiment",
    "as_experiments",
    "read_patients",
    "read_predictions",
    "use_hand_labels",
]

_LOGGER = logging.getLogger(__name__)

TARGET_KINDS: Final = {
    "weak": "evaluated on WEAK labels (taken from report text, not truth)",
    "hand": "evaluated on hand labels",
    "outcome": "evaluated on recorded outcomes",
}
"""How tables, figures and pages say what the predictions were compared with."""

_PATIENTS: Final = Schema(
    "exam and patient",
    MappingProxyType({"exam_id": Column(), "patient_id": Column()}),
    ("exam_id",),
)


@dataclass(frozen=True, slots=True, eq=False)
class Experiment:
    """The predictions of one experiment on one split.

    Attributes:
        name: what the table calls the experiment.
        split: name of the split.
        target_kind: ``weak``, ``hand`` or ``outcome``.
        seeds: seeds of the models (S), ascending.
        tasks: regions or outcomes (T), in order of appearance.
        exam_ids: pseudonymous ids (N), in order of appearance.
        prob: probabilities (S, T, N) in [0, 1]; NaN where a task leaves an exam out.
        target: labels (T, N): 1, 0, or NaN if unknown or left out; probabilistic labels count as
            1 from 0.5 on.
        clusters: patient of each exam (N), the exam itself where no patients are known.
        has_patients: whether ``clusters`` are patients.
        titles: how tasks are written for people; others by their name in words.
    """

    name: str
    split: str
    target_kind: str
    seeds: tuple[int, ...]
    tasks: tuple[str, ...]
    exam_ids: tuple[str, ...]
    prob: npt.NDArray[np.float64]
    target: npt.NDArray[np.float64]
    clusters: npt.NDArray[np.str_]
    has_patients: bool
    titles: Mapping[str, str] = field(default_factory=dict)

    def title(self, task: str) -> str:
        """Returns how a task is written for people."""
        return self.titles.get(task) or task.replace("_", " ")


def read_predictions(paths: Iterable[str | Path], *, split: str) -> pd.DataFrame:
    """Reads prediction tables and keeps one split.

    Args:
        paths: CSV files, also compressed, or Parquet files in the long form of ``PREDICTIONS``.
        split: which rows to keep, e.g. ``test``.

    Returns:
        All rows of the split; ``target_kind`` is ``""`` where no file says it.

    Raises:
        InputDataError: if a file breaks its schema, no row has this split, or two files hold the
            same prediction.
    """
    paths = [Path(path) for path in paths]
    tables = [read_prediction_file(path) for path in paths]
    table = pd.concat(tables, ignore_index=True)
    known = list(dict.fromkeys(table["split"]))
    table = table[table["split"] == split].reset_index(drop=True)
    where = ", ".join(map(str, paths))
    if table.empty:
        raise InputDataError(
            f"{where}: no prediction of split {split!r}; there is {', '.join(known)}. Choose one "
            f"of these with --split.{did_you_mean(split, known)}"
        )
    repeated = table.duplicated(list(PREDICTIONS.key))
    if repeated.any():
        row = table[repeated].iloc[0]
        raise InputDataError(
            f"{where}: experiment {row['experiment']!r}, seed {row['seed']}, task {row['task']!r}, "
            f"exam {row['exam_id']} is in two of the files ({int(repeated.sum())} repeats); give "
            "each prediction once, or name the experiments differently."
        )
    return table


def read_patients(path: str | Path) -> dict[str, str]:
    """Reads which patient each exam belongs to.

    Args:
        path: any table with the columns ``exam_id`` and ``patient_id``, e.g. ``splits.csv``.

    Returns:
        Patient id by exam id.

    Raises:
        InputDataError: if the table breaks this form.
    """
    table = read_table(path, _PATIENTS)
    return dict(zip(table["exam_id"], table["patient_id"], strict=True))


def use_hand_labels(
    predictions: pd.DataFrame, hand_labels: pd.DataFrame, identifiers: pd.DataFrame
) -> pd.DataFrame:
    """Replaces the targets by a reader's judgement.

    Args:
        predictions: table from :func:`read_predictions`.
        hand_labels: table in the form of ``HAND_LABELS``: raw study UIDs, one column per region.
        identifiers: table in the form of ``IDENTIFIERS``, which links UIDs and exams.

    Returns:
        The predictions of hand-labeled exams with ``target_kind`` ``hand``. Exams that no reader
        has judged are left out (logged); empty cells become NaN.

    Raises:
        InputDataError: if a task has no column, or no predicted exam has hand labels.
    """
    regions = [name for name in hand_labels.columns if name != "study_instance_uid"]
    unknown = [task for task in dict.fromkeys(predictions["task"]) if task not in regions]
    if unknown:
        raise InputDataError(
            f"hand labels have no column for task {unknown[0]!r} ({len(unknown)} tasks without "
            "one); add the column (empty cells if nobody judged it) or choose the others with "
            f"--tasks.{did_you_mean(unknown[0], regions)}"
        )
    exam_of = identifiers.set_index("study_instance_uid")["exam_id"]
    judged = hand_labels.assign(exam_id=hand_labels["study_instance_uid"].map(exam_of))
    judged = judged.dropna(subset=["exam_id"]).set_index("exam_id")[regions]
    if judged.index.has_duplicates:
        raise InputDataError("identifiers.csv gives one exam two studies; run the index again.")
    kept = predictions["exam_id"].isin(judged.index)
    exams = predictions["exam_id"].nunique()
    left_out = exams - predictions.loc[kept, "exam_id"].nunique()
    if left_out == exams:
        raise InputDataError(
            f"none of the {exams} predicted exams has hand labels; the labels or identifiers.csv "
            "belong to another cohort."
        )
    if left_out:
        _LOGGER.warning("%d of %d exams have no hand labels and are left out", left_out, exams)
    long = judged.astype("float64").stack(future_stack=True)
    keys = pd.MultiIndex.from_frame(predictions.loc[kept, ["exam_id", "task"]])
    return predictions[kept].assign(target=long.reindex(keys).to_numpy(), target_kind="hand")


def as_experiments(
    predictions: pd.DataFrame,
    *,
    ontology: RegionOntology,
    patients: Mapping[str, str] | None = None,
    default_kind: str = "weak",
    majority_targets: bool = False,
) -> list[Experiment]:
    """Turns a long table into one array per experiment.

    Args:
        predictions: table in the form of ``PREDICTIONS``, of one split.
        ontology: tells the titles of regions.
        patients: patient of each exam; without it a column ``patient_id`` of the table is used if
            there is one, and otherwise every exam counts as a patient of its own.
        default_kind: who judged the targets of tables that do not say it.
        majority_targets: where the seeds of an experiment state different targets for an exam,
            take what most state (NaN if there is no most frequent one) instead of refusing.

    Returns:
        The experiments in order of appearance.

    Raises:
        InputDataError: if seeds of an experiment differ in their exams or targets, if a
            probability is missing, if an experiment mixes kinds of targets, or if an exam has no
            patient.
    """
    absent = predictions["prob"].isna()
    if absent.any():
        row = predictions[absent].iloc[0]
        raise InputDataError(
            f"experiment {row['experiment']!r}, seed {row['seed']}, task {row['task']!r}, exam "
            f"{row['exam_id']}: the probability is missing ({int(absent.sum())} in all); predict "
            "this exam again or leave its rows out."
        )
    if majority_targets:
        predictions = _with_majority_targets(predictions)
    titles = {str(task): ontology.in_words(str(task)) for task in predictions["task"].unique()}
    return [
        replace(_as_experiment(str(name), rows, patients, default_kind=default_kind), titles=titles)
        for name, rows in predictions.groupby("experiment", sort=False)
    ]


def _as_experiment(
    name: str, rows: pd.DataFrame, patients: Mapping[str, str] | None, *, default_kind: str
) -> Experiment:
    seeds = sorted(set(rows["seed"].astype(int)))
    tasks, exam_ids = list(dict.fromkeys(rows["task"])), list(dict.fromkeys(rows["exam_id"]))
    at = (
        pd.Categorical(rows["seed"].astype(int), categories=seeds).codes,
        pd.Categorical(rows["task"], categories=tasks).codes,
        pd.Categorical(rows["exam_id"], categories=exam_ids).codes,
    )
    shape = (len(seeds), len(tasks), len(exam_ids))
    prob, targets = np.full(shape, np.nan), np.full(shape, np.nan)
    given = np.zeros(shape, dtype=bool)
    prob[at], targets[at], given[at] = rows["prob"], rows["target"], True
    _require_equal_seeds(name, given, targets, names=(seeds, tasks, exam_ids))
    target = targets[0]
    hard = np.where(np.isnan(target), np.nan, (target >= 0.5).astype(np.float64))
    clusters, has_patients = _clusters(name, rows, exam_ids, patients=patients)
    return Experiment(
        name=name,
        split=str(rows["split"].iloc[0]),
        target_kind=_target_kind(name, rows, default_kind),
        seeds=tuple(seeds),
        tasks=tuple(tasks),
        exam_ids=tuple(exam_ids),
        prob=prob,
        target=hard,
        clusters=clusters,
        has_patients=has_patients,
    )


def _require_equal_seeds(
    name: str,
    given: npt.NDArray[np.bool_],
    targets: npt.NDArray[np.float64],
    *,
    names: tuple[Sequence[int], Sequence[str], Sequence[str]],
) -> None:
    seeds, tasks, exam_ids = names
    unequal = np.argwhere(given != given[:1])
    if len(unequal):
        seed, task, exam = unequal[0]
        lacking = seeds[seed] if not given[seed, task, exam] else seeds[0]
        raise InputDataError(
            f"experiment {name!r}, task {tasks[task]!r}: seed {lacking} has no prediction for exam "
            f"{exam_ids[exam]}, but another seed has ({len(unequal)} differences); predict the "
            "same exams with every seed."
        )
    known = ~np.isnan(targets)
    differing = np.argwhere((known != known[:1]) | (known & known[:1] & (targets != targets[:1])))
    if len(differing):
        seed, task, exam = differing[0]
        raise InputDataError(
            f"experiment {name!r}, task {tasks[task]!r}, exam {exam_ids[exam]}: seeds "
            f"{seeds[0]} and {seeds[seed]} state different targets ({len(differing)} differences); "
            "write the predictions of both again with the same labels, or take what most seeds "
            "state (--majority-targets)."
        )


def _with_majority_targets(predictions: pd.DataFrame) -> pd.DataFrame:
    keys = ["experiment", "task", "exam_id"]
    grouped = predictions.groupby(keys, sort=False)["target"]
    # A target that some seeds lack is a conflict as well.
    unequal = (grouped.transform("nunique") > 1) | (
        grouped.transform("count") % grouped.transform("size") != 0
    )
    if not unequal.any():
        return predictions
    modes = predictions[unequal].groupby(keys)["target"].agg(_most_frequent)
    index = pd.MultiIndex.from_frame(predictions.loc[unequal, keys])
    targets = predictions["target"].copy()
    targets[unequal] = modes.reindex(index).to_numpy()
    counts = modes.reset_index().groupby(["experiment", "task"], sort=False).size()
    for row in counts.reset_index(name="exams").to_dict("records"):
        _LOGGER.warning(
            "experiment %s, task %s: seeds state different targets for %d exams; taken what most "
            "state",
            *(row["experiment"], row["task"], row["exams"]),
        )
    return predictions.assign(target=targets)


def _most_frequent(targets: pd.Series) -> float:
    counts = targets.value_counts(dropna=False)
    return float(counts.index[0]) if (counts == counts.iloc[0]).sum() == 1 else float("nan")


def _target_kind(name: str, rows: pd.DataFrame, default_kind: str) -> str:
    kinds = sorted(set(rows.get("target_kind", pd.Series("", index=rows.index))))
    if len(kinds) > 1:
        raise InputDataError(
            f"experiment {name!r} mixes target kinds ({', '.join(k or 'not stated' for k in kinds)}"
            "); weak and hand labels are never scored together. Split the table."
        )
    if not kinds[0]:
        _LOGGER.warning("experiment %s does not say who judged: taken as %s", name, default_kind)
    return kinds[0] or default_kind


def _clusters(
    name: str, rows: pd.DataFrame, exam_ids: Sequence[str], *, patients: Mapping[str, str] | None
) -> tuple[npt.NDArray[np.str_], bool]:
    if patients is None and "patient_id" in rows.columns:
        patients = dict(zip(rows["exam_id"], rows["patient_id"], strict=True))
    if patients is None:
        return np.asarray(exam_ids, dtype=np.str_), False
    lacking = [exam for exam in exam_ids if not patients.get(exam)]
    if lacking:
        raise InputDataError(
            f"experiment {name!r}: exam {lacking[0]} has no patient ({len(lacking)} of "
            f"{len(exam_ids)} exams); give the table of the same cohort."
        )
    return np.asarray([patients[exam] for exam in exam_ids], dtype=np.str_), True
