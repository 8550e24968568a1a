"""Which series of an archive are the PET and the CT of an exam, and why the others are not."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from petct_ext.dicom.series.duplicates import duplicates
from petct_ext.dicom.series.fitness import (
    has_contrast,
    header_contradictions,
    limited_body_part,
    unfit_reason,
)
from petct_ext.dicom.series.groups import Series, Study
from petct_ext.dicom.series.pairing import (
    SMALLEST_COVERAGE,
    Wishes,
    choose_ct,
    choose_pet,
    coverage,
    frame_of_reference,
    is_of_another_day,
)

__all__ = [
    "ANOTHER_FRAME",
    "ASSUMED_REGISTERED",
    "FRAME_OF_REFERENCE",
    "NO_PET",
    "ExamChoice",
    "choose_exams",
]

FRAME_OF_REFERENCE = "frame_of_reference"
"""The CT lies in the PET's frame of reference: the scanner says where they match."""

ANOTHER_FRAME = "another_frame_of_reference"
"""The CT has another or no frame of reference. Preparation has to measure that they match."""

ASSUMED_REGISTERED = "assumed_registered"
"""As before, but someone says that PET and CT lie on each other."""

NO_PET = "has no PET series"
"""Problem of a study with CT alone."""

_WHOLE_COVERAGE = 0.95


@dataclass(slots=True)
class ExamChoice:
    """The chosen pair of one study with a PET.

    Attributes:
        study: the study.
        pet: chosen attenuation-corrected PET series, None if there is none.
        ct: chosen CT series, None if there is none; it may stand in another study.
        reasons: why a series was chosen or left out, by key of the series.
        rules: name of the rule that decided among fit series, by key of the series.
        problem: why the exam cannot be used; empty if it can.
        ct_match: how the CT was found to belong to the PET; empty without CT.
        notes: what a reader should know about the pair.
        borrowed: the CT, if it stands in another study; such series are not in ``study``.
    """

    study: Study
    pet: Series | None = None
    ct: Series | None = None
    reasons: dict[str, str] = field(default_factory=dict)
    rules: dict[str, str] = field(default_factory=dict)
    problem: str = ""
    ct_match: str = ""
    notes: list[str] = field(default_factory=list)
    borrowed: Series | None = None


_NO_WISHES = Wishes()


def choose_exams(
    studies: Sequence[Study],
    *,
    min_slices: int = 16,
    wishes: Wishes = _NO_WISHES,
    assume_registered: bool = False,
) -> list[ExamChoice]:
    """Chooses the PET and the CT of every study that holds a PET or a CT.

    A CT is looked for in the PET's own study, then in studies without a PET of the same patient
    within 12 hours: some hospitals send CT and PET as two studies. A CT of another patient is never
    taken. A study with CT alone that serves no PET is an exam with a problem, so that it is told.
    Rules of the choice: :func:`~petct_ext.dicom.series.pairing.choose_pet`,
    :func:`~petct_ext.dicom.series.pairing.choose_ct`.

    Args:
        studies: all studies of the archive.
        min_slices: series with fewer slices are left out.
        wishes: what the site prefers, and a reader of pixels.
        assume_registered: whether a CT of another frame of reference is said to lie on its PET.

    Returns:
        One choice per such study, in the order of the studies; ``problem`` says in one line why a
        study has no pair.
    """
    of_patient: dict[str, list[Study]] = defaultdict(list)
    for study in studies:
        if len(study.patients) == 1 and not study.has("PT") and study.has("CT"):
            of_patient[study.patients[0]].append(study)
    rules = _Rules(min_slices, wishes, assume_registered)
    choices = {}
    for study in studies:
        if study.has("PT"):
            patient = study.patients[0] if len(study.patients) == 1 else ""
            choices[study.uid] = _choose(study, of_patient.get(patient, []), rules)
    lent = {choice.borrowed for choice in choices.values()}
    for study in studies:
        if study.has("CT") and not study.has("PT") and lent.isdisjoint(study.series):
            choices[study.uid] = _without_pet(study, min_slices)
    return [choices[study.uid] for study in studies if study.uid in choices]


class _Rules(NamedTuple):
    """What the choice of one exam depends on besides its study."""

    min_slices: int
    wishes: Wishes
    assume_registered: bool


def _without_pet(study: Study, min_slices: int) -> ExamChoice:
    reasons = {s.key: unfit_reason(s, min_slices) for s in study.series}
    choice = ExamChoice(study, reasons=reasons, problem=NO_PET)
    return _closed(choice, NO_PET)


def _choose(study: Study, companions: Sequence[Study], rules: _Rules) -> ExamChoice:
    """Chooses the best PET; if no CT covers it, the best of the others that has one."""
    first = _choose_of(study, companions, rules, without={})
    tried: dict[str, str] = {}
    choice = first
    while choice.problem and choice.pet is not None:
        tried[choice.pet.key] = f"left out: {choice.problem}, another PET has one that covers it"
        choice = _choose_of(study, companions, rules, without=tried)
        if choice.pet is not None and not choice.problem:
            choice.notes.append("a PET that shows more has no CT that covers it")
            return choice
    return first


def _choose_of(
    study: Study, companions: Sequence[Study], rules: _Rules, *, without: Mapping[str, str]
) -> ExamChoice:
    """Chooses among the series that are not given up with a reason, by key."""
    reasons = {s.key: unfit_reason(s, rules.min_slices) for s in study.series} | dict(without)
    choice = ExamChoice(study, reasons=reasons)
    choice.problem = _identity_problem(study)
    fit = [s for s in study.series if not choice.reasons[s.key]]
    choice.reasons |= duplicates(fit, rules.wishes.pixels)
    pets = _of_modality(choice, "PT")
    if choice.problem or not pets:
        choice.problem = choice.problem or _why_no_pet(choice)
        return _closed(choice, choice.problem)
    choice.pet, reasons, choice.rules = choose_pet(pets, rules.wishes)
    choice.reasons |= reasons
    choice.reasons[choice.pet.key] = (
        f"chosen: PET with the largest coverage ({choice.pet.length_mm:.0f} mm), "
        f"{choice.pet.num_slices} slices"
    )
    _pair(choice, choice.pet, companions, rules)
    _note(choice, choice.pet, pets)
    return _closed(choice, "no partner")


def _pair(choice: ExamChoice, pet: Series, companions: Sequence[Study], rules: _Rules) -> None:
    own = _same_session(choice, _of_modality(choice, "CT"), pet)
    best = None
    if own:
        best, reasons, decided = choose_ct(own, pet, rules.wishes)
        choice.reasons |= reasons
        choice.rules |= decided
    if best is None or coverage(best, pet) < SMALLEST_COVERAGE or not _share_frame(best, pet):
        elsewhere = _companion_ct(companions, pet, rules)
        is_better = best is None or coverage(best, pet) < SMALLEST_COVERAGE
        if elsewhere is not None and (is_better or _share_frame(elsewhere, pet)):
            if best is not None:
                why = (
                    f"covers {coverage(best, pet):.0%} of the PET, a CT of another study of the "
                    "patient covers more"
                    if is_better
                    else "in another frame of reference, a CT of another study shares the PET's"
                )
                choice.reasons[best.key] = f"left out: {why}"
            choice.borrowed = best = elsewhere
            choice.notes.append("the CT stands in another study of the same patient")
    choice.ct = best
    if best is None:
        has_ct = any(s.first.text("Modality") == "CT" for s in choice.study.series)
        choice.problem = (
            "has no usable CT series (series.csv says why)" if has_ct else ("has no CT series")
        )
        return
    share = coverage(best, pet)
    is_same = _share_frame(best, pet)
    other = ASSUMED_REGISTERED if rules.assume_registered else ANOTHER_FRAME
    choice.ct_match = FRAME_OF_REFERENCE if is_same else other
    choice.reasons[best.key] = f"chosen: CT {_description(best, pet, is_same)}"
    if share < SMALLEST_COVERAGE:
        choice.problem = f"has a CT that covers {share:.0%} of the PET"


def _share_frame(ct: Series, pet: Series) -> bool:
    return frame_of_reference(ct) == frame_of_reference(pet) != ""


def _same_session(choice: ExamChoice, cts: Sequence[Series], pet: Series) -> list[Series]:
    """Leaves out CTs of another day and returns the others."""
    kept = []
    for ct in cts:
        if is_of_another_day(ct, pet):
            what = "contrast CT" if has_contrast(ct) else "CT"
            choice.reasons[ct.key] = f"left out: {what} of another day than the PET"
        else:
            kept.append(ct)
    return kept


def _companion_ct(companions: Sequence[Study], pet: Series, rules: _Rules) -> Series | None:
    """Returns the CT for a PET from other studies of the same patient and session."""
    sex = pet.first.text("PatientSex")
    fit = [
        series
        for study in companions
        for series in study.series
        if series.first.text("Modality") == "CT"
        and not unfit_reason(series, rules.min_slices)
        and series.first.text("PatientSex") in (sex, "")
        and coverage(series, pet) >= SMALLEST_COVERAGE
        and _is_known_session(series, pet)
    ]
    return choose_ct(fit, pet, rules.wishes).series if fit else None


def _is_known_session(ct: Series, pet: Series) -> bool:
    has_days = ct.first.text("StudyDate") and pet.first.text("StudyDate")
    if ct.started is None or pet.started is None or not has_days:
        return frame_of_reference(ct) == frame_of_reference(pet) != ""
    return not is_of_another_day(ct, pet)


def _description(ct: Series, pet: Series, is_same_frame: bool) -> str:
    facts = [
        "in the PET's frame of reference"
        if is_same_frame
        else "in ANOTHER frame of reference (0020,0052) than the PET",
        f"covers {coverage(ct, pet):.0%}",
    ]
    if ct.started and pet.started:
        minutes = round((pet.started - ct.started).total_seconds() / 60)
        facts.append(f"{abs(minutes)} min {'before' if minutes >= 0 else 'after'} the PET")
    facts.append("with contrast agent" if has_contrast(ct) else "no contrast agent named")
    return ", ".join(facts)


def _why_no_pet(choice: ExamChoice) -> str:
    pets = [s for s in choice.study.series if s.first.text("Modality") == "PT"]
    largest = max(pets, key=_num_images)
    why = choice.reasons[largest.key].removeprefix("left out: ")
    if any("attenuation" in choice.reasons[s.key] for s in pets):
        said = next((c for s in pets for c in header_contradictions(s)), "")
        return "; ".join(filter(None, ["has no attenuation-corrected PET series", said]))
    return f"has no usable PET series (series.csv says why; the largest one: {why})"


def _num_images(series: Series) -> int:
    return series.num_images


def _identity_problem(study: Study) -> str:
    if len(study.patients) > 1:
        return (
            f"holds files of {len(study.patients)} different patients (0010,0020); sort them apart"
        )
    sexes = {
        series.first.text("PatientSex").upper()
        for series in study.series
        if series.first.text("Modality") in ("PT", "CT")
    }
    if {"M", "F"} <= sexes:
        return "holds series of a man and of a woman (0010,0040) under one patient"
    return ""


def _note(choice: ExamChoice, pet: Series, pets: Sequence[Series]) -> None:
    if any("late PET" in choice.reasons[s.key] for s in pets):
        choice.notes.append("first of several time points")
    if limited_body_part(pet):
        choice.notes.append(f"the PET shows a part of the body only ({pet.length_mm:.0f} mm)")
    if choice.ct is not None:
        if choice.ct_match == ANOTHER_FRAME:
            choice.notes.append("CT in another frame of reference: its match is to be measured")
        if choice.ct_match == ASSUMED_REGISTERED:
            choice.notes.append("CT in another frame of reference, assumed to match")
        if coverage(choice.ct, pet) < _WHOLE_COVERAGE:
            choice.notes.append(f"the CT covers {coverage(choice.ct, pet):.0%} of the PET")
        choice.notes += [f"CT: {note}" for note in _peculiarities(choice.ct)]
    choice.notes += [f"PET: {note}" for note in _peculiarities(pet)]


def _peculiarities(series: Series) -> list[str]:
    """Returns what was peculiar about the files of a series, and what contradicts itself."""
    return [*series.notes, *header_contradictions(series)]


def _of_modality(choice: ExamChoice, modality: str) -> list[Series]:
    """Returns the series of a modality that nothing speaks against so far."""
    return [
        s
        for s in choice.study.series
        if not choice.reasons[s.key] and s.first.text("Modality") == modality
    ]


def _closed(choice: ExamChoice, why: str) -> ExamChoice:
    """Gives a reason to every series that has none, and adds what was peculiar about its files."""
    for series in choice.study.series:
        reason = choice.reasons[series.key] or f"left out: {why}"
        choice.reasons[series.key] = "; ".join([reason, *_peculiarities(series)])
    if choice.borrowed is not None:
        key = choice.borrowed.key
        choice.reasons[key] = "; ".join([choice.reasons[key], *choice.borrowed.notes])
    return choice
