"""Identifiers and times that all series of an artificial exam share."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

import numpy as np
from pydicom.uid import UID, generate_uid

from petct_ext.synthetic.patients import Exam, Patient
from petct_ext.synthetic.scanner import decayed_fraction

__all__ = ["Study", "new_study", "patient_id", "study_uid"]

_DESCRIPTIONS = ("PET CT WHOLE BODY", "PET/CT SKULL TO THIGH", "FDG PET-CT ONCOLOGY", "PET CT")


@dataclass(frozen=True, slots=True)
class Study:
    """What all series of an exam share.

    Attributes:
        patient: who.
        exam: when, and with which dose.
        seed: seed of the cohort, from which the UIDs are made.
        start: beginning of the study.
        pet_start: beginning of the PET, to which its activity is corrected.
        frame_s: time per bed position of the PET in s.
        description: Study Description (0008,1030).
        model: Manufacturer's Model Name (0008,1090).
    """

    patient: Patient
    exam: Exam
    seed: int
    start: datetime
    pet_start: datetime
    frame_s: float
    description: str
    model: str

    @property
    def bq_per_g(self) -> float:
        """Activity left at the start of the PET over the body weight, in Bq/g."""
        left = decayed_fraction(self.exam.uptake_minutes * 60)
        return self.exam.injected_dose_mbq * 1e6 * left / (self.patient.weight_kg * 1000)

    def uid(self, *what: object) -> UID:
        """Returns a UID that depends on the seed, the exam and ``what`` only."""
        return _uid(self.seed, self.patient, self.exam, *what)


def patient_id(patient: Patient) -> str:
    """Returns the Patient ID (0010,0020), e.g. ``PHANTOM0007``."""
    return f"PHANTOM{patient.number:04d}"


def study_uid(patient: Patient, exam: Exam, *, seed: int) -> str:
    """Returns the Study Instance UID (0020,000D) of an exam."""
    return str(_uid(seed, patient, exam, "study"))


def new_study(patient: Patient, exam: Exam, *, seed: int) -> Study:
    """Draws what the facts of an exam leave open: times of the day, description, scanner."""
    rng = np.random.default_rng([seed, patient.number, 13, exam.number])
    midnight = datetime.combine(exam.exam_date, datetime.min.time())
    start = midnight + timedelta(seconds=int(rng.integers(8 * 3600, 16 * 3600)))
    return Study(
        patient=patient,
        exam=exam,
        seed=seed,
        start=start,
        pet_start=start + timedelta(seconds=int(rng.integers(150, 300))),
        frame_s=float(rng.choice([120.0, 150.0, 180.0, 240.0])),
        description=str(rng.choice(_DESCRIPTIONS)),
        model=str(rng.choice(["Analytic ST", "Analytic 690"])),
    )


def _uid(seed: int, patient: Patient, exam: Exam, *what: object) -> UID:
    key = [str(v) for v in ("petct_ext", seed, patient.number, exam.number, *what)]
    return generate_uid(entropy_srcs=["|".join(key)])
