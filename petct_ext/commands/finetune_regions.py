"""Fine-tunes a trained scan model for single regions and gathers what the models predict.

For each region and seed: train with bundles/scan_model/configs/finetune.json, then predict all
exams. Without --regions these are the 26 regions of the multi-task model and four rare ones. What
is done is skipped, so the same command goes on after an interruption.

Writes to OUT (default WORK/finetuning/regions): one folder per fine-tuning, predictions.csv of all,
finetunings.csv (done, skipped or failed, and why), logs and manifests. A region that has no
positive or no negative exam for training or validation is skipped. Exit code 3: some have failed.

Example:
    python scripts/finetune_regions.py --work runs/mine --seeds 0 1 2
    python scripts/finetune_regions.py --work runs/demo --profile demo --regions liver pancreas
"""

import argparse
from pathlib import Path
from typing import NoReturn

from petct_ext.bundle.root import REPOSITORY
from petct_ext.cli import SOME_FAILED, new_parser, run
from petct_ext.files import make_folder
from petct_ext.ontology.option import add_ontology_option
from petct_ext.pipeline.finetunings import Surroundings, region_finetunings, usual_regions
from petct_ext.pipeline.running import run_finetunings, status_in_words


def command(arguments: argparse.Namespace) -> int:
    work = arguments.work.resolve()
    out = make_folder(arguments.out or work / "finetuning" / "regions").resolve()
    around = Surroundings(
        REPOSITORY,
        out,
        arguments.ontology,
        is_demo=arguments.profile == "demo",
        configs=tuple(path.resolve() for path in arguments.config),
    )
    plan = region_finetunings(
        around,
        weights=(arguments.weights or work / "scan_model" / "model.pt").resolve(),
        datalist=(arguments.datalist or work / "datalist.json").resolve(),
        regions=arguments.regions or usual_regions(arguments.ontology),
        seeds=arguments.seeds,
    )
    status = run_finetunings(plan, out)
    print(f"{status_in_words(status)} -> {out}")
    return SOME_FAILED if (status["status"] == "failed").any() else 0


def main() -> NoReturn:
    parser = new_parser(__doc__)
    parser.add_argument("--work", type=Path, required=True, help="work folder of a finished run")
    parser.add_argument("--weights", type=Path, help="default: WORK/scan_model/model.pt")
    parser.add_argument("--datalist", type=Path, help="default: WORK/datalist.json")
    parser.add_argument("--regions", nargs="+", help="default: the main and 4 rare regions")
    parser.add_argument("--seeds", type=int, nargs="+", default=[0])
    parser.add_argument("--profile", choices=["demo", "full"], default="full", help="sizes")
    parser.add_argument(
        "--config", type=Path, nargs="+", default=[], help="configuration files to put on top"
    )
    parser.add_argument("--out", type=Path, help="default: WORK/finetuning/regions")
    add_ontology_option(parser)
    run(command, parser)
