"""Trainings of a comparison of designs: what each runs, several at a time, none twice."""

from __future__ import annotations

import logging
import os
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import numpy as np

from petct_ext.cli import progress
from petct_ext.cohort.hand_labels import hand_labels_by_exam, read_hand_labels
from petct_ext.errors import InputDataError
from petct_ext.files import read_json, write_json
from petct_ext.ontology import RegionOntology
from petct_ext.pipeline.designs import SINGLE_TASK, Design, with_true_labels
from petct_ext.pipeline.steps import Step, StepError, bundle_command, run_steps
from petct_ext.scan.data.checks import has_both_outcomes

__all__ = ["STUDY_SIZES", "DesignStudy", "Training", "train_all"]

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
