"""Report items follow the splits of patients, and bad tables are refused at the door."""

from __future__ import annotations

import json
import logging
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from petct_ext.errors import InputDataError, OutputError
from petct_ext.labeler.preparation import prepare_report_items
from petct_ext.labeler.vocabulary import load_tokenizer
from petct_ext.ontology import RegionOntology
from petct_ext.tables.schemas import IDENTIFIERS, REPORTS, SPLITS, read_table
from tests.reports.phantom_reports import write_phantom_reports

ONTOLOGY = RegionOntology.default()


@pytest.fixture
def cohort(tmp_path: Path) -> tuple[Path, Path]:
    return write_phantom_reports(tmp_path, num_patients=15)


def prepare(cohort: tuple[Path, Path], *, with_annotations: bool = True) -> dict[str, Any]:
    path = prepare_report_items(*cohort, ONTOLOGY, with_annotations=with_annotations)
    document: dict[str, Any] = json.loads(path.read_text())
    return document


def edit(path: Path, **columns: str) -> None:
    """Changes values of the first row."""
    table = pd.read_csv(path, dtype=str, keep_default_na=False)
    for name, value in columns.items():
        table[name] = [value, *table[name].tolist()[1:]]
    table.to_csv(path, index=False)


def test_annotated_mentions_follow_the_split_of_their_patient(cohort: tuple[Path, Path]) -> None:
    document = prepare(cohort)
    splits = pd.read_csv(cohort[1] / "splits.csv").set_index("exam_id")["split"]
    for name in ("training", "validation", "test"):
        assert document[name]
        assert {splits[item["exam_id"]] for item in document[name]} == {name}
        assert all(m["label"] in (0, 1) for item in document[name] for m in item["mentions"])
    assert {item["exam_id"] for item in document["all"]} == set(splits.index)


def test_vocabulary_knows_words_of_training_reports_only(cohort: tuple[Path, Path]) -> None:
    reports = read_table(cohort[0] / "reports.csv", REPORTS)
    identifiers = read_table(cohort[1] / "private" / "identifiers.csv", IDENTIFIERS)
    splits = read_table(cohort[1] / "splits.csv", SPLITS)
    of_study = identifiers.merge(splits, on="exam_id").set_index("study_instance_uid")["split"]
    words = {"training": " zebrafish", "validation": "", "test": " quokka"}
    reports["text"] += reports["study_instance_uid"].map(of_study).map(words)
    reports.to_csv(cohort[0] / "reports.csv", index=False)
    prepare(cohort)
    vocabulary = load_tokenizer(cohort[1] / "private" / "vocabulary").get_vocab()
    assert "zebrafish" in vocabulary
    assert "quokka" not in vocabulary


def test_exam_without_text_is_marked(cohort: tuple[Path, Path]) -> None:
    edit(cohort[0] / "reports.csv", text="")
    study = pd.read_csv(cohort[0] / "reports.csv")["study_instance_uid"][0]
    annotations = pd.read_csv(cohort[0] / "annotations.csv", dtype=str)
    annotations = annotations[annotations["study_instance_uid"] != study]
    annotations.to_csv(cohort[0] / "annotations.csv", index=False)
    document = prepare(cohort)
    assert [exam for exam, has_text in document["exams"].items() if not has_text] == ["e0000"]


def test_rules_need_no_annotations(cohort: tuple[Path, Path]) -> None:
    (cohort[0] / "annotations.csv").unlink()
    document = prepare(cohort, with_annotations=False)
    assert document["training"] == []
    assert document["all"]
    assert not (cohort[1] / "private" / "vocabulary").exists()


def test_missing_annotations_are_refused_with_the_remedy(cohort: tuple[Path, Path]) -> None:
    (cohort[0] / "annotations.csv").unlink()
    with pytest.raises(InputDataError, match=r"annotations\.csv does not exist.*--labeler rules"):
        prepare(cohort)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"region": "livr"}, r"line 2, column 'region': 'livr' is no region .* 'liver'\?"),
        ({"end": "99999"}, r"offsets \d+ to 99999 mark no text in a report of \d+ characters"),
        ({"start": "a"}, r"column 'start': 'a' is not a whole number"),
        ({"abnormal": "2"}, r"column 'abnormal': '2' is not a 0 or 1"),
    ],
)
def test_bad_annotation_is_refused(
    cohort: tuple[Path, Path], changes: dict[str, str], message: str
) -> None:
    edit(cohort[0] / "annotations.csv", **changes)
    with pytest.raises(InputDataError, match=message):
        prepare(cohort)
    assert not (cohort[1] / "private" / "report_items.json").exists()


def test_reports_of_other_studies_are_refused(cohort: tuple[Path, Path]) -> None:
    reports = pd.read_csv(cohort[0] / "reports.csv", dtype=str)
    reports["study_instance_uid"] = "9." + reports["study_instance_uid"]
    reports.to_csv(cohort[0] / "reports.csv", index=False)
    with pytest.raises(InputDataError, match=r"none of its \d+ studies is among the \d+ indexed"):
        prepare(cohort)


def test_validation_of_one_class_is_refused_with_the_remedy(cohort: tuple[Path, Path]) -> None:
    annotations = pd.read_csv(cohort[0] / "annotations.csv", dtype=str)
    identifiers = pd.read_csv(cohort[1] / "private" / "identifiers.csv")
    splits = pd.read_csv(cohort[1] / "splits.csv")
    validation = set(splits[splits["split"] == "validation"]["exam_id"])
    studies = set(identifiers[identifiers["exam_id"].isin(validation)]["study_instance_uid"])
    drop = annotations["study_instance_uid"].isin(studies) & (annotations["abnormal"] == "1")
    annotations[~drop].to_csv(cohort[0] / "annotations.csv", index=False)
    with pytest.raises(InputDataError, match="the validation split has only mentions judged 0"):
        prepare(cohort)


def test_few_validation_mentions_are_told(
    cohort: tuple[Path, Path], caplog: pytest.LogCaptureFixture
) -> None:
    annotations = pd.read_csv(cohort[0] / "annotations.csv", dtype=str)
    kept = annotations.groupby(["study_instance_uid", "abnormal"]).head(1)
    kept.to_csv(cohort[0] / "annotations.csv", index=False)
    with caplog.at_level(logging.WARNING):
        prepare(cohort)
    assert "the best epoch is chosen by chance; annotate more" in caplog.text


def test_work_folder_that_cannot_be_written_to_is_an_error(cohort: tuple[Path, Path]) -> None:
    (cohort[1] / "private" / "vocabulary").write_text("in the way")
    with pytest.raises(OutputError, match="cannot be written to"):
        prepare(cohort)
