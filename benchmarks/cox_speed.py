"""Compares our Newton steps of a Cox model with statsmodels' PHReg, side by side in one run.

Table 1, time: patients are random, covariates normal, days whole numbers up to ten years (so that
deaths are tied). Both ways fit the same numbers in turn for several rounds, on one thread; seconds
are medians of CPU time, which other work on the machine disturbs least, and differences are the
largest over all covariates. Fits with one covariate are those of the table of single variables.
Table 2, where they end: covariates are log-normal, as laboratory values and volumes are. PHReg
takes full steps and scales all risk sets by one patient, so that they vanish beside an extreme one.

Example:
    OMP_NUM_THREADS=1 python benchmarks/cox_speed.py
"""

import argparse
import statistics
import time
import warnings
from collections.abc import Callable
from typing import get_args

import numpy as np
from statsmodels.duration.hazard_regression import PHReg

from petct_ext.cli import new_parser, run
from petct_ext.survival.partial_likelihood import Maximum, Ties, maximize

STUDY_DAYS = 3650
Cohort = tuple[np.ndarray, np.ndarray, np.ndarray]


def make_cohort(num_patients: int, num_covariates: int, *, deaths: float, seed: int) -> Cohort:
    """Returns covariates (N, P), days (N,) and deaths (N,), of which about ``deaths`` are 1."""
    rng = np.random.default_rng(seed)
    values = rng.normal(size=(num_patients, num_covariates))
    hazard = np.exp(values @ rng.normal(0, 0.1, num_covariates))
    last_contact = rng.uniform(30, STUDY_DAYS, num_patients)
    unit = rng.exponential(size=num_patients) / hazard
    # The time scale at which the wanted share dies before the last contact.
    scale = np.quantile(last_contact / unit, 1 - deaths)
    event = unit * scale <= last_contact
    days = np.ceil(np.where(event, unit * scale, last_contact))
    return (values - values.mean(axis=0)) / values.std(axis=0, ddof=1), days, event.astype(float)


def by_phreg(cohort: Cohort, ties: Ties) -> Maximum:
    values, days, event = cohort
    model = PHReg(days, values, status=event, ties=ties)
    found = model.fit()
    null = model.loglike(np.zeros(values.shape[1]))
    return Maximum(found.params, found.cov_params(), found.llf, null, converged=True)


def by_ours(cohort: Cohort, ties: Ties) -> Maximum:
    values, days, event = cohort
    return maximize(values, days, event, ties=ties)


def seconds(fit: Callable[[Cohort, Ties], Maximum], cohort: Cohort, ties: Ties) -> float:
    start = time.process_time()
    fit(cohort, ties)
    return time.process_time() - start


def compare(cohort: Cohort, ties: Ties, *, rounds: int) -> str:
    ours, theirs = by_ours(cohort, ties), by_phreg(cohort, ties)  # warm, and for the differences
    turns = [
        (seconds(by_ours, cohort, ties), seconds(by_phreg, cohort, ties)) for _ in range(rounds)
    ]
    own, other = (statistics.median(column) for column in zip(*turns, strict=True))
    errors = [np.sqrt(np.diag(one.covariance)) for one in (ours, theirs)]
    cells = (
        f"{cohort[2].mean():8.0%}{len(np.unique(cohort[1][cohort[2] == 1])):8d}{ties:>10s}",
        f"{own:10.3f}{other:10.3f}{other / own:8.1f}",
        f"{np.abs(ours.coefficients - theirs.coefficients).max():12.1e}",
        f"{np.abs(errors[0] - errors[1]).max():12.1e}",
        f"{abs(ours.log_likelihood / theirs.log_likelihood - 1):12.1e}",
    )
    return "".join(cells)


def count_ends(*, num_cohorts: int, ties: Ties) -> tuple[int, int]:
    """Returns how many cohorts our steps fit, and how many of these PHReg does not."""
    fitted, lost = 0, 0
    for seed in range(num_cohorts):
        values, days, event = make_cohort(400, 8, deaths=0.2, seed=seed)
        skewed = np.exp(2 * values)
        cohort = (skewed - skewed.mean(axis=0)) / skewed.std(axis=0, ddof=1), days, event
        own = by_ours(cohort, ties)
        if not own.converged:
            continue
        with warnings.catch_warnings(), np.errstate(all="ignore"):
            warnings.simplefilter("ignore")
            other = by_phreg(cohort, ties)
        fitted += 1
        lost += not np.abs(own.coefficients - other.coefficients).max() < 1e-6  # NaN is lost too
    return fitted, lost


def main(arguments: argparse.Namespace) -> None:
    print("1. CPU seconds (medians) and differences")
    titles = ("covariates", "  deaths", "    days", "      ties", "    ours s", "   PHReg s")
    print("".join(titles) + "   ratio    estimate  std. error  log-lik. (relative)")
    for num_covariates in (arguments.covariates, 1):
        for deaths in arguments.deaths:
            cohort = make_cohort(
                arguments.patients, num_covariates, deaths=deaths, seed=arguments.seed
            )
            for ties in get_args(Ties):
                print(f"{num_covariates:10d}" + compare(cohort, ties, rounds=arguments.rounds))
    print("2. cohorts of 400 patients with 8 log-normal covariates")
    for ties in get_args(Ties):
        fitted, lost = count_ends(num_cohorts=arguments.cohorts, ties=ties)
        print(f"{ties}: of {fitted} fitted by us, PHReg ends elsewhere or with NaN in {lost}")


if __name__ == "__main__":
    parser = new_parser(__doc__)
    parser.add_argument("--patients", type=int, default=5000)
    parser.add_argument("--covariates", type=int, default=41)
    parser.add_argument("--deaths", type=float, nargs="+", default=[0.2, 0.6], help="shares")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--cohorts", type=int, default=200, help="of the second table")
    parser.add_argument("--seed", type=int, default=0)
    run(main, parser)
