"""A region of one's own is one entry of one file: it is labeled, learned, predicted and shown."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from monai.bundle import ConfigParser

from petct_ext.errors import InputDataError
from petct_ext.files import read_json
from petct_ext.labeler.preparation import prepare_report_items
from petct_ext.labels.weak_labels import write_weak_labels
from petct_ext.ontology import RegionOntology, load_ontology
from petct_ext.pages.run import build_page
from petct_ext.pipeline.finetunings import usual_regions
from petct_ext.pipeline.plan import PROFILES, RunPlan
from petct_ext.pipeline.whole_run import steps_of_run
from petct_ext.scan.data.datalist import build_datalist, load_datalist
from petct_ext.statistics.predictions import as_experiments
from petct_ext.statistics.region_table import region_table, write_region_table
from petct_ext.synthetic.diseases import sample_patients
from petct_ext.synthetic.patients import Lesion, with_sides
from petct_ext.synthetic.phantoms.anatomy import build_body
from petct_ext.synthetic.phantoms.images import place_lesions
from petct_ext.synthetic.phantoms.truth import box_rows
from petct_ext.synthetic.reports.writing import write_report
from petct_ext.tables.schemas import LABELS, read_table
from tests.conftest import REPOSITORY
from tests.package_regions import ONTOLOGY
from tests.reports.phantom_reports import write_phantom_reports
from tests.synthetic.phantom_patients import phantom_patient

OWN = "left_breast"
SEED = 6
"""A cohort of 70 patients in which some have a tumor of the left breast."""


@pytest.fixture(scope="module")
def own(own_regions: Path) -> RegionOntology:
    return RegionOntology.from_json(own_regions)


@pytest.fixture(scope="module")
def labeled(tmp_path_factory: pytest.TempPathFactory, own: RegionOntology) -> tuple[Path, Path]:
    root = tmp_path_factory.mktemp("own")
    cohort, work = write_phantom_reports(root, num_patients=70, seed=SEED, ontology=own)
    prepare_report_items(cohort, work, own)
    write_weak_labels(work, own, labeler="rules", hand_labels=cohort / "hand_labels.csv")
    return cohort, work


def test_reports_label_it_with_both_classes(
    labeled: tuple[Path, Path], own: RegionOntology
) -> None:
    cohort, work = labeled
    labels = read_table(work / "labels.csv", LABELS).set_index("exam_id")
    assert list(labels.columns) == list(own)
    weak = labels[OWN] >= 0.5
    assert 2 <= weak.sum() < len(labels)
    assert (labels["breast"] >= labels[OWN]).all()
    # What the reports say of it is what the phantoms have.
    studies = pd.read_csv(work / "private" / "identifiers.csv").set_index("study_instance_uid")
    truth = pd.read_csv(cohort / "hand_labels.csv").set_index("study_instance_uid")[OWN]
    truth.index = studies.loc[truth.index, "exam_id"]
    assert (weak.astype(int) == truth.reindex(weak.index)).mean() > 0.95
    annotated = pd.read_csv(cohort / "annotations.csv")
    assert set(annotated.loc[annotated["region"] == OWN, "abnormal"]) == {0, 1}
    audit = pd.read_csv(work / "label_audit.csv").set_index("region")
    assert audit.loc[OWN, "num_abnormal"] == truth.sum()


def test_datalist_takes_it_and_refuses_labels_of_another_ontology(
    labeled: tuple[Path, Path], own: RegionOntology, tmp_path: Path
) -> None:
    work = labeled[1]
    exams = pd.read_csv(work / "splits.csv")["exam_id"]
    prepared = pd.DataFrame({"exam_id": exams, "status": "ok", "reason": "", "num_slices": 9})
    for image in ("pet", "ct"):
        (work / f"{image}.nii").touch()
        prepared[image] = f"{image}.nii"
    prepared.to_csv(work / "prepared.csv", index=False)
    path = work / "datalist.json"
    build_datalist(work, path, ontology=own, labels=work / "labels.csv")
    known = np.array([e["label"][0] for e in load_datalist(path, "all", [OWN])])
    assert 2 <= (known >= 0.5).sum() < len(known)
    with pytest.raises(InputDataError, match=r"'left_breast' is no region .* give the --ontology"):
        build_datalist(work, tmp_path / "d.json", ontology=ONTOLOGY, labels=work / "labels.csv")


def test_labels_written_without_it_are_refused_with_the_remedy(
    labeled: tuple[Path, Path], own: RegionOntology, tmp_path: Path
) -> None:
    work = labeled[1]
    labels = pd.read_csv(work / "labels.csv").drop(columns=OWN)
    labels.to_csv(tmp_path / "labels.csv", index=False)
    path = work / "old.json"
    build_datalist(work, path, ontology=own, labels=tmp_path / "labels.csv")
    with pytest.raises(InputDataError, match=r"'left_breast'.*needs its --ontology in scripts/lab"):
        load_datalist(path, "all", [OWN])


@pytest.mark.parametrize("name", ["train", "inference"])
def test_configuration_takes_its_regions_from_the_file(name: str, own_regions: Path) -> None:
    parser = ConfigParser()
    parser.read_config(str(REPOSITORY / "bundles" / "scan_model" / "configs" / f"{name}.json"))
    (number,) = [i for i, c in enumerate(parser["initialize"]) if "check_regions" in c]
    parser["regions"] = ["breast", OWN]
    with pytest.raises(RuntimeError) as caught:
        parser.get_parsed_content(f"initialize#{number}")
    assert "'left_breast' is no region of regions.json" in str(caught.value.__cause__)
    parser["ontology"] = str(own_regions)
    parser.parse(reset=True)
    assert parser.get_parsed_content(f"initialize#{number}") is None


def test_labeler_of_reports_and_evidence_pictures_get_the_file() -> None:
    for bundle, name, uses in (("report_labeler", "inference", 2), ("scan_model", "train", 2)):
        path = REPOSITORY / "bundles" / bundle / "configs" / f"{name}.json"
        assert read_json(path)["ontology"] is None
        assert path.read_text().count("load_ontology(@ontology)") == uses
    assert list(load_ontology(None)) == list(ONTOLOGY)


def test_pipeline_hands_the_file_to_every_step_and_learns_its_main_regions(
    own_regions: Path, own: RegionOntology, tmp_path: Path
) -> None:
    plan = RunPlan(tmp_path, tmp_path, PROFILES["demo"], is_phantom=True, labeler="model",
                patients=4, seed=0, workers=1, ontology=own)  # fmt: skip
    steps = {step.name: step for step in steps_of_run(plan)}
    named = ["prepare_reports", "label_exams", "datalist", "evaluate", "draw_attention", "page"]
    for name in named:
        at = steps[name].command.index("--ontology")
        assert steps[name].command[at + 1] == str(own_regions)
        assert own_regions in steps[name].inputs  # another content does the step again
    outputs = tmp_path / "scan_model" / "regions.json"
    assert read_json(outputs)["regions"] == [*ONTOLOGY.main_regions(), OWN]
    assert read_json(outputs)["ontology"] == str(own_regions)
    for name in ("train_scan_model", "predict", "draw_attention"):
        assert any(str(outputs) in word for word in steps[name].command)
        assert outputs in steps[name].inputs
    assert usual_regions(own)[26] == OWN


def test_pipeline_without_it_leaves_the_outputs_to_the_bundle(tmp_path: Path) -> None:
    plan = RunPlan(tmp_path, tmp_path, PROFILES["demo"], is_phantom=True, labeler="model",
                patients=4, seed=0, workers=1, ontology=ONTOLOGY)  # fmt: skip
    steps_of_run(plan)
    assert not (tmp_path / "scan_model").exists()


def test_page_and_tables_call_it_by_its_title(own: RegionOntology, tmp_path: Path) -> None:
    rows = [
        {"experiment": "scan_model", "seed": 0, "split": "test", "task": OWN, "exam_id": f"E{i}",
         "target": i % 2, "prob": 0.1 * i, "target_kind": "weak"}
        for i in range(10)
    ]  # fmt: skip
    (experiment,) = as_experiments(pd.DataFrame(rows), ontology=own)
    table = region_table([experiment], num_bootstrap=20)
    assert table.tasks["title"].tolist() == ["breast, left"]
    (tmp_path / "evaluation").mkdir()
    write_region_table(table, tmp_path / "evaluation")
    audit = "labeler,region,f1\nrules,left_breast,0.5\n"
    (tmp_path / "label_audit.csv").write_text(audit)
    page = build_page(tmp_path, ontology=own)
    assert page.count("breast, left") == 2


def test_lesions_reports_and_boxes_agree_on_the_side(own: RegionOntology) -> None:
    patients = with_sides(sample_patients(70, seed=SEED), own, seed=SEED)
    sides = set()
    for patient in patients:
        for exam in patient.exams:
            lesions = [lesion for lesion in exam.lesions if lesion.side]
            if not lesions:
                continue
            sides |= {(lesion.region, lesion.side) for lesion in lesions}
            body = build_body(patient, exam, seed=SEED)
            placed = place_lesions(patient, exam, body, ontology=own, seed=SEED)
            for spot in placed:
                if spot.lesion.side:
                    assert (spot.center_mm[0] < body.frame.shift_mm[0]) == (
                        spot.lesion.side == "left"
                    )
            boxed = {row["region"] for row in box_rows("1.2", body, placed, ontology=own)}
            assert {lesion.region for lesion in lesions} <= boxed
            report = write_report(patient, exam, ontology=own, rng=np.random.default_rng(0))
            said = {report.text[m.start : m.end].lower() for m in report.mentions
                    if m.region == OWN}  # fmt: skip
            assert all("left" in words for words in said)
    assert sides == {(OWN, "left"), ("breast", "right")}


def test_phantoms_stay_as_they_are_with_regions_of_the_package() -> None:
    patients = sample_patients(40, seed=1)
    assert with_sides(patients, ONTOLOGY, seed=1) == patients


def test_phantoms_refuse_an_ontology_without_their_regions() -> None:
    few = RegionOntology([ONTOLOGY["full"]])
    with pytest.raises(InputDataError, match=r"lacks 'liver', in which artificial patients have"):
        with_sides([phantom_patient(Lesion("liver", 20.0, 9.0))], few, seed=0)
