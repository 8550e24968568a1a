"""The page of an evaluation: every table, sortable, and every figure, in one file."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from html import escape
from pathlib import Path
from typing import Any, Final

import pandas as pd

from petct_ext.evaluation.html_elements import (
    Cell,
    KeyFigure,
    Section,
    folded,
    interval,
    notice,
    number,
    paragraph,
    picture,
    table,
)
from petct_ext.evaluation.html_frame import render_page
from petct_ext.statistics.comparison import ALL_TASKS, NULL_HYPOTHESES
from petct_ext.statistics.predictions import TARGET_KINDS
from petct_ext.statistics.region_table import RegionTable

__all__ = ["FigureFile", "ReportTables", "build_report"]

_LARGEST_SVG: Final = 400_000
"""Bytes from which on the PNG is inlined instead."""


@dataclass(frozen=True, slots=True)
class FigureFile:
    """A figure that was written as SVG and PNG.

    Attributes:
        stem: file name without suffix; its beginning says what kind of figure it is.
        caption: what it shows.
        svg: path.
        png: path.
    """

    stem: str
    caption: str
    svg: Path
    png: Path


@dataclass(frozen=True, slots=True, eq=False)
class ReportTables:
    """Every table of an evaluation; those that do not apply are empty."""

    regions: RegionTable
    comparisons: pd.DataFrame
    triage: pd.DataFrame
    ensembles: pd.DataFrame


def build_report(tables: ReportTables, figures: Sequence[FigureFile]) -> str:
    """Returns a page that asks for nothing from outside.

    Args:
        tables: what was computed.
        figures: what was drawn; the files are read.

    Returns:
        The HTML text. Its head says who judged the targets, loudly for weak labels.

    Raises:
        InputDataError: if a figure cannot be read.
    """
    macro = tables.regions.macro
    kinds = list(dict.fromkeys(map(str, macro["target_kind"])))
    sections = [
        _detection_section(tables.regions, figures, kinds=kinds),
        _comparison_section(tables.comparisons, figures, kinds=kinds),
        _triage_section(tables.triage, figures, kinds=kinds),
        _ensemble_section(tables.ensembles, kinds=kinds),
        _training_section(figures),
        _method_section(tables),
    ]
    lead = (
        f"{', '.join(map(str, macro['experiment']))}; split {macro['split'].iloc[0]}, "
        f"{macro['n_exams'].max()} exams."
    )
    notices = "".join(_kind_notice(kind) for kind in kinds)
    notices += notice("Research use only.", "Not a medical device; not for decisions on patients.")
    return render_page("Evaluation of predictions", sections, lead=lead, notices=notices)


def _kind_notice(kind: str) -> str:
    text = TARGET_KINDS[kind]
    more = ""
    if kind == "weak":
        more = (
            "Weak labels are not truth: these numbers say how well the model agrees with the "
            "labeler, not how well it detects disease."
        )
    return notice(f"{text[0].upper()}{text[1:]}.", more, loud=kind == "weak")


def _targets(kinds: Sequence[str]) -> str:
    return "; ".join(TARGET_KINDS[kind] for kind in kinds)


def _pictures(figures: Sequence[FigureFile], *stems: str) -> str:
    parts = []
    for figure in figures:
        if figure.stem.startswith(stems):
            large = figure.svg.stat().st_size > _LARGEST_SVG
            parts.append(picture(figure.png if large else figure.svg, figure.caption))
    return "".join(parts)


def _detection_section(
    regions: RegionTable, figures: Sequence[FigureFile], *, kinds: Sequence[str]
) -> Section:
    by_seed = [str(c) for c in regions.tasks.columns if str(c).startswith("auroc_seed_")]
    seeds = {"experiment": "experiment", "title": "region"} | {
        name: name.removeprefix("auroc_").replace("_", " ") for name in by_seed
    }
    body = [
        table(_macro_rows(regions.macro), caption=f"Mean over regions; {_targets(kinds)}"),
        _pictures(figures, "auroc_by_region"),
        table(
            _task_rows(regions.tasks), caption=f"Per region; {_targets(kinds)}; {_rule(regions)}"
        ),
        folded(
            "AUROC of every seed",
            table(regions.tasks, seeds, caption=f"AUROC of every seed; {_targets(kinds)}"),
        ),
        folded("Reliability", _pictures(figures, "reliability")),
        folded("ROC curves", _pictures(figures, "roc_curves")),
    ]
    return Section("detection", "Detection", "".join(body), _key_figures(regions.macro))


def _rule(regions: RegionTable) -> str:
    return f"abnormal is called at: {regions.tasks['threshold_rule'].iloc[0]}"


def _key_figures(macro: pd.DataFrame) -> tuple[KeyFigure, ...]:
    return tuple(
        KeyFigure(
            f"macro AUROC, {_spaced(row['experiment'])}",
            number(row["macro_auroc"]),
            f"95 % CI {number(row['macro_auroc_ci_low'])} to {number(row['macro_auroc_ci_high'])}; "
            f"{row['n_tasks']} regions, {str(row['target_kind']).upper()} labels",
        )
        for row in macro.to_dict("records")
    )


def _spaced(name: object) -> str:
    """Returns a name that can be broken into lines."""
    return str(name).replace("_", " ")


def _macro_rows(macro: pd.DataFrame) -> list[dict[str, Any]]:
    names = {
        "macro_average_precision": "average precision",
        "macro_f1": "F1",
        "macro_sensitivity": "sensitivity",
        "macro_specificity": "specificity",
        "macro_ppv": "PPV",
        "macro_npv": "NPV",
        "macro_brier": "Brier",
        "macro_calibration_error": "calibration error",
    }
    return [
        {
            "experiment": row["experiment"],
            "targets": row["target_kind"],
            f"AUROC (95 % CI over {row['resampled']})": _of(row, "macro_auroc"),
            "AUROC CI over seeds": _limits(row, "macro_auroc_ci_seeds"),
            **{
                f"{title} (CI over seeds)": interval(
                    row[name], row[f"{name}_ci_seeds_low"], row[f"{name}_ci_seeds_high"]
                )
                for name, title in names.items()
            },
            "regions": row["n_tasks"],
            "seeds": row["n_seeds"],
        }
        for row in macro.to_dict("records")
    ]


def _task_rows(tasks: pd.DataFrame) -> list[dict[str, Any]]:
    plain = {
        "average_precision": "average precision",
        "f1": "F1",
        "sensitivity": "sensitivity",
        "specificity": "specificity",
        "ppv": "PPV",
        "npv": "NPV",
        "brier": "Brier",
        "calibration_error": "calibration error",
        "threshold": "threshold",
    }
    ordered = tasks.sort_values(["experiment", "auroc"], ascending=[True, False])
    return [
        {
            "region": row["title"],
            "experiment": row["experiment"],
            "targets": row["target_kind"],
            "exams": row["n"],
            "positive": row["n_positive"],
            "AUROC (95 % CI)": _of(row, "auroc"),
            "CI over seeds": _limits(row, "auroc_ci_seeds"),
            "CI, DeLong": _limits(row, "auroc_delong"),
            **{title: _cell(row[name]) for name, title in plain.items()},
            "note": "" if pd.isna(row["note"]) else row["note"],
        }
        for row in ordered.to_dict("records")
    ]


def _comparison_section(
    rows: pd.DataFrame, figures: Sequence[FigureFile], *, kinds: Sequence[str]
) -> Section:
    if rows.empty:
        return Section("comparisons", "Comparisons")
    parts = [_hypotheses(rows)]
    for (one, reference), pair in rows.groupby(["experiment", "reference"], sort=False):
        caption = f"{one} minus {reference}; {_targets(kinds)}"
        parts.append(f"<h3>{escape(str(one))} minus {escape(str(reference))}</h3>\n")
        parts.append(table([_pair_row(row) for row in pair.to_dict("records")], caption=caption))
    parts.append(_pictures(figures, "differences", "gain_by_balance", "auroc_by_group"))
    overall = rows[rows["task"] == ALL_TASKS].to_dict("records")
    gains = tuple(
        KeyFigure(
            f"{_spaced(row['experiment'])} minus {_spaced(row['reference'])}",
            number(row["difference"]),
            f"macro AUROC, 95 % CI {number(row['difference_ci_low'])} to "
            f"{number(row['difference_ci_high'])}; p = {number(row['p_exams'])}",
        )
        for row in overall
        if "difference" in row and not pd.isna(row["difference"])
    )
    return Section("comparisons", "Comparisons", "".join(parts), gains[:3])


def _hypotheses(rows: pd.DataFrame) -> str:
    rounds = int(rows["rounds_exams"].max())
    items = "".join(
        f"<li><code>{escape(name)}</code>: {escape(text)}</li>\n"
        for name, text in NULL_HYPOTHESES.items()
    )
    about = (
        f"Two-sided p values unless the name ends in greater. Permutation: {rounds:,} rounds, "
        "p = (b + 1) / (m + 1), or every rearrangement where there are fewer. Holm and Bonferroni "
        "correct for the regions of one comparison."
    )
    return paragraph(about) + folded("What each p value tests", f"<ul>\n{items}</ul>\n")


def _pair_row(row: Mapping[Any, Any]) -> dict[str, Any]:
    titles = {
        "p_exams": "p, patients or exams",
        "p_exams_greater": "one-sided",
        "p_exams_holm": "Holm",
        "p_exams_bonferroni": "Bonferroni",
        "p_delong": "p, DeLong",
        "p_delong_holm": "DeLong, Holm",
        "p_seeds": "p, seeds",
        "p_seeds_unpaired": "p, seeds unpaired",
        "p_tasks": "p, tasks",
    }
    return {
        "region": row["title"],
        "AUROC": _cell(row.get("auroc")),
        "reference": _cell(row.get("auroc_reference")),
        "difference (95 % CI)": _of(row, "difference"),
        "CI, DeLong": _limits(row, "delong_ci"),
        **{title: _cell(row.get(name)) for name, title in titles.items()},
        "note": "" if pd.isna(row["note"]) else row["note"],
    }


def _triage_section(
    rows: pd.DataFrame, figures: Sequence[FigureFile], *, kinds: Sequence[str]
) -> Section:
    titles = {
        "sensitivity_at_50": "sensitivity, ½ read",
        "sensitivity_at_75": "sensitivity, ¾ read",
        "unread_at_95": "unread at 95 % sensitivity",
        "unread_at_99": "unread at 99 % sensitivity",
        "number_needed_to_read_at_50": "exams per finding, ½ read",
        "number_needed_to_read_at_75": "exams per finding, ¾ read",
    }
    shown = [
        {
            "region": row["title"],
            "experiment": row["experiment"],
            "positive": row["n_positive"],
            **{
                title: interval(row[name], row[f"{name}_lowest"], row[f"{name}_highest"])
                for name, title in titles.items()
            },
            "exams per finding, random order": _cell(row["number_needed_to_read_random"]),
        }
        for row in rows.to_dict("records")
    ]
    caption = f"Exams sorted by probability; mean (lowest to highest seed); {_targets(kinds)}"
    body = _pictures(figures, "triage") + table(shown, caption=caption)
    return Section("triage", "Worklist triage", body)


def _ensemble_section(rows: pd.DataFrame, *, kinds: Sequence[str]) -> Section:
    if rows.empty:
        return Section("ensembles", "Ensembles over seeds")
    shown = [
        {
            "region": row["title"],
            "experiment": row["experiment"],
            "seeds": row["n_seeds"],
            "ensemble": _cell(row["auroc_ensemble"]),
            "mean of single seeds": _cell(row["auroc_single"]),
            "best seed": _cell(row["auroc_best_seed"]),
            "gain (95 % CI)": _of(row, "gain"),
        }
        for row in rows.to_dict("records")
    ]
    caption = f"AUROC of the mean probability over seeds; {_targets(kinds)}"
    return Section("ensembles", "Ensembles over seeds", table(shown, caption=caption))


def _training_section(figures: Sequence[FigureFile]) -> Section:
    body = _pictures(figures, "auroc_by_training_size", "epochs_to_best")
    return Section("training", "Training", body)


def _method_section(tables: ReportTables) -> Section:
    macro = tables.regions.macro.iloc[0]
    text = (
        f"AUROC is the mean over seeds. Its interval resamples {macro['resampled']} "
        f"{macro['num_bootstrap']} times and is the one to trust for one model; the interval over "
        "seeds (as in the paper) tells how much another training would change, on these very "
        "exams; DeLong's counts exams as independent. An area that is not defined (one class only) "
        "is missing, never 0 or 0.5. Macro means take regions with at least "
        f"{macro['min_positives']} positives."
    )
    return Section("method", "How the numbers were made", paragraph(text))


def _of(row: Mapping[Any, Any], name: str) -> Cell:
    return interval(row.get(name), row.get(f"{name}_ci_low"), row.get(f"{name}_ci_high"))


def _limits(row: Mapping[Any, Any], name: str) -> Cell:
    low, high = row.get(f"{name}_low"), row.get(f"{name}_high")
    if low is None or high is None or pd.isna(low):
        return _cell(None)
    return Cell(f"{number(low)} to {number(high)}", float(low))


def _cell(value: Any) -> Cell:
    missing = value is None or pd.isna(value)
    return Cell(number(None if missing else value), None if missing else float(value))
