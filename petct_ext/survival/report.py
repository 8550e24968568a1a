"""Writes a survival analysis as tables, figures and a summary."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pandas as pd

from petct_ext.errors import InputDataError
from petct_ext.figure_files import save_figure
from petct_ext.files import atomic_path, write_json
from petct_ext.survival.analysis import SurvivalAnalysis
from petct_ext.survival.cox import CoxModel
from petct_ext.survival.figures import (
    draw_forest,
    draw_kaplan_meier,
    log_rank_by_median,
)

__all__ = ["write_analysis"]


def write_analysis(
    analysis: SurvivalAnalysis,
    mortality: tuple[dict[str, Any], pd.DataFrame] | None,
    *,
    folder: str | Path,
) -> dict[str, Any]:
    """Writes both Cox tables, the figures and, last, ``survival_summary.json``.

    The Kaplan-Meier curves are stratified by the mortality model's probability if there is one,
    else by the risk of the Cox model with regions.

    Args:
        analysis: the Cox models.
        mortality: result of ``mortality_model_auroc``, or None without a mortality model.
        folder: where to write.

    Returns:
        The summary as written.

    Raises:
        OutputError: if a file cannot be written.
    """
    folder = Path(folder)
    summary = dict(analysis.summary)
    fit = summary["fit"]
    for name in ("without_regions", "with_regions"):
        model: CoxModel = getattr(analysis, name)
        with atomic_path(folder / f"cox_{name}.csv") as partial:
            model.coefficients.to_csv(
                partial, index=False, lineterminator="\n", float_format="%.6g"
            )
    penalty = f", ridge penalty {summary['penalizer']:g}" if summary["penalizer"] else ""
    title = (
        f"Cox models fitted on {', '.join(fit['splits'])}: {fit['n_patients']} patients, "
        f"{fit['n_events']} deaths{penalty}"
    )
    models = {
        "without predictions": analysis.without_regions,
        "with region predictions": analysis.with_regions,
    }
    save_figure(draw_forest(models, title=title), folder / "forest")
    summary["mortality_model"] = mortality[0] if mortality else None
    summary["kaplan_meier"] = _kaplan_meier(analysis, mortality, folder)
    write_json(folder / "survival_summary.json", summary)
    return summary


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
    try:
        numbers = log_rank_by_median(rows, risk)
    except InputDataError as error:
        # A curve of an earlier run must not stand beside the new numbers.
        for suffix in ("svg", "png"):
            (folder / f"kaplan_meier.{suffix}").unlink(missing_ok=True)
        return {"stratified_by": what, "note": str(error)}
    figure = draw_kaplan_meier(rows, risk, title=f"Survival by {what} ({split} split)")
    save_figure(figure, folder / "kaplan_meier")
    return {"stratified_by": what, **numbers, "note": ""}
