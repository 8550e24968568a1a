"""The page of a survival analysis, and its short form on the page of a run, from its files."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pandas as pd

from petct_ext.errors import InputDataError
from petct_ext.files import read_json, write_text
from petct_ext.pages.inputs import find_figures, not_written, read_free_table
from petct_ext.pages.rendering import (
    KeyFigure,
    PageSection,
    interval,
    one_number,
    render,
    rounded,
    with_intervals,
)

__all__ = ["brief_survival_section", "build_survival_page", "write_survival_page"]

_SUMMARY = "survival_summary.json"
_MODELS = {"with_regions": "with", "without_regions": "without"}


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
    summary = read_json(folder / _SUMMARY)
    with _naming(folder / _SUMMARY):
        sections = [
            _added_value(folder, summary),
            PageSection("models", "Multivariable Cox models", _models(folder)),
            PageSection("single", "Single variables", _single(folder)),
            PageSection("curves", "Survival by prediction", _curves(folder, summary)),
            PageSection("horizons", "Discrimination and calibration at x days", _horizons(folder)),
            PageSection("hazards", "Proportional hazards", _hazards(folder, summary)),
            PageSection("patients", "Patients", {"rows": _patients(summary)}),
            PageSection("method", "How the numbers were made", {}),
        ]
        return render(
            "survival.html",
            sections,
            title="Survival after the last exam",
            fitted=_fitted(summary),
            is_artificial=bool(summary.get("is_artificial")),
            notes=" ".join(summary.get("notes") or ()),
            **{name: summary[name] for name in ("penalizer", "ties", "num_bootstrap")},
        )


def brief_survival_section(work: Path) -> PageSection:
    """Returns Cox models, concordance indices and curves for the page of a run.

    Raises:
        InputDataError: if the summary or a table is malformed.
    """
    title, folder = "Survival", work / "survival"
    if not (folder / _SUMMARY).is_file():
        reason = not_written("analyze_survival")
        return PageSection("survival", title, missing=((f"survival/{_SUMMARY}", reason),))
    summary = read_json(folder / _SUMMARY)
    with _naming(folder / _SUMMARY):
        data = {
            "measures": _measures(summary),
            **_models(folder, may_lack=True),
            **_kaplan_meier(folder, summary),
            "fitted": _fitted(summary),
            "notes": " ".join(summary.get("notes") or ()),
            "has_page": (folder / "index.html").is_file(),
        }
        figures = _brief_figures(summary)
    note = (summary.get("kaplan_meier") or {}).get("note") or "figure not drawn"
    missing = [(f"survival/{name}", note) for name in ("forest", "kaplan_meier") if not data[name]]
    missing += [
        (f"survival/cox_{name}.csv", "not written")
        for name, title in _MODELS.items()
        if title not in data["cox"]
    ]
    if not summary.get("mortality_model"):
        missing.append(("mortality model", "scripts/analyze_survival.py got no predictions of it"))
    return PageSection("survival", title, data, figures, tuple(missing))


@contextmanager
def _naming(path: Path) -> Iterator[None]:
    """Names the summary if something in it is not as it should be."""
    try:
        yield
    except (KeyError, TypeError, AttributeError) as error:
        raise InputDataError(
            f"{path} lacks or misstates {error}; run scripts/analyze_survival.py again."
        ) from None


def _fitted(summary: Mapping[str, Any]) -> str:
    on = [
        f"{summary[what]['n_patients']} patients of split {', '.join(summary[what]['splits'])} "
        f"({summary[what]['n_events']} deaths)"
        for what in ("fit", "score")
    ]
    text = f"Cox models were fitted on {on[0]} and scored on {on[1]}. Each patient counts once, "
    text += "with the last exam."
    if summary["penalizer"]:
        text += f" A ridge penalty of {summary['penalizer']:g} keeps the estimates stable; "
        text += "their intervals and p values are approximate."
    return text


def _scored_on(summary: Mapping[str, Any]) -> str:
    score = summary["score"]
    return f"{score['n_patients']} patients, {score['n_events']} deaths"


def _added_value(folder: Path, summary: Mapping[str, Any]) -> PageSection:
    regions = ", ".join(_titles(summary)) or "no region"
    gain = summary["c_index_gain_ci"] or (None, None)
    limits = f"95 % CI {rounded(gain[0])} to {rounded(gain[1])}"
    p = rounded(summary["likelihood_ratio_test"]["p"])
    figures = (
        _c_index_figure(summary),
        KeyFigure("gain in c-index", rounded(summary["c_index_gain"]), limits),
        KeyFigure("likelihood ratio, p", p, f"predictions of {regions}"),
    )
    data = {
        "measures": _measures(summary),
        "importance": read_free_table(folder / "importance.csv", ("group", "chi_square", "p")),
        "figures": find_figures(folder, "importance"),
    }
    return PageSection("added-value", "What predictions add", data, figures)


def _titles(summary: Mapping[str, Any]) -> list[str]:
    """Returns how the regions are written; by their names in summaries of version 0.1."""
    return list(summary.get("region_titles") or summary["regions"])


def _c_index_figure(summary: Mapping[str, Any]) -> KeyFigure:
    without = f"{rounded(summary['c_index_without_regions'], 2)} without; {_scored_on(summary)}"
    value = rounded(summary["c_index_with_regions"], 2)
    return KeyFigure("c-index, with predictions", value, without)


def _brief_figures(summary: Mapping[str, Any]) -> tuple[KeyFigure, ...]:
    figures = [_c_index_figure(summary)]
    model = summary.get("mortality_model")
    if model:
        title = str(model["task"]).replace("_", " ")
        detail = f"{title}; {model['n_dead']} dead, {model['n_alive']} alive"
        figures.append(KeyFigure("mortality AUROC", rounded(model["auroc"], 2), detail))
    return tuple(figures)


def _measures(summary: Mapping[str, Any]) -> list[dict[str, Any]]:
    on, test = _scored_on(summary), summary["likelihood_ratio_test"]
    regions = ", ".join(_titles(summary)) or "no region"
    slope = "1: effects hold; below 1: over-fitted"
    rows = [
        _measure("c-index without predictions", summary, "c_index_without_regions", note=on),
        _measure(
            f"c-index with predictions of {regions}", summary, "c_index_with_regions", note=on
        ),
        _measure("gain in c-index", summary, "c_index_gain", note="same draws of patients"),
        *(
            _measure(
                f"calibration slope {title} predictions",
                summary,
                f"calibration_slope_{name}",
                note=slope,
            )
            for name, title in reversed(_MODELS.items())
        ),
        {
            "what": "likelihood-ratio test of all region predictions: p",
            "value": one_number(test["p"]),
            "note": _test_note(test),
        },
    ]
    return rows + _mortality_rows(summary.get("mortality_model")) + _log_rank_rows(summary)


def _test_note(test: Mapping[str, Any]) -> str:
    if test["p"] is None:
        return str(test["note"])
    chi_square, df = rounded(test["statistic"], 2), test["degrees_of_freedom"]
    note = f"chi-square {chi_square} on {df} df, on the patients of the fit"
    return f"{note}, {test['note']}" if test["note"] else note


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


def _log_rank_rows(summary: Mapping[str, Any]) -> list[dict[str, Any]]:
    curves = summary.get("kaplan_meier") or {}
    if curves.get("log_rank_p") is None:
        return []
    return [
        {
            "what": f"log-rank test, above against up to median ({curves['stratified_by']}): p",
            "value": one_number(curves["log_rank_p"]),
            "note": f"{curves['n_high']} and {curves['n_low']} patients",
        }
    ]


def _models(folder: Path, *, may_lack: bool = False) -> dict[str, Any]:
    cox = {}
    for name, title in _MODELS.items():
        path = folder / f"cox_{name}.csv"
        if path.is_file() or not may_lack:
            rows = _required(path, ("covariate", "hazard_ratio", "p"))
            cox[title] = with_intervals(rows, "hazard_ratio")
    return {"forest": find_figures(folder, "forest"), "cox": cox}


def _single(folder: Path) -> dict[str, Any]:
    table = _required(folder / "single_variables.csv", ("variable", "covariate"))
    rows = with_intervals(table, "hazard_ratio")
    return {"rows": rows, "figures": find_figures(folder, "single_variables")}


def _kaplan_meier(folder: Path, summary: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "stratified_by": (summary.get("kaplan_meier") or {}).get("stratified_by", "risk"),
        "kaplan_meier": find_figures(folder, "kaplan_meier"),
    }


def _curves(folder: Path, summary: Mapping[str, Any]) -> dict[str, Any]:
    rows = [
        {
            "region": row["title"],
            "cut (median of the fit)": one_number(row["cut"]),
            "patients above": row.get("n_high"),
            "deaths": row.get("deaths_high"),
            "patients up to it": row.get("n_low"),
            "deaths up to it": row.get("deaths_low"),
            "log-rank p": one_number(row.get("log_rank_p")),
            "p, Holm": one_number(row.get("log_rank_p_holm")),
            "note": row["note"],
        }
        for row in summary["survival_by_region"]
    ]
    by_region = find_figures(folder, "survival_by")
    note = summary["kaplan_meier"]["note"]
    return {"rows": rows, "by_region": by_region, "note": note, **_kaplan_meier(folder, summary)}


def _horizons(folder: Path) -> dict[str, Any]:
    scores = _required(folder / "horizons.csv", ("model", "horizon_days", "auroc"))
    groups = _required(folder / "calibration.csv", ("model", "horizon_days", "predicted"))
    drawn = {name: find_figures(folder, name) for name in ("horizon_auroc", "calibration")}
    return {"rows": with_intervals(scores, "auroc"), "groups": groups, **drawn}


def _hazards(folder: Path, summary: Mapping[str, Any]) -> dict[str, Any]:
    tests = read_free_table(folder / "proportional_hazards.csv", ("group", "chi_square", "p"))
    note = summary["proportional_hazards"]["note"] if tests is None else ""
    return {"tests": tests, "note": note, "figures": find_figures(folder, "schoenfeld")}


def _patients(summary: Mapping[str, Any]) -> list[dict[str, Any]]:
    return [
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


def _measure(what: str, numbers: Mapping[str, Any], name: str, *, note: str) -> dict[str, Any]:
    low, high = numbers.get(f"{name}_ci") or (None, None)
    return {"what": what, "value": interval(numbers[name], low, high), "note": note}


def _required(path: Path, columns: Sequence[str]) -> pd.DataFrame:
    rows = read_free_table(path, columns)
    if rows is None:
        raise InputDataError(f"{path} does not exist; run scripts/analyze_survival.py again.")
    return rows
