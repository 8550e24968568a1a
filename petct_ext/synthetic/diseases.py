"""Digital patients: who they are, which disease they have, and where it sits at each exam.

A disease pattern (``diseases.json``) is a list of groups of sites that are involved together, such
as the hilar and mediastinal nodes of lung cancer. Whether a group is involved depends on the
extent of the patient's disease, a number that all groups share; sites therefore correlate within
a patient, and metastases come together. Lesions lie in regions of the ontology that hold no
smaller region, so ``left_upper_lobe``, never ``lungs``.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import date, timedelta
from functools import cache
from importlib.resources import files
from typing import Any

import numpy as np

from petct_ext.errors import InputDataError
from petct_ext.files import read_json
from petct_ext.synthetic.patients import Exam, Lesion, Patient, sample_physiology
from petct_ext.synthetic.summary_codes import summary_code

__all__ = ["DiseasePattern", "SiteGroup", "disease_patterns", "sample_patient", "sample_patients"]

FIRST_EXAM_DATE = date(2015, 1, 5)
"""No exam is earlier."""

EXAM_YEARS = 4.5
"""First exams spread evenly over so many years from :data:`FIRST_EXAM_DATE`."""

_FOLLOW_UP_CHANCE = 0.25
_UNMENTIONED_CHANCE = 0.075
_MAX_LESIONS = 24
_MAX_PER_REGION = 4
_DIAMETER_MM = (10.0, 45.0)
_SUV = (4.0, 18.0)


@dataclass(frozen=True, slots=True)
class SiteGroup:
    """Sites that are involved together.

    Attributes:
        chance: share of patients of average extent in whom the group is involved.
        extra: mean number of lesions per involved site beyond the first.
        sites: chance per region, given that the group is involved; ``{near}`` and ``{far}`` in a
            name stand for the side of the primary tumor and the other one.
    """

    chance: float
    extra: float
    sites: Mapping[str, float]


@dataclass(frozen=True, slots=True)
class DiseasePattern:
    """One disease: who gets it and where it goes.

    Attributes:
        name: identifier in lower snake case.
        weight: share of patients.
        indication: group of indications as a referring physician would give it.
        male_share: share of men.
        age_mean: mean age in years.
        age_sd: standard deviation of the age in years.
        clean_chance: share of first exams without active disease.
        median_suv: median SUVbw of its lesions in g/mL.
        groups: sites that are involved together.
    """

    name: str
    weight: float
    indication: str
    male_share: float
    age_mean: float
    age_sd: float
    clean_chance: float
    median_suv: float
    groups: tuple[SiteGroup, ...]


@cache
def disease_patterns() -> tuple[DiseasePattern, ...]:
    """Returns the disease patterns of the package, in file order."""
    document = read_json(str(files("petct_ext.synthetic") / "diseases.json"))
    return tuple(_pattern(entry) for entry in document["patterns"])


def sample_patients(num_patients: int, *, seed: int) -> list[Patient]:
    """Draws patients; patient k depends on ``seed`` and k only.

    About three exams in ten show no active disease, and about 6 % of the lesions are left out of
    the report (``mentioned=False``; all lesions of a region together, never all of an exam).

    Args:
        num_patients: how many, 0 or more.
        seed: seed, 0 or more.

    Returns:
        Patients 0, 1, ..., with one exam each, every fourth or so with a second one 60-200 days
        later in which the disease has grown, shrunk or gone.

    Raises:
        InputDataError: if a number is negative.
    """
    if num_patients < 0 or seed < 0:
        raise InputDataError(
            f"sample_patients: num_patients and seed must be 0 or more, found {num_patients} and "
            f"{seed}; choose other numbers."
        )
    return [sample_patient(number, seed=seed) for number in range(num_patients)]


def sample_patient(number: int, *, seed: int) -> Patient:
    """Draws patient ``number`` of the cohort with this seed; see :func:`sample_patients`."""
    rng = np.random.default_rng(np.random.SeedSequence(seed, spawn_key=(number,)))
    patterns = disease_patterns()
    weights = np.array([pattern.weight for pattern in patterns])
    pattern = patterns[int(rng.choice(len(patterns), p=weights / weights.sum()))]
    sex = "M" if rng.random() < pattern.male_share else "F"
    age = float(np.clip(rng.normal(pattern.age_mean, pattern.age_sd), 20.0, 90.0))
    height, weight = _sample_habitus(rng, sex)
    patient = Patient(
        number=number,
        sex=sex,
        age_years=round(age, 1),
        height_m=height,
        weight_kg=weight,
        disease=pattern.name,
        indication=pattern.indication,
        exams=(),
    )
    return replace(patient, exams=_sample_exams(rng, patient, pattern))


def _pattern(entry: Mapping[str, Any]) -> DiseasePattern:
    groups = tuple(SiteGroup(**group) for group in entry["groups"])
    return DiseasePattern(**{**entry, "groups": groups})


def _sample_habitus(rng: np.random.Generator, sex: str) -> tuple[float, float]:
    """Returns height in m and weight in kg; the body-mass index lies within 18-42 kg/m^2."""
    mean, spread = (1.76, 0.075) if sex == "M" else (1.63, 0.068)
    height = round(float(np.clip(rng.normal(mean, spread), 1.45, 2.02)), 2)
    bmi = float(np.clip(26.5 * np.exp(0.19 * rng.standard_normal()), 18.2, 41.8))
    return height, round(bmi * height**2, 1)


def _sample_exams(
    rng: np.random.Generator, patient: Patient, pattern: DiseasePattern
) -> tuple[Exam, ...]:
    start = FIRST_EXAM_DATE + timedelta(days=int(rng.integers(0, int(EXAM_YEARS * 365))))
    clean = rng.random() < pattern.clean_chance
    lesions = () if clean else _hide_some(rng, _sample_lesions(rng, pattern))
    treated = bool(rng.random() < (0.85 if clean else 0.3))
    first = _exam(rng, patient, number=0, day=start, lesions=lesions, treated=treated)
    if rng.random() >= _FOLLOW_UP_CHANCE:
        return (first,)
    later = _hide_some(rng, _follow_up_lesions(rng, pattern, first.lesions))
    day = start + timedelta(days=int(rng.integers(60, 201)))
    second = _exam(rng, patient, number=1, day=day, lesions=later, treated=True)
    return (first, replace(second, summary_code=summary_code(later, first.lesions)))


def _exam(
    rng: np.random.Generator,
    patient: Patient,
    *,
    number: int,
    day: date,
    lesions: tuple[Lesion, ...],
    treated: bool,
) -> Exam:
    physiology = sample_physiology(
        rng,
        sex=patient.sex,
        age_years=patient.age_years,
        bmi=patient.weight_kg / patient.height_m**2,
        treated=treated,
    )
    return Exam(
        number=number,
        exam_date=day,
        lesions=lesions,
        physiology=physiology,
        uptake_minutes=round(float(np.clip(rng.normal(64.0, 7.0), 55.0, 90.0)), 1),
        injected_dose_mbq=round(patient.weight_kg * float(rng.uniform(3.7, 5.5)), 1),
        treated=treated,
        summary_code=summary_code(lesions, None),
    )


def _sample_lesions(rng: np.random.Generator, pattern: DiseasePattern) -> tuple[Lesion, ...]:
    extent = float(rng.standard_normal())
    near, far = ("left", "right") if rng.random() < 0.5 else ("right", "left")
    chances = [_shifted(group.chance, by=extent) for group in pattern.groups]
    active = [group for group, chance in zip(pattern.groups, chances, strict=True)
              if rng.random() < chance]  # fmt: skip
    if not active:
        weights = np.array(chances) / np.sum(chances)
        active = [pattern.groups[int(rng.choice(len(weights), p=weights))]]
    lesions: list[Lesion] = []
    for group in active:
        for site in _sample_sites(rng, group):
            name = site.format(near=near, far=far)
            if any(lesion.region == name for lesion in lesions):
                continue  # two groups may share a site
            count = 1 + int(rng.poisson(group.extra * np.exp(0.4 * extent)))
            new = [_sample_lesion(rng, name, pattern) for _ in range(min(count, _MAX_PER_REGION))]
            lesions.extend(new)
    return tuple(lesions[:_MAX_LESIONS])


def _shifted(chance: float, *, by: float) -> float:
    """Shifts a probability on the logit scale, so that it grows with the extent of disease."""
    logit = np.log(chance / (1.0 - chance))
    return float(1.0 / (1.0 + np.exp(-logit - 0.8 * by)))


def _sample_sites(rng: np.random.Generator, group: SiteGroup) -> list[str]:
    names = list(group.sites)
    chances = np.array(list(group.sites.values()))
    chosen = [name for name, chance in zip(names, chances, strict=True) if rng.random() < chance]
    return chosen or [names[int(rng.choice(len(names), p=chances / chances.sum()))]]


def _sample_lesion(rng: np.random.Generator, region: str, pattern: DiseasePattern) -> Lesion:
    return Lesion(
        region=region,
        diameter_mm=_log_normal(rng, 19.0, within=_DIAMETER_MM),
        suv=_log_normal(rng, pattern.median_suv, within=_SUV),
    )


def _log_normal(rng: np.random.Generator, median: float, *, within: tuple[float, float]) -> float:
    """Draws from a log-normal distribution that is cut off at both ends."""
    while True:
        value = round(median * float(np.exp(0.38 * rng.standard_normal())), 1)
        if within[0] <= value <= within[1]:
            return value


def _lesion(region: str, diameter: float, suv: float) -> Lesion:
    return Lesion(
        region=region,
        diameter_mm=round(float(np.clip(diameter, *_DIAMETER_MM)), 1),
        suv=round(float(np.clip(suv, *_SUV)), 1),
    )


def _follow_up_lesions(
    rng: np.random.Generator, pattern: DiseasePattern, earlier: tuple[Lesion, ...]
) -> tuple[Lesion, ...]:
    """Draws what treatment has left; relapse is possible after a clean exam."""
    if not earlier:
        return _sample_lesions(rng, pattern) if rng.random() < 0.3 else ()
    course = rng.choice(["resolved", "regressed", "stable", "progressed"], p=[0.2, 0.3, 0.2, 0.3])
    if course == "resolved":
        return ()
    lesions = []
    for lesion in earlier:
        if course == "regressed" and rng.random() < 0.35:
            continue
        size, uptake = {
            "regressed": (rng.uniform(0.6, 0.9), rng.uniform(0.45, 0.8)),
            "stable": (rng.uniform(0.95, 1.05), rng.uniform(0.92, 1.08)),
            "progressed": (rng.uniform(1.05, 1.4), rng.uniform(1.05, 1.35)),
        }[str(course)]
        lesions.append(_lesion(lesion.region, lesion.diameter_mm * size, lesion.suv * uptake))
    if course == "progressed":
        known = {lesion.region for lesion in lesions}
        more = _sample_lesions(rng, pattern)
        lesions.extend([lesion for lesion in more if lesion.region not in known][:6])
    return tuple(lesions[:_MAX_LESIONS])


def _hide_some(rng: np.random.Generator, lesions: tuple[Lesion, ...]) -> tuple[Lesion, ...]:
    """Marks lesions that the report leaves out, all of a region together.

    The region with the largest lesion is always reported, so that an exam with lesions never gets
    a clean report.
    """
    if not lesions:
        return ()
    kept = max(lesions, key=_volume).region
    regions = dict.fromkeys(lesion.region for lesion in lesions if lesion.region != kept)
    hidden = {region for region in regions if rng.random() < _UNMENTIONED_CHANCE}
    return tuple(replace(lesion, mentioned=lesion.region not in hidden) for lesion in lesions)


def _volume(lesion: Lesion) -> float:
    return lesion.diameter_mm**3
