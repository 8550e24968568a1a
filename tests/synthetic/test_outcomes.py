"""Follow-up of digital patients comes from the hazard that is documented."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from lifelines import CoxPHFitter

from petct_ext.errors import InputDataError
from petct_ext.synthetic.diseases import disease_patterns, sample_patient, sample_patients
from petct_ext.synthetic.outcomes import (
    COEFFICIENTS,
    DISEASE_EFFECTS,
    END_OF_STUDY,
    Outcome,
    covariates,
    log_hazard,
    sample_outcome,
)
from petct_ext.synthetic.patients import Lesion, Patient
from tests.package_regions import ONTOLOGY


@pytest.fixture(scope="module")
def cohort() -> list[tuple[Patient, Outcome]]:
    patients = sample_patients(3000, seed=8)
    return [
        (p, sample_outcome(p, rng=np.random.default_rng([8, p.number]), ontology=ONTOLOGY))
        for p in patients
    ]


@pytest.fixture(scope="module")
def table(cohort: list[tuple[Patient, Outcome]]) -> pd.DataFrame:
    rows = [
        {
            **covariates(patient, ONTOLOGY),
            "time_days": (outcome.last_contact_date - patient.exams[-1].exam_date).days,
            "event": outcome.death_date is not None,
        }
        for patient, outcome in cohort
    ]
    return pd.DataFrame(rows)


def test_two_patients_in_five_die_and_a_quarter_of_all_within_180_days(
    table: pd.DataFrame,
) -> None:
    early = table["event"] & (table["time_days"] <= 180)

    assert 0.35 <= table["event"].mean() <= 0.45
    assert 0.20 <= early.mean() <= 0.30
    assert ((table["time_days"] < 180) & ~table["event"]).mean() < 0.1


@pytest.mark.parametrize("seed", range(4))
def test_a_cohort_of_160_patients_has_both_classes_at_180_days(seed: int) -> None:
    early = 0
    for patient in sample_patients(160, seed=seed):
        outcome = sample_outcome(
            patient, rng=np.random.default_rng([seed, patient.number]), ontology=ONTOLOGY
        )
        days = (outcome.last_contact_date - patient.exams[-1].exam_date).days
        early += outcome.death_date is not None and days <= 180

    assert 20 <= early <= 60


def test_dates_lie_after_the_last_exam_and_within_the_study(
    cohort: list[tuple[Patient, Outcome]],
) -> None:
    for patient, outcome in cohort:
        assert patient.exams[-1].exam_date < outcome.last_contact_date <= END_OF_STUDY
        assert outcome.death_date in (None, outcome.last_contact_date)


def test_a_cox_model_recovers_the_coefficients(table: pd.DataFrame) -> None:
    model = CoxPHFitter().fit(table, duration_col="time_days", event_col="event")
    z = {
        name: (model.params_[name] - value) / model.standard_errors_[name]
        for name, value in COEFFICIENTS.items()
    }

    assert max(abs(value) for value in z.values()) < 3.5, z


def test_the_true_predictor_ranks_deaths(cohort: list[tuple[Patient, Outcome]]) -> None:
    died = [outcome.log_hazard for _, outcome in cohort if outcome.death_date is not None]
    alive = [outcome.log_hazard for _, outcome in cohort if outcome.death_date is None]

    assert np.mean(died) > np.mean(alive) + 0.5


def test_log_hazard_rises_with_age_and_liver_lesions() -> None:
    patient = sample_patient(0, seed=1)
    exam = replace(patient.exams[-1], lesions=())
    clean = replace(patient, exams=(exam,))
    liver = replace(
        clean, exams=(replace(exam, lesions=(Lesion("liver", 20.0, 8.0, mentioned=False),)),)
    )
    older = replace(clean, age_years=clean.age_years + 10.0)

    assert log_hazard(older, ONTOLOGY) - log_hazard(clean, ONTOLOGY) == pytest.approx(
        COEFFICIENTS["age_decades"]
    )
    expected = COEFFICIENTS["liver"] + COEFFICIENTS["active"]
    burden = covariates(liver, ONTOLOGY)["log10_burden"] * COEFFICIENTS["log10_burden"]
    assert log_hazard(liver, ONTOLOGY) - log_hazard(clean, ONTOLOGY) == pytest.approx(
        expected + burden
    )


def test_burden_is_the_logarithm_of_volume_times_suv() -> None:
    patient = sample_patient(0, seed=1)
    exam = replace(patient.exams[-1], lesions=(Lesion("spleen", 20.0, 10.0),))

    value = covariates(replace(patient, exams=(exam,)), ONTOLOGY)["log10_burden"]
    assert value == pytest.approx(np.log10(1.0 + 10.0 * np.pi / 6.0 * 8.0))


def test_equal_generators_give_equal_outcomes() -> None:
    patient = sample_patient(2, seed=1)
    first, second = (
        sample_outcome(patient, rng=np.random.default_rng(5), ontology=ONTOLOGY) for _ in range(2)
    )

    assert first == second
    assert first.log_hazard == log_hazard(patient, ONTOLOGY)


def test_every_disease_has_an_effect() -> None:
    assert {pattern.name for pattern in disease_patterns()} == set(DISEASE_EFFECTS)


def test_a_patient_who_cannot_be_followed_is_refused() -> None:
    patient = sample_patient(0, seed=1)
    rng = np.random.default_rng(0)

    with pytest.raises(InputDataError, match="has no exam"):
        sample_outcome(replace(patient, exams=()), rng=rng, ontology=ONTOLOGY)
    with pytest.raises(InputDataError, match="has no effect on the hazard"):
        sample_outcome(replace(patient, disease="flu"), rng=rng, ontology=ONTOLOGY)
    late = replace(patient.exams[-1], exam_date=END_OF_STUDY)
    with pytest.raises(InputDataError, match="not before the end of the study"):
        sample_outcome(replace(patient, exams=(late,)), rng=rng, ontology=ONTOLOGY)
