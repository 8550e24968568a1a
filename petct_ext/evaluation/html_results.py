"""The sections of the page about detection and survival."""

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
from petct_ext.evaluation.page_inputs import read_free_table, show_pictures
from petct_ext.files import read_json
from petct_ext.statistics.predictions import TARGET_KINDS, task_title

__all__ = ["detection_section", "survival_section"]

_FEW = " †"


def detection_section(work: Path) -> Section:
    """AUROC per region with intervals, macro means, figures."""
    folder, title = work / "evaluation", "Detection per region"
    tasks = read_free_table(
        folder / "metrics.csv", ("experiment", "task", "target_kind", "auroc", "n", "n_positive")
    )
    macro = read_free_table(
        folder / "metrics_macro.csv", ("experiment", "target_kind", "macro_auroc")
    )
    if tasks is None or macro is None:
        reason = "not written: scripts/evaluate_predictions.py has not run or did not finish"
        return Section("detection", title, missing=(("evaluation/metrics.csv", reason),))
    kinds = tuple(dict.fromkeys(map(str, [*tasks["target_kind"], *macro["target_kind"]])))
    unknown = [kind for kind in kinds if kind not in TARGET_KINDS]
    if unknown:
        raise InputDataError(
            f"{folder / 'metrics.csv'}: target_kind {unknown[0]!r} is none of "
            f"{', '.join(TARGET_KINDS)}; run the evaluation again."
        )
    parts = ["".join(_target_notice(kind) for kind in kinds), _macro_table(macro)]
    names = {
        "auroc_by_region": "AUROC per region with 95 % confidence interval; hollow and gray: too "
        "few positives for the macro mean",
        "roc_curves": "ROC curves",
        "reliability": "Reliability: observed against predicted frequency",
    }
    pictures = {name: show_pictures(folder, name, caption) for name, caption in names.items()}
    parts.append(pictures["auroc_by_region"])
    parts.append(_task_table(tasks))
    more = pictures["reliability"] + pictures["roc_curves"]
    parts.append(folded("ROC curves and reliability", more) if more else "")
    missing = [
        (f"evaluation/{name}", "figure not drawn") for name, html in pictures.items() if not html
    ]
    return Section("detection", title, "".join(parts), _macro_figures(macro), tuple(missing), kinds)


def survival_section(work: Path) -> Section:
    """Cox models, concordance indices, Kaplan-Meier curves."""
    title, folder = "Survival", work / "survival"
    if not (folder / "survival_summary.json").is_file():
        reason = "not written: scripts/analyze_survival.py has not run or did not finish"
        return Section("survival", title, missing=(("survival/survival_summary.json", reason),))
    summary = read_json(folder / "survival_summary.json")
    try:
        rows, figures = _survival_rows(summary)
        text = _survival_text(summary)
    except (KeyError, TypeError, AttributeError) as error:
        raise InputDataError(
            f"{folder / 'survival_summary.json'} lacks or misstates {error}; run "
            "scripts/analyze_survival.py again."
        ) from None
    parts = [paragraph(text)]
    if summary.get("notes"):
        parts.append(notice("Read with care.", " ".join(summary["notes"]), loud=True))
    if (folder / "index.html").is_file():
        link = '<a href="survival/index.html">All models, curves and checks</a>'
        parts.append(f"<p>{link} (survival/index.html)</p>\n")
    parts.append(table(rows, {"what": "measure", "value": "value (95 % CI)", "note": "on whom"}))
    missing = []
    captions = {
        "forest": "Hazard ratios with 95 % confidence interval; regions per standard deviation",
        "kaplan_meier": "Survival of patients above and up to the median risk",
    }
    drawn = {name: show_pictures(folder, name, caption) for name, caption in captions.items()}
    parts += [html for html in drawn.values() if html]
    note = (summary.get("kaplan_meier") or {}).get("note") or "figure not drawn"
    missing += [(f"survival/{name}", note) for name, html in drawn.items() if not html]
    for name in ("with_regions", "without_regions"):
        rows_of = read_free_table(folder / f"cox_{name}.csv", ("covariate", "hazard_ratio", "p"))
        if rows_of is None:
            missing.append((f"survival/cox_{name}.csv", "not written"))
        else:
            parts.append(folded(f"Cox model {name.replace('_', ' ')}", _cox_table(rows_of)))
    if not summary.get("mortality_model"):
        missing.append(("mortality model", "scripts/analyze_survival.py got no predictions of it"))
    return Section("survival", title, "".join(parts), tuple(figures), tuple(missing))


def _target_notice(kind: str) -> str:
    text = TARGET_KINDS[kind]
    return notice(f"{text[0].upper()}{text[1:]}.", "", loud=kind == "weak")


def _macro_table(macro: pd.DataFrame) -> str:
    rows = [
        {
            "experiment": row["experiment"],
            "targets": row["target_kind"],
            "auroc": _interval_of(row, "macro_auroc"),
            "tasks": row.get("n_tasks"),
            "left_out": row.get("n_tasks_left_out"),
            "exams": row.get("n_exams"),
            "patients": row.get("n_patients"),
            "seeds": row.get("n_seeds"),
            "resampled": row.get("resampled", ""),
        }
        for row in macro.to_dict("records")
    ]
    headings = {
        "experiment": "experiment",
        "targets": "targets",
        "auroc": "macro AUROC (95 % CI)",
        "tasks": "tasks in it",
        "left_out": "tasks left out",
        "exams": "exams",
        "patients": "patients",
        "seeds": "seeds",
        "resampled": "CI resamples",
    }
    smallest = macro["min_positives"].iloc[0] if "min_positives" in macro.columns else "enough"
    caption = f"Mean over the tasks with at least {smallest} positives"
    return table(rows, headings, caption=caption)


def _macro_figures(macro: pd.DataFrame) -> tuple[KeyFigure, ...]:
    figures = []
    for row in macro.to_dict("records"):
        cell = _interval_of(row, "macro_auroc")
        limits = cell.text.partition(" ")[2].strip("()")
        detail = f"95 % CI {limits}; " if limits else ""
        detail += f"{row.get('n_tasks', '?')} regions, {row['target_kind'].upper()} labels"
        title = "macro AUROC" if len(macro) == 1 else f"macro AUROC, {row['experiment']}"
        figures.append(KeyFigure(title, number(row["macro_auroc"], 2), detail))
    return tuple(figures[:3])


def _task_table(tasks: pd.DataFrame) -> str:
    tasks = tasks.sort_values(["experiment", "auroc"], ascending=[True, False])
    rows = [_task_row(row) for row in tasks.to_dict("records")]
    headings = {
        "experiment": "experiment",
        "title": "region",
        "n_positive": "positive",
        "auroc": "AUROC (95 % CI)",
        "average_precision": "average precision",
        "sensitivity": "sensitivity",
        "specificity": "specificity",
        "brier": "Brier",
        "note": "note",
    }
    if tasks["experiment"].nunique() == 1:
        del headings["experiment"]
    if not any(row["note"] for row in rows):
        del headings["note"]
    if tasks["target_kind"].nunique() > 1:
        headings["target_kind"] = "targets"
    if tasks["n"].nunique() > 1:
        headings = {"title": headings.pop("title"), "n": "exams", **headings}
    threshold = tasks["threshold"].iloc[0] if "threshold" in tasks.columns else 0.5
    rule = f"probability {threshold:g}"
    if "threshold_rule" in tasks.columns:
        rule = str(tasks["threshold_rule"].iloc[0])
    kinds = "; ".join(TARGET_KINDS[kind] for kind in dict.fromkeys(tasks["target_kind"]))
    about = (
        f"Per region, {kinds}; up to {tasks['n'].max()} exams; sensitivity and specificity at "
        f"{rule}"
    )
    if any(row["title"].endswith(_FEW) for row in rows):
        about += f";{_FEW} too few positives for the macro mean"
    return table(rows, headings, caption=about)


def _task_row(row: Mapping[Any, Any]) -> dict[str, Any]:
    title = row.get("title") or task_title(str(row["task"]))
    note = "" if pd.isna(row.get("note")) else str(row["note"])
    if note.startswith("under "):  # frequent, and too long for a column
        title, note = title + _FEW, ""
    return {**row, "title": title, "note": note, "auroc": _interval_of(row, "auroc")}


def _interval_of(row: Mapping[Any, Any], name: str) -> Cell:
    return interval(row[name], row.get(f"{name}_ci_low"), row.get(f"{name}_ci_high"))


def _survival_text(summary: Mapping[str, Any]) -> str:
    fit, score = summary["fit"], summary["score"]
    penalty = summary["penalizer"]
    text = (
        f"Cox models were fitted on {fit['n_patients']} patients of split "
        f"{', '.join(fit['splits'])} ({fit['n_events']} deaths) and scored on "
        f"{score['n_patients']} patients of split {', '.join(score['splits'])} "
        f"({score['n_events']} deaths). Each patient counts once, with the last exam."
    )
    if penalty:
        text += (
            f" A ridge penalty of {penalty:g} keeps the estimates stable; their intervals and p "
            "values are approximate."
        )
    return text


def _survival_rows(
    summary: Mapping[str, Any],
) -> tuple[list[dict[str, Any]], list[KeyFigure]]:
    on = f"{summary['score']['n_patients']} patients, {summary['score']['n_events']} deaths"
    regions = ", ".join(task_title(region) for region in summary["regions"])
    rows = [
        _summary_row(
            "c-index without region predictions", summary, "c_index_without_regions", note=on
        ),
        _summary_row(
            f"c-index with predictions of {regions}", summary, "c_index_with_regions", note=on
        ),
        _summary_row("gain in c-index", summary, "c_index_gain", note=on),
    ]
    test = summary["likelihood_ratio_test"]
    rows.append(
        {
            "what": "likelihood-ratio test, with against without regions: p",
            "value": Cell(number(test["p"]), test["p"]),
            "note": test["note"],
        }
    )
    gained = f"{number(summary['c_index_without_regions'], 2)} without region predictions; {on}"
    figures = [KeyFigure("c-index, Cox", number(summary["c_index_with_regions"], 2), gained)]
    model = summary.get("mortality_model")
    if model:
        note = (
            f"{model['n_dead']} dead, {model['n_alive']} alive; {model['n_censored_before']} "
            f"censored before, left out. {model['note']}"
        )
        title = str(model["task"]).replace("_", " ")
        rows.append(_summary_row(f"mortality model, AUROC of {title}", model, "auroc", note=note))
        scored = f"{model['n_patients']} patients"
        rows.append(_summary_row("mortality model, c-index", model, "c_index", note=scored))
        detail = f"{title}; {model['n_dead']} dead, {model['n_alive']} alive"
        figures.append(KeyFigure("mortality AUROC", number(model["auroc"], 2), detail))
    rows += _log_rank_rows(summary.get("kaplan_meier") or {})
    return rows, figures


def _log_rank_rows(curves: Mapping[str, Any]) -> list[dict[str, Any]]:
    p = curves.get("log_rank_p")
    if p is None:
        return []
    return [
        {
            "what": f"log-rank test, above against up to median ({curves['stratified_by']}): p",
            "value": Cell(number(p), p),
            "note": f"{curves['n_high']} and {curves['n_low']} patients",
        }
    ]


def _summary_row(what: str, numbers: Mapping[str, Any], name: str, *, note: str) -> dict[str, Any]:
    low, high = numbers.get(f"{name}_ci") or (None, None)
    return {"what": what, "value": interval(numbers[name], low, high), "note": note}


def _cox_table(rows: pd.DataFrame) -> str:
    headings = {
        "covariate": "covariate",
        "hazard_ratio": "hazard ratio",
        "log_hazard_ratio": "log hazard ratio",
        "ci_low": "95 % CI from",
        "ci_high": "to",
        "p": "p",
    }
    return table(rows, headings, caption="Confidence intervals of the log hazard ratio (Wald)")
