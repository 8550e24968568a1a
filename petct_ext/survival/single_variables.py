"""Cox models of a single variable each, and how much each group of covariates adds."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any, Final

import numpy as np
import pandas as pd
from scipy import stats

from petct_ext.errors import InputDataError, did_you_mean
from petct_ext.statistics.permutation import holm
from petct_ext.survival.covariates import (
    median_probabilities,
    with_regions,
)
from petct_ext.survival.cox import CoxModel, fit_cox
from petct_ext.survival.discrimination import concordance
from petct_ext.survival.partial_likelihood import Ties
from petct_ext.survival.patients import Patients, Selection

__all__ = [
    "single_variable_models",
    "wald_importance",
]

_COLUMNS: Final = (
    "variable",
    "covariate",
    "log_hazard_ratio",
    "standard_error",
    "ci_low",
    "ci_high",
    "hazard_ratio",
    "hazard_ratio_ci_low",
    "hazard_ratio_ci_high",
    "z",
    "p",
    "chi_square",
    "degrees_of_freedom",
    "p_variable",
    "p_holm",
    "c_index",
    "n_patients",
    "n_events",
    "note",
)


def single_variable_models(
    selection: Selection,
    predictions: pd.DataFrame | None = None,
    *,
    ties: Ties = "efron",
    penalizer: float = 0.0,
) -> pd.DataFrame:
    """Fits one Cox model for each variable: age, indication, summary code, each region.

    An indication has as many covariates as groups; they make one model, against the reference.

    Args:
        selection: patients and design; models are fitted on ``fit`` and scored on ``score``.
        predictions: table in the form of ``PREDICTIONS``; its other regions are taken too, each on
            the patients who have its prediction. None for the design's regions only.
        ties: method for deaths on the same day.
        penalizer: ridge penalty as in :func:`petct_ext.survival.cox.fit_cox`; intervals and tests
            are approximate with one.

    Returns:
        One row per covariate: ``variable``, the columns of ``CoxModel.coefficients``,
        ``chi_square``, ``degrees_of_freedom``, ``p_variable`` (Wald test of the whole variable),
        ``p_holm`` (the same, corrected for the number of regions; NaN for clinical variables),
        ``c_index`` on the score patients, ``n_patients`` and ``n_events`` of the fit, and ``note``,
        which says why a variable has no numbers, and with a penalty what it has to hold.
    """
    fit, score = selection.fit, selection.score
    rows: list[dict[str, Any]] = []
    for variable, columns in selection.design.groups.items():
        rows += _one(variable, columns, fit, score, ties=ties, penalizer=penalizer)
    names = _other_regions(selection, predictions)
    notes: list[tuple[str, str, str]] = []
    if predictions is not None and names:
        probs = median_probabilities(predictions, names)
        fit, score = (replace(p, rows=p.rows.join(probs, on="exam_id")) for p in (fit, score))
        design = with_regions(selection.design, fit.rows, names)
        fit, score = (replace(p, values=design.apply(p.rows)) for p in (fit, score))
        for variable, columns in design.groups.items():
            if columns[0] in design.region_columns:
                rows += _one(variable, columns, fit, score, ties=ties, penalizer=penalizer)
        note = "is the same for all fitted patients, or missing"
        unused = [name for name in names if name not in design.regions]
        notes = [(f"predicted {design.ontology.in_words(n)}", n, note) for n in unused]
    table = pd.DataFrame(rows).reindex(columns=_COLUMNS)
    of_region = ~table["variable"].isin(["age", "indication", "summary code"])
    table.loc[of_region, "p_holm"] = holm(table.loc[of_region, "p_variable"])
    absent = pd.DataFrame(notes, columns=["variable", "covariate", "note"])
    return pd.concat([table, absent]).reindex(columns=_COLUMNS).reset_index(drop=True)


def _other_regions(selection: Selection, predictions: pd.DataFrame | None) -> list[str]:
    """Returns the predicted regions outside of the model."""
    if predictions is None:
        return []
    ontology, inside = selection.design.ontology, selection.design.regions
    return [t for t in dict.fromkeys(predictions["task"]) if t in ontology and t not in inside]


def _one(
    variable: str,
    columns: Sequence[str],
    fit: Patients,
    score: Patients,
    *,
    ties: Ties,
    penalizer: float,
) -> list[dict[str, Any]]:
    fitted, scored = (p.values[list(columns)].notna().all(axis=1) for p in (fit, score))
    rows, others = fit.rows[fitted], score.rows[scored]
    try:
        model = fit_cox(
            fit.values.loc[fitted, list(columns)],
            rows["time_days"],
            rows["event"],
            ties=ties,
            penalizer=penalizer,
        )
    except InputDataError as error:
        return [
            {"variable": variable, "covariate": c, "p_variable": np.nan, "note": str(error)}
            for c in columns
        ]
    effect = model.coefficients["log_hazard_ratio"].to_numpy(dtype=np.float64)
    chi_square = float(effect @ np.linalg.solve(model.covariance, effect))
    risk = model.risk(score.values[scored])
    whole = {
        "chi_square": chi_square,
        "degrees_of_freedom": len(columns),
        "p_variable": float(stats.chi2.sf(chi_square, len(columns))),
        "c_index": concordance(others["time_days"], others["event"], risk),
        "n_patients": model.num_patients,
        "n_events": model.num_events,
        "note": " ".join(model.notes) if penalizer else "",
    }
    return [
        {"variable": variable, **{str(k): v for k, v in record.items()}, **whole}
        for record in model.coefficients.to_dict("records")
    ]


def wald_importance(model: CoxModel, groups: Mapping[str, Sequence[str]]) -> pd.DataFrame:
    """Computes Wald's chi-square of each group less its degrees of freedom.

    The chi-square tests that all effects of the group are 0, given the other covariates. Less its
    degrees of freedom (its expectation under that hypothesis) it can be compared between groups of
    different size (Harrell, Regression Modeling Strategies, section 5.4); 0 or below means no sign
    of an effect. Groups that carry the same information share it and may both look unimportant.

    Args:
        model: the model; with a penalty the values are approximate.
        groups: names of covariates by the name of their group; groups may overlap.

    Returns:
        One row per group, in the order given: ``group``, ``covariates``, ``chi_square``,
        ``degrees_of_freedom``, ``importance`` (chi-square less degrees of freedom), ``p``.

    Raises:
        InputDataError: if a group is empty or names a covariate that the model does not have.
    """
    effects = model.coefficients["log_hazard_ratio"].to_numpy(dtype=np.float64)
    rows = []
    for group, members in groups.items():
        for member in members:
            if member not in model.covariates:
                raise InputDataError(
                    f"group {group!r}: the model has no covariate {member!r}."
                    f"{did_you_mean(member, model.covariates)}"
                )
        if not members:
            raise InputDataError(f"group {group!r} has no covariate; leave it out.")
        chosen = [model.covariates.index(member) for member in members]
        effect = effects[chosen]
        chi_square = float(
            effect @ np.linalg.solve(model.covariance[np.ix_(chosen, chosen)], effect)
        )
        rows.append(
            {
                "group": group,
                "covariates": "; ".join(members),
                "chi_square": chi_square,
                "degrees_of_freedom": len(members),
                "importance": chi_square - len(members),
                "p": float(stats.chi2.sf(chi_square, len(members))),
            }
        )
    return pd.DataFrame(rows)
