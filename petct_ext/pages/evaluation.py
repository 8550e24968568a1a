"""The page of an evaluation: every table, sortable, and every figure, in one file."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pandas as pd

from petct_ext.figures.evaluation import SavedFigure, save_figures
from petct_ext.files import write_text
from petct_ext.ontology import RegionOntology
from petct_ext.pages.detection import FIGURES, about_targets, detection_section
from petct_ext.pages.inputs import Picture, read_figure
from petct_ext.pages.rendering import (
    KeyFigure,
    PageSection,
    limits,
    render,
    rounded,
    with_intervals,
)
from petct_ext.statistics.comparison import ALL_TASKS, NULL_HYPOTHESES
from petct_ext.statistics.evaluation import EvaluationOptions, EvaluationTables, write_tables
from petct_ext.statistics.predictions import TARGET_KINDS, Experiment

__all__ = ["build_evaluation_page", "write_evaluation"]


def write_evaluation(
    experiments: Sequence[Experiment],
    tables: EvaluationTables,
    folder: str | Path,
    *,
    options: EvaluationOptions,
    ontology: RegionOntology,
    training_sizes: pd.DataFrame | None = None,
    histories: pd.DataFrame | None = None,
) -> Path:
    """Writes figures, ``index.html`` and tables; ``metrics.csv`` last.

    Args:
        experiments: what was scored.
        tables: from ``evaluate_experiments``.
        folder: where to; what is there already is replaced.
        options: as given to ``evaluate_experiments``.
        ontology: groups the regions.
        training_sizes: table of ``read_training_sizes``, for the figure of training size.
        histories: table of ``read_histories``, for the figure of epochs.

    Returns:
        The path of the page.

    Raises:
        OutputError: if a file cannot be written.
    """
    folder = Path(folder)
    figures = save_figures(
        experiments,
        tables,
        folder,
        options=options,
        ontology=ontology,
        training_sizes=training_sizes,
        histories=histories,
    )
    page = write_text(folder / "index.html", build_evaluation_page(tables, figures))
    write_tables(tables, folder)
    return page


def build_evaluation_page(tables: EvaluationTables, figures: Sequence[SavedFigure]) -> str:
    """Returns a page that asks for nothing from outside.

    Args:
        tables: what was computed.
        figures: what was drawn; the files are read.

    Returns:
        The HTML text. Its head says who judged the targets, loudly for weak labels.

    Raises:
        InputDataError: if a figure cannot be read.
    """
    regions, macro, ensembles = tables.regions, tables.regions.macro, tables.ensembles

    def drawn(*names: str) -> list[Picture]:
        return [read_figure(of.svg, of.label) for of in figures if of.name in names]

    trained = {name: drawn(name) for name in ("auroc_by_training_size", "epochs_to_best")}
    sections = [
        detection_section(
            regions.tasks, macro, {name: drawn(name) for name in FIGURES}, brief=False
        ),
        _comparison_section(tables.comparisons, drawn),
        PageSection(
            "triage",
            "Worklist triage",
            {"rows": _triage(tables.triage), "figures": drawn("triage")},
        ),
        PageSection(
            "ensembles",
            "Ensembles over seeds",
            None if ensembles.empty else {"rows": with_intervals(ensembles, "gain")},
        ),
        PageSection("training", "Training", trained if any(trained.values()) else None),
        PageSection("method", "How the numbers were made", {"macro": macro.iloc[0].to_dict()}),
    ]
    kinds = list(dict.fromkeys(map(str, macro["target_kind"])))
    return render(
        "evaluation.html",
        sections,
        title="Evaluation of predictions",
        names=list(map(str, macro["experiment"])),
        split=macro["split"].iloc[0],
        num_exams=macro["n_exams"].max(),
        kinds={kind: TARGET_KINDS[kind] for kind in kinds},
        judged_by=about_targets(kinds),
    )


def _comparison_section(rows: pd.DataFrame, drawn: Callable[..., list[Picture]]) -> PageSection:
    title = "Comparisons"
    if rows.empty:
        return PageSection("comparisons", title)
    pairs = [
        (f"{one} minus {reference}", _pair(pair))
        for (one, reference), pair in rows.groupby(["experiment", "reference"], sort=False)
    ]
    data = {
        "hypotheses": NULL_HYPOTHESES,
        "rounds": f"{int(rows['rounds_exams'].max()):,}",
        "pairs": pairs,
        "differences": drawn("differences"),
        "gains": drawn("gain_by_balance"),
        "groups": drawn("auroc_by_group"),
    }
    gains = tuple(
        KeyFigure(
            f"{row['experiment']} minus {row['reference']}".replace("_", " "),
            rounded(row["difference"]),
            f"macro AUROC, 95 % CI {rounded(row['difference_ci_low'])} to "
            f"{rounded(row['difference_ci_high'])}; p = {rounded(row['p_exams'])}",
        )
        for row in rows[rows["task"] == ALL_TASKS].to_dict("records")
        if not pd.isna(row.get("difference"))
    )
    return PageSection("comparisons", title, data, gains[:3])


def _pair(rows: pd.DataFrame) -> pd.DataFrame:
    ends = zip(rows["delong_ci_low"], rows["delong_ci_high"], strict=True)
    cells: dict[str, Any] = {"delong": [limits(low, high) for low, high in ends]}
    return with_intervals(rows, "difference").assign(**cells)


def _triage(rows: pd.DataFrame) -> pd.DataFrame:
    names = [name.removesuffix("_lowest") for name in rows.columns if name.endswith("_lowest")]
    return with_intervals(rows, *names, low="lowest", high="highest")
