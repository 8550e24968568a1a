"""Which series of an archive are the PET and the CT of an exam, and why the others are not."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field

from petct_ext.dicom.series.fitness import has_contrast, limited_body_part, unfit_reason
from petct_ext.dicom.series.groups import Series, Study
from petct_ext.dicom.series.pairing import (
    SMALLEST_COVERAGE,
    choose_ct,
    choose_pet,
    coverage,
    duplicates,
    frame_of_reference,
    is_of_another_day,
)

__all__ = ["FRAME_OF_REFERENCE", "NEAREST_IN_TIME", "ExamChoice", "choose_exams"]

FRAME_OF_REFERENCE = "frame_of_reference"
"""The CT lies in the PET's frame of reference: the scanner says where they match."""

NEAREST_IN_TIME = "nearest_in_time"
"""The CT has another or no frame of reference; it is the nearest one in time that overlaps."""

_WHOLE_COVERAGE = 0.95


@dataclass(slots=True)
class ExamChoice:
    """The chosen pair of one study with a PET.

    Attributes:
        study: the study.
        pet: chosen attenuation-corrected PET series, None if there is none.
        ct: chosen CT series, None if there is none; it may stand in another study.
        reasons: why a series was chosen or left out, by key of the series.
        problem: why the exam cannot be used; empty if it can.
        ct_match: how the CT was found to belong to the PET; empty without CT.
        notes: what a reader should know about the pair.
        borrowed: the CT, if it stands in another study; such series are not in ``study``.
    """

    study: Study
    pet: Series | None = None
    ct: Series | None = None
    reasons: dict[str, str] = field(default_factory=dict)
    problem: str = ""
    ct_match: str = ""
    notes: list[str] = field(default_factory=list)
    borrowed: Series | None = None


def choose_exams(studies: Sequence[Study], *, min_slices: int = 16) -> list[ExamChoice]:
    """Chooses the PET and the CT of every study that holds a PET series.

    A CT is looked for in the PET's own study, then in studies without a PET of the same patient
    within 12 hours: some hospitals send CT and PET as two studies. A CT of another patient is never
    taken. Rules of the choice: :func:`~petct_ext.dicom.series.pairing.choose_pet`,
    :func:`~petct_ext.dicom.series.pairing.choose_ct`.

    Args:
        studies: all studies of the archive.
        min_slices: series with fewer slices are left out.

    Returns:
        One choice per study with PET, in the order of the studies; ``problem`` says in one line
        why a study has no pair.
    """
    of_patient: dict[str, list[Study]] = defaultdict(list)
    for study in studies:
        if len(study.patients) == 1 and not study.has("PT") and study.has("CT"):
            of_patient[study.patients[0]].append(study)
    choices = []
    for study in studies:
        if study.has("PT"):
            patient = study.patients[0] if len(study.patients) == 1 else ""
            choices.append(_choose(study, of_patient.get(patient, []), min_slices))
    return choices


def _choose(study: Study, companions: Sequence[Study], min_slices: int) -> ExamChoice:
    choice = ExamChoice(study, reasons={s.key: unfit_reason(s, min_slices) for s in study.series})
    choice.problem = _identity_problem(study)
    fit = [s for s in study.series if not choice.reasons[s.key]]
    choice.reasons |= duplicates(fit)
    pets = _of_modality(choice, "PT")
    if choice.problem or not pets:
        choice.problem = choice.problem or _why_no_pet(choice)
        return _closed(choice, choice.problem)
    choice.pet, reasons = choose_pet(pets)
    choice.reasons |= reasons
    choice.reasons[choice.pet.key] = (
        f"chosen: PET with the largest coverage ({choice.pet.length_mm:.0f} mm), "
        f"{choice.pet.num_slices} slices"
    )
    _pair(choice, choice.pet, companions, min_slices)
    _note(choice, choice.pet, pets)
    return _closed(choice, "no partner")


def _pair(choice: ExamChoice, pet: Series, companions: Sequence[Study], min_slices: int) -> None:
    own = _same_session(choice, _of_modality(choice, "CT"), pet)
    best, reasons = choose_ct(own, pet) if own else (None, {})
    choice.reasons |= reasons
    if best is None or coverage(best, pet) < SMALLEST_COVERAGE:
        elsewhere = _companion_ct(companions, pet, min_slices)
        if elsewhere is not None:
            if best is not None:
                choice.reasons[best.key] = (
                    f"left out: covers {coverage(best, pet):.0%} of the PET, a CT of another study "
                    "of the patient covers more"
                )
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
    is_same = frame_of_reference(best) == frame_of_reference(pet) != ""
    choice.ct_match = FRAME_OF_REFERENCE if is_same else NEAREST_IN_TIME
    choice.reasons[best.key] = f"chosen: CT {_description(best, pet, is_same)}"
    if share < SMALLEST_COVERAGE:
        choice.problem = f"has a CT that covers {share:.0%} of the PET"


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


def _companion_ct(companions: Sequence[Study], pet: Series, min_slices: int) -> Series | None:
    """Returns the CT for a PET from other studies of the same patient and session."""
    sex = pet.first.text("PatientSex")
    fit = [
        series
        for study in companions
        for series in study.series
        if series.first.text("Modality") == "CT"
        and not unfit_reason(series, min_slices)
        and series.first.text("PatientSex") in (sex, "")
        and coverage(series, pet) >= SMALLEST_COVERAGE
        and _is_known_session(series, pet)
    ]
    return choose_ct(fit, pet)[0] if fit else None


def _is_known_session(ct: Series, pet: Series) -> bool:
    if ct.started is None or pet.started is None:
        return frame_of_reference(ct) == frame_of_reference(pet) != ""
    return not is_of_another_day(ct, pet)


def _description(ct: Series, pet: Series, is_same_frame: bool) -> str:
    facts = [
        "in the PET's frame of reference"
        if is_same_frame
        else "nearest in time, in ANOTHER frame of reference (extents overlap)",
        f"covers {coverage(ct, pet):.0%}",
    ]
    if ct.started and pet.started:
        minutes = round((pet.started - ct.started).total_seconds() / 60)
        facts.append(f"{abs(minutes)} min {'before' if minutes >= 0 else 'after'} the PET")
    facts.append("with contrast agent" if has_contrast(ct) else "no contrast agent named")
    return ", ".join(facts)


def _why_no_pet(choice: ExamChoice) -> str:
    pets = [s for s in choice.study.series if s.first.text("Modality") == "PT"]
    if any("attenuation" in choice.reasons[s.key] for s in pets):
        return "has no attenuation-corrected PET series"
    return "has no usable PET series (series.csv says why)"


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
        if choice.ct_match == NEAREST_IN_TIME:
            choice.notes.append("CT in another frame of reference: check the match")
        if coverage(choice.ct, pet) < _WHOLE_COVERAGE:
            choice.notes.append(f"the CT covers {coverage(choice.ct, pet):.0%} of the PET")
        choice.notes += [f"CT: {note}" for note in choice.ct.notes]
    choice.notes += [f"PET: {note}" for note in pet.notes]


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
        choice.reasons[series.key] = "; ".join([reason, *series.notes])
    if choice.borrowed is not None:
        key = choice.borrowed.key
        choice.reasons[key] = "; ".join([choice.reasons[key], *choice.borrowed.notes])
    return choice
