"""Which patients make the models and which score them, with their covariates."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

import pandas as pd

from petct_ext.errors import InputDataError, did_you_mean
from petct_ext.ontology import RegionOntology
from petct_ext.survival.covariates import (
    CovariateDesign,
    choose_regions,
    learn_design,
    median_probabilities,
)
from petct_ext.survival.partial_likelihood import Ties

__all__ = [
    "AnalysisOptions",
    "Patients",
    "Selection",
    "require_same_split",
    "require_sound_table",
    "select_patients",
    "summary_of",
]

_SPLITS: Final = ("training", "validation", "test")


@dataclass(frozen=True, slots=True)
class AnalysisOptions:
    """Choices of the analysis.

    Attributes:
        ontology: tells which tasks are regions, and their titles.
        regions: regions whose predictions enter; empty: as many as the deaths carry of those
            patients who have all covariates.
        fit_splits: splits on whose patients the models are fitted.
        score_split: split on which they are scored; none of ``fit_splits``.
        ties: method for deaths on the same day.
        penalizer: ridge penalty, 0 for none.
        min_group: smallest number of patients that makes an indication a covariate.
        horizons_days: days at which discrimination and calibration are computed.
        num_bootstrap: draws of patients for the confidence intervals.
        seed: seed of the draws.
    """

    ontology: RegionOntology
    regions: tuple[str, ...] = ()
    fit_splits: tuple[str, ...] = ("validation",)
    score_split: str = "test"
    ties: Ties = "efron"
    penalizer: float = 0.0
    min_group: int = 8
    horizons_days: tuple[int, ...] = (45, 90, 180, 365)
    num_bootstrap: int = 2000
    seed: int = 0

    def __post_init__(self) -> None:
        if not self.penalizer >= 0 or self.num_bootstrap < 1 or self.min_group < 1:
            raise InputDataError(
                f"the penalizer ({self.penalizer}) must be at least 0, the number of bootstrap "
                f"draws ({self.num_bootstrap}) and the smallest group ({self.min_group}) at least "
                "1."
            )
        if not self.horizons_days or min(self.horizons_days) < 1:
            raise InputDataError(
                f"horizons must be at least 1 day, got {', '.join(map(str, self.horizons_days))}."
            )


@dataclass(frozen=True, slots=True, eq=False)
class Patients:
    """Patients with all covariates.

    Attributes:
        rows: their rows of the survival table, with one more column per region (probability).
        values: their covariates, same order.
        lost: how many others lack a covariate, by covariate.
        left_out: these others: ``patient_id``, ``exam_id``, ``split``, ``reason``.
    """

    rows: pd.DataFrame
    values: pd.DataFrame
    lost: dict[str, int]
    left_out: pd.DataFrame


@dataclass(frozen=True, slots=True, eq=False)
class Selection:
    """Who is fitted and who is scored, and how patients become numbers."""

    fit: Patients
    score: Patients
    design: CovariateDesign


def select_patients(
    table: pd.DataFrame, predictions: pd.DataFrame, options: AnalysisOptions
) -> Selection:
    """Selects those with age, summary code (if the cohort has codes) and predictions.

    Args:
        table: survival table, one row per patient.
        predictions: table in the form of ``PREDICTIONS``, of one experiment.
        options: choices.

    Returns:
        Both groups; others are listed and counted.

    Raises:
        InputDataError: if the table is unsound (:func:`require_sound_table`), a patient crosses
            splits (:func:`require_same_split`), a split has no usable patient, a region is not
            predicted or a column of the table, or none is named and no task is a region.
    """
    require_sound_table(table)
    require_same_split(table, predictions)
    fit_rows, score_rows = _split_rows(table, options)
    _require_predicted(fit_rows, predictions, ", ".join(options.fit_splits))
    _require_predicted(score_rows, predictions, options.score_split)
    regions = options.regions or _regions_that_fit(fit_rows, predictions, options)
    _require_no_columns(regions, table)
    probs = median_probabilities(predictions, regions)
    fit_rows, score_rows = (rows.join(probs, on="exam_id") for rows in (fit_rows, score_rows))
    fixed: Any = {"ontology": options.ontology, "min_group": options.min_group}
    design = learn_design(fit_rows, regions=regions, **fixed)
    first = _complete(fit_rows, design, ", ".join(options.fit_splits))
    # Again, since a group may have become too small or a covariate constant.
    design = learn_design(first.rows, regions=regions, **fixed)
    fit = Patients(first.rows, design.apply(first.rows), first.lost, first.left_out)
    return Selection(fit, _complete(score_rows, design, options.score_split), design)


def require_sound_table(table: pd.DataFrame) -> None:
    """Refuses a survival table that cannot be true.

    Raises:
        InputDataError: if a patient occurs twice, a time is negative or missing, an event is
            neither 0 nor 1, or an age is negative or above 120 years; names the patient.
    """
    repeated = table["patient_id"].duplicated()
    if repeated.any():
        patient_id = table.loc[repeated, "patient_id"].iloc[0]
        raise InputDataError(
            f"patient {patient_id} has {int((table['patient_id'] == patient_id).sum())} rows in "
            "the survival table; each patient counts once, with the last exam. Keep that row."
        )
    age = table["age_years"]
    checks = (
        (~(table["time_days"] >= 0), "time_days", "must be 0 or more days; correct the dates"),
        (~table["event"].isin([0, 1]), "event", "must be 1 (death) or 0 (censored)"),
        ((age < 0) | (age > 120), "age_years", "is no age in years; correct or empty it"),
    )
    for wrong, column, rule in checks:
        if wrong.any():
            row = table[wrong.fillna(True)].iloc[0]
            raise InputDataError(
                f"survival table, patient {row['patient_id']}, exam {row['exam_id']}: {column} is "
                f"{row[column]}, but {rule} ({int(wrong.sum())} such patients)."
            )


def require_same_split(table: pd.DataFrame, predictions: pd.DataFrame) -> None:
    """Refuses predictions that were made while the exam lay in another split.

    Raises:
        InputDataError: if so; names patient and exam. Splits of other names are not compared.
    """
    if "split" not in predictions.columns:
        return
    said = predictions.loc[predictions["split"].isin(_SPLITS), ["exam_id", "split"]]
    both = table[["patient_id", "exam_id", "split"]].merge(
        said.drop_duplicates(), on="exam_id", suffixes=("", "_predicted")
    )
    crossing = both[both["split"] != both["split_predicted"]]
    if len(crossing):
        row = crossing.iloc[0]
        raise InputDataError(
            f"patient {row['patient_id']}, exam {row['exam_id']} is in split {row['split']!r} of "
            f"the survival table but was predicted in split {row['split_predicted']!r} "
            f"({crossing['patient_id'].nunique()} such patients); a patient must not cross splits. "
            "Predict again with the splits from which the survival table was made."
        )


def summary_of(patients: Patients, splits: Sequence[str]) -> dict[str, Any]:
    """Returns the numbers of patients and deaths, and what others lack."""
    return {
        "splits": list(splits),
        "n_patients": len(patients.rows),
        "n_events": int(patients.rows["event"].sum()),
        "left_out_because_missing": patients.lost,
    }


def _split_rows(table: pd.DataFrame, options: AnalysisOptions) -> tuple[pd.DataFrame, pd.DataFrame]:
    known = sorted(set(table["split"]))
    for split in (*options.fit_splits, options.score_split):
        if split not in known:
            raise InputDataError(
                f"the survival table has no patient in split {split!r}; there is "
                f"{', '.join(known)}.{did_you_mean(split, known)}"
            )
    if options.score_split in options.fit_splits:
        raise InputDataError(
            f"split {options.score_split!r} is used to fit and to score; a model is never scored "
            "on its own patients. Change --fit-splits or --score-split."
        )
    return (
        table[table["split"].isin(options.fit_splits)].reset_index(drop=True),
        table[table["split"] == options.score_split].reset_index(drop=True),
    )


def _require_predicted(rows: pd.DataFrame, predictions: pd.DataFrame, splits: str) -> None:
    if not rows["exam_id"].isin(predictions["exam_id"]).any():
        raise InputDataError(
            f"no patient of split {splits} has region predictions of the last exam; predict that "
            "split too, or choose another (--fit-splits, --score-split)."
        )


def _regions_that_fit(
    rows: pd.DataFrame, predictions: pd.DataFrame, options: AnalysisOptions
) -> tuple[str, ...]:
    """Chooses regions by the deaths of those who will be fitted with exactly these regions."""
    predicted = predictions[predictions["exam_id"].isin(rows["exam_id"])]
    tasks = list(dict.fromkeys(predicted["task"]))
    available = [task for task in tasks if task in options.ontology]
    if not available:
        raise InputDataError(
            f"none of the predicted tasks ({', '.join(map(str, tasks[:5]))}) is a region; give "
            "predictions of the scan model, or choose tasks with --regions."
        )
    chosen = choose_regions(available, num_events=int(rows["event"].sum()), num_clinical=0)
    while True:
        num_events, num_clinical = _usable(rows, predicted, chosen, options)
        carried = choose_regions(chosen, num_events=num_events, num_clinical=num_clinical)
        if len(carried) == len(chosen):
            return chosen
        chosen = chosen[:-1]


def _usable(
    rows: pd.DataFrame,
    predictions: pd.DataFrame,
    regions: Sequence[str],
    options: AnalysisOptions,
) -> tuple[int, int]:
    """Returns the deaths of patients with all covariates, and the number of clinical covariates."""
    probs = median_probabilities(predictions, regions).dropna()
    with_probs = rows[rows["exam_id"].isin(probs.index)]
    if with_probs.empty:
        return 0, 0
    fixed: Any = {"ontology": options.ontology, "min_group": options.min_group}
    design = learn_design(with_probs, **fixed)
    complete = with_probs[design.apply(with_probs).notna().all(axis=1)]
    if complete.empty:
        return 0, len(design.columns)
    design = learn_design(complete, **fixed)
    return int(complete["event"].sum()), len(design.columns)


def _require_no_columns(regions: Sequence[str], table: pd.DataFrame) -> None:
    for region in regions:
        if region in table.columns:
            raise InputDataError(
                f"{region!r} is a column of the survival table and no region; leave it out of "
                "--regions."
            )


def _complete(rows: pd.DataFrame, design: CovariateDesign, splits: str) -> Patients:
    values = design.apply(rows)
    absent = values.isna()
    lost = {str(name): int(count) for name, count in absent.sum().items() if count}
    keep = ~absent.any(axis=1)
    if not keep.any():
        raise InputDataError(
            f"no patient of split {splits} has all covariates; missing are "
            f"{', '.join(lost) or 'patients'}. Complete the tables or predict this split."
        )
    reasons = absent[~keep].apply(_missing_names, axis=1) if (~keep).any() else ""
    left_out = rows.loc[~keep, ["patient_id", "exam_id", "split"]].assign(reason=reasons)
    return Patients(
        rows[keep].reset_index(drop=True),
        values[keep].reset_index(drop=True),
        lost,
        left_out.reset_index(drop=True),
    )


def _missing_names(absent: pd.Series) -> str:
    return f"missing: {', '.join(map(str, absent.index[absent]))}"
