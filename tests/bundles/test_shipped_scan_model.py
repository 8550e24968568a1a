"""The scan model as it ships: reduced, of phantoms, and ready to predict."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
import torch

from petct_ext.ontology import RegionOntology
from petct_ext.scan.networks.design import stored_regions
from petct_ext.synthetic.cohort import write_cohort
from petct_ext.tables.schemas import HAND_LABELS, IDENTIFIERS, PREDICTIONS, read_table
from tests.conftest import REPOSITORY
from tests.forks import run_forked
from tests.package_regions import ONTOLOGY

BUNDLE = REPOSITORY / "bundles" / "scan_model"
SHIPPED = BUNDLE / "models" / "model.pt"
NORMAL_AND_ABNORMAL = 108  # two patients with one exam each; 0 and 16 lesions

pytestmark = pytest.mark.skipif(
    not SHIPPED.is_file(), reason="needs models/model.pt (scripts/rebuild_scan_model.py)"
)


def call(*arguments: object) -> subprocess.CompletedProcess[str]:
    return run_forked([sys.executable, *map(str, arguments)], folder=REPOSITORY)


def script(name: str, *arguments: object) -> None:
    done = call(REPOSITORY / "scripts" / f"{name}.py", *arguments)
    assert done.returncode == 0, done.stderr[-3000:]


def predict(work: Path, *options: str) -> subprocess.CompletedProcess[str]:
    return call(
        *("-m", "monai.bundle", "run", f"--config_file={BUNDLE}/configs/inference.json"),
        *(f"--datalist={work / 'datalist.json'}", f"--predictions={work / 'predictions.csv'}"),
        *options,
    )


@pytest.fixture(scope="module")
def prepared(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A work folder with two exams that the network has never seen, from DICOM on."""
    work = tmp_path_factory.mktemp("work")
    cohort = work / "phantom"
    write_cohort(cohort, num_patients=2, seed=NORMAL_AND_ABNORMAL, size="small", ontology=ONTOLOGY)
    salt = cohort / "project_salt.txt"
    script("index_exams", cohort / "dicom", "--work", work, "--salt-file", salt)
    script("prepare_exams", "--work", work, "--in-plane", 48, "--slice-mm", 13)
    script("make_datalist", "--work", work, "--no-labels")
    return work


def test_shipped_weights_are_small_plain_and_named() -> None:
    assert SHIPPED.stat().st_size < 25e6
    state = torch.load(SHIPPED, weights_only=True)
    assert all(isinstance(tensor, torch.Tensor) for tensor in state.values())
    assert stored_regions(state) == list(RegionOntology.default().main_regions())


@pytest.mark.slow
def test_abnormal_phantom_scores_above_a_normal_one_from_dicom_on(prepared: Path) -> None:
    done = predict(prepared)
    assert done.returncode == 0, done.stderr[-3000:]
    table = read_table(prepared / "predictions.csv", PREDICTIONS)
    exams = read_table(prepared / "private" / "identifiers.csv", IDENTIFIERS)
    truth = read_table(prepared / "phantom" / "hand_labels.csv", HAND_LABELS)
    truth = truth.merge(exams, on="study_instance_uid").set_index("exam_id")
    normal, abnormal = sorted(truth.index, key=lambda exam: truth.loc[exam, "full"])
    probs = table.pivot(index="task", columns="exam_id", values="prob")
    assert probs.loc["full", abnormal] > probs.loc["full", normal]
    held = [task for task in probs.index if truth.loc[abnormal, task] == 1]
    higher = probs.loc[held, abnormal] > probs.loc[held, normal]
    assert higher.mean() > 0.8


@pytest.mark.slow
def test_what_contradicts_the_weights_is_refused_with_both_values(prepared: Path) -> None:
    done = predict(prepared, "--pet_range_suv=[0,15]", "--network_def#encoder#width=1.0")
    assert done.returncode == 2
    last = done.stderr.strip().splitlines()[-1]
    assert last.startswith("error: ")
    assert "model.pt was trained with pet_range_suv [0.0, 10.0] (not [0, 15])" in last
    assert "encoder.width 0.125 (not 1.0); leave these settings away" in last
