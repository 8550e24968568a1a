"""Free-text reports on digital exams, with every mention of a region known.

A report says what the exam holds, in the varied language of real ones: headings and layouts of
several departments, American or British spelling, measurements in mm or cm, lists, negatives,
normal uptake, incidental findings, comparisons with the exam before, hedged statements, wrapped
lines and the odd typing error. Lesions with ``mentioned=False`` are neither described nor denied,
and neither are the regions around them. It holds no name, identifier or date of birth.

Summary codes (``Exam.summary_code``; rule in :mod:`petct_ext.synthetic.summary_codes`):
1 no significant abnormality; 2 abnormal, previously noted; 4 possible significant abnormality or
change, may need action; 9 abnormal in many regions, action needed. About half of the reports end
in a line with the code.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from petct_ext.errors import InputDataError
from petct_ext.ontology import RegionOntology
from petct_ext.synthetic.patients import Exam, Patient
from petct_ext.synthetic.reports.case import Case, sample_style
from petct_ext.synthetic.reports.findings import (
    AREAS,
    FindingSentence,
    optional_sentences,
    positive_sentences,
    resolved_sentences,
)
from petct_ext.synthetic.reports.impression import impression_items
from petct_ext.synthetic.reports.phrases import (
    ReportMention,
    compose,
    load_phrases,
    pick,
    resolve,
    respell,
    sentence,
)
from petct_ext.synthetic.summary_codes import SUMMARY_CODES

__all__ = [
    "MAX_CHARACTERS",
    "SUMMARY_CODES",
    "Report",
    "ReportMention",
    "misspell",
    "wrap_lines",
    "write_report",
]

MAX_CHARACTERS = 2500
"""Length that a report does not exceed unless its lesions alone need more."""

_MBQ_PER_MCI = 37.0


@dataclass(frozen=True, slots=True)
class Report:
    """A report as a reader signs it, and what an annotator would find in it.

    Attributes:
        text: the report.
        indication: group of indications, as a table of exams holds it.
        summary_code: 1, 2, 4 or 9.
        mentions: regions named in findings and impression, in the order of the text; words in
            history, technique and headings are left out.
    """

    text: str
    indication: str
    summary_code: int
    mentions: tuple[ReportMention, ...]


def write_report(
    patient: Patient, exam: Exam, *, ontology: RegionOntology, rng: np.random.Generator
) -> Report:
    """Writes the report on one exam.

    Args:
        patient: the patient; an earlier exam of theirs is compared with.
        exam: one of the patient's exams.
        ontology: regions of the lesions; mentions name the side where it tells sides apart.
        rng: source of randomness; equal generators give equal reports.

    Returns:
        A report of about 800 to 2,500 characters in which every region that holds a mentioned
        lesion is called abnormal, itself or by a region around it, and in which no region is
        called normal that holds a lesion.

    Raises:
        InputDataError: if the exam is not one of the patient's.
    """
    if exam not in patient.exams:
        raise InputDataError(
            f"write_report: exam {exam.number} is not among the {len(patient.exams)} exams of "
            f"patient {patient.number}; pass one of patient.exams."
        )
    earlier = [other for other in patient.exams if other.number < exam.number]
    case = Case(patient, exam, earlier[-1] if earlier else None, ontology, sample_style(rng), rng)
    marked = _assemble(case)
    if rng.random() < 0.3:
        marked = respell(marked, load_phrases()["british"])
    text, found = resolve(marked)
    mentions = tuple(_on_side(mention, text, ontology) for mention in found)
    if rng.random() < 0.12:
        text = misspell(text, mentions, rng)
    if rng.random() < 0.35:
        text = wrap_lines(text, mentions, width=int(rng.integers(72, 96)))
    return Report(text, patient.indication, exam.summary_code, mentions)


def _on_side(mention: ReportMention, text: str, ontology: RegionOntology) -> ReportMention:
    """Turns "left breast" into a mention of ``left_breast`` if the ontology has that region."""
    sides = set(re.findall(r"\b(?:left|right)\b", text[mention.start : mention.end].lower()))
    region = f"{sides.pop()}_{mention.region}" if len(sides) == 1 else ""
    return replace(mention, region=region) if region in ontology else mention


def _assemble(case: Case) -> str:
    """Joins the sections, adding optional sentences as long as there is room."""
    rng = case.rng
    head = _head_sections(case)
    closing = _impression_section(case)
    required = [*positive_sentences(case), *resolved_sentences(case)]
    length = len(head) + len(closing) + sum(len(s.text) + 1 for s in required)
    target = min(float(rng.uniform(1000, 2100)), MAX_CHARACTERS - 150.0)
    target = max(target, min(length + 250.0, MAX_CHARACTERS - 100.0))
    chosen: list[FindingSentence] = []
    for extra in optional_sentences(case):
        if length >= target:
            break
        if length + len(extra.text) < MAX_CHARACTERS - 100:
            chosen.append(extra)
            length += len(extra.text) + 1
    return f"{head}\n\n{_findings_section(case, required, chosen)}\n\n{closing}"


def _heading(case: Case, kind: str) -> str:
    return pick(case.rng, load_phrases()["layout"][f"{kind}_headings"])


def _section(case: Case, kind: str, body: str) -> str:
    heading = _heading(case, kind)
    # A heading in capitals may share its line with the text; others stand alone or take a colon.
    if case.rng.random() < 0.6:
        return f"{heading}: {body}"
    colon = ":" if case.rng.random() < 0.6 else ""
    return f"{heading}{colon}\n{body}"


def _head_sections(case: Case) -> str:
    """History, technique and comparison; technique is left out of one report in four."""
    layout, rng = load_phrases()["layout"], case.rng
    slots = _history_slots(case)
    kind = "history_treated" if case.exam.treated else "history_untreated"
    if kind == "history_untreated" and case.patient.disease == "inflammation":
        kind = "history_untreated_inflammation"
    history = sentence(compose(pick(rng, layout[kind]), rng, slots=slots))
    parts = [_section(case, "history", history)]
    if rng.random() < 0.75:
        technique = compose(pick(rng, layout["technique"]), rng, slots=_technique_slots(case))
        parts.append(_section(case, "technique", technique))
    if case.previous is not None or rng.random() < 0.7:
        kind = "comparison_none" if case.previous is None else "comparison_earlier"
        comparison = compose(pick(rng, layout[kind]), rng, slots={"date": _previous_date(case)})
        parts.append(_section(case, "comparison", comparison))
    return pick(rng, ("\n", "\n\n")).join(parts)


def _previous_date(case: Case) -> str:
    if case.previous is None:
        return ""
    day = case.previous.exam_date
    return pick(case.rng, (f"{day:%m/%d/%Y}", f"{day.isoformat()}", f"{day:%d %B %Y}"))


def _history_slots(case: Case) -> dict[str, str]:
    rng, patient = case.rng, case.patient
    disease = load_phrases()["diseases"][patient.disease]
    # Which disease of its group the patient has stays the same from exam to exam.
    name = pick(case.fixed_rng("full"), disease["history"])
    persons = load_phrases()["vocabulary"]["persons"][patient.sex]
    years = (case.exam.exam_date - patient.exams[0].exam_date).days / 365.25
    return {
        "age": str(int(patient.age_years + years)),
        "person": pick(rng, persons),
        "sex_letter": patient.sex,
        "disease": name,
        "treatment": pick(rng, disease["treatments"]),
    }


def _technique_slots(case: Case) -> dict[str, str]:
    rng, dose = case.rng, case.exam.injected_dose_mbq
    in_mci = rng.random() < 0.5
    return {
        "dose": f"{dose / _MBQ_PER_MCI:.1f} mCi" if in_mci else f"{dose:.0f} MBq",
        "uptake": f"{case.exam.uptake_minutes:.0f}",
        "glucose": str(int(np.clip(rng.normal(104, 16), 72, 190))),
    }


def _findings_section(
    case: Case, required: Sequence[FindingSentence], optional: Sequence[FindingSentence]
) -> str:
    layouts = ["zones", "paragraph", "paragraphs", "split"]
    layout = layouts[int(case.rng.choice(4, p=[0.4, 0.2, 0.22, 0.18]))]
    rest = [s for s in optional if s.area not in AREAS]
    words = load_phrases()["layout"]
    if layout == "split" and required:
        optional = sorted(optional, key=_area_order)
        blocks = [
            pick(case.rng, words["positives_headings"]) + "\n" + "\n".join(_texts(required)),
            pick(case.rng, words["others_headings"]) + "\n" + " ".join(_texts(optional)),
        ]
        body = "\n\n".join(blocks if optional else blocks[:1])
        return f"{_heading(case, 'findings')}\n{body}"
    blocks = []
    for area in AREAS:
        local = [s for s in required if s.area == area]
        other = [s for s in optional if s.area == area]
        texts = _texts([*local, *other] if case.rng.random() < 0.7 else [*other, *local])
        if texts and layout == "zones":
            blocks.append(f"{pick(case.rng, words['zones'][area])}: {' '.join(texts)}")
        elif texts:
            blocks.append(" ".join(texts))
    if rest:
        blocks.append(" ".join(_texts(rest)))
    if layout == "zones":
        return f"{_heading(case, 'findings')}:\n" + "\n".join(blocks)
    return _section(case, "findings", (" " if layout == "paragraph" else "\n\n").join(blocks))


def _area_order(spoken: FindingSentence) -> int:
    return AREAS.index(spoken.area) if spoken.area in AREAS else len(AREAS)


def _texts(sentences: Sequence[FindingSentence]) -> list[str]:
    return [s.text for s in sentences]


def _impression_section(case: Case) -> str:
    items = impression_items(case)
    if len(items) > 1 and case.rng.random() < 0.7:
        body = "\n".join(f"{i}. {item}" for i, item in enumerate(items, start=1))
        section = f"{_heading(case, 'impression')}:\n{body}"
    else:
        section = _section(case, "impression", " ".join(items))
    if case.rng.random() < 0.5:
        code = case.exam.summary_code
        section += f"\n\nSUMMARY: {code}-{SUMMARY_CODES[code]}"
    return section


def wrap_lines(text: str, mentions: Sequence[ReportMention], *, width: int) -> str:
    """Breaks long lines at spaces outside mentions, as systems with fixed line length do.

    Args:
        text: the report.
        mentions: spans that stay on one line.
        width: longest line in characters, as far as spaces allow.

    Returns:
        Text of the same length; some spaces have become line feeds.
    """
    inside = {i for mention in mentions for i in range(mention.start, mention.end)}
    characters = list(text)
    line_start, last_space = 0, -1
    for i, character in enumerate(text):
        if character == "\n":
            line_start, last_space = i + 1, -1
            continue
        if character == " " and i not in inside:
            last_space = i
        if i - line_start >= width and last_space >= 0:
            characters[last_space] = "\n"
            line_start, last_space = last_space + 1, -1
    return "".join(characters)


def misspell(text: str, mentions: Sequence[ReportMention], rng: np.random.Generator) -> str:
    """Swaps two inner letters of one long lower-case word outside mentions.

    Negations and headings are left alone, so that the meaning stays.

    Returns:
        Text of the same length; unchanged if there is no such word.
    """
    inside = {i for mention in mentions for i in range(mention.start, mention.end)}
    words = [
        found
        for found in re.finditer(r"\b[a-z]{8,}\b", text)
        if found.start() not in inside and found[0] != "negative"
    ]
    if not words:
        return text
    word = words[int(rng.integers(len(words)))]
    i = word.start() + int(rng.integers(2, len(word[0]) - 3))
    return text[:i] + text[i + 1] + text[i] + text[i + 2 :]
