"""One self-contained page with everything that a run has found.

The page asks for nothing from outside: pictures, style and script are part of it. Whatever is not
there is named, with the reason, so that a reader never takes a missing part for a good result.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pandas as pd

from petct_ext.errors import InputDataError
from petct_ext.files import write_text
from petct_ext.ontology import RegionOntology
from petct_ext.pages.cells import rounded
from petct_ext.pages.cohort import cohort_section, label_section, overlay_section
from petct_ext.pages.detection import DETECTION, FIGURES, detection_section
from petct_ext.pages.inputs import not_written, read_free_table
from petct_ext.pages.pictures import find_figures
from petct_ext.pages.rendering import KeyFigure, PageSection, render
from petct_ext.pages.run_facts import RunFacts, read_run_facts
from petct_ext.pages.survival import brief_survival_section
from petct_ext.statistics.predictions import TARGET_KINDS

__all__ = ["build_page", "write_page"]

_TITLE = "Whole-body FDG-PET/CT: what this run found"


def build_page(work: str | Path, *, ontology: RegionOntology, title: str = _TITLE) -> str:
    """Builds the page of a run from whichever of its files exist.

    Args:
        work: the work folder of the run.
        ontology: tells the titles of regions.
        title: heading of the page.

    Returns:
        The HTML text. It holds pseudonymous ids only: ``private/`` is never read.

    Raises:
        InputDataError: if the folder does not exist, holds no result, or a file is malformed.
    """
    work = Path(work)
    if not work.is_dir():
        raise InputDataError(f"{work} is not a folder; give the work folder of a run, runs/<name>.")
    facts = read_run_facts(work)
    sections = [
        cohort_section(work),
        label_section(work, ontology),
        _detection_section(work / "evaluation", ontology),
        overlay_section(work, ontology),
        brief_survival_section(work),
        _step_section(facts),
    ]
    if all(section.data is None for section in sections):
        raise InputDataError(
            f"{work} holds no result (no exams.csv, evaluation/metrics.csv ...); run the steps "
            "first or check the path."
        )
    sections.append(_missing_section(facts, sections))
    return render(
        "run.html",
        sections,
        title=title,
        is_artificial=facts.is_artificial,
        kinds={kind: TARGET_KINDS[kind] for part in sections for kind in part.target_kinds},
    )


def write_page(work: str | Path, *, ontology: RegionOntology, title: str = _TITLE) -> Path:
    """Builds the page and writes ``index.html`` into the work folder.

    Returns:
        The path.

    Raises:
        InputDataError: as :func:`build_page`.
        OutputError: if the file cannot be written.
    """
    return write_text(Path(work) / "index.html", build_page(work, ontology=ontology, title=title))


def _detection_section(folder: Path, ontology: RegionOntology) -> PageSection:
    tasks = read_free_table(
        folder / "metrics.csv", ("experiment", "task", "target_kind", "auroc", "n", "n_positive")
    )
    macro = read_free_table(
        folder / "metrics_macro.csv", ("experiment", "target_kind", "macro_auroc")
    )
    if tasks is None or macro is None:
        reason = not_written("evaluate_predictions")
        return PageSection("detection", DETECTION, missing=(("evaluation/metrics.csv", reason),))
    for kind in map(str, [*tasks["target_kind"], *macro["target_kind"]]):
        if kind not in TARGET_KINDS:
            raise InputDataError(
                f"{folder / 'metrics.csv'}: target_kind {kind!r} is none of "
                f"{', '.join(TARGET_KINDS)}; run the evaluation again."
            )
    pictures = {name: find_figures(folder, name) for name in FIGURES}
    section = detection_section(_with_titles(tasks, ontology), macro, pictures, brief=True)
    missing = tuple(
        (f"evaluation/{name}", "figure not drawn") for name, found in pictures.items() if not found
    )
    return replace(section, missing=missing)


def _with_titles(tasks: pd.DataFrame, ontology: RegionOntology) -> pd.DataFrame:
    """Gives titles to the rows of tables that have none."""
    words = pd.Series([ontology.in_words(str(task)) for task in tasks["task"]], tasks.index)
    return tasks.assign(title=tasks["title"].fillna(words) if "title" in tasks else words)


def _step_section(facts: RunFacts) -> PageSection:
    """The steps and how long they took."""
    title, done = "How it was made", [step for step in facts.steps if not step.skipped]
    if not done:
        reason = "no manifest of a step; a run made by scripts/run_pipeline.py writes them"
        return PageSection("steps", title, missing=(("manifests/*.json", reason),))
    minutes = rounded(sum(step.seconds or 0.0 for step in done) / 60, 1)
    rows = [
        {"step": step.title, "started": step.started.replace("T", " "), "seconds": step.seconds}
        for step in done
    ]
    figure = KeyFigure("computing time", f"{minutes} min", f"{len(done)} steps")
    return PageSection("steps", title, {"steps": rows, "minutes": minutes}, (figure,))


def _missing_section(facts: RunFacts, sections: Sequence[PageSection]) -> PageSection:
    rows = [
        {"what": f"step {step.title}", "why": f"left out: {step.skipped}"}
        for step in facts.steps
        if step.skipped
    ]
    rows += [{"what": what, "why": why} for part in sections for what, why in part.missing]
    return PageSection("missing", "Not on this page", {"rows": rows})
