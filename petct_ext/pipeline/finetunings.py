"""Plans of fine-tunings: single regions, summary codes, mortality at several horizons.

All start from one finished run (the work folder of ``scripts/run_pipeline.py``).
"""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from petct_ext.cohort.reader_labels import SUMMARY_CODE_TASK
from petct_ext.errors import InputDataError
from petct_ext.files import read_json, require_file
from petct_ext.ontology import RegionOntology
from petct_ext.ontology.option import ontology_arguments
from petct_ext.pipeline.running import Finetuning
from petct_ext.pipeline.steps import Step, bundle_command
from petct_ext.scan.data.datalist import SECTIONS, load_datalist
from petct_ext.survival.outcome_items import load_outcomes
from petct_ext.survival.table import outcome_task

__all__ = [
    "HORIZONS_DAYS",
    "RARE_REGIONS",
    "Surroundings",
    "mortality_finetunings",
    "region_finetunings",
    "summary_code_training",
    "usual_regions",
]

HORIZONS_DAYS: Final = (45, 90, 180, 365)
"""Horizons of the mortality models, as in the paper."""

RARE_REGIONS: Final = ("celiac_lymph_node", "kidney", "adrenal_gland", "pancreas")
"""Regions beside the 26 of the multi-task model for which the paper fine-tunes it."""


@dataclass(frozen=True, slots=True)
class Surroundings:
    """Where things lie and which sizes are used.

    Attributes:
        repository: folder with ``bundles`` and ``scripts``.
        out: folder of what the fine-tunings write.
        ontology: the regions; its file goes to every step that asks for one.
        is_demo: put the bundles' ``demo`` files on top.
        configs: further configuration files, put last, for training and prediction.
    """

    repository: Path
    out: Path
    ontology: RegionOntology
    is_demo: bool = False
    configs: tuple[Path, ...] = ()

    def training(self, bundle: str, *over: str) -> list[Path]:
        """Returns the configuration files of a training, the one that wins last."""
        demo = ("demo",) if self.is_demo else ()
        return self._files(bundle, "train", *demo, *over)

    def inference(self, bundle: str) -> list[Path]:
        """Returns the configuration files of a prediction, the one that wins last."""
        return self._files(bundle, "inference")

    def _files(self, bundle: str, *names: str) -> list[Path]:
        folder = self.repository / "bundles" / bundle / "configs"
        return [*(folder / f"{name}.json" for name in names), *self.configs]


def usual_regions(ontology: RegionOntology) -> list[str]:
    """Returns the outputs of the multi-task model and the rare regions beside them."""
    main = ontology.main_regions()
    return [*main, *(name for name in RARE_REGIONS if name in ontology and name not in main)]


def region_finetunings(
    around: Surroundings,
    *,
    weights: Path,
    datalist: Path,
    regions: Sequence[str],
    seeds: Sequence[int],
) -> list[Finetuning]:
    """Plans single-task models of regions, each from the multi-task scan model.

    Args:
        around: places and sizes.
        weights: ``model.pt`` of the multi-task scan model.
        datalist: as ``scripts/make_datalist.py`` writes it.
        regions: any regions of the ontology.
        seeds: one model for each.

    Returns:
        One per region and seed. Regions without a positive or negative exam to train or to choose
        the best epoch on carry the reason why they are skipped.

    Raises:
        UnknownRegionError: if a region is not in the ontology.
        InputDataError: if weights or data list are missing or broken.
    """
    require_file(weights)
    ontology = around.ontology
    regions = [ontology[region].name for region in regions]
    reasons = _reasons(regions, _region_labels(datalist, regions))
    plan = []
    for region in regions:
        for seed in seeds:
            name, experiment = f"{region}_seed{seed}", "multi_task_then_single_task"
            if reasons[region]:
                plan.append(
                    Finetuning(name, experiment, region, seed, skip_because=reasons[region])
                )
                continue
            common = {"datalist": datalist, "ontology": ontology.path, "regions": f"['{region}']"}
            start = {"region": region, "pretrained_path": weights, "ontology": ontology.path}
            over = ("finetune", *(("demo_finetune",) if around.is_demo else ()))
            steps = _train_and_predict(
                around,
                name,
                configs=(around.training("scan_model", *over), around.inference("scan_model")),
                options=({"datalist": datalist, "seed": seed} | start, common),
                facts={"experiment": experiment, "seed": seed},
                inputs=(datalist, weights),
            )
            plan.append(Finetuning(name, experiment, region, seed, *steps))
    return plan


def summary_code_training(
    around: Surroundings,
    *,
    work: Path,
    cohort: Path | None,
    kinetics: Path | None = None,
    seed: int = 0,
) -> tuple[Finetuning, Path]:
    """Plans the fully supervised model, which learns from the readers' summary codes.

    Args:
        around: places and sizes.
        work: folder of the finished run.
        cohort: folder with ``reports.csv``; None if ``WORK/datalist.json`` has the codes.
        kinetics: published weights to start from; None starts from random ones.
        seed: of the training.

    Returns:
        The training and the weights that it writes.

    Raises:
        InputDataError: if the codes are nowhere.
    """
    name, folder = "summary_code", around.out / "summary_code"
    datalist, steps = work / "datalist.json", []
    if cohort is not None:
        datalist = folder / "datalist.json"
        steps.append(_with_summary_codes(around, work, cohort, datalist=datalist))
    elif SUMMARY_CODE_TASK not in _labels_in(datalist):
        raise InputDataError(
            f"{datalist} has no label {SUMMARY_CODE_TASK!r}; add --cohort FOLDER with reports.csv "
            "(column summary_code), give weights with --summary-code-weights, or leave this start "
            "out with --starts."
        )
    options = {"datalist": datalist, "seed": seed, "ckpt_dir": folder, "output_dir": folder}
    if kinetics is not None:
        options["kinetics_path"] = kinetics
    configs = around.training("scan_model", "summary_code")
    steps.append(
        Step(
            f"train_{name}",
            "Train on the readers' summary codes",
            bundle_command(configs, options, run_id="training"),
            (datalist, *configs, *((kinetics,) if kinetics else ())),
            (folder / "model.pt",),
        )
    )
    training = Finetuning(name, "summary_code", SUMMARY_CODE_TASK, seed, tuple(steps))
    return training, folder / "model.pt"


def _with_summary_codes(around: Surroundings, work: Path, cohort: Path, *, datalist: Path) -> Step:
    """Returns the step that adds the readers' codes to a data list."""
    source = Path(require_file(cohort / "reports.csv"))
    script = str(around.repository / "scripts" / "make_datalist.py")
    places = ("--work", str(work), "--cohort", str(cohort), "--out", str(datalist))
    return Step(
        "datalist_summary_code",
        "Add the readers' summary codes to the data list",
        (sys.executable, script, *places, *ontology_arguments(around.ontology)),
        (source, work / "prepared.csv", work / "splits.csv", work / "labels.csv"),
        (datalist,),
    )


def mortality_finetunings(
    around: Surroundings,
    *,
    datalist: Path,
    starts: Mapping[str, Mapping[str, Path]],
    horizons_days: Sequence[int],
    seeds: Sequence[int],
    censored: str = "unknown",
    needs: Mapping[str, str] | None = None,
) -> list[Finetuning]:
    """Plans one mortality model for each start, horizon and seed.

    Args:
        around: places and sizes.
        datalist: as ``scripts/make_survival_table.py`` writes it.
        starts: by name of the start its ``pretrained_path`` or ``kinetics_path``, or neither.
        horizons_days: horizons in days.
        seeds: one model for each.
        censored: see :func:`petct_ext.survival.outcome_items.load_outcomes`.
        needs: by name of the start the fine-tuning that trains it.

    Returns:
        The plan. Horizons at which nobody has died or lived carry the reason of being skipped.

    Raises:
        InputDataError: if the data list is missing or broken.
    """
    tasks = {outcome_task(days): days for days in horizons_days}
    reasons = _reasons(list(tasks), _outcomes(datalist, list(tasks), censored=censored))
    plan = []
    for start, given in starts.items():
        for task, days in tasks.items():
            for seed in seeds:
                name, experiment = f"{start}_{days}_seed{seed}", f"mortality_from_{start}"
                if reasons[task]:
                    plan.append(
                        Finetuning(name, experiment, task, seed, skip_because=reasons[task])
                    )
                    continue
                common = {"datalist": datalist, "horizon_days": days, "censored": censored}
                over = ("finetune",) if "pretrained_path" in given else ()
                steps = _train_and_predict(
                    around,
                    name,
                    configs=(around.training("mortality", *over), around.inference("mortality")),
                    options=(common | {"seed": seed} | dict(given), common),
                    facts={"experiment": experiment, "seed": seed},
                    inputs=(datalist, *given.values()),
                )
                need = (needs or {}).get(start, "")
                plan.append(Finetuning(name, experiment, task, seed, *steps, needs=need))
    return plan


def _outcomes(datalist: Path, tasks: list[str], *, censored: str) -> dict[str, Any]:
    """Returns labels (N, T) of the training and the validation section."""
    return {
        section: np.stack(
            [exam["label"] for exam in load_outcomes(datalist, section, tasks, censored=censored)]
        )
        for section in SECTIONS[:2]
    }


def _train_and_predict(
    around: Surroundings,
    name: str,
    *,
    configs: tuple[list[Path], list[Path]],
    options: tuple[Mapping[str, object], Mapping[str, object]],
    facts: Mapping[str, object],
    inputs: Sequence[Path],
) -> tuple[tuple[Step, Step], Path]:
    """Returns the steps of a fine-tuning, training first, and the table that they write."""
    folder = around.out / name
    weights, predictions = folder / "model.pt", folder / "predictions.csv"
    train = dict(options[0]) | {"ckpt_dir": folder, "output_dir": folder}
    predict = dict(options[1]) | {"ckpt_path": weights, "predictions": predictions}
    return (
        Step(
            f"train_{name}",
            f"Fine-tune {name}",
            bundle_command(configs[0], train, run_id="training"),
            (*inputs, *configs[0]),
            (weights,),
        ),
        Step(
            f"predict_{name}",
            f"Predict with {name}",
            bundle_command(configs[1], predict | {"section": "all"} | dict(facts)),
            (inputs[0], weights, *configs[1]),
            (predictions,),
        ),
    ), predictions


def _reasons(tasks: Sequence[str], labels: Mapping[str, npt.NDArray[np.float32]]) -> dict[str, str]:
    """Tells for each task why it cannot be learned; '' if it can.

    Args:
        tasks: the tasks (T).
        labels: by section the labels (N, T), NaN unknown.
    """
    purposes = {"training": "there is nothing to learn from", "validation": "no epoch is the best"}
    reasons = dict.fromkeys(tasks, "")
    for section, values in labels.items():
        for task, column in zip(tasks, values.T, strict=True):
            positive, negative = int((column >= 0.5).sum()), int((column < 0.5).sum())
            if not reasons[task] and not (positive and negative):
                reasons[task] = (
                    f"{section}: {positive} positive, {negative} negative and "
                    f"{int(np.isnan(column).sum())} unlabeled exams; {purposes[section]}."
                )
    return reasons


def _region_labels(datalist: Path, regions: Sequence[str]) -> dict[str, npt.NDArray[np.float32]]:
    known = _labels_in(datalist)
    present = [region for region in regions if region in known]
    labels = {}
    for section in SECTIONS[:2]:
        exams = load_datalist(datalist, section, present)
        values = np.full((len(exams), len(regions)), np.nan, dtype=np.float32)
        if present:
            columns = [regions.index(region) for region in present]
            values[:, columns] = np.stack([exam["label"] for exam in exams])
        labels[section] = values
    return labels


def _labels_in(datalist: Path) -> set[str]:
    document = read_json(datalist)
    return {
        name
        for section in SECTIONS
        for item in document.get(section) or []
        for name in item.get("labels") or {}
    }
