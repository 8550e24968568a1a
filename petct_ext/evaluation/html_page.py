"""One self-contained page with everything that a run has found.

The page asks for nothing from outside: pictures, style and script are part of it. Whatever is not
there is named, with the reason, so that a reader never takes a missing part for a good result.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from petct_ext.errors import InputDataError
from petct_ext.evaluation.html_elements import Section, notice, table
from petct_ext.evaluation.html_frame import render_page
from petct_ext.evaluation.html_results import detection_section, survival_section
from petct_ext.evaluation.html_sections import cohort_section, label_section, overlay_section
from petct_ext.evaluation.run_facts import RunFacts, read_run_facts, step_section
from petct_ext.files import write_text

__all__ = ["build_page", "write_page"]

_TITLE = "Whole-body FDG-PET/CT: what this run found"
_LEAD = (
    "Abnormality detection by anatomical region, learned from radiology reports, and survival "
    "after the last exam."
)


def build_page(work: str | Path, *, title: str = _TITLE) -> str:
    """Builds the page of a run from whichever of its files exist.

    Args:
        work: the work folder of the run.
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
        label_section(work),
        detection_section(work),
        overlay_section(work),
        survival_section(work),
        step_section(facts),
    ]
    if not any(section.body for section in sections):
        raise InputDataError(
            f"{work} holds no result (no exams.csv, evaluation/metrics.csv ...); run the steps "
            "first or check the path."
        )
    sections.append(_missing_section(facts, sections))
    return render_page(title, sections, lead=_LEAD, notices=_notices(facts, sections))


def write_page(work: str | Path, *, title: str = _TITLE) -> Path:
    """Builds the page and writes ``index.html`` into the work folder.

    Returns:
        The path.

    Raises:
        InputDataError: as :func:`build_page`.
        OutputError: if the file cannot be written.
    """
    return write_text(Path(work) / "index.html", build_page(work, title=title))


def _notices(facts: RunFacts, sections: Sequence[Section]) -> str:
    boxes = []
    if facts.is_artificial:
        boxes.append(
            notice(
                "Artificial patients.",
                "All exams, reports and outcomes of this run are computer phantoms. Phantom "
                "results are not clinical results: they show that the software works, not how "
                "well it detects disease.",
                loud=True,
            )
        )
    kinds = {kind for section in sections for kind in section.target_kinds}
    if "weak" in kinds:
        boxes.append(
            notice(
                "Evaluated on WEAK labels.",
                "Detection was scored against labels taken from report text, not against a "
                "reader's judgement. Weak labels are not truth: these numbers say how well the "
                "model agrees with the labeler.",
                loud=True,
            )
        )
    elif "hand" in kinds:
        boxes.append(
            notice(
                "Trained on weak labels, scored on hand labels.",
                "The model learned from labels taken from report text, which are not truth; "
                "detection below is scored against hand labels"
                + (" (here: the known truth of the phantoms)." if facts.is_artificial else "."),
            )
        )
    boxes.append(
        notice("Research use only.", "Not a medical device; not for decisions about patients.")
    )
    return "".join(boxes)


def _missing_section(facts: RunFacts, sections: Sequence[Section]) -> Section:
    skipped = [
        {"what": f"step {step.title}", "why": f"left out: {step.skipped}"}
        for step in facts.steps
        if step.skipped
    ]
    rows = skipped + [
        {"what": what, "why": why} for section in sections for what, why in section.missing
    ]
    if not rows:
        return Section("missing", "Not on this page", "<p>Nothing is missing.</p>\n")
    return Section("missing", "Not on this page", table(rows, {"what": "what", "why": "why"}))
