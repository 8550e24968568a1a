"""What a digital patient is: the facts from which scans, reports and outcomes are made.

The same facts feed :mod:`petct_ext.synthetic.phantoms` (images), :mod:`petct_ext.synthetic.reports`
(text) and :mod:`petct_ext.synthetic.outcomes` (follow-up), so that the three agree as they would
in life, and disagree only where they are made to (findings that a report does not mention).
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date

__all__ = ["Exam", "Lesion", "Patient", "Physiology"]


@dataclass(frozen=True, slots=True)
class Lesion:
    """One FDG-avid lesion.

    Attributes:
        region: most specific region of the ontology that holds it, e.g. ``left_upper_lobe``.
        diameter_mm: mean diameter in mm.
        suv: SUVbw of the lesion before the scanner blurs it, in g/mL.
        mentioned: whether the report speaks of it.
    """

    region: str
    diameter_mm: float
    suv: float
    mentioned: bool = True


@dataclass(frozen=True, slots=True)
class Physiology:
    """Normal uptake of one exam, SUVbw in g/mL. It varies from day to day and is not disease."""

    brain: float
    myocardium: float
    blood_pool: float
    liver: float
    spleen: float
    marrow: float
    muscle: float
    bowel: float
    stomach: float
    tonsils: float
    bladder: float
    kidneys: float
    brown_fat: float
    """0 if not visible."""


@dataclass(frozen=True, slots=True)
class Exam:
    """One PET/CT exam.

    Attributes:
        number: 0 for the first exam of the patient, then 1, 2, ...
        exam_date: day of the exam.
        lesions: lesions on that day; empty if there is no active disease.
        physiology: normal uptake on that day.
        uptake_minutes: minutes from injection to the start of the acquisition.
        injected_dose_mbq: injected activity in MBq at the time of injection.
        treated: whether the patient was treated before this exam.
        summary_code: code of the reader: 1, 2, 4 or 9; see :mod:`petct_ext.synthetic.reports`.
    """

    number: int
    exam_date: date
    lesions: tuple[Lesion, ...]
    physiology: Physiology
    uptake_minutes: float
    injected_dose_mbq: float
    treated: bool
    summary_code: int


@dataclass(frozen=True, slots=True)
class Patient:
    """One digital patient.

    Attributes:
        number: counts from 0; identifiers are made from it.
        sex: ``"F"`` or ``"M"``.
        age_years: age at the first exam.
        height_m: height in m.
        weight_kg: weight in kg.
        disease: name of the disease pattern, e.g. ``"lymphoma"``.
        indication: group of indications as a referring physician would give it.
        exams: in order of time.
    """

    number: int
    sex: str
    age_years: float
    height_m: float
    weight_kg: float
    disease: str
    indication: str
    exams: tuple[Exam, ...]
