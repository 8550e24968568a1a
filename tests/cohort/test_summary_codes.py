"""Summary codes become a label of the exam, and only where there is a code."""

from __future__ import annotations

import json
import logging
from pathlib import Path

import pandas as pd
import pytest

from petct_ext.cohort.reader_labels import SUMMARY_CODE_TASK, summary_code_labels
from petct_ext.errors import InputDataError
from petct_ext.scan.data.datalist import build_datalist
from tests.package_regions import ONTOLOGY

IDENTIFIERS = pd.DataFrame(
    {"study_instance_uid": ["1", "2", "3", "4"], "exam_id": ["E1", "E2", "E3", "E4"]}
)
REPORTS = pd.DataFrame(
    {"study_instance_uid": ["4", "2", "1", "9"], "summary_code": ["", "9", "1", "4"]}
)


def test_code_1_is_normal_and_exams_without_a_code_have_no_label(
    caplog: pytest.LogCaptureFixture,
) -> None:
    with caplog.at_level(logging.INFO):
        labels = summary_code_labels(REPORTS, IDENTIFIERS)
    assert labels == {"E1": {SUMMARY_CODE_TASK: 0.0}, "E2": {SUMMARY_CODE_TASK: 1.0}}
    assert "2 of 4 exams have one, 1 abnormal (2, 4, 9), 1 normal" in caplog.text


def test_other_codes_can_count_as_abnormal() -> None:
    labels = summary_code_labels(REPORTS, IDENTIFIERS, abnormal_codes=["4"])
    assert labels["E2"] == {SUMMARY_CODE_TASK: 0.0}


def test_code_that_does_not_exist_is_told() -> None:
    with pytest.raises(InputDataError, match=r"summary code '3' does not exist; known: 1, 2, 4, 9"):
        summary_code_labels(REPORTS, IDENTIFIERS, abnormal_codes=["3"])


@pytest.mark.parametrize("column", [[""] * 4, None], ids=["empty", "absent"])
def test_cohort_without_codes_is_told(column: list[str] | None) -> None:
    reports = REPORTS[["study_instance_uid"]]
    if column is not None:
        reports = reports.assign(summary_code=column)
    with pytest.raises(InputDataError, match="none of 4 exams has a summary code"):
        summary_code_labels(reports, IDENTIFIERS)


def test_codes_stand_in_the_datalist_beside_the_weak_labels(tmp_path: Path) -> None:
    exams = {"E1": "training", "E2": "validation", "E3": "test"}
    rows = [f"{exam},ok,,{exam}.nii,{exam}.nii,9" for exam in exams]
    prepared = "\n".join(["exam_id,status,reason,pet,ct,num_slices", *rows])
    splits = [f"{exam},P{exam},{split}" for exam, split in exams.items()]
    (tmp_path / "prepared.csv").write_text(prepared + "\n")
    (tmp_path / "splits.csv").write_text("\n".join(["exam_id,patient_id,split", *splits]) + "\n")
    labels = tmp_path / "labels.csv"
    labels.write_text("exam_id,liver\n" + "".join(f"{exam},0.9\n" for exam in exams))
    codes = summary_code_labels(REPORTS, IDENTIFIERS)
    build_datalist(
        tmp_path, tmp_path / "list.json", labels=labels, other_labels=codes, ontology=ONTOLOGY
    )
    document = json.loads((tmp_path / "list.json").read_text())
    assert document["training"][0]["labels"] == {"liver": 0.9, SUMMARY_CODE_TASK: 0.0}
    assert document["validation"][0]["labels"] == {"liver": 0.9, SUMMARY_CODE_TASK: 1.0}
    assert document["test"][0]["labels"] == {"liver": 0.9}
