"""What a digital patient is: the facts from which scans, reports and outcomes are made.

The same facts feed :mod:`petct_ext.synthetic.phantoms` (images), :mod:`petct_ext.synthetic.reports`
(text) and :mod:`petct_ext.synthetic.outcomes` (follow-up), so that the three agree as they would
in life, and disagree only where they are made to (findings that a report does not mention).

Medians lie near those of Wang et al., Mol Imaging Biol 2007;9:83-90 (cerebellum 8.0 +/- 2.2,
palatine tonsils 3.45 +/- 1.4, falling with age) and Dias et al., EJNMMI Res 2022;12:15 (liver,
spleen, muscle, colon, stomach, kidney in 126 patients); the spread is log-normal.
SUVbw of blood-rich organs rises with the body-mass index, by about 25 % from lean to obese.
The myocardium is bimodal, as it depends on the fast: suppressed in 55 % of the exams. Brown
fat is visible in about 6 % (pooled prevalence 7.0 %: PMC7317326; women 7.5 %, men 3.1 %, less
with age and BMI: Cypess et al., N Engl J Med 2009;360:1509-1517). Muscles take up much (after
exercise or insulin) in 4 %, the marrow after growth factors in 8 % of treated patients; these
two shares are our own.
"""

from __future__ import annotations

import zlib
from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import date
from types import MappingProxyType

import numpy as np

from petct_ext.errors import InputDataError
from petct_ext.ontology import RegionOntology

__all__ = [
    "NORMAL_SUV",
    "Exam",
    "Lesion",
    "Patient",
    "Physiology",
    "sample_physiology",
    "with_sides",
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
            not; see :func:`petct_ext.synthetic.patients.with_sides`.
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


_SIDES = ("left", "right")
_STREAM = 15
"""Of random numbers; others are listed in :mod:`petct_ext.synthetic.cohort`."""


def with_sides(
    patients: Iterable[Patient], ontology: RegionOntology, *, seed: int
) -> list[Patient]:
    """Gives lesions of paired organs a side where the ontology has a region for one.

    The disease patterns put lesions into the breast; an ontology with ``left_breast`` within
    ``breast`` wants to know which. All lesions of a region and patient lie on one side, in every
    exam. With the package's ontology nothing changes.

    Args:
        patients: of :func:`petct_ext.synthetic.diseases.sample_patients`.
        ontology: every region of a lesion must be in it.
        seed: seed of the cohort.

    Raises:
        InputDataError: if the ontology lacks the region of a lesion.
    """
    return [
        replace(p, exams=tuple(_sided_exam(exam, p.number, ontology, seed) for exam in p.exams))
        for p in patients
    ]


def _sided_exam(exam: Exam, patient: int, ontology: RegionOntology, seed: int) -> Exam:
    lesions = tuple(_sided(lesion, patient, ontology, seed) for lesion in exam.lesions)
    return replace(exam, lesions=lesions)


def _sided(lesion: Lesion, patient: int, ontology: RegionOntology, seed: int) -> Lesion:
    region = lesion.region
    if region not in ontology:
        raise InputDataError(
            f"{ontology.source} lacks {region!r}, in which artificial patients have lesions; add "
            "your regions to those of the package rather than replace them."
        )
    named = {s: f"{s}_{region}" for s in _SIDES if f"{s}_{region}" in ontology}
    if not any(region in ontology[name].within for name in named.values()):
        return lesion
    rng = np.random.default_rng([seed, patient, _STREAM, zlib.crc32(region.encode())])
    side = _SIDES[int(rng.integers(2))]
    return replace(lesion, region=named.get(side, region), side=side)
