"""Designs of the scan model that are compared: what each changes, and its trainings."""

from __future__ import annotations

import logging
import os
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType
from typing import Any, Final

import numpy as np

from petct_ext.cli import progress
from petct_ext.cohort.reader_labels import hand_labels_by_exam, read_hand_labels
from petct_ext.errors import InputDataError, did_you_mean
from petct_ext.files import read_json, write_json
from petct_ext.ontology import RegionOntology
from petct_ext.pipeline.steps import Step, StepError, bundle_command, run_steps
from petct_ext.scan.data.checks import has_both_outcomes

__all__ = [
    "ARTIFICIAL",
    "DESIGNS",
    "REFERENCE_DESIGN",
    "SINGLE_TASK",
    "STUDY_SIZES",
    "Design",
    "DesignStudy",
    "Training",
    "choose_designs",
    "train_all",
    "with_true_labels",
]

ARTIFICIAL: Final = (
    "Artificial patients (phantoms) and a network of reduced size: it tests software and says "
    "nothing about patients."
)
"""Stands beside every number of the comparison."""

REFERENCE_DESIGN: Final = "attention"
"""Name of the design that the others are compared with."""

SINGLE_TASK: Final = "single_task"
"""Name of the design that trains one network for each region."""


@dataclass(frozen=True, slots=True)
class Design:
    """One way to train the scan model.

    Attributes:
        name: short, a file name.
        title: what is different, for people.
        overrides: keys of the training's configuration and their values, of the network.
        training: the same, of how it is trained.
        true_labels: trained on the phantoms' truth in place of weak labels from reports.
    """

    name: str
    title: str
    overrides: Mapping[str, Any] = field(default_factory=dict)
    training: Mapping[str, Any] = field(default_factory=dict)
    true_labels: bool = False


_NO_PLACE = MappingProxyType({"network_def#num_frequencies": 0})

DESIGNS: Final = MappingProxyType(
    {
        design.name: design
        for design in (
            Design(REFERENCE_DESIGN, "multi-task, attention, weak labels, PET and CT (default)"),
            Design(
                "attention_without_place", "attention without the place (the paper's)", _NO_PLACE
            ),
            Design(
                "sum",
                "sum over all positions in place of attention",
                {**_NO_PLACE, "network_def#pooling": "sum"},
                # A sum over 171 positions needs small steps: of 0.01, 0.1 and 1 the factor with
                # the best AUROC on the validation patients (0.57, 0.65, 0.56 after 8 epochs).
                {"head_learning_rate_factor": 0.1},
            ),
            Design(
                "mean",
                "mean over all positions in place of attention",
                {**_NO_PLACE, "network_def#pooling": "mean"},
            ),
            Design(
                "finer_map",
                "encoder ends before its last pooling: attention on a finer map",
                {"network_def#encoder#last_stage": "mixed_3c"},
            ),
            Design("true_labels", "true labels of the phantoms in training", true_labels=True),
            Design("pet_only", "PET alone", {"network_def#channels": [0]}),
            Design("ct_only", "CT alone", {"network_def#channels": [1]}),
            Design(SINGLE_TASK, "one network for each region"),
        )
    }
)
"""All designs by name."""


def choose_designs(names: Sequence[str]) -> list[Design]:
    """Returns designs by name, the one that the others are compared with first.

    Raises:
        InputDataError: if there is no such design.
    """
    for name in names:
        if name not in DESIGNS:
            raise InputDataError(
                f"there is no design {name!r}; there is {', '.join(DESIGNS)}."
                f"{did_you_mean(name, DESIGNS)}"
            )
    return [DESIGNS[name] for name in DESIGNS if name in {REFERENCE_DESIGN, *names}]


def with_true_labels(
    datalist: Mapping[str, Any], truth: Mapping[str, Mapping[str, float]]
) -> dict[str, Any]:
    """Returns a datalist whose labels are the truth of an artificial cohort.

    Args:
        datalist: document of :func:`petct_ext.scan.data.datalist.load_datalist`; not changed.
        truth: label by region, by exam.

    Returns:
        The same exams and sections; other keys of the document are kept.

    Raises:
        InputDataError: if the truth lacks an exam.
    """
    document: dict[str, Any] = {}
    for key, value in datalist.items():
        if isinstance(value, list):
            document[key] = [_with_truth(item, truth) for item in value]
        else:
            document[key] = value
    return document | {"labels_are": "the truth of artificial patients"}


def _with_truth(
    item: Mapping[str, Any], truth: Mapping[str, Mapping[str, float]]
) -> dict[str, Any]:
    if item["exam_id"] not in truth:
        raise InputDataError(
            f"exam {item['exam_id']} of the datalist has no true labels; give the cohort that the "
            "work folder was made from."
        )
    return {**item, "labels": dict(truth[item["exam_id"]])}


_LOGGER = logging.getLogger(__name__)

STUDY_SIZES: Final = {"demo": ("train.json", "demo.json"), "full": ("train.json",)}
"""Configuration files of training, by size of the network."""


@dataclass(frozen=True, slots=True, eq=False)
class Training:
    """One network to train.

    Attributes:
        design: what is different.
        seed: of everything random.
        regions: its outputs, in order.
        folder: of its weights, predictions, logs and manifests.
    """

    design: Design
    seed: int
    regions: tuple[str, ...]
    folder: Path

    @property
    def title(self) -> str:
        """What it is, for people."""
        single = f" {self.regions[0]}" if self.design.name == SINGLE_TASK else ""
        return f"{self.design.name}{single}, seed {self.seed}"

    @property
    def weights(self) -> Path:
        """Where its weights are."""
        return self.folder / "model.pt"

    @property
    def predictions(self) -> Path:
        """Where its predictions of the test patients are."""
        return self.folder / "predictions.csv"


@dataclass(frozen=True, slots=True, eq=False)
class DesignStudy:
    """A finished work folder of an artificial cohort, and where its designs are trained.

    Attributes:
        configs: ``configs`` of the scan model's bundle.
        work: the work folder.
        cohort: the cohort that it was made from.
        ontology: its regions.
        out: folder of the comparison.
        size: a key of :data:`STUDY_SIZES`.
        settings: keys of the configuration and their values, for all trainings.
    """

    configs: Path
    work: Path
    cohort: Path
    out: Path
    ontology: RegionOntology
    size: str = "demo"
    settings: Mapping[str, Any] = field(default_factory=dict)

    @property
    def identifiers(self) -> Path:
        """The table that links exams of the work folder to studies of the cohort."""
        return self.work / "private" / "identifiers.csv"

    def trainings(
        self, design: Design, seed: int, *, regions: Sequence[str], alone: Sequence[str]
    ) -> list[Training]:
        """Returns the trainings of a design.

        Args:
            design: one network for all of ``regions``, or for each of ``alone``.
            seed: of everything random.
            regions: outputs of a multi-task network.
            alone: regions that get a network of their own.
        """
        folder = self.out / "runs" / design.name / f"seed{seed}"
        if design.name != SINGLE_TASK:
            return [Training(design, seed, tuple(regions), folder)]
        return [Training(design, seed, (region,), folder / region) for region in alone]

    @property
    def inference_configs(self) -> list[Path]:
        """The configuration files for predicting; the weights say what their network is."""
        return [self.configs / "inference.json"]

    def training_configs(self, training: Training) -> list[Path]:
        """Returns the configuration files for training, the design's own last."""
        files = (self.configs / name for name in STUDY_SIZES[self.size])
        return [*files, training.folder / "train_overrides.json"]

    def write_true_datalist(self) -> Path:
        """Writes the work folder's datalist with the phantoms' truth as labels.

        Raises:
            InputDataError: if the cohort is not the one of the work folder.
        """
        path = self.cohort / "hand_labels.csv"
        labels = read_hand_labels(path, self.work, self.ontology)
        document = with_true_labels(
            read_json(self.work / "datalist.json"), hand_labels_by_exam(labels)
        )
        for items in document.values():
            for item in items if isinstance(items, list) else ():
                # The volumes stay where they are.
                item |= {key: str((self.work / item[key]).resolve()) for key in ("pet", "ct")}
        return write_json(self.out / "datalist_true.json", document)

    def steps(self, training: Training) -> list[Step]:
        """Writes the configuration of a training and returns what to run."""
        self._write_overrides(training)
        weak = self.work / "datalist.json"
        labels = self.out / "datalist_true.json" if training.design.true_labels else weak
        train, infer = self.training_configs(training), self.inference_configs
        folder = training.folder
        fit: dict[str, object] = {"datalist": labels, "ckpt_dir": folder, "output_dir": folder}
        predict: dict[str, object] = {
            "datalist": weak,
            "ckpt_path": training.weights,
            "predictions": training.predictions,
            "section": "test",
            "experiment": training.design.name,
        }
        seed = {"seed": training.seed}
        return [
            Step(
                "train",
                f"train {training.title}",
                bundle_command(train, fit | seed, run_id="training"),
                (labels, *train),
                (training.weights,),
            ),
            Step(
                "predict",
                f"predict {training.title}",
                bundle_command(infer, predict | seed),
                (weak, training.weights, *infer),
                (training.predictions,),
            ),
        ]

    def _write_overrides(self, training: Training) -> None:
        design = training.design
        path = self.ontology.path
        settings = {
            "ontology": str(path) if path else None,
            "regions": list(training.regions),
            **design.overrides,
            **design.training,
            **self.settings,
        }
        if design.name == SINGLE_TASK and not self._can_validate(training.regions[0]):
            # Rare: no area can be computed. The last epoch is kept, so that it chooses nothing.
            settings["validate#dataset#data#section"] = "training"
            settings["val_interval"] = "@epochs"
        write_json(training.folder / "train_overrides.json", settings)

    def _can_validate(self, region: str) -> bool:
        exams = read_json(self.work / "datalist.json")["validation"]
        labels = np.array([[item["labels"].get(region)] for item in exams], dtype=np.float64)
        return bool(has_both_outcomes(labels).all())


def train_all(study: DesignStudy, trainings: Sequence[Training], *, jobs: int) -> set[Training]:
    """Trains and predicts, several networks at a time; what is done is skipped.

    Args:
        study: where.
        trainings: which.
        jobs: how many at a time; the cores are shared out among them.

    Returns:
        Those that failed; the log says why. They do not stop the others.

    Raises:
        InputDataError: if ``jobs`` is not positive.
        OutputError: if a folder cannot be written to.
    """
    if jobs < 1:
        raise InputDataError(f"the number of trainings at a time ({jobs}) must be at least 1.")
    os.environ["OMP_NUM_THREADS"] = str(max(1, _num_cores() // jobs))
    failed = set()
    with ThreadPoolExecutor(jobs) as pool:
        futures = {
            pool.submit(run_steps, study.steps(training), training.folder, quiet=True): training
            for training in trainings
        }
        try:
            for future in progress(as_completed(futures), "trainings", total=len(futures)):
                error = future.exception()
                if error is None:
                    continue
                if not isinstance(error, StepError):
                    raise error
                _LOGGER.warning("%s failed: %s", futures[future].title, error)
                failed.add(futures[future])
        except BaseException:
            pool.shutdown(cancel_futures=True)
            raise
    return failed


def _num_cores() -> int:
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1
