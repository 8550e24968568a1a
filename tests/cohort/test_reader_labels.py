"""Hand labels of studies become labels of exams."""

from __future__ import annotations

from pathlib import Path

import pandas as pd
import pytest

from petct_ext.cohort.reader_labels import hand_labels_by_exam, read_hand_labels
from petct_ext.errors import InputDataError
from petct_ext.ontology import RegionOntology

ONTOLOGY = RegionOntology.default()


@pytest.fixture
def work(tmp_path: Path) -> Path:
    (tmp_path / "private").mkdir()
    rows = [[f"E{i}", f"P{i}", f"1.{i}", f"raw{i}"] for i in (1, 2, 3)]
    columns = ["exam_id", "patient_id", "study_instance_uid", "raw_patient_id"]
    pd.DataFrame(rows, columns=columns).to_csv(tmp_path / "private/identifiers.csv", index=False)
    return tmp_path


def write(folder: Path, **columns: list[object]) -> Path:
    pd.DataFrame(columns).to_csv(folder / "hand_labels.csv", index=False)
    return folder / "hand_labels.csv"


def test_known_labels_are_given_by_exam(work: Path) -> None:
    path = write(
        work, study_instance_uid=["1.2", "1.1", "9.9"], liver=[1, None, 1], spine=[0, 1, 1]
    )
    labels = hand_labels_by_exam(read_hand_labels(path, work, ONTOLOGY))
    assert labels == {"E1": {"spine": 1.0}, "E2": {"liver": 1.0, "spine": 0.0}}


def test_strangers_are_refused(work: Path) -> None:
    with pytest.raises(InputDataError, match=r"column 'livr' is no region .*Did you mean 'liver'"):
        read_hand_labels(write(work, study_instance_uid=["1.1"], livr=[1]), work, ONTOLOGY)
    with pytest.raises(InputDataError, match="none of its 1 studies is among the 3 indexed exams"):
        read_hand_labels(write(work, study_instance_uid=["7.7"], liver=[1]), work, ONTOLOGY)
