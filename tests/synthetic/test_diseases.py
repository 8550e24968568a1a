"""Digital patients: diseases, sites, normal uptake and summary codes."""

from __future__ import annotations

from collections import Counter

import numpy as np
import pytest

from petct_ext.errors import InputDataError
from petct_ext.ontology import RegionOntology
from petct_ext.synthetic.diseases import disease_patterns, sample_patient, sample_patients
from petct_ext.synthetic.patients import Exam, Lesion, Patient, sample_physiology
from petct_ext.synthetic.summary_codes import NUM_WIDESPREAD_REGIONS, summary_code

ONTOLOGY = RegionOntology.default()
RARE = ("celiac_lymph_node", "kidney", "adrenal_gland", "pancreas")


@pytest.fixture(scope="module")
def patients() -> list[Patient]:
    return sample_patients(3000, seed=0)


@pytest.fixture(scope="module")
def exams(patients: list[Patient]) -> list[Exam]:
    return [exam for patient in patients for exam in patient.exams]


def prevalence_of(exams: list[Exam]) -> dict[str, float]:
    counts: Counter[str] = Counter()
    for exam in exams:
        regions = {lesion.region for lesion in exam.lesions}
        counts.update(regions.union(*(ONTOLOGY.containers(region) for region in regions)))
    return {region: counts[region] / len(exams) for region in ONTOLOGY}


@pytest.fixture(scope="module")
def prevalence(exams: list[Exam]) -> dict[str, float]:
    return prevalence_of(exams)


@pytest.mark.parametrize("region", ONTOLOGY.main_regions())
def test_main_regions_are_abnormal_in_12_to_72_percent(
    prevalence: dict[str, float], region: str
) -> None:
    """Hence in about 10-75 % of a cohort of 160 patients."""
    assert 0.12 <= prevalence[region] <= 0.72


def test_every_main_region_is_abnormal_in_10_to_75_percent_of_the_default_cohort() -> None:
    """160 patients and seed 0, as scripts/make_synthetic_data.py draws them."""
    drawn = prevalence_of([exam for p in sample_patients(160, seed=0) for exam in p.exams])
    outside = {r: drawn[r] for r in ONTOLOGY.main_regions() if not 0.10 <= drawn[r] <= 0.75}
    assert outside == {}
    assert max(drawn[region] for region in RARE) < 0.03


def test_seven_exams_in_ten_show_active_disease(prevalence: dict[str, float]) -> None:
    assert 0.67 < prevalence["full"] < 0.72


@pytest.mark.parametrize("region", RARE)
def test_rare_regions_occur_in_less_than_3_percent(
    prevalence: dict[str, float], region: str
) -> None:
    assert 0.0 < prevalence[region] < 0.03


def test_a_patient_depends_on_seed_and_number_only() -> None:
    assert sample_patients(5, seed=4) == sample_patients(30, seed=4)[:5]
    assert sample_patient(3, seed=4) == sample_patients(5, seed=4)[3]
    assert sample_patient(3, seed=4) != sample_patient(3, seed=5)
    assert sample_patients(0, seed=4) == []


def test_lesions_lie_in_most_specific_regions_within_their_ranges(exams: list[Exam]) -> None:
    lesions = [lesion for exam in exams for lesion in exam.lesions]

    assert all(not ONTOLOGY.parts(lesion.region) for lesion in lesions)
    assert all(10.0 <= lesion.diameter_mm <= 45.0 for lesion in lesions)
    assert all(4.0 <= lesion.suv <= 18.0 for lesion in lesions)


def test_about_6_percent_of_lesions_are_not_reported_but_never_all(exams: list[Exam]) -> None:
    reported = [[lesion.mentioned for lesion in exam.lesions] for exam in exams if exam.lesions]

    assert 0.04 < 1.0 - np.mean(np.concatenate(reported)) < 0.08
    assert all(any(flags) for flags in reported)


def test_sites_of_a_disease_come_together(exams: list[Exam]) -> None:
    with_carinal = [e for e in exams if "carinal_lymph_node" in {x.region for x in e.lesions}]
    both = [e for e in with_carinal if "paratracheal_lymph_node" in {x.region for x in e.lesions}]

    assert len(both) / len(with_carinal) > 0.5


def test_sex_specific_organs_belong_to_that_sex(patients: list[Patient]) -> None:
    regions = {"F": set(), "M": set()}  # type: dict[str, set[str]]
    for patient in patients:
        regions[patient.sex] |= {x.region for exam in patient.exams for x in exam.lesions}

    assert "prostate" in regions["M"] - regions["F"]
    assert {"uterus", "ovary"} <= regions["F"] - regions["M"]


def test_patients_look_like_adults(patients: list[Patient]) -> None:
    bmi = [p.weight_kg / p.height_m**2 for p in patients]

    assert all(20.0 <= p.age_years <= 90.0 for p in patients)
    assert 18.0 <= min(bmi) <= max(bmi) <= 42.0
    assert 0.4 < np.mean([p.sex == "F" for p in patients]) < 0.6
    assert {p.disease for p in patients} == {pattern.name for pattern in disease_patterns()}


def test_every_fourth_patient_returns_after_60_to_200_days(patients: list[Patient]) -> None:
    returning = [p for p in patients if len(p.exams) == 2]
    days = [(p.exams[1].exam_date - p.exams[0].exam_date).days for p in returning]

    assert 0.2 < len(returning) / len(patients) < 0.3
    assert 60 <= min(days) <= max(days) <= 200
    assert all(p.exams[1].treated for p in returning)


def test_dose_and_uptake_time_follow_the_procedure_guideline(patients: list[Patient]) -> None:
    for patient in patients:
        for exam in patient.exams:
            assert 3.6 < exam.injected_dose_mbq / patient.weight_kg < 5.6
            assert 55.0 <= exam.uptake_minutes <= 90.0


def test_negative_numbers_are_refused() -> None:
    with pytest.raises(InputDataError, match="num_patients and seed must be 0 or more"):
        sample_patients(-1, seed=0)


def test_normal_uptake_lies_around_published_values(exams: list[Exam]) -> None:
    medians = {
        name: float(np.median([getattr(exam.physiology, name) for exam in exams]))
        for name in ("brain", "liver", "blood_pool", "spleen", "muscle", "bladder")
    }

    assert medians["brain"] == pytest.approx(8.0, rel=0.05)
    assert medians["liver"] == pytest.approx(2.3, rel=0.05)
    assert medians["blood_pool"] == pytest.approx(1.6, rel=0.05)
    assert medians["spleen"] == pytest.approx(1.9, rel=0.08)
    assert medians["muscle"] == pytest.approx(0.7, rel=0.06)
    assert 12.0 < medians["bladder"] < 24.0


def test_brown_fat_is_more_common_in_young_lean_women(exams: list[Exam]) -> None:
    visible = np.mean([exam.physiology.brown_fat > 0.0 for exam in exams])
    rng = np.random.default_rng(0)

    def share(sex: str, age_years: float, bmi: float) -> float:
        draws = [
            sample_physiology(rng, sex=sex, age_years=age_years, bmi=bmi, treated=False)
            for _ in range(300)
        ]
        return float(np.mean([draw.brown_fat > 0.0 for draw in draws]))

    assert 0.03 < visible < 0.09
    assert share("F", 25.0, 20.0) > share("M", 70.0, 33.0)


def test_summary_codes_say_none_known_new_and_widespread() -> None:
    node = Lesion("carinal_lymph_node", 20.0, 8.0)
    grown = Lesion("carinal_lymph_node", 24.0, 9.0)
    hidden = Lesion("liver", 20.0, 8.0, mentioned=False)
    regions = [name for name in ONTOLOGY if not ONTOLOGY.parts(name)][:NUM_WIDESPREAD_REGIONS]

    assert summary_code([], None) == 1
    assert summary_code([hidden], None) == 1
    assert summary_code([node], None) == 4
    assert summary_code([node], [node]) == 2
    assert summary_code([grown], [node]) == 4
    assert summary_code([node], [hidden]) == 4
    assert summary_code([Lesion(name, 20.0, 8.0) for name in regions], None) == 9
