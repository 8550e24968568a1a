"""The survival analysis of a cohort: do predictions from the scan add to age and indication?

As in Eyuboglu et al. (Nat Commun 2021;12:1880) the Cox models are fitted on validation patients and
scored on test patients, because the predictions on training exams are over-fitted.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Final

import numpy as np
import numpy.typing as npt
import pandas as pd

from petct_ext.errors import InputDataError, did_you_mean
from petct_ext.metrics import auroc, auroc_draws, draw_weights, percentile_interval
from petct_ext.survival.covariates import (
    CovariateDesign,
    choose_regions,
    learn_design,
    region_probabilities,
)
from petct_ext.survival.cox import CoxModel, fit_cox, likelihood_ratio_test
from petct_ext.survival.discrimination import concordance, concordance_draws
from petct_ext.survival.outcomes import status_at

__all__ = ["AnalysisOptions", "SurvivalAnalysis", "analyze_survival", "mortality_model_auroc"]

_TASK: Final = re.compile(r"dead_within_(\d+)_days")


@dataclass(frozen=True, slots=True)
class AnalysisOptions:
    """Choices of the analysis.

    Attributes:
        regions: regions whose predictions enter; empty: as many as the deaths carry.
        fit_splits: splits on whose patients the models are fitted.
        score_split: split on which they are scored; none of ``fit_splits``.
        penalizer: ridge penalty, 0 for none.
        min_group: smallest number of patients that makes an indication a covariate.
        num_bootstrap: draws of patients for the confidence intervals.
        seed: seed of the draws.
    """

    regions: tuple[str, ...] = ()
    fit_splits: tuple[str, ...] = ("validation",)
    score_split: str = "test"
    penalizer: float = 0.0
    min_group: int = 8
    num_bootstrap: int = 2000
    seed: int = 0

    def __post_init__(self) -> None:
        if not self.penalizer >= 0 or self.num_bootstrap < 1 or self.min_group < 1:
            raise InputDataError(
                f"the penalizer ({self.penalizer}) must be at least 0, the number of bootstrap "
                f"draws ({self.num_bootstrap}) and the smallest group ({self.min_group}) at least "
                "1."
            )


@dataclass(frozen=True, slots=True, eq=False)
class SurvivalAnalysis:
    """What :func:`analyze_survival` finds.

    Attributes:
        without_regions: Cox model of the clinical covariates.
        with_regions: the same and the region predictions.
        scored: patients of the score split: ``time_days``, ``event`` and both models' ``risk_...``.
        summary: numbers for ``survival_summary.json``; None where undefined, with a reason.
    """

    without_regions: CoxModel
    with_regions: CoxModel
    scored: pd.DataFrame
    summary: dict[str, Any] = field(default_factory=dict)


def analyze_survival(
    table: pd.DataFrame, predictions: pd.DataFrame, *, options: AnalysisOptions | None = None
) -> SurvivalAnalysis:
    """Fits a Cox model without and one with region predictions and scores both.

    Both see the same patients: those with age, summary code (if the cohort has codes) and
    predictions. Others are left out and counted.

    Args:
        table: survival table, one row per patient.
        predictions: table in the form of ``PREDICTIONS``, of one experiment, with the exams of the
            fit and the score splits.
        options: choices; defaults if None.

    Returns:
        Both models, the scores and a summary.

    Raises:
        InputDataError: if a split has no usable patient, a region is not predicted, or a model
            cannot be fitted (see :func:`petct_ext.survival.cox.fit_cox`).
    """
    options = options or AnalysisOptions()
    fit_rows, score_rows = _split_rows(table, options)
    _require_predicted(fit_rows, predictions, ", ".join(options.fit_splits))
    _require_predicted(score_rows, predictions, options.score_split)
    regions = options.regions or _regions_that_fit(fit_rows, predictions, options)
    probs = region_probabilities(predictions, regions)
    fit_rows, score_rows = (rows.join(probs, on="exam_id") for rows in (fit_rows, score_rows))
    design = learn_design(fit_rows, regions=regions, min_group=options.min_group)
    fit_rows, _, fit_lost = _complete(fit_rows, design, ", ".join(options.fit_splits))
    # Again, since a group may have become too small or a covariate constant.
    design = learn_design(fit_rows, regions=regions, min_group=options.min_group)
    fit_values = design.apply(fit_rows)
    score_rows, score_values, score_lost = _complete(score_rows, design, options.score_split)
    models = []
    for columns in (list(design.columns), [*design.columns, *design.region_columns]):
        model = fit_cox(
            fit_values[columns], fit_rows["time_days"], fit_rows["event"],
            penalizer=options.penalizer,
        )  # fmt: skip
        models.append(model)
    without, with_ = models
    scored = score_rows[["patient_id", "exam_id", "time_days", "event"]].assign(
        risk_without_regions=without.risk(score_values), risk_with_regions=with_.risk(score_values)
    )
    summary = {
        "fit": _patients(fit_rows, options.fit_splits, fit_lost),
        "score": _patients(score_rows, (options.score_split,), score_lost),
        "regions": list(design.regions),
        "penalizer": options.penalizer,
        **_discrimination(scored, options),
        "likelihood_ratio_test": _nested_test(fit_values, fit_rows, design),
        "events_per_covariate": with_.num_events / len(with_.coefficients),
        "notes": list(dict.fromkeys([*design.notes, *with_.notes])),
    }
    return SurvivalAnalysis(without, with_, scored, summary)


def mortality_model_auroc(
    table: pd.DataFrame, predictions: pd.DataFrame, *, options: AnalysisOptions | None = None
) -> tuple[dict[str, Any], pd.DataFrame]:
    """Scores a model of "dead within x days" against the recorded follow-up.

    The score is the median probability over seeds. Patients last seen alive before the horizon have
    no status and are left out of the area (counted), but not of the concordance index.

    Args:
        table: survival table, one row per patient.
        predictions: table in the form of ``PREDICTIONS`` with tasks ``dead_within_<days>_days``;
            with several horizons the one with most exams, then the longest, is used.
        options: choices; defaults if None.

    Returns:
        Numbers for the summary, and the patients of the score split with ``time_days``, ``event``
        and ``risk`` (the probability).

    Raises:
        InputDataError: if no task has this form or no patient of the split is predicted.
    """
    options = options or AnalysisOptions()
    task, horizon_days = _outcome_task(predictions)
    probs = region_probabilities(predictions, [task])[task].rename("risk")
    rows = table[table["split"] == options.score_split].join(probs, on="exam_id")
    rows = rows.dropna(subset=["risk"]).reset_index(drop=True)
    if rows.empty:
        raise InputDataError(
            f"the mortality model has no prediction of a patient's last exam in split "
            f"{options.score_split!r}; run its inference on mortality/datalist.json."
        )
    status = status_at(rows["time_days"], rows["event"], horizon_days=horizon_days)
    weights = _weights(len(rows), options)
    c_index = concordance_draws(rows["time_days"], rows["event"], rows["risk"], weights=weights)
    dead, alive = int((status == 1).sum()), int((status == 0).sum())
    numbers = {
        "task": task,
        "horizon_days": horizon_days,
        "auroc": _number(auroc(rows["risk"], status)),
        "auroc_ci": _interval(auroc_draws(rows["risk"], status, weights)),
        "c_index": _number(concordance(rows["time_days"], rows["event"], rows["risk"])),
        "c_index_ci": _interval(c_index),
        "n_patients": len(rows),
        "n_dead": dead,
        "n_alive": alive,
        "n_censored_before": len(rows) - dead - alive,
        "note": "" if dead and alive else f"AUROC undefined: {dead} dead, {alive} alive",
    }
    return numbers, rows[["patient_id", "exam_id", "time_days", "event", "risk"]]


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
    predicted = predictions[predictions["exam_id"].isin(rows["exam_id"])]
    clinical = learn_design(rows, min_group=options.min_group).columns
    return choose_regions(
        list(dict.fromkeys(predicted["task"])),
        num_events=int(rows["event"].sum()),
        num_clinical=len(clinical),
    )


def _complete(
    rows: pd.DataFrame, design: CovariateDesign, splits: str
) -> tuple[pd.DataFrame, pd.DataFrame, dict[str, int]]:
    values = design.apply(rows)
    absent = values.isna()
    lost = {str(name): int(count) for name, count in absent.sum().items() if count}
    keep = ~absent.any(axis=1)
    if not keep.any():
        raise InputDataError(
            f"no patient of split {splits} has all covariates; missing are "
            f"{', '.join(lost) or 'patients'}. Complete the tables or predict this split."
        )
    return rows[keep].reset_index(drop=True), values[keep].reset_index(drop=True), lost


def _patients(rows: pd.DataFrame, splits: Sequence[str], lost: dict[str, int]) -> dict[str, Any]:
    return {
        "splits": list(splits),
        "n_patients": len(rows),
        "n_events": int(rows["event"].sum()),
        "left_out_because_missing": lost,
    }


def _discrimination(scored: pd.DataFrame, options: AnalysisOptions) -> dict[str, Any]:
    weights = _weights(len(scored), options)
    values, draws = {}, {}
    for name in ("without_regions", "with_regions"):
        arguments = (scored["time_days"], scored["event"], scored[f"risk_{name}"])
        values[name] = concordance(*arguments)
        draws[name] = concordance_draws(*arguments, weights=weights)
    gain = draws["with_regions"] - draws["without_regions"]
    return {
        "c_index_without_regions": _number(values["without_regions"]),
        "c_index_without_regions_ci": _interval(draws["without_regions"]),
        "c_index_with_regions": _number(values["with_regions"]),
        "c_index_with_regions_ci": _interval(draws["with_regions"]),
        "c_index_gain": _number(values["with_regions"] - values["without_regions"]),
        "c_index_gain_ci": _interval(gain),
        "num_bootstrap": options.num_bootstrap,
    }


def _nested_test(
    values: pd.DataFrame, rows: pd.DataFrame, design: CovariateDesign
) -> dict[str, Any]:
    """Always on models without a penalty, since the test needs them; None where they fail."""
    try:
        small, large = (
            fit_cox(values[list(columns)], rows["time_days"], rows["event"])
            for columns in (design.columns, (*design.columns, *design.region_columns))
        )
        test = likelihood_ratio_test(small, large)
    except InputDataError as error:
        return {"statistic": None, "degrees_of_freedom": None, "p": None, "note": str(error)}
    return {
        "statistic": test.statistic,
        "degrees_of_freedom": test.degrees_of_freedom,
        "p": test.p,
        "note": "on models without a penalty",
    }


def _outcome_task(predictions: pd.DataFrame) -> tuple[str, int]:
    counts = predictions["task"].value_counts()
    found = [
        (int(n), int(m[1]), str(t)) for t, n in counts.items() if (m := _TASK.fullmatch(str(t)))
    ]
    if not found:
        raise InputDataError(
            "the mortality predictions have no task of the form 'dead_within_<days>_days'; tasks "
            f"are {', '.join(map(str, counts.index[:5]))}."
        )
    _, horizon_days, task = max(found)
    return task, horizon_days


def _weights(num_patients: int, options: AnalysisOptions) -> npt.NDArray[np.float32]:
    return draw_weights(
        np.arange(num_patients),
        num_draws=options.num_bootstrap,
        generator=np.random.default_rng(options.seed),
    )


def _number(value: float) -> float | None:
    return None if np.isnan(value) else float(value)


def _interval(draws: npt.ArrayLike) -> list[float] | None:
    low, high = percentile_interval(draws)
    return None if np.isnan(low) else [low, high]
