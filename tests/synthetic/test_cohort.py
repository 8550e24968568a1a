"""A small cohort on disk: contracts, restart, and the same files whatever the number of workers."""

from __future__ import annotations

import hashlib
import subprocess
import sys
from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np
import pandas as pd
import pydicom
import pytest

from petct_ext.errors import InputDataError
from petct_ext.files import read_json
from petct_ext.ontology.regions import RegionOntology
from petct_ext.synthetic.cohort import write_cohort
from petct_ext.tables.schemas import ANNOTATIONS, HAND_LABELS, OUTCOMES, REPORTS, read_table
from tests.conftest import REPOSITORY
from tests.package_regions import ONTOLOGY

SCRIPT = REPOSITORY / "scripts" / "make_synthetic_data.py"
NUM_PATIENTS, SEED = 3, 1


@pytest.fixture(scope="module")
def cohort(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("cohort") / "phantom"
    write_cohort(
        folder,
        num_patients=NUM_PATIENTS,
        seed=SEED,
        size="small",
        num_annotated=2,
        masks=True,
        ontology=ONTOLOGY,
    )
    return folder


def digests(folder: Path) -> dict[str, str]:
    return {
        path.relative_to(folder).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(folder.rglob("*"))
        if path.is_file() and path.suffix != ".gz"  # a gzip header holds the time
    }


def test_tables_keep_their_contracts(cohort: Path) -> None:
    exams = read_json(cohort / "cohort.json")["num_exams"]
    reports = read_table(cohort / "reports.csv", REPORTS)
    labels = read_table(cohort / "hand_labels.csv", HAND_LABELS)
    assert len(reports) == len(labels) == exams
    assert len(read_table(cohort / "outcomes.csv", OUTCOMES)) == NUM_PATIENTS
    annotations = read_table(cohort / "annotations.csv", ANNOTATIONS)
    assert annotations["study_instance_uid"].nunique() == 2
    assert set(labels.columns) == {"study_instance_uid", *RegionOntology.default()}


def test_annotations_point_into_the_text_as_it_is_read(cohort: Path) -> None:
    reports = read_table(cohort / "reports.csv", REPORTS).set_index("study_instance_uid")
    for row in read_table(cohort / "annotations.csv", ANNOTATIONS).to_dict("records"):
        text = str(reports.loc[row["study_instance_uid"], "text"])
        words = text[row["start"] : row["end"]]
        assert words
        assert words == words.strip()


def test_labels_are_closed_outward_over_the_lesions(cohort: Path) -> None:
    ontology = RegionOntology.default()
    labels = read_table(cohort / "hand_labels.csv", HAND_LABELS).set_index("study_instance_uid")
    lesions = pd.read_csv(cohort / "truth" / "lesions.csv")
    for uid, row in labels.iterrows():
        regions = set(lesions.loc[lesions["study_instance_uid"] == uid, "region"])
        expected = regions.union(*(ontology.containers(r) for r in regions))
        assert set(row.index[row == 1]) == expected


def test_every_exam_has_a_ct_and_a_pet_in_one_frame_of_reference(cohort: Path) -> None:
    uids = set(read_table(cohort / "reports.csv", REPORTS)["study_instance_uid"])
    studies = [path for path in (cohort / "dicom").glob("*/*") if path.is_dir()]
    assert {path.name for path in studies} == uids
    for study in studies:
        first = [
            pydicom.dcmread(next(series.glob("*.dcm")), stop_before_pixels=True)
            for series in study.iterdir()
        ]
        assert {"CT", "PT"} <= {s.Modality for s in first}
        frames = {s.FrameOfReferenceUID for s in first if s.Modality in ("CT", "PT")}
        assert len(frames) == 1


def test_masks_lie_at_the_lesions(cohort: Path) -> None:
    lesions = pd.read_csv(cohort / "truth" / "lesions.csv")
    assert len(lesions) > 0
    for uid, rows in lesions.groupby("study_instance_uid"):
        mask: Any = nib.load(cohort / "truth" / "masks" / f"{uid}.nii.gz")
        found = np.asarray(mask.dataobj)
        for row in rows.to_dict("records"):
            world = np.array([row["x_mm"], row["y_mm"], row["z_mm"], 1.0])
            index = np.rint(np.linalg.inv(mask.affine) @ world)[:3].astype(int)
            box = tuple(slice(max(i - 1, 0), i + 2) for i in index)
            assert (found[box] == row["lesion"]).any()


def test_files_do_not_depend_on_the_number_of_workers(cohort: Path, tmp_path: Path) -> None:
    write_cohort(
        tmp_path,
        num_patients=NUM_PATIENTS,
        seed=SEED,
        size="small",
        workers=2,
        num_annotated=2,
        ontology=ONTOLOGY,
    )
    assert digests(tmp_path) == digests(cohort)


def test_finished_patients_are_kept_and_unfinished_ones_made(tmp_path: Path) -> None:
    folder = tmp_path / "a"
    write_cohort(folder, num_patients=1, seed=SEED, size="small", ontology=ONTOLOGY)
    image = next((folder / "dicom" / "PHANTOM0000").rglob("*.dcm"))
    before = image.stat().st_mtime_ns
    (folder / "dicom" / ".partial_PHANTOM0001").mkdir()
    (folder / "dicom" / ".partial_PHANTOM0001" / "half.dcm").write_bytes(b"half")
    write_cohort(folder, num_patients=2, seed=SEED, size="small", ontology=ONTOLOGY)
    assert image.stat().st_mtime_ns == before
    assert sorted(p.name for p in (folder / "dicom").iterdir()) == ["PHANTOM0000", "PHANTOM0001"]
    assert not list(folder.rglob("half.dcm"))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"seed": 2}, r"holds a phantom cohort of seed 1 and size 'small'"),
        ({"size": "full"}, r"choose another folder, or ask for those"),
        ({"num_patients": 2}, r"holds more than 2 patients"),
        ({"num_patients": 0}, r"num_patients is 0; it must be at least 1"),
        ({"workers": 0}, r"workers is 0"),
        ({"seed": -1}, r"seed is -1"),
        ({"size": "tiny"}, r"must be one of full, small"),
    ],
)
def test_other_cohort_in_the_same_folder_is_refused(
    cohort: Path, change: dict[str, object], message: str
) -> None:
    arguments: dict[str, object] = {"num_patients": NUM_PATIENTS, "seed": SEED, "size": "small"}
    with pytest.raises(InputDataError, match=message):
        write_cohort(cohort, **(arguments | change), ontology=ONTOLOGY)  # type: ignore[arg-type]
    assert (cohort / "cohort.json").exists()


def test_folder_with_something_else_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "reports.csv").write_text("mine")
    with pytest.raises(InputDataError, match="nothing of yours is overwritten"):
        write_cohort(tmp_path, num_patients=1, seed=0, size="small", ontology=ONTOLOGY)
    assert (tmp_path / "reports.csv").read_text() == "mine"


def test_script_tells_bad_input_in_one_line(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, str(SCRIPT), str(tmp_path / "a"), "--patients", "0"],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 2
    assert done.stderr == "error: num_patients is 0; it must be at least 1.\n"


def test_it_says_that_it_is_artificial(cohort: Path) -> None:
    assert "artificial" in (cohort / "README.txt").read_text()
    assert "No human being" in read_json(cohort / "cohort.json")["artificial"]


def test_boxes_hold_the_lesions_and_name_every_abnormal_region(cohort: Path) -> None:
    boxes = pd.read_csv(cohort / "truth" / "boxes.csv")
    lesions = pd.read_csv(cohort / "truth" / "lesions.csv")
    keys = ["study_instance_uid", "lesion", "region"]
    merged = lesions.merge(boxes[boxes["kind"] == "lesion"], on=keys, validate="one_to_one")
    assert len(merged) == len(lesions)
    for axis in "xyz":
        low, high = merged[f"{axis}_low_mm"], merged[f"{axis}_high_mm"]
        assert merged[f"{axis}_mm"].between(low, high).all()
    labels = read_table(cohort / "hand_labels.csv", HAND_LABELS).set_index("study_instance_uid")
    around = boxes[boxes["kind"] == "region"].groupby("study_instance_uid")["region"].apply(set)
    for uid, row in labels.iterrows():
        assert around.get(uid, set()) == set(row.index[row == 1])
