"""Runs the whole way: DICOM and reports to region predictions, a survival model and one page.

Without --data, an artificial cohort is made first. Steps that are done are skipped, so the command
can be repeated after an interruption or a change. What each step said is in OUT/logs, what it did
in OUT/manifests.

Example:
    python scripts/run_pipeline.py --profile demo --out runs/demo
    python scripts/run_pipeline.py --data my_cohort --out runs/mine
    python scripts/run_pipeline.py --data my_cohort --ontology my_regions.json --out runs/mine
"""

import argparse
import os
from pathlib import Path
from typing import NoReturn

from petct_ext.cli import SOME_FAILED, new_parser, run
from petct_ext.cohort.options import add_choice_options, add_review_options
from petct_ext.files import make_folder
from petct_ext.ontology.option import add_ontology_option
from petct_ext.pipeline.plan import PROFILES, RunPlan, require_cohort
from petct_ext.pipeline.steps import plan_steps, run_steps
from petct_ext.pipeline.whole_run import steps_of_run
from petct_ext.reports.option import add_several_option


def command(arguments: argparse.Namespace) -> int:
    work = make_folder(arguments.out).resolve()
    plan = RunPlan(
        data=(arguments.data or work / "phantom").resolve(),
        work=work,
        profile=PROFILES[arguments.profile],
        is_phantom=arguments.data is None,
        labeler=arguments.labeler,
        patients=arguments.patients,
        seed=arguments.seed,
        workers=arguments.workers,
        ontology=arguments.ontology,
        several_reports=arguments.several_reports,
        index_options=index_options(arguments),
        prepare_tables={
            option: table.resolve()
            for option, table in (
                ("--suv-overrides", arguments.suv_overrides),
                ("--accept", arguments.accept),
            )
            if table is not None
        },
    )
    if not plan.is_phantom:
        require_cohort(plan)
    artificial = plan.is_phantom or (plan.data / "cohort.json").is_file()
    facts = {"seed": plan.seed, "profile": arguments.profile, "artificial": artificial}
    steps = steps_of_run(plan)
    if arguments.dry_run:
        print("\n".join(plan_steps(steps, work, data=plan.data)))
        return 0
    incomplete = run_steps(steps, work, facts=facts, data=plan.data)
    print(work / "index.html")
    return SOME_FAILED if incomplete else 0


def index_options(arguments: argparse.Namespace) -> tuple[str, ...]:
    """Returns the options of the index that were given."""
    options = [option for wish in arguments.prefer for option in ("--prefer", wish)]
    if arguments.assume_registered:
        options.append("--assume-registered")
    return tuple(options)


def main() -> NoReturn:
    parser = new_parser(__doc__)
    parser.add_argument("--data", type=Path, help="your cohort; default: an artificial one")
    parser.add_argument("--out", type=Path, required=True, help="work folder, may exist")
    parser.add_argument("--profile", choices=sorted(PROFILES), default="full")
    parser.add_argument(
        "--labeler", choices=["model", "rules"], default="model", help="rules needs no annotations"
    )
    parser.add_argument("--patients", type=int, default=140, help="of the artificial cohort")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument(
        "--dry-run", action="store_true", help="say what would be run and why, and run nothing"
    )
    parser.add_argument("--workers", type=int, default=os.cpu_count() or 1)
    add_choice_options(parser)
    add_review_options(parser)
    add_several_option(parser)
    add_ontology_option(parser)
    run(command, parser)
