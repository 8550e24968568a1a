"""A few exams appear in TensorBoard with their evidence, the same ones after each validation."""

from __future__ import annotations

from pathlib import Path

import nibabel as nib
import numpy as np
import pytest
from ignite.engine import Engine
from monai.data import Dataset
from monai.transforms import Compose, ConcatItemsd
from tensorboard.backend.event_processing.event_accumulator import (
    EventAccumulator,
)

from petct_ext.figures.evidence_writer import EvidenceWriter
from petct_ext.scan.transforms.volumes import LoadPreparedd, ToPhysicalUnitsd
from tests.package_regions import ONTOLOGY
from tests.scan.networks.region_networks import region_classifier

SIZE = (32, 32, 9)


@pytest.fixture
def dataset(tmp_path: Path) -> Dataset:
    items = []
    for number, abnormal in enumerate((0.0, np.nan, 1.0)):
        item = {"exam_id": f"E{number}", "label": np.array([0.0, abnormal], dtype=np.float32)}
        for key in ("pet", "ct"):
            path = tmp_path / f"E{number}_{key}.nii"
            array = np.random.default_rng(number).integers(0, 900, SIZE).astype(np.int16)
            nib.save(nib.Nifti1Image(array, np.diag([12.0, 12.0, 11.0, 1.0])), path)
            item[key] = str(path)
        items.append(item)
    return Dataset(items, LoadPreparedd())


def run(dataset: Dataset, folder: Path, *, num_exams: int) -> None:
    network = region_classifier(2, 2, num_heads=1, width=0.0625, last_stage="mixed_4b").train()
    transforms = [ToPhysicalUnitsd(("pet", "ct")), ConcatItemsd(("pet", "ct"), name="image")]
    engine = Engine(lambda engine, batch: None)
    EvidenceWriter(
        network,
        dataset,
        Compose(transforms),
        regions=["full", "liver"],
        log_dir=str(folder),
        num_exams=num_exams,
        ontology=ONTOLOGY,
    ).attach(engine)
    engine.run([0], max_epochs=2)
    assert network.training


def test_abnormal_exams_come_first_and_every_epoch(dataset: Dataset, tmp_path: Path) -> None:
    run(dataset, tmp_path, num_exams=2)
    events = EventAccumulator(str(tmp_path), size_guidance={"images": 0})
    events.Reload()
    assert events.Tags()["images"] == ["evidence/E2", "evidence/E0"]
    assert [image.step for image in events.Images("evidence/E2")] == [1, 2]
    assert events.Images("evidence/E2")[0].width > 200


def test_none_writes_nothing(dataset: Dataset, tmp_path: Path) -> None:
    run(dataset, tmp_path / "eval", num_exams=0)
    assert not (tmp_path / "eval").exists()
