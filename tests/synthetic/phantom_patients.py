"""Patients written by hand, so that these tests do not depend on how patients are drawn."""

from __future__ import annotations

from dataclasses import replace
from datetime import date

from hypothesis import given
from hypothesis import strategies as st

from petct_ext.synthetic.patients import Exam, Lesion, Patient, Physiology

PHYSIOLOGY = Physiology(
    brain=8.0,
    myocardium=2.0,
    blood_pool=1.6,
    liver=2.2,
    spleen=1.9,
    marrow=1.2,
    muscle=0.6,
    bowel=1.8,
    stomach=2.0,
    tonsils=3.0,
    bladder=20.0,
    kidneys=4.0,
    brown_fat=0.0,
)

given_any_habitus = given(
    sex=st.sampled_from(["F", "M"]),
    height_m=st.floats(1.45, 2.02),
    body_mass_index=st.floats(18, 42),
)
"""Decorator of tests that must hold for every adult."""


def phantom_patient(
    *lesions: Lesion,
    sex: str = "M",
    height_m: float = 1.76,
    weight_kg: float = 75.0,
    number: int = 3,
    physiology: Physiology = PHYSIOLOGY,
) -> Patient:
    """Returns a patient with one exam that shows the given lesions."""
    exam = Exam(
        number=0,
        exam_date=date(2018, 3, 9),
        lesions=lesions,
        physiology=physiology,
        uptake_minutes=62.5,
        injected_dose_mbq=350.0,
        treated=False,
        summary_code=4 if lesions else 1,
    )
    return Patient(
        number=number,
        sex=sex,
        age_years=61.2,
        height_m=height_m,
        weight_kg=weight_kg,
        disease="lymphoma",
        indication="staging",
        exams=(exam,),
    )


def with_second_exam(patient: Patient) -> Patient:
    """Returns the patient with a second exam that shows the same lesions."""
    first = patient.exams[0]
    second = replace(first, number=1, exam_date=date(2018, 8, 1))
    return replace(patient, exams=(first, second))
