"""Fine-tunes mortality models: each horizon from each start, and gathers what they predict.

Starts: multi_task (the run's scan model), summary_code (a scan model trained on the readers'
summary codes, which is trained first unless --summary-code-weights gives it) and scratch (random
weights, or Kinetics with --kinetics). With four horizons these are twelve models per seed. What is
done is skipped, so the same command goes on after an interruption.

Writes to OUT (default WORK/finetuning/mortality): one folder per fine-tuning, predictions.csv of
all (column experiment tells the start, task the horizon), finetunings.csv (done, skipped or failed,
and why), logs and manifests. A horizon at which nobody has died in training or validation is
skipped. Exit code 3: some have failed.

Example:
    python scripts/finetune_mortality.py --work runs/mine --cohort my_cohort --seeds 0 1 2
    python scripts/finetune_mortality.py --work runs/demo --cohort runs/demo/phantom --profile demo
"""

import argparse
from pathlib import Path
from typing import NoReturn

from petct_ext.bundle.root import REPOSITORY
from petct_ext.cli import SOME_FAILED, new_parser, run
from petct_ext.files import make_folder, require_file
from petct_ext.ontology.option import add_ontology_option
from petct_ext.pipeline.finetunings import (
    HORIZONS_DAYS,
    Surroundings,
    mortality_finetunings,
    summary_code_training,
)
from petct_ext.pipeline.running import Finetuning, run_finetunings, status_in_words
from petct_ext.survival.outcome_items import CENSORED

STARTS = ("multi_task", "summary_code", "scratch")


def command(arguments: argparse.Namespace) -> int:
    work = arguments.work.resolve()
    out = make_folder(arguments.out or work / "finetuning" / "mortality").resolve()
    around = Surroundings(
        REPOSITORY,
        out,
        arguments.ontology,
        is_demo=arguments.profile == "demo",
        configs=tuple(path.resolve() for path in arguments.config),
    )
    before, starts = plan_starts(arguments, around, work)
    plan = before + mortality_finetunings(
        around,
        datalist=(arguments.datalist or work / "mortality" / "datalist.json").resolve(),
        starts=starts,
        horizons_days=arguments.horizons,
        seeds=arguments.seeds,
        censored=arguments.censored,
        needs={item.name: item.name for item in before},
    )
    status = run_finetunings(plan, out)
    print(f"{status_in_words(status)} -> {out}")
    return SOME_FAILED if (status["status"] == "failed").any() else 0


def plan_starts(
    arguments: argparse.Namespace, around: Surroundings, work: Path
) -> tuple[list[Finetuning], dict[str, dict[str, Path]]]:
    """Returns what has to be trained first, and by name of the start its option of the bundle."""
    starts: dict[str, dict[str, Path]] = {}
    before = []
    kinetics = arguments.kinetics and Path(require_file(arguments.kinetics)).resolve()
    for start in dict.fromkeys(arguments.starts):
        if start == "multi_task":
            weights = arguments.weights or work / "scan_model" / "model.pt"
            starts[start] = {"pretrained_path": Path(require_file(weights)).resolve()}
        elif start == "summary_code" and arguments.summary_code_weights:
            weights = Path(require_file(arguments.summary_code_weights)).resolve()
            starts[start] = {"pretrained_path": weights}
        elif start == "summary_code":
            cohort = arguments.cohort and arguments.cohort.resolve()
            training, weights = summary_code_training(
                around, work=work, cohort=cohort, kinetics=kinetics, seed=arguments.seeds[0]
            )
            before.append(training)
            starts[start] = {"pretrained_path": weights}
        elif kinetics:
            starts["kinetics"] = {"kinetics_path": kinetics}
        else:
            starts["random"] = {}
    return before, starts


def main() -> NoReturn:
    parser = new_parser(__doc__)
    parser.add_argument("--work", type=Path, required=True, help="work folder of a finished run")
    parser.add_argument(
        "--cohort", type=Path, help="folder with reports.csv, for the summary codes"
    )
    parser.add_argument("--starts", nargs="+", choices=STARTS, default=list(STARTS))
    parser.add_argument("--horizons", type=int, nargs="+", default=list(HORIZONS_DAYS))
    parser.add_argument("--seeds", type=int, nargs="+", default=[0])
    parser.add_argument(
        "--censored",
        choices=CENSORED,
        default="unknown",
        help="patients lost before the horizon: no label (default), or alive as in the paper",
    )
    parser.add_argument("--weights", type=Path, help="default: WORK/scan_model/model.pt")
    parser.add_argument("--summary-code-weights", type=Path, help="model.pt of summary_code.json")
    parser.add_argument("--kinetics", type=Path, help="published I3D weights, for summary_code too")
    parser.add_argument("--datalist", type=Path, help="default: WORK/mortality/datalist.json")
    parser.add_argument("--profile", choices=["demo", "full"], default="full", help="sizes")
    parser.add_argument(
        "--config", type=Path, nargs="+", default=[], help="configuration files to put on top"
    )
    parser.add_argument("--out", type=Path, help="default: WORK/finetuning/mortality")
    add_ontology_option(parser)
    run(command, parser)
