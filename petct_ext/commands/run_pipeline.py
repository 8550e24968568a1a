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
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple, NoReturn

from petct_ext.cli import SOME_FAILED, new_parser, run
from petct_ext.errors import InputDataError
from petct_ext.files import make_folder, write_json
from petct_ext.ontology import RegionOntology
from petct_ext.ontology.option import add_ontology_option, ontology_arguments
from petct_ext.ontology.regions import REGIONS_FILE
from petct_ext.pipeline.steps import Step, bundle_command, run_steps

REPOSITORY = Path(__file__).resolve().parents[2]
BUNDLES = REPOSITORY / "bundles"


class Profile(NamedTuple):
    """What the demonstration changes: sizes only. Code and configurations are the same."""

    prepare: list[str]
    pictures: str
    fractions: list[str]
    bootstrap: str
    penalizer: str
    fit_splits: list[str]
    is_demo: bool


PROFILES = {
    "full": Profile([], "200", ["0.7", "0.1", "0.2"], "2000", "0", ["validation"], is_demo=False),
    "demo": Profile(
        ["--in-plane", "48", "--slice-mm", "13"],
        "12",
        ["0.62", "0.12", "0.26"],
        "1000",
        "0.1",
        ["training", "validation"],  # the validation split alone holds a handful of deaths
        is_demo=True,
    ),
}


class Plan(NamedTuple):
    """What the user asked for."""

    data: Path
    work: Path
    profile: Profile
    is_phantom: bool
    labeler: str
    patients: int
    seed: int
    workers: int
    ontology: RegionOntology

    @property
    def regions(self) -> tuple[Path, ...]:
        """The file of the regions, an input of the steps that read it."""
        return (self.ontology.path,) if self.ontology.path else ()

    def network_outputs(self) -> tuple[Path, ...]:
        """Writes which regions the scan model learns, if they are not the package's.

        Returns:
            A configuration file to put on top of the bundle's; nothing without ``--ontology``.
        """
        if self.ontology.path in (None, REGIONS_FILE):
            return ()
        document = {
            "_desc_": "Written by scripts/run_pipeline.py from the regions of --ontology.",
            "ontology": str(self.ontology.path),
            "regions": list(self.ontology.main_regions()),
        }
        return (write_json(self.work / "scan_model" / "regions.json", document),)

    def hand_labels(self) -> list[str]:
        """Returns the options that score against a reader's labels, if there are any."""
        if not self.is_phantom and not (self.data / "hand_labels.csv").is_file():
            return []
        identifiers = self.work / "private" / "identifiers.csv"
        return ["--hand-labels", f"{self.data}/hand_labels.csv", "--identifiers", str(identifiers)]


def command(arguments: argparse.Namespace) -> int:
    work = make_folder(arguments.out).resolve()
    plan = Plan(
        data=(arguments.data or work / "phantom").resolve(),
        work=work,
        profile=PROFILES[arguments.profile],
        is_phantom=arguments.data is None,
        labeler=arguments.labeler,
        patients=arguments.patients,
        seed=arguments.seed,
        workers=arguments.workers,
        ontology=arguments.ontology,
    )
    if not plan.is_phantom:
        require_cohort(plan)
    steps = [*cohort_steps(plan), *label_steps(plan), *scan_steps(plan), *survival_steps(plan)]
    steps.append(page_step(plan, steps))
    artificial = plan.is_phantom or (plan.data / "cohort.json").is_file()
    facts = {"seed": plan.seed, "profile": arguments.profile, "artificial": artificial}
    incomplete = run_steps(steps, work, facts=facts)
    print(work / "index.html")
    return SOME_FAILED if incomplete else 0


def require_cohort(plan: Plan) -> None:
    """Looks at the door for what a later step would miss."""
    if not plan.data.is_dir():
        raise InputDataError(f"{plan.data} is not a folder; it should hold dicom/ and reports.csv.")
    if not (plan.data / "dicom").exists() and not (plan.data / "nifti_pairs.csv").exists():
        raise InputDataError(
            f"{plan.data} lacks dicom (or nifti_pairs.csv); README.md tells the form of a cohort."
        )
    if not (plan.data / "reports.csv").exists():
        raise InputDataError(
            f"{plan.data} lacks reports.csv; README.md tells the form of a cohort."
        )
    if plan.labeler == "model" and not (plan.data / "annotations.csv").exists():
        raise InputDataError(
            f"{plan.data} lacks annotations.csv, from which the report labeler learns; judge some "
            "200 mentions (README.md), or add --labeler rules to start with rules alone."
        )


def script(name: str, *arguments: object) -> tuple[str, ...]:
    return (sys.executable, str(REPOSITORY / "scripts" / f"{name}.py"), *map(str, arguments))


def bundle(
    name: str, configs: Sequence[str], overrides: Mapping[str, object], *, run_id: str = "run"
) -> tuple[str, ...]:
    return bundle_command(bundle_configs(name, configs), overrides, run_id=run_id)


def bundle_configs(name: str, configs: Sequence[str]) -> tuple[Path, ...]:
    return tuple(BUNDLES / name / "configs" / config for config in configs)


def cohort_steps(plan: Plan) -> list[Step]:
    data, work, ontology = plan.data, plan.work, ontology_arguments(plan.ontology)
    workers = ["--workers", plan.workers]
    steps = []
    if plan.is_phantom:
        size = ["--patients", plan.patients, "--seed", plan.seed]
        steps.append(
            Step(
                "synthesize",
                f"Make {plan.patients} artificial patients (not clinical data)",
                script("make_synthetic_data", data, *size, *workers, *ontology),
                plan.regions,
                (data / "cohort.json",),
            )
        )
    dicom, pairs = data / "dicom", data / "nifti_pairs.csv"
    scans = pairs if pairs.is_file() and not dicom.exists() else dicom
    source = ["--nifti-pairs", pairs] if scans == pairs else [dicom]
    salt = data / "project_salt.txt"
    salt_file = ["--salt-file", salt] if plan.is_phantom or salt.is_file() else []
    steps.append(
        Step(
            "index",
            "Find exams and their series",
            script("index_exams", *source, "--work", work, *salt_file, *workers),
            (scans,),
            (work / "exams.csv", work / "series.csv", work / "private" / "identifiers.csv"),
            exams_may_fail=True,
        )
    )
    steps.append(
        Step(
            "prepare",
            "Prepare volumes: SUV and HU on one grid",
            script("prepare_exams", "--work", work, *plan.profile.prepare, *workers),
            (work / "exams.csv", work / "private" / "series_files.json"),
            (work / "prepared.csv",),
            exams_may_fail=True,
        )
    )
    steps.append(
        Step(
            "check_exams",
            "Draw the prepared exams on a page to check",
            script("check_exams", "--work", work, "--pictures", plan.profile.pictures, *workers),
            (work / "prepared.csv",),
            (work / "quality" / "index.html", work / "quality" / "quality.csv"),
        )
    )
    fractions = ["--fractions", *plan.profile.fractions, "--seed", plan.seed]
    steps.append(
        Step(
            "split",
            "Split patients into training, validation and test",
            script("make_splits", "--work", work, *fractions),
            (work / "prepared.csv",),
            (work / "splits.csv",),
        )
    )
    return steps


def label_steps(plan: Plan) -> list[Step]:
    data, work, ontology = plan.data, plan.work, ontology_arguments(plan.ontology)
    folder = work / "report_labeler"
    no_model = "" if plan.labeler == "model" else "--labeler rules was chosen"
    items = work / "private" / "report_items.json"
    options = {"dataset_dir": work / "private", "ckpt_dir": folder, "output_dir": folder}
    train = ["train.json", "demo.json"] if plan.profile.is_demo else ["train.json"]
    annotations = (data / "annotations.csv",) if plan.labeler == "model" else ()
    mentions = (work / "mentions.csv",) if plan.labeler == "model" else ()  # rules write them
    audit = plan.hand_labels()[:2]
    return [
        Step(
            "prepare_reports",
            "Find sections, sentences and mentions in the reports",
            script(
                "prepare_reports",
                *("--cohort", data, "--work", work, "--labeler", plan.labeler, *ontology),
            ),
            (data / "reports.csv", *annotations, work / "splits.csv", *plan.regions),
            (items,),
            exams_may_fail=True,
        ),
        Step(
            "train_report_labeler",
            "Train the report labeler on judged mentions",
            bundle("report_labeler", train, options, run_id="training"),
            (items, *bundle_configs("report_labeler", train)),
            (folder / "model.pt",),
            skip_because=no_model,
        ),
        Step(
            "score_report_labeler",
            "Score the report labeler on judged mentions of test patients",
            bundle("report_labeler", [*train, "evaluate.json"], options | {"section": "test"}),
            (items, folder / "model.pt"),
            (),
            skip_because=no_model,
        ),
        Step(
            "label_mentions",
            "Judge every mention in every report",
            bundle(
                "report_labeler", ["inference.json"], options | {"mentions": work / "mentions.csv"}
            ),
            (items, folder / "model.pt"),
            (work / "mentions.csv",),
            skip_because=no_model,
        ),
        Step(
            "label_exams",
            f"Combine mentions into weak labels of {len(plan.ontology)} regions",
            script("label_reports", "--work", work, "--labeler", plan.labeler, *audit, *ontology),
            (items, *mentions, *plan.regions),
            (work / "labels.csv", work / "label_prevalence.csv", work / "mentions.csv"),
            exams_may_fail=True,
        ),
        Step(
            "datalist",
            "Join volumes, splits and labels",
            script("make_datalist", "--work", work, *ontology),
            (work / "prepared.csv", work / "splits.csv", work / "labels.csv", *plan.regions),
            (work / "datalist.json",),
        ),
    ]


def scan_steps(plan: Plan) -> list[Step]:
    work, folder = plan.work, plan.work / "scan_model"
    weights, predictions = folder / "model.pt", work / "predictions.csv"
    outputs, ontology = plan.network_outputs(), ontology_arguments(plan.ontology)
    train = ["train.json", "demo.json"] if plan.profile.is_demo else ["train.json"]
    infer = ["inference.json"]
    # An absolute path stays what it is where bundle() joins it to the bundle's folder.
    train, infer = [*train, *map(str, outputs)], [*infer, *map(str, outputs)]
    data = {"datalist": work / "datalist.json", "seed": plan.seed}
    evaluation = ["--patients", work / "splits.csv", "--bootstrap", plan.profile.bootstrap]
    files = ("metrics.csv", "metrics_macro.csv")
    return [
        Step(
            "train_scan_model",
            "Train the scan model on the weak labels",
            bundle(
                "scan_model",
                train,
                data | {"ckpt_dir": folder, "output_dir": folder},
                run_id="training",
            ),
            (work / "datalist.json", work / "prepared.csv", *bundle_configs("scan_model", train)),
            (weights,),
        ),
        Step(
            "predict",
            "Predict all exams",
            bundle(
                "scan_model",
                infer,
                data | {"ckpt_path": weights, "predictions": predictions, "section": "all"},
            ),
            (work / "datalist.json", weights, *bundle_configs("scan_model", infer)),
            (predictions,),
        ),
        Step(
            "evaluate",
            "Score the predictions of test patients",
            script(
                "evaluate_predictions",
                predictions,
                "--out",
                work / "evaluation",
                *plan.hand_labels(),
                *evaluation,
                *ontology,
            ),
            (
                predictions,
                *([plan.data / "hand_labels.csv"] if plan.hand_labels() else []),
                *plan.regions,
            ),
            tuple(work / "evaluation" / name for name in files),
        ),
        Step(
            "draw_attention",
            "Draw what the model attended to in a few exams",
            script(
                "draw_attention",
                "--config",
                *bundle_configs("scan_model", infer),
                *("--datalist", work / "datalist.json", "--checkpoint", weights),
                *("--predictions", predictions, "--out", work / "overlays", *ontology),
            ),
            (weights, predictions, *bundle_configs("scan_model", infer), *plan.regions),
            (work / "overlays" / "overlays.csv",),
        ),
    ]


def survival_steps(plan: Plan) -> list[Step]:
    work, folder = plan.work, plan.work / "mortality"
    has_outcomes = plan.is_phantom or (plan.data / "outcomes.csv").is_file()
    reason = "" if has_outcomes else "the cohort has no outcomes.csv"
    sizes = ["train.json", "demo.json"] if plan.profile.is_demo else ["train.json"]
    train = [*sizes, "finetune.json"]
    infer = ["inference.json"]
    data = {"datalist": folder / "datalist.json", "seed": plan.seed}
    table, weights = work / "survival" / "survival_table.csv", folder / "model.pt"
    encoder = work / "scan_model" / "model.pt"
    return [
        Step(
            "survival_table",
            "Join exams with follow-up",
            script("make_survival_table", "--cohort", plan.data, "--work", work),
            (plan.data / "outcomes.csv", work / "splits.csv", work / "prepared.csv"),
            (table, folder / "datalist.json"),
            skip_because=reason,
        ),
        Step(
            "train_mortality",
            "Fine-tune the encoder to predict death within 180 days",
            bundle(
                "mortality",
                train,
                data | {"ckpt_dir": folder, "output_dir": folder, "pretrained_path": encoder},
                run_id="training",
            ),
            (folder / "datalist.json", encoder, *bundle_configs("mortality", train)),
            (weights,),
            skip_because=reason,
        ),
        Step(
            "predict_mortality",
            "Predict death within 180 days",
            bundle(
                "mortality",
                infer,
                data
                | {
                    "ckpt_path": weights,
                    "predictions": folder / "predictions.csv",
                    "section": "all",
                },
            ),
            (folder / "datalist.json", weights),
            (folder / "predictions.csv",),
            skip_because=reason,
        ),
        Step(
            "analyze_survival",
            "Fit Cox models with and without region predictions",
            script(
                "analyze_survival",
                *("--survival-table", table, "--predictions", work / "predictions.csv"),
                *("--mortality-predictions", folder / "predictions.csv"),
                *("--out", work / "survival", "--penalizer", plan.profile.penalizer),
                *("--bootstrap", plan.profile.bootstrap),
                *("--fit-splits", *plan.profile.fit_splits, *ontology_arguments(plan.ontology)),
            ),
            (table, work / "predictions.csv", folder / "predictions.csv", *plan.regions),
            (work / "survival" / "survival_summary.json",),
            skip_because=reason,
        ),
    ]


def page_step(plan: Plan, before: Sequence[Step]) -> Step:
    results = [path for step in before for path in step.outputs if path.suffix in (".csv", ".json")]
    return Step(
        "page",
        "Write the page",
        script("make_page", "--work", plan.work, *ontology_arguments(plan.ontology)),
        (*results, *plan.regions),
        (plan.work / "index.html",),
    )


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
    parser.add_argument("--workers", type=int, default=os.cpu_count() or 1)
    add_ontology_option(parser)
    run(command, parser)
