r"""Compares designs of the scan model on artificial patients, whose truth is known.

Trains every design with several seeds on a finished work folder (scripts/run_pipeline.py), scores
the test patients against the phantoms' truth, and measures where the heads look. The default
(multi-task, attention, weak labels, PET and CT) is compared with a sum in place of attention, with
training on true labels, with PET alone and CT alone, and with one network per region. Writes:

  designs.csv, designs.md      mean test AUROC, intervals, differences to the default
  designs_regions.csv          the same per region
  localization.csv             share of the attention inside boxes of the truth, against chance
  designs.png, localization.png (and .svg)
  runs/DESIGN/seedN/           weights, predictions, logs and manifests of every training

What is done is skipped, so that the command can be repeated. A training that fails does not stop
the others; exit code 3 says that some did. Nothing of it is evidence about patients.

Example:
  python scripts/run_pipeline.py --profile demo --patients 800 --out runs/designs
  python scripts/compare_designs.py --work runs/designs
"""

from __future__ import annotations

import argparse
import logging
import shlex
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NoReturn

import pandas as pd

from petct_ext.bundle.root import REPOSITORY
from petct_ext.cli import SOME_FAILED, new_parser, progress, run
from petct_ext.errors import InputDataError, did_you_mean
from petct_ext.figures.designs import draw_designs, draw_localization
from petct_ext.figures.style import save_figure
from petct_ext.files import make_folder, read_json, write_text
from petct_ext.ontology import RegionOntology
from petct_ext.ontology.option import add_ontology_option
from petct_ext.pages.designs import designs_page
from petct_ext.pipeline.design_tables import RegionGroup, design_table, localization_table
from petct_ext.pipeline.designs import (
    DESIGNS,
    REFERENCE_DESIGN,
    SINGLE_TASK,
    STUDY_SIZES,
    DesignStudy,
    Training,
    choose_designs,
    train_all,
)
from petct_ext.pipeline.finetunings import RARE_REGIONS, usual_regions
from petct_ext.scan.interpretation.localization import localize_exams, read_boxes
from petct_ext.scan.interpretation.scan_model import load_scan_model
from petct_ext.statistics.predictions import as_experiments, read_predictions, use_hand_labels
from petct_ext.statistics.region_table import region_table
from petct_ext.tables.contract import write_csv
from petct_ext.tables.schemas import HAND_LABELS, IDENTIFIERS, read_table

COMMON_REGIONS = ("liver",)
USUAL_DESIGNS = [n for n in DESIGNS if n != "finer_map"]


def command(arguments: argparse.Namespace) -> int:
    # It wants all configurations in one folder.
    logging.getLogger("monai.bundle.workflows").setLevel(logging.ERROR)
    study = open_study(arguments)
    trainings = trainings_of(study, arguments)
    failed = train_all(study, trainings, jobs=arguments.jobs)
    # A seed of a design counts only with all of its regions.
    left_out = {(training.design.name, training.seed) for training in failed}
    kept = [t for t in trainings if (t.design.name, t.seed) not in left_out]
    write_results(study, kept, arguments)
    for design, seed in sorted(left_out):
        print(f"left out: {design}, seed {seed}", file=sys.stderr)
    print(study.out / "designs.md")
    return SOME_FAILED if failed else 0


def open_study(arguments: argparse.Namespace) -> DesignStudy:
    work = arguments.work.resolve()
    cohort = (arguments.cohort or work / "phantom").resolve()
    if not (cohort / "cohort.json").is_file():
        raise InputDataError(
            f"{cohort} is no artificial cohort, and no other has a known truth; give one with "
            "--cohort, or make it with scripts/run_pipeline.py."
        )
    settings = {"epochs": arguments.epochs, "exams_per_epoch": arguments.exams_per_epoch}
    study = DesignStudy(
        configs=REPOSITORY / "bundles" / "scan_model" / "configs",
        work=work,
        cohort=cohort,
        ontology=arguments.ontology,
        out=make_folder(arguments.out or work / "designs").resolve(),
        size=arguments.size,
        settings={key: value for key, value in settings.items() if value is not None},
    )
    read_boxes(cohort, study.identifiers)  # at the door, not after the training
    study.write_true_datalist()
    return study


def trainings_of(study: DesignStudy, arguments: argparse.Namespace) -> list[Training]:
    regions, alone = usual_regions(study.ontology), arguments.single_task_regions
    for region in alone:
        if region not in regions:
            raise InputDataError(
                f"--single-task-regions: {region!r} is none of the {len(regions)} regions that "
                f"are compared.{did_you_mean(region, regions)}"
            )
    designs = choose_designs(arguments.designs)
    seeds = {SINGLE_TASK: arguments.single_task_seeds or arguments.seeds}
    return [
        training
        for seed in sorted({*arguments.seeds, *seeds[SINGLE_TASK]})
        for design in designs
        if seed in seeds.get(design.name, arguments.seeds)
        for training in study.trainings(design, seed, regions=regions, alone=alone)
    ]


def write_results(
    study: DesignStudy, trainings: Sequence[Training], arguments: argparse.Namespace
) -> None:
    if not trainings:
        raise InputDataError("no training ended well; see the logs in runs/*/seed*/logs.")
    identifiers = read_table(study.identifiers, IDENTIFIERS)
    patients = dict(zip(identifiers["exam_id"], identifiers["patient_id"], strict=True))
    truth = read_table(study.cohort / "hand_labels.csv", HAND_LABELS)
    predicted = read_predictions([training.predictions for training in trainings], split="test")
    predictions = use_hand_labels(predicted, truth, identifiers)
    options: dict[str, Any] = {"num_bootstrap": arguments.bootstrap, "seed": arguments.draw_seed}
    about: dict[str, Any] = {"ontology": study.ontology, "patients": patients}
    designs = design_table(predictions, groups_of(trainings, study.ontology), **about, **options)
    experiments = as_experiments(predictions, **about)
    places = localization_table(locate_all(study, trainings), patients=patients, **options)
    write_rows(region_table(experiments, **options).tasks, study.out / "designs_regions.csv")
    write_rows(places, study.out / "localization.csv")
    save_figure(draw_designs(designs), study.out / "designs")
    save_figure(draw_localization(places, ontology=study.ontology), study.out / "localization")
    write_text(study.out / "designs.md", designs_page(designs, places, facts=facts_of(study)))
    write_rows(designs, study.out / "designs.csv")


def groups_of(trainings: Sequence[Training], ontology: RegionOntology) -> list[RegionGroup]:
    regions, main = usual_regions(ontology), ontology.main_regions()
    rare = tuple(regions[len(main) :])
    groups = [
        RegionGroup(f"{len(main)} main regions", main),
        RegionGroup("four rare regions", rare, min_positives=2),
    ]
    single = {r for t in trainings if t.design.name == SINGLE_TASK for r in t.regions}
    common = tuple(region for region in main if region in single)
    return (
        [*groups, RegionGroup("common regions, also trained alone", common)] if common else groups
    )


def locate_all(study: DesignStudy, trainings: Sequence[Training]) -> pd.DataFrame:
    boxes = read_boxes(study.cohort, study.identifiers)
    multi_task = [t for t in trainings if t.design.name != SINGLE_TASK]
    parts = []
    for training in progress(multi_task, "where heads look"):
        model = load_scan_model(
            study.inference_configs,
            datalist=study.work / "datalist.json",
            checkpoint=training.weights,
        )
        measured = localize_exams(model, boxes, study.ontology)
        parts.append(measured.assign(design=training.design.name, seed=training.seed))
    return pd.concat(parts, ignore_index=True)


def facts_of(study: DesignStudy) -> str:
    cohort = read_json(study.cohort / "cohort.json")
    document = read_json(study.work / "datalist.json")
    sizes = ", ".join(
        f"{len(document[name])} {name}" for name in ("training", "validation", "test")
    )
    settings = ", ".join(f"{key} {value}" for key, value in study.settings.items())
    command = shlex.join(["python", *sys.argv])
    return (
        f"Cohort: {cohort['num_patients']} patients, seed {cohort['seed']}; exams: {sizes}. "
        f"Settings: {study.size} size{', ' + settings if settings else ''}. Command: `{command}`."
    )


def write_rows(rows: pd.DataFrame, path: Path) -> None:
    write_csv(rows, path, float_format="%.6g")


def main() -> NoReturn:
    parser = new_parser(__doc__)
    parser.add_argument("--work", type=Path, required=True, help="finished work folder")
    parser.add_argument("--cohort", type=Path, help="artificial cohort (default: WORK/phantom)")
    parser.add_argument("--out", type=Path, help="default: WORK/designs")
    parser.add_argument(
        "--designs", nargs="+", default=USUAL_DESIGNS, metavar="NAME",
        help=f"of {', '.join(DESIGNS)}; {REFERENCE_DESIGN} is always trained",
    )  # fmt: skip
    parser.add_argument("--seeds", nargs="+", type=int, default=[0, 1, 2])
    parser.add_argument(
        "--single-task-seeds", nargs="+", type=int, help="of the many small networks (as --seeds)"
    )
    parser.add_argument(
        "--single-task-regions", nargs="+", metavar="REGION",
        default=[*RARE_REGIONS, *COMMON_REGIONS],
        help="regions that get a network of their own (default: the rare ones and the liver)",
    )  # fmt: skip
    parser.add_argument(
        "--size", choices=sorted(STUDY_SIZES), default="demo", help="of the network"
    )
    parser.add_argument("--epochs", type=int, help="default: the configuration's")
    parser.add_argument("--exams-per-epoch", type=int, help="default: the configuration's")
    parser.add_argument("--jobs", type=int, default=2, help="trainings at a time (default: 2)")
    parser.add_argument("--bootstrap", type=int, default=2000)
    parser.add_argument("--draw-seed", type=int, default=0, help="of bootstrap and tests")
    add_ontology_option(parser)
    run(command, parser)
