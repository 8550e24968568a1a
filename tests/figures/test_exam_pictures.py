"""Exams are drawn with the evidence for their own regions, in patient space."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np
import pandas as pd
import pytest
import torch
from monai.data import Dataset

from petct_ext.errors import InputDataError
from petct_ext.figures.exam_pictures import draw_exams
from petct_ext.scan.interpretation.scan_model import ScanModel
from petct_ext.tables.schemas import PREDICTIONS, write_table
from tests.package_regions import ONTOLOGY
from tests.scan.networks.region_networks import region_classifier

REGIONS = ["full", "liver", "spine"]
SIZE = (32, 32, 9)
AFFINE = np.diag([12.0, 12.0, 11.0, 1.0])


def with_image(item: dict[str, Any]) -> dict[str, Any]:
    generator = torch.Generator().manual_seed(0)
    return item | {"image": torch.rand(2, *SIZE, generator=generator)}


@pytest.fixture
def model(tmp_path: Path) -> ScanModel:
    """Two test exams on disk and an untrained network."""
    items = []
    for exam in ("E1", "E2"):
        paths = {key: str(tmp_path / f"{exam}_{key}.nii") for key in ("pet", "ct")}
        for path in paths.values():
            nib.save(nib.Nifti1Image(np.ones(SIZE, np.float32), AFFINE), path)
        items.append({"exam_id": exam, **paths})
    network = region_classifier(2, 3, num_heads=2, width=0.0625, last_stage="mixed_4b")
    return ScanModel(network.eval(), REGIONS, Dataset(items, with_image), torch.device("cpu"))


@pytest.fixture
def predictions(tmp_path: Path) -> Path:
    """Of the test exams and of a training exam, of which the network is surest."""
    probs = {
        ("E1", "full"): 0.99,
        ("E1", "liver"): 0.7,
        ("E1", "spine"): 0.2,
        ("E2", "full"): 0.9,
        ("E2", "liver"): 0.3,
        ("E2", "spine"): 0.6,
        ("E9", "liver"): 1.0,
    }
    rows = [
        {
            "experiment": "a",
            "seed": 0,
            "split": "training" if exam == "E9" else "test",
            "task": task,
            "exam_id": exam,
            "target": 1.0,
            "prob": prob,
            "target_kind": "weak",
        }
        for (exam, task), prob in probs.items()
    ]
    return write_table(pd.DataFrame(rows), tmp_path / "predictions.csv", PREDICTIONS)


def test_draws_exams_of_the_section_only_and_the_surest_first(
    model: ScanModel, predictions: Path, tmp_path: Path
) -> None:
    table = draw_exams(model, predictions, tmp_path / "out", num_regions=2, ontology=ONTOLOGY)
    assert table[["exam_id", "region"]].to_numpy().tolist() == [
        ["E1", "liver"],
        ["E1", "spine"],
        ["E2", "spine"],
        ["E2", "liver"],
    ]
    assert table["caption"].str.contains("weak").all()
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == [
        "E1.png",
        "E1_attention.nii.gz",
        "E1_evidence.nii.gz",
        "E2.png",
        "E2_attention.nii.gz",
        "E2_evidence.nii.gz",
        "overlays.csv",
    ]


def test_maps_lie_on_the_grid_of_the_volume(
    model: ScanModel, predictions: Path, tmp_path: Path
) -> None:
    draw_exams(model, predictions, tmp_path / "out", num_regions=2, exams=["E2"], ontology=ONTOLOGY)
    maps = nib.Nifti1Image.from_filename(tmp_path / "out" / "E2_attention.nii.gz")
    assert maps.shape == (*SIZE, 2)
    np.testing.assert_allclose(maps.affine, AFFINE)
    assert np.asarray(maps.dataobj).max(axis=(0, 1, 2)).tolist() == [1.0, 1.0]


def test_exam_of_another_section_is_refused(
    model: ScanModel, predictions: Path, tmp_path: Path
) -> None:
    with pytest.raises(InputDataError, match="exam 'E9' is not in this section of the datalist"):
        draw_exams(model, predictions, tmp_path / "out", exams=["E9"], ontology=ONTOLOGY)


def test_nothing_to_draw_is_told(model: ScanModel, predictions: Path, tmp_path: Path) -> None:
    with pytest.raises(InputDataError, match="nothing to draw: "):
        draw_exams(model, predictions, tmp_path / "out", num_exams=0, ontology=ONTOLOGY)
