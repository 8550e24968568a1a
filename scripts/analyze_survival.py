r"""Survival analysis: Cox models without and with region predictions, Kaplan-Meier curves.

The models are fitted on --fit-splits (as in the paper: validation) and scored on --score-split
(test), on patients, each with the last exam. Writes into --out:

  cox_without_regions.csv, cox_with_regions.csv   hazard ratios with 95 % CI and p
  survival_summary.json                           concordance indices, tests, numbers of patients
  forest, kaplan_meier                            as .svg and .png

Example:
  python scripts/analyze_survival.py --survival-table runs/demo/survival/survival_table.csv \
      --predictions runs/demo/predictions.csv --out runs/demo/survival \
      --mortality-predictions runs/demo/mortality/predictions.csv
"""

from __future__ import annotations

import argparse
import logging
from pathlib import Path

import pandas as pd

from petct_ext.command_line import new_parser, run
from petct_ext.data.schemas import PREDICTIONS, SURVIVAL, read_table
from petct_ext.errors import InputDataError, did_you_mean
from petct_ext.files import make_folder
from petct_ext.survival.analysis import AnalysisOptions, analyze_survival, mortality_model_auroc
from petct_ext.survival.report import write_analysis


def main(arguments: argparse.Namespace) -> None:
    make_folder(arguments.out)
    table = read_table(arguments.survival_table, SURVIVAL)
    options = AnalysisOptions(
        regions=tuple(arguments.regions or ()),
        fit_splits=tuple(arguments.fit_splits),
        score_split=arguments.score_split,
        penalizer=arguments.penalizer,
        min_group=arguments.min_group,
        num_bootstrap=arguments.bootstrap,
        seed=arguments.seed,
    )
    predictions = _one_experiment(arguments.predictions, arguments.experiment)
    analysis = analyze_survival(table, predictions, options=options)
    mortality = None
    if arguments.mortality_predictions:
        outcome = _one_experiment(arguments.mortality_predictions, None)
        mortality = mortality_model_auroc(table, outcome, options=options)
    summary = write_analysis(analysis, mortality, folder=arguments.out)
    for note in summary["notes"]:
        logging.warning(note)
    print(
        f"c-index on {options.score_split}: {_rounded(summary['c_index_without_regions'])} "
        f"without, {_rounded(summary['c_index_with_regions'])} with predictions of "
        f"{', '.join(summary['regions']) or 'no region'}"
    )
    print(arguments.out / "survival_summary.json")


def _rounded(value: float | None) -> str:
    return "undefined" if value is None else f"{value:.3f}"


def _one_experiment(path: Path, wanted: str | None) -> pd.DataFrame:
    table = read_table(path, PREDICTIONS)
    names = list(dict.fromkeys(table["experiment"]))
    if wanted is None and len(names) == 1:
        return table
    if wanted not in names:
        what = "choose one with --experiment" if wanted is None else f"there is no {wanted!r}"
        raise InputDataError(
            f"{path} holds the experiments {', '.join(names)}; {what}."
            f"{did_you_mean(wanted or '', names)}"
        )
    return table[table["experiment"] == wanted].reset_index(drop=True)


if __name__ == "__main__":
    parser = new_parser(__doc__)
    parser.add_argument("--survival-table", type=Path, required=True, help="survival_table.csv")
    parser.add_argument(
        "--predictions", type=Path, required=True, help="region predictions of the scan model"
    )
    parser.add_argument(
        "--mortality-predictions", type=Path, help="predictions of the mortality model"
    )
    parser.add_argument("--out", type=Path, required=True, help="folder for tables and figures")
    parser.add_argument("--experiment", help="which experiment, if --predictions holds several")
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
    parser.add_argument(
        "--bootstrap", type=int, default=2000, help="number of draws (default: %(default)s)"
    )
    parser.add_argument("--seed", type=int, default=0, help="seed of the draws")
    run(main, parser)
