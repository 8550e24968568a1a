"""How well regions are detected: the same section on the page of an evaluation and of a run."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final

import pandas as pd

from petct_ext.pages.inputs import Picture
from petct_ext.pages.rendering import (
    Cell,
    KeyFigure,
    PageSection,
    interval,
    limits,
    one_number,
    rounded,
    words,
)
from petct_ext.statistics.predictions import TARGET_KINDS
from petct_ext.statistics.region_statistics import AUROC, STATISTICS, Statistic

__all__ = ["DETECTION", "FIGURES", "about_targets", "detection_section"]

FIGURES: Final = (
    *(f"{statistic.name}_by_region" for statistic in STATISTICS if statistic.is_drawn),
    "roc_curves",
    "reliability",
)
"""Names of the figures of the section, as their files begin."""

DETECTION: Final = "Detection per region"
"""Title of the section."""

_FEW = " †"


def about_targets(kinds: Iterable[str]) -> str:
    """Returns who judged the targets, for captions."""
    return "; ".join(TARGET_KINDS[kind] for kind in kinds)


def detection_section(
    tasks: pd.DataFrame,
    macro: pd.DataFrame,
    pictures: Mapping[str, Sequence[Picture]],
    *,
    brief: bool,
) -> PageSection:
    """Returns macro means, the table of regions and their figures.

    Args:
        tasks: rows of ``metrics.csv``; columns that are not there are left out.
        macro: rows of ``metrics_macro.csv``, likewise.
        pictures: figures by :data:`FIGURES`.
        brief: whether to show only the statistics that are brief, without intervals over seeds.
    """
    kinds = tuple(dict.fromkeys(map(str, [*tasks["target_kind"], *macro["target_kind"]])))
    shown = [s for s in STATISTICS if s.name in tasks.columns and (s.is_brief or not brief)]
    ordered = tasks.sort_values(["experiment", AUROC.name], ascending=[True, False])
    rows = [_task_row(row, shown, brief=brief) for row in ordered.to_dict("records")]
    data = {
        "macro": [_macro_row(row, shown, brief=brief) for row in macro.to_dict("records")],
        "min_positives": _first(macro, "min_positives", "enough"),
        "tasks": rows,
        "all_tasks": tasks,
        "headings": _headings(tasks, rows),
        "num_exams": tasks["n"].max(),
        "at_threshold": ", ".join(s.title for s in shown if s.needs_threshold),
        "rule": _first(tasks, "threshold_rule", f"probability {_first(tasks, 'threshold', 0.5):g}"),
        "few": any(row["region"].endswith(_FEW) for row in rows),
        "judged_by": about_targets(kinds),
        "seeds": [] if brief else [_of_seeds(tasks, s) for s in STATISTICS if s.is_drawn],
        "by_region": [(s, pictures[f"{s.name}_by_region"]) for s in STATISTICS if s.is_drawn],
        "roc_curves": pictures["roc_curves"],
        "reliability": pictures["reliability"],
    }
    return PageSection("detection", DETECTION, data, _key_figures(macro), target_kinds=kinds)


def _macro_row(
    row: Mapping[Any, Any], shown: Sequence[Statistic], *, brief: bool
) -> dict[str, object]:
    values: dict[str, object] = {}
    for s in shown:
        name = f"macro_{s.name}"
        if s.resample is not None:
            values[f"{s.title} (95 % CI)"] = _with(row, name, "ci", digits=s.digits)
            if not brief:
                seeds = _limits(row, f"{name}_ci_seeds", digits=s.digits)
                values[f"{s.title}, CI over seeds"] = seeds
        elif not brief:
            values[f"{s.title} (CI over seeds)"] = _with(row, name, "ci_seeds", digits=s.digits)
    return {
        "experiment": row["experiment"],
        "targets": row["target_kind"],
        **values,
        "tasks in it": row.get("n_tasks"),
        "tasks left out": row.get("n_tasks_left_out"),
        "exams": row.get("n_exams"),
        "patients": row.get("n_patients"),
        "seeds": row.get("n_seeds"),
        "CI resamples": row.get("resampled", ""),
    }


def _task_row(row: Mapping[Any, Any], shown: Sequence[Statistic], *, brief: bool) -> dict[str, Any]:
    title = str(row["title"])
    note = words(row.get("note"))
    if note.startswith("under "):  # frequent, and too long for a column
        title, note = title + _FEW, ""
    values: dict[str, object] = {}
    for s in shown:
        ci = " (95 % CI)" if s.resample is not None else ""
        values[f"{s.title}{ci}"] = _with(row, s.name, "ci", digits=s.digits)
        if s.is_drawn and not brief:
            values[f"{s.title}, CI over seeds"] = _limits(
                row, f"{s.name}_ci_seeds", digits=s.digits
            )
        if s.delong is not None and not brief:
            values[f"{s.title}, CI, DeLong"] = _limits(row, f"{s.name}_delong", digits=s.digits)
    return {
        "region": title,
        "experiment": row["experiment"],
        "targets": row["target_kind"],
        "exams": row["n"],
        "positive": row["n_positive"],
        **values,
        **({} if brief else {"threshold": one_number(row.get("threshold"))}),
        "note": note,
    }


def _headings(tasks: pd.DataFrame, rows: Sequence[Mapping[str, Any]]) -> dict[str, str]:
    """All columns but those that would say the same in every row, which the caption does."""
    same = {
        "experiment": tasks["experiment"].nunique() == 1,
        "targets": tasks["target_kind"].nunique() == 1,
        "exams": tasks["n"].nunique() == 1,
        "note": not any(row["note"] for row in rows),
    }
    return {name: name for name in rows[0] if not same.get(name, False)}


def _of_seeds(tasks: pd.DataFrame, statistic: Statistic) -> tuple[str, dict[str, str]]:
    """Title and columns of the table with each seed's value."""
    start = f"{statistic.name}_seed_"
    seeds = [str(name) for name in tasks.columns if str(name).startswith(start)]
    names = {"experiment": "experiment", "title": "region"}
    return statistic.title, names | {name: f"seed {name.removeprefix(start)}" for name in seeds}


def _key_figures(macro: pd.DataFrame) -> tuple[KeyFigure, ...]:
    figures = []
    for row in macro.to_dict("records"):
        cell = _limits(row, f"macro_{AUROC.name}_ci", digits=AUROC.digits)
        detail = f"95 % CI {cell.text}; " if cell.value is not None else ""
        detail += f"{row.get('n_tasks', '?')} regions, {str(row['target_kind']).upper()} labels"
        # Underscores would keep the name from being broken into lines.
        of = "" if len(macro) == 1 else f", {str(row['experiment']).replace('_', ' ')}"
        value = rounded(row[f"macro_{AUROC.name}"], AUROC.digits)
        figures.append(KeyFigure(f"macro {AUROC.title}{of}", value, detail))
    return tuple(figures)


def _with(row: Mapping[Any, Any], name: str, kind: str, *, digits: int) -> Cell:
    low, high = row.get(f"{name}_{kind}_low"), row.get(f"{name}_{kind}_high")
    return interval(row.get(name), low, high, digits=digits)


def _limits(row: Mapping[Any, Any], name: str, *, digits: int) -> Cell:
    return limits(row.get(f"{name}_low"), row.get(f"{name}_high"), digits=digits)


def _first(rows: pd.DataFrame, name: str, otherwise: Any) -> Any:
    return rows[name].iloc[0] if name in rows.columns else otherwise
