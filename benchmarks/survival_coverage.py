"""Checks the survival statistics on simulated cohorts whose hazard is known.

Part 1: a Cox model of the true covariates is fitted to each cohort; the table tells how often the
95 % interval of each log hazard ratio holds the truth (95 % wanted), the bias, and whether the
standard errors equal the spread of the estimates. Part 2: region predictions are added to age,
indication and summary code, fitted on one half of each cohort and scored on the other; once as they
are, once shuffled among patients, where the likelihood-ratio test must find something in 5 % only.

Patients are digital and results are not clinical.

Example:
    python benchmarks/survival_coverage.py --cohorts 400
"""

import argparse
import time
from pathlib import Path

import pandas as pd
from survival_simulation import (
    PatientPool,
    added_value,
    coverage,
    make_pool,
    summarize_added_value,
    summarize_coverage,
)

from petct_ext.cli import new_parser, run
from petct_ext.errors import InputDataError
from petct_ext.files import atomic_path, make_folder
from petct_ext.ontology import RegionOntology

ONTOLOGY = RegionOntology.default()


def gain_table(pool: PatientPool, arguments: argparse.Namespace) -> pd.DataFrame:
    values = {}
    for name, auroc, informative in (
        ("true states of regions", 1.0, True),
        (f"predictions, AUROC {arguments.region_auroc:g}", arguments.region_auroc, True),
        ("the same, shuffled among patients", arguments.region_auroc, False),
    ):
        found = added_value(
            pool,
            num_cohorts=arguments.cohorts,
            num_patients=arguments.patients,
            seed=arguments.seed,
            region_auroc=auroc,
            is_informative=informative,
        )
        values[name] = summarize_added_value(found)
    return pd.DataFrame(values).T


def main(arguments: argparse.Namespace) -> None:
    if arguments.cohorts < 2 or arguments.patients < 50:
        raise InputDataError("at least 2 cohorts of at least 50 patients are needed.")
    start = time.perf_counter()
    pool = make_pool(
        max(arguments.pool, arguments.patients), seed=arguments.seed, ontology=ONTOLOGY
    )
    rows = coverage(
        pool,
        num_cohorts=arguments.cohorts,
        num_patients=arguments.patients,
        seed=arguments.seed,
        ties=arguments.ties,
    )
    table = summarize_coverage(rows)
    deaths = rows.groupby("cohort")["n_deaths"].first().mean()
    print(
        f"{arguments.cohorts} cohorts of {arguments.patients} patients, {deaths:.0f} deaths on "
        f"average, {arguments.ties} ties, seed {arguments.seed}"
    )
    print(table.to_string(index=False, float_format=lambda value: f"{value:.3f}"))
    gains = gain_table(pool, arguments)
    print("\nliver, skeleton and lungs added to age, indication and summary code; half fitted,")
    print("half scored")
    print(gains.to_string(float_format=lambda value: f"{value:.4g}"))
    print(f"{time.perf_counter() - start:.0f} s")
    if arguments.out:
        make_folder(arguments.out)
        for name, frame in (("coverage", table), ("added_value", gains.rename_axis("regions"))):
            with atomic_path(arguments.out / f"{name}.csv") as partial:
                frame.to_csv(partial, index=name == "added_value", float_format="%.6g")


if __name__ == "__main__":
    parser = new_parser(__doc__)
    parser.add_argument("--cohorts", type=int, default=400, help="(default: %(default)s)")
    parser.add_argument(
        "--patients", type=int, default=600, help="in each cohort (default: %(default)s)"
    )
    parser.add_argument(
        "--pool", type=int, default=2000, help="digital patients to draw from (default: 2000)"
    )
    parser.add_argument("--ties", choices=["efron", "breslow"], default="efron")
    parser.add_argument(
        "--region-auroc",
        type=float,
        default=0.85,
        help="how well predictions tell a region's true state (default: %(default)s)",
    )
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--out", type=Path, help="folder for the tables as CSV")
    run(main, parser)
