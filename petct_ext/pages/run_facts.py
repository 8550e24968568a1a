"""What a run's manifests say: steps, seconds, whether its patients are artificial."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from petct_ext.errors import InputDataError
from petct_ext.files import read_json

__all__ = ["RunFacts", "StepFacts", "read_run_facts"]


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
