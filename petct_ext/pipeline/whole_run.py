"""The steps of a whole run: DICOM and reports to predictions, a survival model and one page."""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from petct_ext.bundle.root import REPOSITORY, config_files_of
from petct_ext.dicom.volumes.exam_record import RECORD_FORMAT
from petct_ext.pipeline.plan import RunPlan
from petct_ext.pipeline.steps import Step, bundle_command

__all__ = ["steps_of_run"]


def steps_of_run(plan: RunPlan) -> list[Step]:
    """Returns every step in order; those that do not apply say why they are left out."""
    makers: Sequence[Callable[[RunPlan], Step]] = (
        *((_synthesize,) if plan.is_phantom else ()),
        *(_index, _prepare, _check_exams, _split),
        *(_prepare_reports, _train_labeler, _score_labeler, _label_mentions, _label_exams),
        *(_datalist, _train_scan_model, _predict, _evaluate, _draw_attention),
        *(_survival_table, _train_mortality, _predict_mortality, _analyze_survival),
    )
    steps = [make(plan) for make in makers]
    return [*steps, _page(plan, steps)]


def _script(name: str, *arguments: object) -> tuple[str, ...]:
    return (sys.executable, str(REPOSITORY / "scripts" / f"{name}.py"), *map(str, arguments))


def shipped_encoder() -> tuple[Path, ...]:
    """Returns the files of the encoder from which the report labeler starts."""
    folder = REPOSITORY / "bundles" / "report_labeler" / "models" / "encoder"
    return tuple(sorted(path for path in folder.rglob("*") if path.is_file()))


def _bundle(
    name: str, configs: Sequence[str], overrides: Mapping[str, object], *, run_id: str = "run"
) -> tuple[str, ...]:
    return bundle_command(config_files_of(name, *configs), overrides, run_id=run_id)


def _synthesize(plan: RunPlan) -> Step:
    size = ["--patients", plan.patients, "--seed", plan.seed, "--workers", plan.workers]
    return Step(
        "synthesize",
        f"Make {plan.patients} artificial patients (not clinical data)",
        _script("make_synthetic_data", plan.data, *size, *plan.ontology_option),
        plan.regions,
        (plan.data / "cohort.json",),
    )


def _index(plan: RunPlan) -> Step:
    work, dicom, pairs = plan.work, plan.data / "dicom", plan.data / "nifti_pairs.csv"
    scans = pairs if pairs.is_file() and not dicom.exists() else dicom
    source = ["--nifti-pairs", pairs] if scans == pairs else [dicom]
    salt = plan.data / "project_salt.txt"
    options = ["--salt-file", salt] if plan.is_phantom or salt.is_file() else []
    options += [*plan.index_options, "--workers", plan.workers]
    return Step(
        "index",
        "Find exams and their series",
        _script("index_exams", *source, "--work", work, *options),
        (scans,),
        (work / "exams.csv", work / "series.csv", work / "private" / "identifiers.csv"),
        exams_may_fail=True,
        version=2,
        keeps_place=None if scans.is_relative_to(work) else scans,
    )


def _prepare(plan: RunPlan) -> Step:
    work, options = plan.work, [*plan.profile.prepare, "--workers", plan.workers]
    for option, table in plan.prepare_tables.items():
        options += [option, table]
    return Step(
        "prepare",
        "Prepare volumes: SUV and HU on one grid",
        _script("prepare_exams", "--work", work, *options),
        (
            work / "exams.csv",
            work / "private" / "series_files.json",
            *plan.prepare_tables.values(),
        ),
        (work / "prepared.csv",),
        exams_may_fail=True,
        version=RECORD_FORMAT,
    )


def _check_exams(plan: RunPlan) -> Step:
    work, options = plan.work, ["--pictures", plan.profile.pictures, "--workers", plan.workers]
    options += ["--alignment", "none"]  # ITK would take longer than the demonstration
    return Step(
        "check_exams",
        "Draw the prepared exams on a page to check",
        _script("check_exams", "--work", work, *options),
        (work / "prepared.csv",),
        (work / "quality" / "index.html", work / "quality" / "quality.csv"),
    )


def _split(plan: RunPlan) -> Step:
    fractions = ["--fractions", *plan.profile.fractions, "--seed", plan.seed]
    return Step(
        "split",
        "Split patients into training, validation and test",
        _script("make_splits", "--work", plan.work, *fractions),
        (plan.work / "prepared.csv",),
        (plan.work / "splits.csv",),
    )


def _prepare_reports(plan: RunPlan) -> Step:
    data, work = plan.data, plan.work
    options = ["--cohort", data, "--work", work, "--labeler", plan.labeler, *plan.ontology_option]
    options += ["--several-reports", plan.several_reports]
    annotations = (data / "annotations.csv",) if plan.labeler == "model" else ()
    return Step(
        "prepare_reports",
        "Find sections, sentences and mentions in the reports",
        _script("prepare_reports", *options),
        (data / "reports.csv", *annotations, work / "splits.csv", *plan.regions),
        (work / "private" / "report_items.json",),
        exams_may_fail=True,
    )


def _labeler_step(plan: RunPlan, name: str, title: str, **of_step: Any) -> Step:
    """Returns a step of the report labeler; rules need none."""
    reason = "" if plan.labeler == "model" else "--labeler rules was chosen"
    return Step(name, title, **of_step, skip_because=reason)


def _labeler_options(plan: RunPlan) -> dict[str, object]:
    folder = plan.work / "report_labeler"
    return {"dataset_dir": plan.work / "private", "ckpt_dir": folder, "output_dir": folder}


def _train_labeler(plan: RunPlan) -> Step:
    train = plan.training_configs
    items = plan.work / "private" / "report_items.json"
    return _labeler_step(
        plan,
        "train_report_labeler",
        "Train the report labeler on judged mentions",
        command=_bundle("report_labeler", train, _labeler_options(plan), run_id="training"),
        inputs=(items, *config_files_of("report_labeler", *train), *shipped_encoder()),
        outputs=(plan.work / "report_labeler" / "model.pt",),
    )


def _score_labeler(plan: RunPlan) -> Step:
    configs, options = [*plan.training_configs, "evaluate.json"], _labeler_options(plan)
    weights = plan.work / "report_labeler" / "model.pt"
    return _labeler_step(
        plan,
        "score_report_labeler",
        "Score the report labeler on judged mentions of test patients",
        command=_bundle("report_labeler", configs, options | {"section": "test"}),
        inputs=(plan.work / "private" / "report_items.json", weights),
        outputs=(),
    )


def _label_mentions(plan: RunPlan) -> Step:
    mentions, options = plan.work / "mentions.csv", _labeler_options(plan)
    weights = plan.work / "report_labeler" / "model.pt"
    return _labeler_step(
        plan,
        "label_mentions",
        "Judge every mention in every report",
        command=_bundle("report_labeler", ["inference.json"], options | {"mentions": mentions}),
        inputs=(plan.work / "private" / "report_items.json", weights),
        outputs=(mentions,),
    )


def _label_exams(plan: RunPlan) -> Step:
    work, audit = plan.work, plan.hand_labels()[:2]
    mentions = (work / "mentions.csv",) if plan.labeler == "model" else ()  # rules write them
    options = ["--work", work, "--labeler", plan.labeler, *audit, *plan.ontology_option]
    return Step(
        "label_exams",
        f"Combine mentions into weak labels of {len(plan.ontology)} regions",
        _script("label_reports", *options),
        (work / "private" / "report_items.json", *mentions, *plan.regions),
        (work / "labels.csv", work / "label_prevalence.csv", work / "mentions.csv"),
        exams_may_fail=True,
    )


def _datalist(plan: RunPlan) -> Step:
    work = plan.work
    return Step(
        "datalist",
        "Join volumes, splits and labels",
        _script("make_datalist", "--work", work, *plan.ontology_option),
        (work / "prepared.csv", work / "splits.csv", work / "labels.csv", *plan.regions),
        (work / "datalist.json",),
    )


def _train_scan_model(plan: RunPlan) -> Step:
    work, folder = plan.work, plan.work / "scan_model"
    configs = [*plan.training_configs, *plan.network_outputs()]
    options = {"datalist": work / "datalist.json", "seed": plan.seed}
    folders = {"ckpt_dir": folder, "output_dir": folder}
    return Step(
        "train_scan_model",
        "Train the scan model on the weak labels",
        _bundle("scan_model", configs, options | folders, run_id="training"),
        (
            work / "datalist.json",
            work / "prepared.csv",
            # metadata.json names the outputs
            *config_files_of("scan_model", *configs, "metadata.json"),
        ),
        (folder / "model.pt",),
    )


def _predict(plan: RunPlan) -> Step:
    work, weights = plan.work, plan.work / "scan_model" / "model.pt"
    configs = ["inference.json", *plan.network_outputs()]
    options = {
        "datalist": work / "datalist.json",
        "seed": plan.seed,
        "ckpt_path": weights,
        "predictions": work / "predictions.csv",
        "section": "all",
    }
    return Step(
        "predict",
        "Predict all exams",
        _bundle("scan_model", configs, options),
        (work / "datalist.json", weights, *config_files_of("scan_model", *configs)),
        (work / "predictions.csv",),
    )


def _evaluate(plan: RunPlan) -> Step:
    work, predictions, given = plan.work, plan.work / "predictions.csv", plan.hand_labels()
    options = ["--patients", work / "splits.csv", "--bootstrap", plan.profile.bootstrap]
    hand_labels = [plan.data / "hand_labels.csv"] if given else []
    return Step(
        "evaluate",
        "Score the predictions of test patients",
        _script(
            "evaluate_predictions",
            predictions,
            *("--out", work / "evaluation", *given, *options, *plan.ontology_option),
        ),
        (predictions, *hand_labels, *plan.regions),
        (work / "evaluation" / "metrics.csv", work / "evaluation" / "metrics_macro.csv"),
    )


def _draw_attention(plan: RunPlan) -> Step:
    work, weights = plan.work, plan.work / "scan_model" / "model.pt"
    configs = config_files_of("scan_model", "inference.json", *plan.network_outputs())
    predictions = work / "predictions.csv"
    return Step(
        "draw_attention",
        "Draw what the model attended to in a few exams",
        _script(
            "draw_attention",
            *("--config", *configs, "--datalist", work / "datalist.json"),
            *("--checkpoint", weights, "--predictions", predictions),
            *("--out", work / "overlays", *plan.ontology_option),
        ),
        (weights, predictions, *configs, *plan.regions),
        (work / "overlays" / "overlays.csv",),
        needs_torch=True,
    )


def _survival_step(plan: RunPlan, name: str, title: str, **of_step: Any) -> Step:
    """Returns a step that needs follow-up."""
    has_outcomes = plan.is_phantom or (plan.data / "outcomes.csv").is_file()
    reason = "" if has_outcomes else "the cohort has no outcomes.csv"
    return Step(name, title, **of_step, skip_because=reason)


def _survival_table(plan: RunPlan) -> Step:
    work = plan.work
    return _survival_step(
        plan,
        "survival_table",
        "Join exams with follow-up",
        command=_script(
            "make_survival_table",
            *("--cohort", plan.data, "--work", work, "--several-reports", plan.several_reports),
        ),
        inputs=(plan.data / "outcomes.csv", work / "splits.csv", work / "prepared.csv"),
        outputs=(work / "survival" / "survival_table.csv", work / "mortality" / "datalist.json"),
    )


def _train_mortality(plan: RunPlan) -> Step:
    folder, encoder = plan.work / "mortality", plan.work / "scan_model" / "model.pt"
    configs, datalist = [*plan.training_configs, "finetune.json"], folder / "datalist.json"
    options = {"datalist": datalist, "seed": plan.seed, "pretrained_path": encoder}
    folders = {"ckpt_dir": folder, "output_dir": folder}
    return _survival_step(
        plan,
        "train_mortality",
        "Fine-tune the encoder to predict death within 180 days",
        command=_bundle("mortality", configs, options | folders, run_id="training"),
        inputs=(datalist, encoder, *config_files_of("mortality", *configs)),
        outputs=(folder / "model.pt",),
    )


def _predict_mortality(plan: RunPlan) -> Step:
    folder = plan.work / "mortality"
    datalist, weights = folder / "datalist.json", folder / "model.pt"
    options = {
        "datalist": datalist,
        "seed": plan.seed,
        "ckpt_path": weights,
        "predictions": folder / "predictions.csv",
        "section": "all",
    }
    return _survival_step(
        plan,
        "predict_mortality",
        "Predict death within 180 days",
        command=_bundle("mortality", ["inference.json"], options),
        inputs=(datalist, weights),
        outputs=(folder / "predictions.csv",),
    )


def _analyze_survival(plan: RunPlan) -> Step:
    work, profile = plan.work, plan.profile
    table = work / "survival" / "survival_table.csv"
    predictions, mortality = work / "predictions.csv", work / "mortality" / "predictions.csv"
    return _survival_step(
        plan,
        "analyze_survival",
        "Fit Cox models with and without region predictions",
        command=_script(
            "analyze_survival",
            *("--survival-table", table, "--predictions", predictions),
            *("--mortality-predictions", mortality, "--out", work / "survival"),
            *("--penalizer", profile.penalizer, "--bootstrap", profile.bootstrap),
            *("--fit-splits", *profile.fit_splits, *plan.ontology_option),
        ),
        inputs=(table, predictions, mortality, *plan.regions),
        outputs=(work / "survival" / "survival_summary.json",),
    )


def _page(plan: RunPlan, before: Sequence[Step]) -> Step:
    results = [path for step in before for path in step.outputs if path.suffix in (".csv", ".json")]
    return Step(
        "page",
        "Write the page",
        _script("make_page", "--work", plan.work, *plan.ontology_option),
        (*results, *plan.regions),
        (plan.work / "index.html",),
    )
