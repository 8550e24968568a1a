"""The comparison of designs runs on a work folder, goes on after a failure, and is not repeated."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import nibabel as nib
import numpy as np
import pandas as pd
import pytest

from petct_ext.files import write_json
from petct_ext.ontology import RegionOntology
from petct_ext.pipeline.designs import REFERENCE_DESIGN
from tests.conftest import REPOSITORY
from tests.forks import run_forked

SCRIPT = REPOSITORY / "scripts" / "compare_designs.py"
SIZE, AFFINE = (48, 48, 10), np.diag([10.0, 10.0, 13.0, 1.0])
SIZES = {"training": 2, "validation": 2, "test": 12}


def compare(*arguments: object) -> subprocess.CompletedProcess[str]:
    return run_forked([sys.executable, str(SCRIPT), *map(str, arguments)])


@pytest.fixture
def work(tmp_path: Path) -> Path:
    """A finished work folder in miniature: every second exam has a lesion in the liver."""
    regions, rng = list(RegionOntology.default()), np.random.default_rng(0)
    abnormal = {"liver"} | RegionOntology.default().containers("liver")
    document: dict[str, object] = {"labels_are": "weak labels"}
    names: list[dict[str, object]] = []
    truth: list[dict[str, object]] = []
    boxes: list[dict[str, object]] = []
    for section, count in SIZES.items():
        items: list[object] = []
        document[section] = items
        for i in range(count):
            exam, uid = f"E{section}{i}", f"1.2.{len(names)}"
            pet = rng.gamma(2.0, 0.5, SIZE).astype(np.float32)
            pet[28:36, 20:28, 4:6] += 8.0 * (i % 2)
            ct = rng.normal(0.0, 50.0, SIZE).astype(np.float32)
            for key, array in (("pet", pet), ("ct", ct)):
                nib.save(nib.Nifti1Image(array, AFFINE), tmp_path / f"{exam}_{key}.nii")
            labels = {region: float(i % 2 and region in abnormal) for region in regions}
            files = {key: f"{exam}_{key}.nii" for key in ("pet", "ct")}
            items.append({"exam_id": exam, "patient_id": f"P{exam}", "labels": labels, **files})
            raw = {"study_instance_uid": uid, "raw_patient_id": f"R{exam}"}
            names.append({"exam_id": exam, "patient_id": f"P{exam}", **raw})
            truth.append({"study_instance_uid": uid, **{r: int(v) for r, v in labels.items()}})
            corners = dict(zip(("x", "y", "z"), ((280, 360), (200, 280), (52, 78)), strict=True))
            box: dict[str, object] = {f"{a}_{e}_mm": v for a, ends in corners.items()
                   for e, v in zip(("low", "high"), ends, strict=True)}  # fmt: skip
            if i % 2:
                boxes.append(box | {"study_instance_uid": uid, "region": "liver", "kind": "lesion"})
    cohort = tmp_path / "phantom"
    (cohort / "truth").mkdir(parents=True)
    (tmp_path / "private").mkdir()
    write_json(cohort / "cohort.json", {"num_patients": 16, "seed": 0})
    write_json(tmp_path / "datalist.json", document)
    pd.DataFrame(truth).to_csv(cohort / "hand_labels.csv", index=False)
    pd.DataFrame(boxes).to_csv(cohort / "truth" / "boxes.csv", index=False)
    pd.DataFrame(names).to_csv(tmp_path / "private" / "identifiers.csv", index=False)
    return tmp_path


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("--designs", "summ"), "there is no design 'summ'"),
        (("--cohort", "absent"), "is no artificial cohort"),
    ],
)
def test_bad_input_is_told_in_one_line(
    work: Path, arguments: tuple[str, ...], message: str
) -> None:
    done = compare("--work", work, *arguments)
    assert done.returncode == 2
    assert done.stderr.startswith("error: ")
    assert done.stderr.count("\n") == 1
    assert message in done.stderr


@pytest.mark.slow
@pytest.mark.timeout(900)  # five processes of MONAI, on a busy machine
def test_one_failed_training_leaves_the_others_and_nothing_is_trained_twice(work: Path) -> None:
    out = work / "designs"
    (out / "runs" / "single_task" / "seed0" / "liver" / "model.pt").mkdir(parents=True)
    command = (
        *("--work", work, "--seeds", 0, "--epochs", 1, "--exams-per-epoch", 4),
        *("--single-task-regions", "liver", "--bootstrap", 50),
    )
    done = compare(*command, "--designs", "single_task")  # its weights cannot be written
    assert done.returncode == 3, done.stderr[-3000:]
    assert "left out: single_task, seed 0" in done.stderr
    table = pd.read_csv(out / "designs.csv")
    assert set(table["design"]) == {REFERENCE_DESIGN}
    assert table["auroc"].between(0, 1).all()
    places = pd.read_csv(out / "localization.csv")
    assert {"liver", "abdomen", "full"} <= set(places["region"])
    assert "Artificial patients" in (out / "designs.md").read_text()
    assert {path.name for path in out.glob("*.png")} == {"designs.png", "localization.png"}
    again = compare(*command, "--designs", REFERENCE_DESIGN)
    assert again.returncode == 0, again.stderr[-3000:]
    assert "train attention, seed 0: done before" in again.stderr
    assert "predict attention, seed 0: done before" in again.stderr
