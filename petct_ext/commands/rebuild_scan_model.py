r"""Rebuilds the scan model that ships with the bundle: models/model.pt, mostly in half precision.

Trains the bundle's default (multi-task, attention, weak labels) at reduced size on a work folder
made from artificial patients, scores the test patients against the phantoms' truth, and checks that
half precision leaves the predictions as they are. These weights show that everything works; they
know phantoms only and are not for patients.

Example:
  python scripts/run_pipeline.py --profile demo --patients 800 --out runs/designs
  python scripts/rebuild_scan_model.py --work runs/designs --out bundles/scan_model/models
"""

from __future__ import annotations

import argparse
from collections.abc import Mapping
from pathlib import Path
from typing import NoReturn

import numpy as np

from petct_ext.bundle.root import config_files_of
from petct_ext.cli import new_parser, run
from petct_ext.errors import InputDataError
from petct_ext.files import make_folder
from petct_ext.ontology import RegionOntology
from petct_ext.ontology.option import add_ontology_option
from petct_ext.pipeline.designs import ARTIFICIAL
from petct_ext.pipeline.steps import Step, bundle_command, run_steps
from petct_ext.scan.networks.design import build_network, read_design
from petct_ext.scan.networks.pretrained import check_weights
from petct_ext.scan.networks.stamping import save_half
from petct_ext.statistics.predictions import as_experiments, read_predictions, use_hand_labels
from petct_ext.statistics.region_table import region_table, write_region_table
from petct_ext.tables.schemas import HAND_LABELS, IDENTIFIERS, PREDICTIONS, read_table

TRAIN = [*config_files_of("scan_model", "train.json", "demo.json")]
INFER = [*config_files_of("scan_model", "inference.json")]
LARGEST_CHANGE = 1e-3


def command(arguments: argparse.Namespace) -> None:
    work = arguments.work.resolve()
    cohort = (arguments.cohort or work / "phantom").resolve()
    if not (cohort / "cohort.json").is_file():
        raise InputDataError(
            f"{cohort} is no artificial cohort; weights that ship are trained on no other."
        )
    folder = make_folder(arguments.folder or work / "shipped").resolve()
    full, half = folder / "model.pt", folder / "half" / "model.pt"
    sizes = {"epochs": arguments.epochs, "exams_per_epoch": arguments.exams_per_epoch}
    chosen = {key: value for key, value in sizes.items() if value is not None}
    datalist = {
        "datalist": work / "datalist.json",
        "ontology": arguments.ontology.path,
        "seed": arguments.seed,
    }
    fit = {**datalist, **chosen, "ckpt_dir": folder, "output_dir": folder}
    run_steps([
        Step("train", "train the scan model", bundle_command(TRAIN, fit, run_id="training"),
             (work / "datalist.json", *TRAIN), (full,)),
        predict("full", full, datalist),
    ], folder)  # fmt: skip
    ship(full, half)
    run_steps([predict("half", half, datalist)], folder)
    change = largest_change(full.parent / "predictions.csv", half.parent / "predictions.csv")
    print(f"half precision changes a probability by at most {change:.1e}")
    if change >= LARGEST_CHANGE:
        raise InputDataError(
            f"{half}: half precision changes a prediction by {change:.1e}, more than "
            f"{LARGEST_CHANGE:g}; ship these weights in float32."
        )
    score(half.parent / "predictions.csv", ontology=arguments.ontology, cohort=cohort, work=work)
    path = make_folder(arguments.out) / "model.pt"
    ship(full, path)
    print(f"{path}: {path.stat().st_size / 1e6:.2f} MB")


def predict(name: str, weights: Path, datalist: Mapping[str, object]) -> Step:
    predictions = weights.parent / "predictions.csv"
    options = {**datalist, "ckpt_path": weights, "predictions": predictions, "section": "test"}
    return Step(
        f"predict_{name}",
        f"predict the test patients, {name} precision",
        bundle_command(INFER, options),
        (weights, *INFER),
        (predictions,),
    )


def ship(full: Path, half: Path) -> None:
    network = build_network(read_design(full))
    network.load_state_dict(check_weights(network, full))
    save_half(network, half)


def largest_change(one: Path, other: Path) -> float:
    keys = list(PREDICTIONS.key)
    tables = [read_table(path, PREDICTIONS).set_index(keys)["prob"] for path in (one, other)]
    return float(np.abs(tables[0] - tables[1].reindex(tables[0].index)).max())


def score(predictions: Path, *, ontology: RegionOntology, cohort: Path, work: Path) -> None:
    identifiers = read_table(work / "private" / "identifiers.csv", IDENTIFIERS)
    truth = read_table(cohort / "hand_labels.csv", HAND_LABELS)
    judged = use_hand_labels(read_predictions([predictions], split="test"), truth, identifiers)
    patients = dict(zip(identifiers["exam_id"], identifiers["patient_id"], strict=True))
    table = region_table(as_experiments(judged, ontology=ontology, patients=patients))
    write_region_table(table, predictions.parent)
    row = table.macro.iloc[0]
    print(ARTIFICIAL)
    print(
        f"mean test AUROC against the phantoms' truth: {row['macro_auroc']:.3f} (95 % CI "
        f"{row['macro_auroc_ci_low']:.3f}-{row['macro_auroc_ci_high']:.3f}) over {row['n_tasks']} "
        f"regions, {row['n_exams']} exams -> {predictions.parent / 'metrics.csv'}"
    )


def main() -> NoReturn:
    parser = new_parser(__doc__)
    parser.add_argument("--work", type=Path, required=True, help="finished work folder")
    parser.add_argument("--cohort", type=Path, help="artificial cohort (default: WORK/phantom)")
    parser.add_argument("--folder", type=Path, help="of the training (default: WORK/shipped)")
    parser.add_argument("--out", type=Path, required=True, help="folder for model.pt")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--epochs", type=int, default=24)
    parser.add_argument("--exams-per-epoch", type=int, default=320)
    add_ontology_option(parser)
    run(command, parser)
