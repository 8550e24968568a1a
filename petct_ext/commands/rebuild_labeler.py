"""Rebuilds the report labeler that ships with the bundle: models/model.pt and models/encoder.

First stage: the project's own text (generated, and written by hand). Second stage: the annotated
mentions of --real, a JSONL file that stays outside of the repository. Where it is absent, the
labeler learns from the project's own text only, and the script says so. Needs the extra 'encoder'.

With --cross-validate FOLDER the second stage is repeated without a fifth of the real texts, five
times; FOLDER/labeler_comparison.csv tells how the labeler does on texts it has not seen, beside the
regex baseline and the rules.

Examples:
    python scripts/rebuild_labeler.py --out bundles/report_labeler/models
    python scripts/rebuild_labeler.py --out runs/labeler --cross-validate runs/folds
"""

import argparse
from dataclasses import replace
from pathlib import Path
from typing import NoReturn

import torch
from tokenizers import Tokenizer

from petct_ext.bundle.root import REPOSITORY
from petct_ext.cli import new_parser, run
from petct_ext.labeler.comparison import MentionLabeler, compare_labelers
from petct_ext.labeler.network import ReportClassifier
from petct_ext.labeler.shipped import (
    FoldedLabeler,
    Recipe,
    cross_validate,
    fit_blend,
    save_labeler,
    train_stage_one,
    train_tuned,
)
from petct_ext.labeler.training import FitSettings
from petct_ext.ontology import RegionOntology
from petct_ext.ontology.option import add_ontology_option
from petct_ext.reports.baseline import RegexLabeler
from petct_ext.reports.items import SentenceTagger, items_of_texts, read_annotated_texts
from petct_ext.reports.rules import RuleLabeler
from petct_ext.tables.contract import write_csv

ALONE = (1.0, 0.0, 0.0)
REAL = REPOSITORY.parent / "shared" / "reports" / "extra.jsonl"


def command(arguments: argparse.Namespace) -> None:
    torch.set_num_threads(arguments.threads)
    ontology = arguments.ontology
    recipe = Recipe(encoder=arguments.encoder, seed=arguments.seed)
    if arguments.quick:
        once = FitSettings(epochs=1)
        recipe = replace(
            recipe, num_generated=32, num_contexts=8, generated=once, written=once, tuned=once
        )
    first = train_stage_one(recipe, ontology)
    network, tokenizer, own = first
    begin = {name: tensor.clone() for name, tensor in network.state_dict().items()}
    if not arguments.real.is_file():
        print(f"{arguments.real} is absent: trained on the project's own text only, which reads")
        print("real reports less well; nothing to cross-validate on")
        save(network, tokenizer, arguments.out, recipe, ontology)
        return
    texts = read_annotated_texts(arguments.real)
    real, outside = items_of_texts(texts, SentenceTagger(ontology))
    print(f"{arguments.real}: {len(real)} sentences, {outside} mentions in other sections")
    train_tuned(network, tokenizer, recipe, real=real, own=own)
    blend = save(network, tokenizer, arguments.out, recipe, ontology)
    if arguments.cross_validate is not None:
        network.load_state_dict(begin)
        states = cross_validate(recipe, first, real)
        labelers: dict[str, MentionLabeler] = {
            "regex": RegexLabeler(),
            "rules": RuleLabeler(),
            "model alone, cross-validated": FoldedLabeler(*first[:2], states, ALONE),
            "model, cross-validated": FoldedLabeler(*first[:2], states, blend),
        }
        table = compare_labelers(labelers, texts, ontology)
        path = arguments.cross_validate / "labeler_comparison.csv"
        write_csv(table, path)
        print(path)


def save(
    network: ReportClassifier,
    tokenizer: Tokenizer,
    folder: Path,
    recipe: Recipe,
    ontology: RegionOntology,
) -> tuple[float, float, float]:
    blend, scores = fit_blend(network, tokenizer, ontology)
    told = f"Brier score {scores.brier:.3f}, calibration error {scores.calibration_error:.3f}"
    print(f"blend {blend}, chosen on {scores.num} mentions of own reports: {told}")
    path = save_labeler(network, tokenizer, folder, replace(recipe, blend=blend)) / "model.pt"
    print(f"{path}: {path.stat().st_size / 1e6:.1f} MB", flush=True)
    return blend


def main() -> NoReturn:
    parser = new_parser(__doc__)
    parser.add_argument("--out", type=Path, required=True, help="folder for model.pt and encoder")
    parser.add_argument("--real", type=Path, default=REAL, help="JSONL of annotated real text")
    parser.add_argument(
        "--encoder", default=Recipe().encoder, help="folder or name of the pretrained encoder"
    )
    parser.add_argument(
        "--cross-validate", type=Path, metavar="FOLDER", help="also estimate the accuracy"
    )
    parser.add_argument("--quick", action="store_true", help="seconds only: to try the script")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument(
        "--threads", type=int, default=1, help="of torch; more are slower on busy machines"
    )
    add_ontology_option(parser)
    run(command, parser)
