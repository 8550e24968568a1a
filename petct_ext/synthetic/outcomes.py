"""Follow-up of digital patients, drawn from a proportional-hazards model that is known.

The hazard of death t days after the last exam is ``h0(t) * exp(log_hazard(patient))`` with a
Weibull baseline whose shape is below 1, as the risk of patients who come to FDG-PET/CT is highest
soon after the exam. The linear predictor is the sum of :data:`COEFFICIENTS` times
:func:`covariates`. Coefficients are our own, of the size that studies of cancer patients report
(hazard ratios of 1.3 per decade of age, 2 for liver metastases); they are not estimates.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, timedelta
from types import MappingProxyType

import numpy as np
import numpy.typing as npt

from petct_ext.errors import InputDataError
from petct_ext.ontology import RegionOntology
from petct_ext.synthetic.patients import Patient

__all__ = [
    "COEFFICIENTS",
    "DISEASE_EFFECTS",
    "END_OF_STUDY",
    "WEIBULL_SCALE_DAYS",
    "WEIBULL_SHAPE",
    "Outcome",
    "covariates",
    "log_hazard",
    "sample_follow_up",
    "sample_outcome",
]

WEIBULL_SHAPE = 0.6
"""Shape k of the baseline: cumulative hazard (t / scale)^k."""

WEIBULL_SCALE_DAYS = 52000.0
"""Scale of the baseline in days."""

END_OF_STUDY = date(2020, 9, 30)
"""Who is alive on this day is censored then."""

MEAN_DAYS_TO_LOSS = 2500.0
"""Mean of the exponential time after which a patient is lost to follow-up."""

COEFFICIENTS: Mapping[str, float] = MappingProxyType(
    {
        "age_decades": 0.30,
        "active": 0.55,
        "liver": 0.80,
        "skeleton": 0.50,
        "lungs": 0.35,
        "log10_burden": 0.45,
        "disease": 1.0,
    }
)
"""Log hazard ratio per unit of each covariate."""

DISEASE_EFFECTS: Mapping[str, float] = MappingProxyType(
    {
        "lymphoma": -0.4,
        "lung_cancer": 0.5,
        "head_neck_cancer": 0.0,
        "breast_cancer": -0.3,
        "colorectal_cancer": 0.0,
        "melanoma": 0.1,
        "upper_gastrointestinal_cancer": 0.6,
        "gynecologic_cancer": 0.0,
        "sarcoma": 0.2,
        "prostate_cancer": -0.3,
        "unknown_primary": 0.7,
        "inflammation": -1.2,
        "renal_or_pancreatic_cancer": 0.6,
    }
)
"""Value of the covariate ``disease`` per disease pattern."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """Follow-up of one patient.

    Attributes:
        death_date: day of death; None if it was not observed.
        last_contact_date: day when last known alive; the day of death if that was observed.
        log_hazard: true linear predictor, natural logarithm of the hazard ratio to the baseline.
    """

    death_date: date | None
    last_contact_date: date
    log_hazard: float


def covariates(patient: Patient, ontology: RegionOntology) -> dict[str, float]:
    """Returns the covariates of the hazard, taken from the patient and the last exam.

    Returns:
        ``age_decades``: (age at the last exam - 60) / 10; ``active``: 1 if there is any lesion;
        ``liver``, ``skeleton``, ``lungs``: 1 if a lesion lies there; ``log10_burden``: log10 of
        1 + the sum over lesions of volume (mL) x SUV, 0 without lesions; ``disease``: effect of
        the disease. Lesions count whether or not the report mentions them.

    Raises:
        InputDataError: if the patient has no exam or an unknown disease.
    """
    if not patient.exams:
        raise InputDataError(
            f"patient {patient.number} has no exam, so there is no time from which to follow up; "
            "add one."
        )
    if patient.disease not in DISEASE_EFFECTS:
        raise InputDataError(
            f"patient {patient.number}: disease {patient.disease!r} has no effect on the hazard; "
            f"known are {', '.join(DISEASE_EFFECTS)}."
        )
    last = patient.exams[-1]
    regions = {lesion.region for lesion in last.lesions}
    regions |= {around for region in regions for around in ontology.containers(region)}
    burden = sum(_volume_ml(lesion.diameter_mm) * lesion.suv for lesion in last.lesions)
    years_since_first = (last.exam_date - patient.exams[0].exam_date).days / 365.25
    return {
        "age_decades": (patient.age_years + years_since_first - 60.0) / 10.0,
        "active": float(bool(last.lesions)),
        **{name: float(name in regions) for name in ("liver", "skeleton", "lungs")},
        "log10_burden": float(np.log10(1.0 + burden)),
        "disease": DISEASE_EFFECTS[patient.disease],
    }


def log_hazard(patient: Patient, ontology: RegionOntology) -> float:
    """Returns the true linear predictor of a patient; see :func:`covariates`."""
    values = covariates(patient, ontology)
    return float(sum(COEFFICIENTS[name] * value for name, value in values.items()))


def sample_outcome(
    patient: Patient, *, ontology: RegionOntology, rng: np.random.Generator
) -> Outcome:
    """Draws death, loss to follow-up and end of study; the first of the three is observed.

    Args:
        patient: a patient with at least one exam.
        ontology: regions of the lesions.
        rng: source of randomness.

    Returns:
        An outcome whose dates lie at least one day after the last exam.

    Raises:
        InputDataError: as in :func:`covariates`, or if the last exam is not before the end of
            the study.
    """
    predictor = log_hazard(patient, ontology)
    last_exam = patient.exams[-1].exam_date
    if last_exam >= END_OF_STUDY:
        raise InputDataError(
            f"patient {patient.number}: the last exam ({last_exam}) is not before the end of the "
            f"study ({END_OF_STUDY}); use an earlier exam."
        )
    days, died = sample_follow_up(
        np.array([predictor]), np.array([(END_OF_STUDY - last_exam).days], np.float64), rng=rng
    )
    observed = last_exam + timedelta(days=int(days[0]))
    return Outcome(observed if died[0] else None, observed, predictor)


def sample_follow_up(
    log_hazards: npt.NDArray[np.float64],
    study_days: npt.NDArray[np.float64],
    *,
    rng: np.random.Generator,
) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.bool_]]:
    """Draws the follow-up of many patients at once.

    Args:
        log_hazards: true linear predictor of each patient (N,).
        study_days: days from the last exam to the end of the study (N,), at least 1.
        rng: source of randomness.

    Returns:
        Days to death or last contact (N,), whole numbers of at least 1, and who died (N,).
    """
    # Inverse of the survival function exp(-(t / scale)^k * exp(predictor)).
    cumulative = rng.exponential(size=log_hazards.shape) / np.exp(log_hazards)
    death_days = WEIBULL_SCALE_DAYS * cumulative ** (1.0 / WEIBULL_SHAPE)
    loss_days = rng.exponential(MEAN_DAYS_TO_LOSS, size=log_hazards.shape)
    end_days = np.minimum(loss_days, study_days)
    days = np.maximum(1, np.rint(np.minimum(death_days, end_days))).astype(np.int64)
    return days, death_days <= end_days


def _volume_ml(diameter_mm: float) -> float:
    return float(np.pi / 6.0) * (diameter_mm / 10.0) ** 3
