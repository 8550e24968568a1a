r"""Survival analysis: do predictions from the scan add to age, indication and summary code?

Each patient counts once, with the last exam. Cox models are fitted on --fit-splits (as in the
paper: validation) and scored on --score-split (test). Reads the survival table of this package
(--survival-table) or a group's own list of exams with follow-up (--exams; columns in
petct_ext/survival/exam_list.py). Writes into --out:

  index.html                                      all of it on one page that needs no network
  survival_summary.json                           concordance indices, tests, numbers of patients
  cox_without_regions.csv, cox_with_regions.csv   hazard ratios with 95 % Wald CI and p
  single_variables.csv                            each variable in a Cox model of its own
  importance.csv                                  Wald chi-square less degrees of freedom per group
  horizons.csv, calibration.csv                   AUROC, Brier score, calibration at --horizon-days
  proportional_hazards.csv                        tests on scaled Schoenfeld residuals
  survival_curves.csv                             Kaplan-Meier estimates by each region's prediction
  baseline_hazard.csv, scored_patients.csv, missing_covariates.csv, left_out.csv
  forest, single_variables, importance, kaplan_meier, survival_by_<region>, horizon_auroc,
  calibration, schoenfeld                         as .svg and .png

Example:
  python scripts/analyze_survival.py --survival-table runs/demo/survival/survival_table.csv \
      --predictions runs/demo/predictions.csv --out runs/demo/survival \
      --mortality-predictions runs/demo/mortality/predictions.csv
  python scripts/analyze_survival.py --exams exams_with_follow_up.csv \
      --predictions predictions.csv --out survival --ties breslow --horizon-days 90 365
"""

from __future__ import annotations

import argparse
import logging
from pathlib import Path
from typing import NoReturn

import pandas as pd

from petct_ext.cli import new_parser, run
from petct_ext.errors import InputDataError, did_you_mean
from petct_ext.files import make_folder
from petct_ext.ontology.option import add_ontology_option
from petct_ext.pages.run import read_run_facts
from petct_ext.pages.survival import write_survival_page
from petct_ext.pages.survival_files import write_analysis
from petct_ext.survival.analysis import AnalysisOptions, analyze_survival, mortality_model_auroc
from petct_ext.survival.exam_list import read_manifest, table_from_exams
from petct_ext.tables.contract import write_csv
from petct_ext.tables.schemas import PREDICTIONS, SURVIVAL, read_table


def command(arguments: argparse.Namespace) -> None:
    make_folder(arguments.out)
    options = AnalysisOptions(
        ontology=arguments.ontology,
        regions=tuple(arguments.regions or ()),
        fit_splits=tuple(arguments.fit_splits),
        score_split=arguments.score_split,
        ties=arguments.ties,
        penalizer=arguments.penalizer,
        min_group=arguments.min_group,
        horizons_days=tuple(sorted(set(arguments.horizon_days))),
        num_bootstrap=arguments.bootstrap,
        seed=arguments.seed,
    )
    table = _read_table(arguments)
    predictions = _one_experiment(
        arguments.predictions, arguments.experiment, option="--experiment"
    )
    analysis = analyze_survival(table, predictions, options=options)
    mortality = None
    if arguments.mortality_predictions:
        outcome = _one_experiment(
            arguments.mortality_predictions,
            arguments.mortality_experiment,
            option="--mortality-experiment",
        )
        mortality = mortality_model_auroc(table, outcome, options=options)
    # The folder above holds cohort.json and manifests of a run of this package.
    above = read_run_facts(arguments.out.resolve().parent).is_artificial
    facts = {"is_artificial": arguments.artificial or above}
    summary = write_analysis(analysis, mortality, folder=arguments.out, facts=facts)
    for note in summary["notes"]:
        logging.warning(note)
    print(
        f"c-index on {options.score_split}: {_rounded(summary['c_index_without_regions'])} "
        f"without, {_rounded(summary['c_index_with_regions'])} with predictions of "
        f"{', '.join(summary['regions']) or 'no region'}"
    )
    print(arguments.out / "survival_summary.json")
    print(write_survival_page(arguments.out))


def _read_table(arguments: argparse.Namespace) -> pd.DataFrame:
    if arguments.survival_table is not None:
        return read_table(arguments.survival_table, SURVIVAL)
    table, left_out = table_from_exams(
        read_manifest(arguments.exams), leave_out_bad=arguments.leave_out_bad
    )
    write_csv(left_out, arguments.out / "left_out.csv")
    return table


def _rounded(value: float | None) -> str:
    return "undefined" if value is None else f"{value:.3f}"


def _one_experiment(path: Path, wanted: str | None, *, option: str) -> pd.DataFrame:
    table = read_table(path, PREDICTIONS)
    names = list(dict.fromkeys(table["experiment"]))
    if wanted is None and len(names) == 1:
        return table
    if wanted not in names:
        what = f"choose one with {option}" if wanted is None else f"there is no {wanted!r}"
        raise InputDataError(
            f"{path} holds the experiments {', '.join(names)}; {what}."
            f"{did_you_mean(wanted or '', names)}"
        )
    return table[table["experiment"] == wanted].reset_index(drop=True)


def main() -> NoReturn:
    parser = new_parser(__doc__)
    source = parser.add_mutually_exclusive_group(required=True)
    source.add_argument("--survival-table", type=Path, help="survival_table.csv")
    source.add_argument("--exams", type=Path, help="your own list of exams with follow-up")
    parser.add_argument(
        "--leave-out-bad",
        action="store_true",
        help="with --exams: list patients with impossible dates or ages in left_out.csv and go on",
    )
    parser.add_argument(
        "--predictions", type=Path, required=True, help="region predictions of the scan model"
    )
    parser.add_argument(
        "--mortality-predictions", type=Path, help="predictions of the mortality model"
    )
    parser.add_argument("--out", type=Path, required=True, help="folder for tables and figures")
    parser.add_argument("--experiment", help="which experiment, if --predictions holds several")
    parser.add_argument(
        "--mortality-experiment",
        help="which experiment, if --mortality-predictions holds several (as finetune_mortality.py "
        "writes them, one per start); all its horizons are scored",
    )
    add_model_options(parser)
    add_score_options(parser)
    add_ontology_option(parser)
    run(command, parser)


def add_model_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--regions",
        nargs="+",
        help="regions whose predictions enter (default: up to six, one per five deaths that the "
        "other covariates leave)",
    )
    parser.add_argument(
        "--fit-splits",
        nargs="+",
        default=["validation"],
        help="splits on whose patients the models are fitted (default: validation)",
    )
    parser.add_argument("--score-split", default="test", help="(default: %(default)s)")
    parser.add_argument(
        "--ties",
        choices=["efron", "breslow"],
        default="efron",
        help="method for deaths on the same day (default: %(default)s)",
    )
    parser.add_argument(
        "--penalizer",
        type=float,
        default=0.0,
        help="ridge penalty; 0.1 helps small cohorts, intervals are approximate then (default: 0)",
    )
    parser.add_argument(
        "--min-group",
        type=int,
        default=8,
        help="an indication needs as many patients to be a covariate (default: %(default)s)",
    )


def add_score_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--horizon-days",
        type=int,
        nargs="+",
        default=[45, 90, 180, 365],
        help="days at which AUROC and calibration are computed (default: 45 90 180 365)",
    )
    parser.add_argument(
        "--bootstrap", type=int, default=2000, help="number of draws (default: %(default)s)"
    )
    parser.add_argument("--seed", type=int, default=0, help="seed of the draws")
    parser.add_argument(
        "--artificial",
        action="store_true",
        help="say on the page that the patients are artificial (found by itself in a run's folder)",
    )
