"""Simulated cohorts with a known hazard, for survival_coverage.py and the tests.

Patients are digital (:mod:`petct_ext.synthetic`), their hazard is that of
:mod:`petct_ext.synthetic.outcomes`. Results say that the statistics are right, nothing about
people. Letters in shapes: N patients.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import numpy.typing as npt
import pandas as pd
from scipy import stats

from petct_ext.arrays import Floats
from petct_ext.errors import InputDataError
from petct_ext.ontology import RegionOntology
from petct_ext.survival.covariates import learn_design
from petct_ext.survival.cox import fit_cox, likelihood_ratio_test
from petct_ext.survival.discrimination import concordance
from petct_ext.survival.partial_likelihood import Ties
from petct_ext.synthetic.diseases import sample_patients
from petct_ext.synthetic.outcomes import (
    COEFFICIENTS,
    END_OF_STUDY,
    covariates,
    sample_follow_up,
)

__all__ = [
    "REGIONS",
    "PatientPool",
    "added_value",
    "coverage",
    "make_pool",
    "simulate_tables",
    "summarize_added_value",
    "summarize_coverage",
]


REGIONS: Final = ("liver", "skeleton", "lungs")
"""Regions whose true state is part of the hazard."""

_NUM_SEEDS: Final = 3


@dataclass(frozen=True, slots=True, eq=False)
class PatientPool:
    """Digital patients before any follow-up (N).

    Attributes:
        covariates: the covariates of the hazard, one column per coefficient.
        log_hazard: true linear predictor (N,).
        study_days: days from the last exam to the end of the study (N,).
        clinical: ``age_years``, ``indication``, ``summary_code``, ``sex``.
        ontology: their regions.
    """

    covariates: pd.DataFrame
    log_hazard: Floats
    study_days: Floats
    clinical: pd.DataFrame
    ontology: RegionOntology

    def choose(self, num_patients: int, rng: np.random.Generator) -> npt.NDArray[np.int64]:
        """Draws different patients; returns their rows.

        Raises:
            InputDataError: if the pool is too small.
        """
        if num_patients > len(self.log_hazard):
            raise InputDataError(
                f"a cohort of {num_patients} patients needs a pool of at least as many, got "
                f"{len(self.log_hazard)}."
            )
        return rng.permutation(len(self.log_hazard))[:num_patients]


def make_pool(num_patients: int, *, ontology: RegionOntology, seed: int) -> PatientPool:
    """Samples digital patients, each with the last exam."""
    patients = sample_patients(num_patients, seed=seed)
    made = pd.DataFrame([covariates(patient, ontology) for patient in patients])[list(COEFFICIENTS)]
    clinical = pd.DataFrame(
        {
            "age_years": made["age_decades"] * 10 + 60,
            "sex": [patient.sex for patient in patients],
            "indication": [patient.indication for patient in patients],
            "summary_code": [str(patient.exams[-1].summary_code) for patient in patients],
        }
    )
    days = [(END_OF_STUDY - patient.exams[-1].exam_date).days for patient in patients]
    effects = np.array(list(COEFFICIENTS.values()))
    return PatientPool(
        made, made.to_numpy() @ effects, np.array(days, np.float64), clinical, ontology
    )


def coverage(
    pool: PatientPool, *, num_cohorts: int, num_patients: int, seed: int, ties: Ties = "efron"
) -> pd.DataFrame:
    """Fits a Cox model of the true covariates to many simulated cohorts.

    Args:
        pool: patients from whom each cohort is drawn anew.
        num_cohorts: number of cohorts.
        num_patients: patients in each.
        seed: seed of patients and follow-up.
        ties: method for deaths on the same day.

    Returns:
        One row per cohort and covariate: ``cohort``, ``covariate``, ``true``, ``estimate``,
        ``standard_error``, ``is_covered`` (whether the 95 % Wald interval holds the truth),
        ``n_deaths``. A cohort that cannot be fitted has NaN and ``is_covered`` False.
    """
    rows: list[dict[str, Any]] = []
    for cohort in range(num_cohorts):
        rng = np.random.default_rng([seed, cohort])
        chosen = pool.choose(num_patients, rng)
        days, died = sample_follow_up(pool.log_hazard[chosen], pool.study_days[chosen], rng=rng)
        try:
            model = fit_cox(pool.covariates.iloc[chosen], days, died, ties=ties)
            found = model.coefficients.set_index("covariate")
        except InputDataError:
            found = pd.DataFrame(
                np.nan,
                index=list(COEFFICIENTS),
                columns=["log_hazard_ratio", "standard_error", "ci_low", "ci_high"],
            )
        for name, true in COEFFICIENTS.items():
            row = found.loc[name]
            rows.append(
                {
                    "cohort": cohort,
                    "covariate": name,
                    "true": true,
                    "estimate": row["log_hazard_ratio"],
                    "standard_error": row["standard_error"],
                    "is_covered": bool(row["ci_low"] <= true <= row["ci_high"]),
                    "n_deaths": int(died.sum()),
                }
            )
    return pd.DataFrame(rows)


def summarize_coverage(rows: pd.DataFrame) -> pd.DataFrame:
    """Returns, per covariate, bias, standard errors and the coverage with an exact 95 % interval.

    Returns:
        ``covariate``, ``true``, ``mean_estimate``, ``bias``, ``bias_z`` (bias over its standard
        error), ``mean_standard_error``, ``sd_of_estimates``, ``coverage``, ``coverage_ci_low``,
        ``coverage_ci_high`` (Clopper & Pearson), ``n_failed``.
    """
    made = []
    for name, group in rows.groupby("covariate", sort=False):
        total, covered = len(group), int(group["is_covered"].sum())
        exact = stats.binomtest(covered, total).proportion_ci(0.95)
        error = group["estimate"] - group["true"]
        made.append(
            {
                "covariate": name,
                "true": group["true"].iloc[0],
                "mean_estimate": group["estimate"].mean(),
                "bias": error.mean(),
                "bias_z": error.mean() / (error.std(ddof=1) / np.sqrt(error.notna().sum())),
                "mean_standard_error": group["standard_error"].mean(),
                "sd_of_estimates": group["estimate"].std(ddof=1),
                "coverage": covered / total,
                "coverage_ci_low": exact.low,
                "coverage_ci_high": exact.high,
                "n_failed": int(group["estimate"].isna().sum()),
            }
        )
    return pd.DataFrame(made)


def added_value(
    pool: PatientPool,
    *,
    num_cohorts: int,
    num_patients: int,
    seed: int,
    region_auroc: float = 0.85,
    is_informative: bool = True,
    min_group: int = 25,
) -> pd.DataFrame:
    """Adds region predictions to age, indication and summary code in many simulated cohorts.

    Half of each cohort is fitted, the other half scored.

    Args:
        pool: patients.
        num_cohorts: number of cohorts.
        num_patients: patients in each, both halves together.
        seed: seed of patients, follow-up and predictions.
        region_auroc: how well predictions tell the true state of a region; 1 for the state itself.
        is_informative: whether predictions belong to their patients; if not they are shuffled among
            patients, and the likelihood-ratio test should find something in 5 % of cohorts only.
        min_group: smallest number of fitted patients that makes an indication a covariate; smaller
            groups may hold no death, and then have no finite hazard ratio.

    Returns:
        One row per cohort: ``c_index_without``, ``c_index_with``, ``gain``, ``p`` (likelihood-ratio
        test on the fitted half). A cohort that cannot be fitted has NaN.
    """
    rows = []
    for cohort in range(num_cohorts):
        rng = np.random.default_rng([seed, cohort, 1])
        table, probs = _simulate(pool, num_patients, region_auroc=region_auroc, rng=rng)
        if not is_informative:
            probs = probs.iloc[rng.permutation(len(probs))].reset_index(drop=True)
        table = table.join(probs)
        is_fitted = table["split"] == "validation"
        rows.append(
            {
                "cohort": cohort,
                **_compare(
                    table[is_fitted],
                    table[~is_fitted],
                    ontology=pool.ontology,
                    min_group=min_group,
                ),
            }
        )
    return pd.DataFrame(rows)


def summarize_added_value(rows: pd.DataFrame) -> dict[str, float]:
    """Returns means over cohorts, 95 % intervals of the gain, and how often p is below 0.05."""
    known = rows.dropna()
    gain = known["gain"]
    half = 1.959964 * gain.std(ddof=1) / np.sqrt(len(known))
    return {
        "n_cohorts": len(known),
        "n_failed": len(rows) - len(known),
        "c_index_without": known["c_index_without"].mean(),
        "c_index_with": known["c_index_with"].mean(),
        "gain": gain.mean(),
        "gain_ci_low": gain.mean() - half,
        "gain_ci_high": gain.mean() + half,
        "fraction_with_gain": float((gain > 0).mean()),
        "median_p": known["p"].median(),
        "fraction_p_below_0.05": float((known["p"] < 0.05).mean()),
    }


def simulate_tables(
    pool: PatientPool, *, num_patients: int, seed: int, region_auroc: float = 0.85
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Simulates the two tables that an analysis reads.

    Returns:
        A survival table (form ``SURVIVAL``), half of its patients in validation and half in test,
        and predictions (form ``PREDICTIONS``) of three seeds for :data:`REGIONS`.
    """
    rng = np.random.default_rng([seed, 2])
    table, probs = _simulate(pool, num_patients, region_auroc=region_auroc, rng=rng)
    made = []
    for region in REGIONS:
        logit = np.log(probs[region] / (1 - probs[region]))
        for number in range(_NUM_SEEDS):
            noisy = logit + rng.normal(0, 0.2, num_patients)
            made.append(
                pd.DataFrame(
                    {
                        "experiment": "simulated",
                        "seed": number,
                        "split": table["split"],
                        "task": region,
                        "exam_id": table["exam_id"],
                        "target": np.nan,
                        "prob": 1 / (1 + np.exp(-noisy)),
                        "target_kind": "weak",
                    }
                )
            )
    return table, pd.concat(made, ignore_index=True)


def _simulate(
    pool: PatientPool, num_patients: int, *, region_auroc: float, rng: np.random.Generator
) -> tuple[pd.DataFrame, pd.DataFrame]:
    chosen = pool.choose(num_patients, rng)
    days, died = sample_follow_up(pool.log_hazard[chosen], pool.study_days[chosen], rng=rng)
    clinical = pool.clinical.iloc[chosen].reset_index(drop=True)
    table = clinical.assign(
        patient_id=[f"P{i:05d}" for i in chosen],
        exam_id=[f"E{i:05d}" for i in chosen],
        split=np.where(np.arange(num_patients) % 2, "test", "validation"),
        time_days=days.astype("float64"),
        event=died.astype("int64"),
    )
    # Two normal distributions, one standard deviation wide, as far apart as the area asks for.
    distance = float(np.sqrt(2) * stats.norm.ppf(min(region_auroc, 1 - 1e-9)))
    states = pool.covariates[list(REGIONS)].iloc[chosen].to_numpy()
    scores = (states - 0.5) * distance * distance + rng.normal(0, distance, states.shape)
    probs = 1 / (1 + np.exp(-np.clip(scores, -15, 15)))
    return table, pd.DataFrame(probs, columns=list(REGIONS))


def _compare(
    fit: pd.DataFrame, score: pd.DataFrame, *, ontology: RegionOntology, min_group: int
) -> dict[str, float]:
    try:
        design = learn_design(fit, ontology=ontology, regions=REGIONS, min_group=min_group)
        values = design.apply(fit)
        small, large = (
            fit_cox(values[list(columns)], fit["time_days"], fit["event"])
            for columns in (design.columns, (*design.columns, *design.region_columns))
        )
    except InputDataError:
        return dict.fromkeys(("c_index_without", "c_index_with", "gain", "p"), float("nan"))
    others = design.apply(score)
    without, with_ = (
        concordance(score["time_days"], score["event"], model.risk(others))
        for model in (small, large)
    )
    return {
        "c_index_without": without,
        "c_index_with": with_,
        "gain": with_ - without,
        "p": likelihood_ratio_test(small, large).p,
    }
