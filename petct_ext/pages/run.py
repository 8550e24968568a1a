"""The page of a run: everything that it has found, and what its manifests say of how.

The page asks for nothing from outside: pictures, style and script are part of it. Whatever is not
there is named, with the reason, so that a reader never takes a missing part for a good result.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pandas as pd

from petct_ext.errors import InputDataError
from petct_ext.files import read_json, write_text
from petct_ext.ontology import RegionOntology
from petct_ext.pages.cohort import cohort_section, label_section, overlay_section
from petct_ext.pages.detection import DETECTION, FIGURES, detection_section
from petct_ext.pages.inputs import find_figures, not_written, read_free_table
from petct_ext.pages.rendering import KeyFigure, PageSection, render, rounded
from petct_ext.pages.survival import brief_survival_section
from petct_ext.statistics.predictions import TARGET_KINDS

__all__ = [
    "RunFacts",
    "StepFacts",
    "build_page",
    "read_run_facts",
    "write_page",
]

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


@dataclass(frozen=True, slots=True)
class StepFacts:
    """One step: when it began (ISO time or ``""``), how long it took (s) or why it was skipped."""

    title: str
    started: str
    seconds: float | None
    skipped: str


@dataclass(frozen=True, slots=True)
class RunFacts:
    """Facts about a run; ``is_artificial`` if ``cohort.json`` or a manifest says so."""

    steps: tuple[StepFacts, ...]
    is_artificial: bool


def read_run_facts(work: str | Path) -> RunFacts:
    """Reads ``cohort.json`` and ``manifests/*.json`` of a work folder, as far as they exist.

    Raises:
        InputDataError: if one is not a JSON object or states no number of seconds.
    """
    work = Path(work)
    paths = sorted((work / "manifests").glob("*.json"))
    documents = [(path, _read_object(path)) for path in paths]
    cohort = work / "cohort.json"
    facts = [document for _, document in documents]
    if cohort.is_file():
        facts.append(_read_object(cohort))
    steps = [_step(path, document) for path, document in documents]
    return RunFacts(
        steps=tuple(sorted(steps, key=lambda step: (step.started == "", step.started))),
        is_artificial=any(bool(document.get("artificial")) for document in facts),
    )


def _step(path: Path, document: dict[str, Any]) -> StepFacts:
    seconds = document.get("seconds")
    if seconds is not None and not isinstance(seconds, (int, float)):
        raise InputDataError(f"{path}: seconds is {seconds!r}, not a number; run the step again.")
    title = str(document.get("title") or document.get("step") or path.stem)
    return StepFacts(
        title=title,
        started=str(document.get("started") or "")[:19],
        seconds=None if seconds is None else float(seconds),
        skipped=str(document.get("skipped") or ""),
    )


def _read_object(path: Path) -> dict[str, Any]:
    document = read_json(path)
    if not isinstance(document, dict):
        raise InputDataError(f"{path} is not a JSON object; run the step that writes it again.")
    return document
