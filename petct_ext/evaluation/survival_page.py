"""The page of a survival analysis, made from the files that it wrote."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pandas as pd

from petct_ext.errors import InputDataError
from petct_ext.evaluation.html_elements import (
    Cell,
    KeyFigure,
    Section,
    folded,
    interval,
    notice,
    number,
    paragraph,
    table,
)
from petct_ext.evaluation.html_frame import render_page
from petct_ext.evaluation.page_inputs import read_free_table, show_pictures
from petct_ext.files import read_json, write_text

__all__ = ["build_survival_page", "write_survival_page"]


def write_survival_page(folder: str | Path) -> Path:
    """Builds the page and writes ``index.html`` into the folder; returns the path.

    Raises:
        InputDataError: as :func:`build_survival_page`.
        OutputError: if the file cannot be written.
    """
    return write_text(Path(folder) / "index.html", build_survival_page(folder))


def build_survival_page(folder: str | Path) -> str:
    """Returns a page that asks for nothing from outside.

    Args:
        folder: where ``scripts/analyze_survival.py`` has written.

    Returns:
        The HTML text. Its head says whether the patients are artificial, that predictions come from
        weak labels, and that results do not carry over to other hospitals.

    Raises:
        InputDataError: if the summary or a table is missing or malformed.
    """
    folder = Path(folder)
    summary = read_json(folder / "survival_summary.json")
    try:
        sections = [
            _added_value(folder, summary),
            _models(folder),
            _single(folder),
            _curves(folder, summary),
            _horizons(folder, summary),
            _hazards(folder, summary),
            _patients(folder, summary),
            _method(summary),
        ]
        lead, notices = _lead(summary), _notices(summary)
    except (KeyError, TypeError, AttributeError) as error:
        raise InputDataError(
            f"{folder / 'survival_summary.json'} lacks or misstates {error}; run "
            "scripts/analyze_survival.py again."
        ) from None
    return render_page("Survival after the last exam", sections, lead=lead, notices=notices)


def _lead(summary: Mapping[str, Any]) -> str:
    fit, score = summary["fit"], summary["score"]
    return (
        f"Cox models fitted on {fit['n_patients']} patients of split {', '.join(fit['splits'])} "
        f"({fit['n_events']} deaths), scored on {score['n_patients']} patients of split "
        f"{', '.join(score['splits'])} ({score['n_events']} deaths); each patient once."
    )


def _notices(summary: Mapping[str, Any]) -> str:
    boxes = []
    if summary.get("is_artificial"):
        boxes.append(
            notice(
                "Artificial patients.",
                "Exams and outcomes are computer phantoms. These are not clinical results: they "
                "show that the software works, not who lives longer.",
                loud=True,
            )
        )
    boxes.append(
        notice(
            "Predictions learned from WEAK labels.",
            "The model learned from labels taken from report text, which are not truth. A hazard "
            "ratio says how predictions go along with survival in these patients; it is no "
            "cause, and hazard ratios, cuts and calibration do not carry over to another hospital, "
            "scanner or time without being checked there.",
            loud=True,
        )
    )
    if summary.get("notes"):
        boxes.append(notice("Read with care.", " ".join(summary["notes"]), loud=True))
    boxes.append(
        notice("Research use only.", "Not a medical device; not for decisions about patients.")
    )
    return "".join(boxes)


def _added_value(folder: Path, summary: Mapping[str, Any]) -> Section:
    regions = ", ".join(summary["regions"]) or "no region"
    test = summary["likelihood_ratio_test"]
    gain = summary["c_index_gain_ci"] or (None, None)
    figures = (
        KeyFigure(
            "c-index, with predictions",
            number(summary["c_index_with_regions"], 2),
            f"{number(summary['c_index_without_regions'], 2)} without; "
            f"{summary['score']['n_patients']} patients, {summary['score']['n_events']} deaths",
        ),
        KeyFigure(
            "gain in c-index",
            number(summary["c_index_gain"]),
            f"95 % CI {number(gain[0])} to {number(gain[1])}",
        ),
        KeyFigure("likelihood ratio, p", number(test["p"]), f"predictions of {regions}"),
    )
    headings = {"what": "measure", "value": "value (95 % CI)", "note": "remark"}
    body = table(
        _value_rows(summary), headings, caption="Fitted on one split, scored on the other"
    ) + show_pictures(
        folder, "importance", "Wald chi-square less degrees of freedom of each group of covariates"
    )
    importance = read_free_table(folder / "importance.csv", ("group", "chi_square", "p"))
    if importance is not None:
        body += folded("Importance as a table", table(importance))
    return Section("added-value", "What predictions add", body, figures)


def _value_rows(summary: Mapping[str, Any]) -> list[dict[str, Any]]:
    on = f"{summary['score']['n_patients']} patients, {summary['score']['n_events']} deaths"
    test = summary["likelihood_ratio_test"]
    rows = [
        _measure("c-index without predictions", summary, "c_index_without_regions", note=on),
        _measure("c-index with region predictions", summary, "c_index_with_regions", note=on),
        _measure("gain in c-index", summary, "c_index_gain", note="same draws of patients"),
        _measure(
            "calibration slope without predictions",
            summary,
            "calibration_slope_without_regions",
            note="1: effects hold; below 1: over-fitted",
        ),
        _measure(
            "calibration slope with region predictions",
            summary,
            "calibration_slope_with_regions",
            note="1: effects hold; below 1: over-fitted",
        ),
        {
            "what": "likelihood-ratio test of all region predictions: p",
            "value": Cell(number(test["p"]), test["p"]),
            "note": test["note"]
            if test["p"] is None
            else f"chi-square {number(test['statistic'], 2)} on {test['degrees_of_freedom']} df, "
            "on the patients of the fit",
        },
    ]
    return rows + _mortality_rows(summary.get("mortality_model"))


def _mortality_rows(model: Mapping[str, Any] | None) -> list[dict[str, Any]]:
    if not model:
        return []
    rows = []
    for scored in model.get("horizons") or [model]:
        title = str(scored["task"]).replace("_", " ")
        note = (
            f"{scored['n_dead']} dead, {scored['n_alive']} alive; {scored['n_censored_before']} "
            f"censored before, left out. {scored['note']}"
        )
        on = f"{scored['n_patients']} patients"
        rows += [
            _measure(f"mortality model, AUROC of {title}", scored, "auroc", note=note),
            _measure(f"mortality model, c-index of {title}", scored, "c_index", note=on),
        ]
    return rows


def _models(folder: Path) -> Section:
    body = show_pictures(
        folder,
        "forest",
        "Hazard ratios with 95 % Wald intervals; regions per standard deviation of the logit",
    )
    for name, title in (("with_regions", "with"), ("without_regions", "without")):
        rows = _required(folder / f"cox_{name}.csv", ("covariate", "hazard_ratio", "p"))
        body += folded(f"Cox model {title} region predictions", _cox_table(rows))
    return Section("models", "Multivariable Cox models", body)


def _single(folder: Path) -> Section:
    rows = _required(folder / "single_variables.csv", ("variable", "covariate"))
    body = show_pictures(folder, "single_variables", "Each variable in a Cox model of its own")
    body += table(
        [_single_row(row) for row in rows.to_dict("records")],
        caption="p of the variable: Wald test of all its covariates; Holm: over the regions",
    )
    return Section("single", "Single variables", body)


def _single_row(row: Mapping[Any, Any]) -> dict[str, Any]:
    return {
        "covariate": row["covariate"],
        "hazard ratio (95 % CI)": _ratio(row),
        "p": _cell(row.get("p")),
        "p of the variable": _cell(row.get("p_variable")),
        "p, Holm": _cell(row.get("p_holm")),
        "c-index alone": _cell(row.get("c_index")),
        "note": "" if pd.isna(row.get("note")) else row["note"],
    }


def _curves(folder: Path, summary: Mapping[str, Any]) -> Section:
    rows = [
        {
            "region": row["title"],
            "cut (median of the fit)": _cell(row["cut"]),
            "patients above": row.get("n_high"),
            "deaths": row.get("deaths_high"),
            "patients up to it": row.get("n_low"),
            "deaths up to it": row.get("deaths_low"),
            "log-rank p": _cell(row.get("log_rank_p")),
            "p, Holm": _cell(row.get("log_rank_p_holm")),
            "note": row["note"],
        }
        for row in summary["survival_by_region"]
    ]
    body = show_pictures(
        folder, "survival_by", "Kaplan-Meier estimates by the prediction of a region"
    )
    if rows:
        body += table(rows, caption="Log-rank tests; the cut is learned from the fitted patients")
    curves = summary["kaplan_meier"]
    if curves["note"]:
        body += paragraph(f"No curves by {curves['stratified_by']}: {curves['note']}")
    else:
        body += show_pictures(
            folder, "kaplan_meier", f"Kaplan-Meier estimates by {curves['stratified_by']}"
        )
    return Section("curves", "Survival by prediction", body)


def _horizons(folder: Path, summary: Mapping[str, Any]) -> Section:
    scores = _required(folder / "horizons.csv", ("model", "horizon_days", "auroc"))
    rows = [
        {
            "days": row["horizon_days"],
            "model": row["model"],
            "dead": row["n_dead"],
            "alive": row["n_alive"],
            "censored before": row["n_censored_before"],
            "AUROC (95 % CI)": interval(row["auroc"], row["auroc_ci_low"], row["auroc_ci_high"]),
            "predicted deaths": _cell(row["predicted"]),
            "observed": _cell(row["observed"]),
            "observed / predicted": _cell(row["observed_to_predicted"]),
            "Brier": _cell(row["brier"]),
            "scaled Brier": _cell(row["brier_scaled"]),
            "remark": "" if pd.isna(row.get("note")) else row["note"],
        }
        for row in scores.to_dict("records")
    ]
    body = show_pictures(folder, "horizon_auroc", "Discrimination at each horizon")
    body += table(
        rows,
        caption=f"AUROC: cumulative/dynamic, IPCW; {summary['num_bootstrap']} draws of patients",
    )
    body += show_pictures(
        folder,
        "calibration",
        "Observed against predicted deaths in groups at quantiles of the prediction",
    )
    groups = _required(folder / "calibration.csv", ("model", "horizon_days", "predicted"))
    body += folded("Calibration as a table", table(groups))
    return Section("horizons", "Discrimination and calibration at x days", body)


def _hazards(folder: Path, summary: Mapping[str, Any]) -> Section:
    tests = read_free_table(folder / "proportional_hazards.csv", ("group", "chi_square", "p"))
    if tests is None:
        body = paragraph(f"Not tested: {summary['proportional_hazards']['note']}")
        return Section("hazards", "Proportional hazards", body)
    body = paragraph(
        "A small p says that an effect changes with time, so that its hazard ratio is an average "
        "over the follow-up. Many tests: one in twenty is below 0.05 by chance."
    )
    body += table(tests, caption="Score tests on scaled Schoenfeld residuals (R's cox.zph)")
    body += show_pictures(
        folder, "schoenfeld", "How effects change with time; gray: the model's constant effect"
    )
    return Section("hazards", "Proportional hazards", body)


def _patients(folder: Path, summary: Mapping[str, Any]) -> Section:
    rows = [
        {
            "group": what,
            "split": ", ".join(summary[what]["splits"]),
            "patients": summary[what]["n_patients"],
            "deaths": summary[what]["n_events"],
            "left out, covariate missing": "; ".join(
                f"{name}: {count}"
                for name, count in summary[what]["left_out_because_missing"].items()
            )
            or "none",
        }
        for what in ("fit", "score")
    ]
    return Section("patients", "Patients", table(rows))


def _method(summary: Mapping[str, Any]) -> Section:
    penalty = (
        f"a ridge penalty of {summary['penalizer']:g} (intervals and p values are approximate and "
        "too narrow)"
        if summary["penalizer"]
        else "no penalty"
    )
    text = (
        f"Cox models with {str(summary['ties']).capitalize()} ties, Breslow's baseline hazard and "
        f"{penalty}. A region enters as the logit of its median probability over seeds, per "
        "standard deviation. Intervals of hazard ratios are Wald's; those of the c-index (Harrell) "
        f"and of AUROC are percentiles of {summary['num_bootstrap']} draws of patients with "
        "replacement, which do not count that another fit would give other models. AUROC at x "
        "days compares who died within x days with who was alive then; patients censored before "
        "are represented by inverse probability of censoring weights, which takes censoring to be "
        "independent of survival. Observed deaths are one less the Kaplan-Meier estimate, with "
        "Greenwood's variance on the log-log scale."
    )
    return Section("method", "How the numbers were made", paragraph(text))


def _measure(what: str, numbers: Mapping[str, Any], name: str, *, note: str) -> dict[str, Any]:
    low, high = numbers.get(f"{name}_ci") or (None, None)
    return {"what": what, "value": interval(numbers[name], low, high), "note": note}


def _cox_table(rows: pd.DataFrame) -> str:
    shown = [
        {
            "covariate": row["covariate"],
            "hazard ratio (95 % CI)": _ratio(row),
            "log hazard ratio": _cell(row["log_hazard_ratio"]),
            "standard error": _cell(row["standard_error"]),
            "z": _cell(row["z"]),
            "p": _cell(row["p"]),
        }
        for row in rows.to_dict("records")
    ]
    return table(shown, caption="Wald intervals and tests")


def _ratio(row: Mapping[Any, Any]) -> Cell:
    return interval(
        row.get("hazard_ratio"), row.get("hazard_ratio_ci_low"), row.get("hazard_ratio_ci_high")
    )


def _cell(value: Any) -> Cell:
    missing = value is None or pd.isna(value)
    return Cell(number(None if missing else value), None if missing else float(value))


def _required(path: Path, columns: tuple[str, ...]) -> pd.DataFrame:
    rows = read_free_table(path, columns)
    if rows is None:
        raise InputDataError(f"{path} does not exist; run scripts/analyze_survival.py again.")
    return rows
