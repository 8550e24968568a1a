"""Datalists give items in the order of the regions, and refuse leakage."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from petct_ext.errors import InputDataError
from petct_ext.scan.data.blanked_labels import without_blanked
from petct_ext.scan.data.datalist import build_datalist, check_regions, load_datalist
from tests.package_regions import ONTOLOGY


def item(exam: str, patient: str, **labels: float | None) -> dict[str, Any]:
    return {
        "exam_id": exam,
        "patient_id": patient,
        "pet": f"{exam}/pet.nii",
        "ct": f"{exam}/ct.nii",
        "labels": labels,
    }


def write(folder: Path, **sections: list[dict[str, Any]]) -> Path:
    for items in sections.values():
        for entry in items:
            (folder / entry["exam_id"]).mkdir(exist_ok=True)
            for key in ("pet", "ct"):
                (folder / entry[key]).touch()
    path = folder / "datalist.json"
    path.write_text(json.dumps(sections))
    return path


def test_labels_follow_the_order_of_the_regions(tmp_path: Path) -> None:
    path = write(tmp_path, training=[item("E1", "P1", liver=0.9, spleen=None, head=0.1)])
    (loaded,) = load_datalist(path, "training", ["head", "liver", "spleen"][:2])
    assert loaded["label"].tolist() == pytest.approx([0.1, 0.9])
    assert Path(loaded["pet"]) == tmp_path / "E1" / "pet.nii"


def test_missing_labels_are_nan(tmp_path: Path) -> None:
    path = write(tmp_path, test=[item("E1", "P1", liver=None), item("E2", "P2", liver=1.0)])
    labels = np.concatenate([i["label"] for i in load_datalist(path, "test", ["liver"])])
    assert np.isnan(labels).tolist() == [True, False]


def test_all_joins_the_sections(tmp_path: Path) -> None:
    path = write(tmp_path, training=[item("E1", "P1")], test=[item("E2", "P2")])
    assert [i["exam_id"] for i in load_datalist(path, "all", [])] == ["E1", "E2"]


def test_patient_in_two_sections_is_refused(tmp_path: Path) -> None:
    path = write(tmp_path, training=[item("E1", "P1")], test=[item("E2", "P1")])
    with pytest.raises(InputDataError, match=r"both 'training' and 'test', e\.g\. 'P1'"):
        load_datalist(path, "training", [])


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"exam_id": None}, r"item 2 of section 'training' has exam_id None; it must be a text"),
        ({"pet": None}, r"item 2 of section 'training' has pet None; it must be a text"),
        ({"labels": [1]}, r"item 2 .*\(exam E2\) has labels \[1\]; it must be an object"),
        ({"num_slices": "many"}, r"\(exam E2\) has num_slices 'many'; it must be a whole number"),
        ({"exam_id": "E1"}, r"1 exam\(s\) stand there more than once, e\.g\. 'E1'"),
    ],
)
def test_items_must_be_whole_and_single(
    tmp_path: Path, change: dict[str, Any], message: str
) -> None:
    path = write(tmp_path, training=[item("E1", "P1"), item("E2", "P2")])
    document = json.loads(path.read_text())
    document["training"][1] |= change
    path.write_text(json.dumps(document))
    with pytest.raises(InputDataError, match=message):
        load_datalist(path, "training", [])


def test_item_that_is_no_object_is_refused(tmp_path: Path) -> None:
    (tmp_path / "datalist.json").write_text('{"training": ["E1"]}')
    with pytest.raises(InputDataError, match=r"item 1 of section 'training' is 'E1'; it must be"):
        load_datalist(tmp_path / "datalist.json", "training", [])


@pytest.mark.parametrize(
    ("section", "regions", "message"),
    [
        ("trainin", [], "no section 'trainin'.*Did you mean 'training'"),
        ("validation", [], "section 'validation' of .* is empty"),
        ("training", ["livr"], "no exam has a label of 'livr'. Did you mean 'liver'"),
        ("training", ["head"], "labels that are not probabilities: {'head': 1.5}"),
    ],
)
def test_broken_requests_are_refused(
    tmp_path: Path, section: str, regions: list[str], message: str
) -> None:
    path = write(tmp_path, training=[item("E1", "P1", liver=0.5, head=1.5)], validation=[])
    with pytest.raises(InputDataError, match=message):
        load_datalist(path, section, regions)


@pytest.mark.parametrize(
    ("labels", "expected"),
    [("weak", [0.4, np.nan, 0.9]), ("hand", [np.nan, 1.0, 0.0]), ("hybrid", [0.4, 1.0, 0.0])],
)
def test_hand_labels_stand_before_weak_ones_where_known(
    tmp_path: Path, labels: str, expected: list[float]
) -> None:
    exam = item("E1", "P1", head=0.4, spleen=None, liver=0.9)
    exam["hand_labels"] = {"head": None, "spleen": 1, "liver": 0}
    path = write(
        tmp_path, training=[exam, item("E2", "P2", head=0.0) | {"hand_labels": {"head": 1}}]
    )
    (loaded, _) = load_datalist(path, "training", ["head", "spleen", "liver"], labels=labels)
    np.testing.assert_allclose(loaded["label"], expected, rtol=1e-6)


def test_unknown_kind_of_label_is_refused(tmp_path: Path) -> None:
    path = write(tmp_path, training=[item("E1", "P1")])
    with pytest.raises(InputDataError, match=r"labels is 'hands'.*Did you mean 'hand'"):
        load_datalist(path, "training", [], labels="hands")


def test_label_that_is_text_is_refused(tmp_path: Path) -> None:
    path = write(tmp_path, training=[item("E1", "P1", liver="yes")])  # type: ignore[arg-type]
    with pytest.raises(InputDataError, match=r"exam 'E1' has labels .*: \{'liver': 'yes'\}; give"):
        load_datalist(path, "training", ["liver"])


def test_number_of_slices_and_hand_labels_reach_the_items(tmp_path: Path) -> None:
    work = work_folder(tmp_path)
    out, hand = work / "datalist.json", {"E1": {"liver": 1.0}}
    build_datalist(work, out, labels=work / "labels.csv", hand_labels=hand, ontology=ONTOLOGY)
    (loaded,) = load_datalist(out, "training", ["liver"], labels="hybrid")
    assert (loaded["label"].tolist(), loaded["num_slices"]) == ([1.0], 9)


def test_regions_must_be_known_and_single() -> None:
    check_regions(["liver", "spine"], ONTOLOGY)
    with pytest.raises(InputDataError, match=r"'livr' is no region of regions\.json. Did you mean"):
        check_regions(["livr"], ONTOLOGY)
    with pytest.raises(InputDataError, match="'liver' is there twice"):
        check_regions(["liver", "liver"], ONTOLOGY)


def test_missing_volume_is_named(tmp_path: Path) -> None:
    path = write(tmp_path, training=[item("E1", "P1")])
    (tmp_path / "E1" / "ct.nii").unlink()
    with pytest.raises(InputDataError, match=r"E1/ct\.nii of exam E1 does not exist"):
        load_datalist(path, "training", [])


def work_folder(folder: Path) -> Path:
    exams = ["E1", "E2", "E3"]
    for exam in exams:
        (folder / exam).mkdir()
        (folder / exam / "pet.nii").touch()
        (folder / exam / "ct.nii").touch()
    prepared = pd.DataFrame({"exam_id": exams, "status": "ok", "reason": "", "num_slices": 9})
    prepared["pet"], prepared["ct"] = prepared.exam_id + "/pet.nii", prepared.exam_id + "/ct.nii"
    prepared.to_csv(folder / "prepared.csv", index=False)
    splits = {"exam_id": exams, "patient_id": ["P1", "P2", "P3"]}
    splits["split"] = ["training", "validation", "test"]
    pd.DataFrame(splits).to_csv(folder / "splits.csv", index=False)
    labels = pd.DataFrame({"exam_id": exams, "liver": [0.25, None, 1.0]})
    labels.to_csv(folder / "labels.csv", index=False)
    return folder


def test_built_datalist_can_be_loaded_from_another_folder(tmp_path: Path) -> None:
    work = work_folder(tmp_path)
    out = work / "elsewhere" / "datalist.json"
    out.parent.mkdir()
    assert build_datalist(work, out, labels=work / "labels.csv", ontology=ONTOLOGY) == {
        "training": 1,
        "validation": 1,
        "test": 1,
    }
    (loaded,) = load_datalist(out, "training", ["liver"])
    assert (loaded["exam_id"], loaded["label"].tolist()) == ("E1", [0.25])


def test_section_without_exams_is_refused(tmp_path: Path) -> None:
    work = work_folder(tmp_path)
    labels = pd.read_csv(work / "labels.csv")
    labels[:2].to_csv(work / "labels.csv", index=False)
    with pytest.raises(InputDataError, match=r"too few for a split.*'test': 0"):
        build_datalist(work, work / "datalist.json", labels=work / "labels.csv", ontology=ONTOLOGY)


def test_without_labels_all_exams_are_listed_for_prediction(tmp_path: Path) -> None:
    work = work_folder(tmp_path)
    (work / "splits.csv").unlink()
    assert build_datalist(work, work / "datalist.json", ontology=ONTOLOGY)["test"] == 3


def build_with_blanked_head(folder: Path, labels: dict[str, float]) -> dict[str, Any]:
    """Returns the item of an exam with a blanked head, one of three."""
    exams = ["E1", "E2", "E3"]
    rows = [
        {"exam_id": e, "status": "ok", "pet": f"volumes/{e}/pet.nii", "ct": f"volumes/{e}/ct.nii"}
        for e in exams
    ]
    for exam in exams:
        (folder / "volumes" / exam).mkdir(parents=True)
        record = {"blanked": ["head"] if exam == "E1" else []}
        (folder / "volumes" / exam / "exam.json").write_text(json.dumps(record))
    pd.DataFrame(rows).assign(
        reason="", num_slices=9, suv_bw_factor=1.0, pet_units="SUVbw", warnings=""
    ).to_csv(folder / "prepared.csv", index=False)
    splits = {"exam_id": exams, "patient_id": exams, "split": ["training", "validation", "test"]}
    pd.DataFrame(splits).to_csv(folder / "splits.csv", index=False)
    weak = pd.DataFrame({"exam_id": exams} | {name: [p] * 3 for name, p in labels.items()})
    weak.to_csv(folder / "labels.csv", index=False)
    build_datalist(
        folder,
        folder / "datalist.json",
        ontology=ONTOLOGY,
        labels=folder / "labels.csv",
        hand_labels={"E1": {"brain": 1.0, "liver": 1.0}},
    )
    document = json.loads((folder / "datalist.json").read_text())
    assert document["test"][0]["labels"] == labels
    entry: dict[str, Any] = document["training"][0]
    return entry


def test_labels_of_a_blanked_head_are_unknown_a_readers_too(tmp_path: Path) -> None:
    found = build_with_blanked_head(tmp_path, {"brain": 0.0, "mouth": 0.9, "liver": 0.8})
    assert found["labels"] == {"brain": None, "mouth": None, "liver": 0.8}
    assert found["hand_labels"] == {"brain": None, "liver": 1.0}
    assert found["blanked"] == ["head"]


@pytest.mark.parametrize(
    ("labels", "known"),
    [
        ({"head_neck": 0.0}, True),
        ({"head_neck": 0.9}, False),
        ({"head_neck": 0.9, "brain": 0.9}, False),
        ({"head_neck": 0.9, "thyroid": 0.9}, True),
        ({"neck": 0.9, "left_cervical_lymph_node": 0.9}, False),
        ({"full": 0.9, "brain": 0.9, "liver": 0.1}, False),
        ({"full": 0.9, "brain": 0.9, "liver": 0.7}, True),
        ({"abdomen": 0.9}, True),
    ],
)
def test_region_around_a_blanked_head_is_known_by_what_is_seen_of_it(
    labels: dict[str, float], known: bool
) -> None:
    region = next(iter(labels))
    found = without_blanked(labels, ONTOLOGY, ["head"])[region]
    assert found == (labels[region] if known else None)
