"""Normal FDG uptake of an exam, drawn around published values.

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

from types import MappingProxyType

import numpy as np

from petct_ext.synthetic.patients import Physiology

__all__ = ["NORMAL_SUV", "sample_physiology"]

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
