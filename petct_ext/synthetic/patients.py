"""What a digital patient is: the facts from which scans, reports and outcomes are made."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date
from types import MappingProxyType

import numpy as np

__all__ = [
    "NORMAL_SUV",
    "Exam",
    "Lesion",
    "Patient",
    "Physiology",
    "sample_physiology",
]


@dataclass(frozen=True, slots=True)
class Lesion:
    """One FDG-avid lesion.

    Attributes:
        region: most specific region of the ontology that holds it, e.g. ``left_upper_lobe``.
        diameter_mm: mean diameter in mm.
        suv: SUVbw of the lesion before the scanner blurs it, in g/mL.
        mentioned: whether the report speaks of it.
        side: "left" or "right" where the ontology tells sides apart that the disease patterns do
            not; see :func:`petct_ext.synthetic.sides.with_sides`.
    """

    region: str
    diameter_mm: float
    suv: float
    mentioned: bool = True
    side: str = ""

    @property
    def site(self) -> str:
        """The region with its side: where the lesion is drawn."""
        is_named = not self.side or self.region.startswith(f"{self.side}_")
        return self.region if is_named else f"{self.side}_{self.region}"


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
        summary_code: code of the reader: 1, 2, 4 or 9; see
            :mod:`petct_ext.synthetic.reports.writing`.
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


NORMAL_SUV = MappingProxyType(
    {
        "brain": (8.0, 0.22),
        "blood_pool": (1.6, 0.15),
        "liver": (2.3, 0.15),
        "spleen": (1.9, 0.15),
        "marrow": (1.2, 0.20),
        "muscle": (0.7, 0.20),
        "bowel": (2.2, 0.35),
        "stomach": (2.0, 0.30),
        "tonsils": (3.4, 0.28),
        "bladder": (18.0, 0.45),
        "kidneys": (4.0, 0.25),
    }
)
"""Median SUVbw in g/mL and standard deviation of its logarithm, per organ."""

_MEDIAN_BMI = 26.5
_BROWN_FAT_BASE_RATE = 0.068


def sample_physiology(
    rng: np.random.Generator, *, sex: str, age_years: float, bmi: float, treated: bool
) -> Physiology:
    """Draws the normal uptake of one exam.

    Args:
        rng: source of randomness.
        sex: ``"F"`` or ``"M"``.
        age_years: age in years.
        bmi: body-mass index in kg/m^2.
        treated: whether the patient was treated before the exam.

    Returns:
        SUVbw in g/mL of each organ; ``brown_fat`` 0 if not visible, bladder within 8-40.
    """
    values = {
        name: median * float(np.exp(sigma * rng.standard_normal()))
        for name, (median, sigma) in NORMAL_SUV.items()
    }
    habitus = (bmi / _MEDIAN_BMI) ** 0.35
    for name in ("blood_pool", "liver", "spleen", "marrow"):
        values[name] *= habitus
    values["tonsils"] *= float(np.clip(1.25 - 0.005 * age_years, 0.8, 1.15))
    values["bladder"] = float(np.clip(values["bladder"], 8.0, 40.0))
    values["bowel"] = float(np.clip(values["bowel"], 1.2, 4.5))
    if rng.random() < 0.04:
        values["muscle"] *= float(rng.uniform(2.0, 3.5))
    if treated and rng.random() < 0.08:
        values["marrow"] *= float(rng.uniform(1.8, 2.8))
        values["spleen"] *= float(rng.uniform(1.2, 1.6))
    fasted = rng.random() < 0.55
    myocardium = rng.uniform(1.6, 2.6) if fasted else rng.uniform(6.0, 12.0)
    visible = rng.random() < _brown_fat_chance(sex=sex, age_years=age_years, bmi=bmi)
    brown_fat = rng.uniform(3.0, 8.0) if visible else 0.0
    return Physiology(myocardium=float(myocardium), brown_fat=float(brown_fat), **values)


def _brown_fat_chance(*, sex: str, age_years: float, bmi: float) -> float:
    chance = _BROWN_FAT_BASE_RATE * (1.6 if sex == "F" else 0.7)
    chance *= float(np.exp(-(age_years - 52.0) / 25.0)) * float(np.exp(-(bmi - 25.0) / 10.0))
    return min(chance, 0.6)
