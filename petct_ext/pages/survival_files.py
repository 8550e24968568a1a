"""Writes a survival analysis as tables, figures and a summary."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pandas as pd

from petct_ext.errors import InputDataError
from petct_ext.figures.style import save_figure
from petct_ext.figures.survival import draw_forest, draw_kaplan_meier, draw_single_variables
from petct_ext.figures.survival_performance import (
    draw_calibration,
    draw_horizon_auroc,
    draw_importance,
    draw_schoenfeld,
)
from petct_ext.files import write_json
from petct_ext.statistics.permutation import holm
from petct_ext.survival.analysis import SurvivalAnalysis
from petct_ext.survival.survival_curves import compare_groups, split_at, survival_curve
from petct_ext.tables.contract import write_csv

__all__ = ["write_analysis"]


def write_analysis(
    analysis: SurvivalAnalysis,
    mortality: tuple[dict[str, Any], pd.DataFrame] | None,
    *,
    folder: str | Path,
    facts: Mapping[str, Any] | None = None,
) -> dict[str, Any]:
    """Writes tables, figures and, last, ``survival_summary.json``.

    The curves ``kaplan_meier`` are stratified by the mortality model's probability if there is one,
    else by the risk of the Cox model with regions, at the median of the patients shown. The curves
    ``survival_by_<region>`` are stratified by each region's prediction at its median among the
    patients on whom the models were fitted, so that the cut does not know those shown.

    Args:
        analysis: the Cox models.
        mortality: result of ``mortality_model_auroc``, or None without a mortality model.
        folder: where to write.
        facts: more entries of the summary, such as ``is_artificial``.

    Returns:
        The summary as written.

    Raises:
        OutputError: if a file cannot be written.
    """
    folder = Path(folder)
    summary = {**analysis.summary, **(facts or {})}
    _forget(folder)
    _write_tables(analysis, folder)
    _draw_models(analysis, folder)
    summary["mortality_model"] = mortality[0] if mortality else None
    summary["kaplan_meier"] = _kaplan_meier(analysis, mortality, folder)
    summary["survival_by_region"] = _survival_by_region(analysis, folder)
    write_json(folder / "survival_summary.json", summary)
    return summary


def _forget(folder: Path) -> None:
    """A figure or table of an earlier run must not stand beside the new numbers."""
    for pattern in ("survival_by_*.svg", "survival_by_*.png", "kaplan_meier.*", "schoenfeld.*",
                    "proportional_hazards.csv", "survival_curves.csv", "index.html",
                    "survival_summary.json"):  # fmt: skip
        for path in folder.glob(pattern):
            path.unlink()


def _write_tables(analysis: SurvivalAnalysis, folder: Path) -> None:
    left_out = [analysis.selection.fit.left_out, analysis.selection.score.left_out]
    tables = {
        "cox_without_regions": analysis.without_regions.coefficients,
        "cox_with_regions": analysis.with_regions.coefficients,
        "single_variables": analysis.single,
        "importance": analysis.importance,
        "horizons": analysis.horizons.scores,
        "calibration": analysis.horizons.calibration,
        "baseline_hazard": analysis.with_regions.baseline,
        "scored_patients": analysis.scored,
        "missing_covariates": pd.concat(left_out, ignore_index=True),
    }
    if analysis.hazards is not None:
        tables["proportional_hazards"] = analysis.hazards.tests
    for name, table in tables.items():
        write_csv(table, folder / f"{name}.csv", float_format="%.6g")


def _draw_models(analysis: SurvivalAnalysis, folder: Path) -> None:
    summary = analysis.summary
    fit, score = summary["fit"], summary["score"]
    penalty = f", ridge penalty {summary['penalizer']:g}" if summary["penalizer"] else ""
    fitted = f"{', '.join(fit['splits'])}: {fit['n_patients']} patients, {fit['n_events']} deaths"
    scored = (
        f"{', '.join(score['splits'])}: {score['n_patients']} patients, {score['n_events']} deaths"
    )
    models = {
        "without predictions": analysis.without_regions,
        "with region predictions": analysis.with_regions,
    }
    figures = {
        "forest": draw_forest(models, title=f"Cox models fitted on {fitted}{penalty}"),
        "single_variables": draw_single_variables(
            analysis.single, title=f"Each variable in a Cox model of its own, fitted on {fitted}"
        ),
        "importance": draw_importance(
            analysis.importance, title=f"What each group adds to the others, fitted on {fitted}"
        ),
        "horizon_auroc": draw_horizon_auroc(
            analysis.horizons,
            title=f"Discrimination on {scored}\ncumulative/dynamic AUROC, censoring weighted for",
        ),
        "calibration": draw_calibration(analysis.horizons, title=f"Calibration on {scored}"),
    }
    if analysis.hazards is not None:
        effects = analysis.with_regions.coefficients.set_index("covariate")["log_hazard_ratio"]
        figures["schoenfeld"] = draw_schoenfeld(
            analysis.hazards,
            effects,
            groups=analysis.selection.design.groups,
            title=f"Effects over time (scaled Schoenfeld residuals), {fitted}",
        )
    for name, figure in figures.items():
        save_figure(figure, folder / name)


def _kaplan_meier(
    analysis: SurvivalAnalysis,
    mortality: tuple[dict[str, Any], pd.DataFrame] | None,
    folder: Path,
) -> dict[str, Any]:
    split = ", ".join(analysis.summary["score"]["splits"])
    if mortality:
        rows, risk = mortality[1], "risk"
        what = f"mortality model, {mortality[0]['task'].replace('_', ' ')}"
    else:
        rows, risk = analysis.scored, "risk_with_regions"
        what = "Cox model with region predictions"
    median = float(rows[risk].median())
    try:
        groups = split_at(rows, risk, median)
        numbers = compare_groups(rows, *groups)
    except InputDataError as error:
        return {"stratified_by": what, "note": str(error)}
    figure = draw_kaplan_meier(rows, groups, title=f"Survival by {what} at its median ({split})")
    save_figure(figure, folder / "kaplan_meier")
    return {"stratified_by": what, "median": median, **numbers, "note": ""}


def _survival_by_region(analysis: SurvivalAnalysis, folder: Path) -> list[dict[str, Any]]:
    rows, split = analysis.scored, ", ".join(analysis.summary["score"]["splits"])
    found: list[dict[str, Any]] = []
    curves = []
    for region in analysis.selection.design.regions:
        cut = float(analysis.selection.fit.rows[region].median())
        title = analysis.selection.design.ontology.in_words(region)
        try:
            groups = split_at(rows, f"predicted_{region}", cut, what="prediction")
        except InputDataError as error:
            found.append({"region": region, "title": title, "cut": cut, "note": str(error)})
            continue
        numbers = compare_groups(rows, *groups)
        found.append({"region": region, "title": title, "cut": cut, **numbers, "note": ""})
        for group in groups:
            curve = survival_curve(
                rows.loc[group.chosen, "time_days"], rows.loc[group.chosen, "event"]
            )
            curves.append(curve.assign(region=region, group=group.name))
        figure = draw_kaplan_meier(
            rows, groups, title=f"Survival by the prediction of {title} ({split})"
        )
        save_figure(figure, folder / f"survival_by_{region}")
    p_values = [row.get("log_rank_p") for row in found]
    corrected = holm([float("nan") if p is None else p for p in p_values])
    for row, p in zip(found, corrected, strict=True):
        if row.get("log_rank_p") is not None:
            row["log_rank_p_holm"] = float(p)
    if curves:
        table = pd.concat(curves, ignore_index=True)
        table = table[["region", "group", *table.columns[:-2]]]
        write_csv(table, folder / "survival_curves.csv", float_format="%.6g")
    return found
