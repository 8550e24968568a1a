"""The statistics find what simulated cohorts hold."""

from __future__ import annotations

import numpy as np
import pytest

from benchmarks.survival_simulation import (
    REGIONS,
    PatientPool,
    added_value,
    coverage,
    make_pool,
    simulate_tables,
    summarize_added_value,
    summarize_coverage,
)
from petct_ext.errors import InputDataError
from tests.package_regions import ONTOLOGY


@pytest.fixture(scope="module")
def pool() -> PatientPool:
    return make_pool(600, seed=0, ontology=ONTOLOGY)


@pytest.mark.slow
def test_intervals_cover_the_true_effects_in_nine_of_ten_cohorts_or_more(pool: PatientPool) -> None:
    rows = summarize_coverage(coverage(pool, num_cohorts=200, num_patients=400, seed=0))

    assert rows["n_failed"].sum() == 0
    assert rows["coverage"].between(0.90, 0.99).all()
    assert (rows["bias"].abs() < 0.35 * rows["mean_standard_error"]).all()
    ratio = rows["mean_standard_error"] / rows["sd_of_estimates"]
    assert ratio.between(0.85, 1.15).all()


@pytest.mark.slow
def test_region_states_improve_the_index_and_shuffled_ones_do_not(pool: PatientPool) -> None:
    arguments = {"num_cohorts": 40, "num_patients": 500, "seed": 0}
    true, shuffled = (
        summarize_added_value(
            added_value(pool, **arguments, region_auroc=1.0, is_informative=informative)
        )
        for informative in (True, False)
    )

    assert true["gain_ci_low"] > 0.02
    assert true["median_p"] < 1e-4
    assert shuffled["gain"] < 0.005
    assert shuffled["fraction_p_below_0.05"] < 0.15


def test_few_cohorts_are_enough_to_see_the_signs(pool: PatientPool) -> None:
    rows = summarize_coverage(coverage(pool, num_cohorts=10, num_patients=500, seed=1))

    assert (rows["mean_estimate"] > 0).all()
    assert (rows["bias"].abs() < 3 * rows["mean_standard_error"] / np.sqrt(10)).all()


def test_equal_seeds_give_equal_cohorts(pool: PatientPool) -> None:
    first, second = (simulate_tables(pool, num_patients=50, seed=3) for _ in range(2))

    assert first[0].equals(second[0])
    assert first[1].equals(second[1])
    assert set(first[1]["task"]) == set(REGIONS)


def test_pool_that_is_too_small_is_refused(pool: PatientPool) -> None:
    with pytest.raises(InputDataError, match="needs a pool of at least as many, got 600"):
        coverage(pool, num_cohorts=1, num_patients=601, seed=0)
