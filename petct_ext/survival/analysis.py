"""The survival analysis of a cohort: do predictions from the scan add to age and indication?

As in Eyuboglu et al. (Nat Commun 2021;12:1880) the Cox models are fitted on validation patients and
scored on test patients, because the predictions on training exams are over-fitted.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Final

import numpy as np
import pandas as pd

from petct_ext.errors import InputDataError
from petct_ext.survival.cox import CoxModel, fit_cox, likelihood_ratio_test
from petct_ext.survival.patients import (
    AnalysisOptions,
    Patients,
    Selection,
    select_patients,
    summary_of,
)
from petct_ext.survival.performance import (
    HorizonScores,
    Predictor,
    concordance_numbers,
    horizon_scores,
    mortality_model_auroc,
    patient_weights,
)
from petct_ext.survival.proportional_hazards import (
    ProportionalHazards,
    check_proportional_hazards,
)
from petct_ext.survival.single_variables import single_variable_models, wald_importance

__all__ = ["AnalysisOptions", "SurvivalAnalysis", "analyze_survival", "mortality_model_auroc"]

WITHOUT: Final = "without predictions"
WITH: Final = "with region predictions"


@dataclass(frozen=True, slots=True, eq=False)
class SurvivalAnalysis:
    """What :func:`analyze_survival` finds.

    Attributes:
        selection: the patients and how they became numbers.
        without_regions: Cox model of the clinical covariates.
        with_regions: the same and the region predictions.
        single: one Cox model per variable; see :func:`single_variable_models`.
        importance: Wald's chi-square less degrees of freedom per group of covariates.
        hazards: check of proportional hazards; None where the model without a penalty fails.
        horizons: discrimination and calibration at each horizon.
        scored: patients of the score split: ``time_days``, ``event``, both models' ``risk_...`` and
            ``prob_<days>_...``, and the regions' probabilities.
        summary: numbers for ``survival_summary.json``; None where undefined, with a reason.
    """

    selection: Selection
    without_regions: CoxModel
    with_regions: CoxModel
    single: pd.DataFrame
    importance: pd.DataFrame
    hazards: ProportionalHazards | None
    horizons: HorizonScores
    scored: pd.DataFrame
    summary: dict[str, Any] = field(default_factory=dict)


def analyze_survival(
    table: pd.DataFrame, predictions: pd.DataFrame, *, options: AnalysisOptions
) -> SurvivalAnalysis:
    """Fits a Cox model without and one with region predictions and scores both.

    Both see the same patients: those with age, summary code (if the cohort has codes) and
    predictions. Others are left out and counted.

    Args:
        table: survival table, one row per patient.
        predictions: table in the form of ``PREDICTIONS``, of one experiment, with the exams of the
            fit and the score splits.
        options: choices.

    Returns:
        Both models, the scores and a summary.

    Raises:
        InputDataError: if the table or the splits are unsound, a split has no usable patient, a
            region is not predicted, or a model cannot be fitted (see
            :func:`petct_ext.survival.cox.fit_cox`).
    """
    selection = select_patients(table, predictions, options)
    design, score = selection.design, selection.score
    small, large = list(design.columns), [*design.columns, *design.region_columns]
    without, with_ = (_fit(selection, c, options.penalizer, options) for c in (small, large))
    predictors = {
        name: _predictor(m, score, options) for name, m in ((WITHOUT, without), (WITH, with_))
    }
    weights = patient_weights(
        len(score.rows), num_bootstrap=options.num_bootstrap, seed=options.seed
    )
    nested, hazards, reason = _without_penalty(selection, options)
    summary = {
        **_chosen(selection, options),
        **concordance_numbers(score.rows, *predictors.values(), weights=weights),
        "likelihood_ratio_test": nested,
        "proportional_hazards": {"tested": hazards is not None, "note": reason},
        "events_per_covariate": with_.num_events / len(with_.coefficients),
        "notes": _all_notes(selection, with_, hazards),
    }
    return SurvivalAnalysis(
        selection=selection,
        without_regions=without,
        with_regions=with_,
        single=single_variable_models(
            selection, predictions, ties=options.ties, penalizer=options.penalizer
        ),
        importance=wald_importance(with_, _importance_groups(selection)),
        hazards=hazards,
        horizons=horizon_scores(
            score.rows, predictors, horizons_days=options.horizons_days, weights=weights
        ),
        scored=_scored(score, predictors, design.regions),
        summary=summary,
    )


def _chosen(selection: Selection, options: AnalysisOptions) -> dict[str, Any]:
    """Returns what the summary says of patients, regions and options."""
    regions, ontology = selection.design.regions, selection.design.ontology
    return {
        "fit": summary_of(selection.fit, options.fit_splits),
        "score": summary_of(selection.score, (options.score_split,)),
        "regions": list(regions),
        "region_titles": [ontology.in_words(region) for region in regions],
        "ties": options.ties,
        "penalizer": options.penalizer,
        "num_bootstrap": options.num_bootstrap,
        "horizons_days": list(options.horizons_days),
    }


def _importance_groups(selection: Selection) -> dict[str, list[str]]:
    design = selection.design
    groups = dict(design.groups)
    if len(design.regions) > 1:
        groups["all region predictions"] = list(design.region_columns)
    return groups


def _fit(
    selection: Selection, columns: list[str], penalizer: float, options: AnalysisOptions
) -> CoxModel:
    fit = selection.fit
    return fit_cox(
        fit.values[columns],
        fit.rows["time_days"],
        fit.rows["event"],
        ties=options.ties,
        penalizer=penalizer,
    )


def _predictor(model: CoxModel, patients: Patients, options: AnalysisOptions) -> Predictor:
    return Predictor(
        risk=model.risk(patients.values),
        death_probability={
            days: model.death_probability(patients.values, horizon_days=days)
            for days in options.horizons_days
        },
    )


def _without_penalty(
    selection: Selection, options: AnalysisOptions
) -> tuple[dict[str, Any], ProportionalHazards | None, str]:
    """Tests that need models without a penalty; None and the reason where these fail."""
    design, fit = selection.design, selection.fit
    try:
        small, large = (
            _fit(selection, list(columns), 0.0, options)
            for columns in (design.columns, (*design.columns, *design.region_columns))
        )
    except InputDataError as error:
        absent = {"statistic": None, "degrees_of_freedom": None, "p": None, "note": str(error)}
        return absent, None, str(error)
    hazards, reason = None, ""
    try:
        hazards = check_proportional_hazards(
            large,
            fit.values,
            time_days=fit.rows["time_days"],
            event=fit.rows["event"],
            groups=design.groups,
        )
    except InputDataError as error:
        reason = str(error)
    if not design.regions:
        note = "no region prediction entered the model"
        absent = {"statistic": None, "degrees_of_freedom": None, "p": None, "note": note}
        return absent, hazards, reason
    test = likelihood_ratio_test(small, large)
    return (
        {
            "statistic": test.statistic,
            "degrees_of_freedom": test.degrees_of_freedom,
            "p": test.p,
            "note": "on models without a penalty",
        },
        hazards,
        reason,
    )


def _all_notes(
    selection: Selection, model: CoxModel, hazards: ProportionalHazards | None
) -> list[str]:
    notes = [*selection.design.notes, *model.notes, *(hazards.notes if hazards else ())]
    for patients, what in ((selection.fit, "fit"), (selection.score, "score")):
        if patients.lost:
            lacking = ", ".join(f"{name} ({count})" for name, count in patients.lost.items())
            notes.append(
                f"{len(patients.left_out)} patients of the {what} are left out "
                f"(missing_covariates.csv), as a covariate is missing: {lacking}."
            )
    return list(dict.fromkeys(notes))


def _scored(
    score: Patients, predictors: dict[str, Predictor], regions: tuple[str, ...]
) -> pd.DataFrame:
    scored = score.rows[["patient_id", "exam_id", "time_days", "event"]].copy()
    for name, what in ((WITHOUT, "without_regions"), (WITH, "with_regions")):
        scored[f"risk_{what}"] = np.asarray(predictors[name].risk)
        for days, prob in predictors[name].death_probability.items():
            scored[f"prob_{days}_days_{what}"] = prob
    for region in regions:
        scored[f"predicted_{region}"] = score.rows[region]
    return scored
