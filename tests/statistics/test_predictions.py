"""Facts about prediction tables: seeds, splits, patients, who judged."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from petct_ext.errors import InputDataError
from petct_ext.statistics.predictions import (
    as_experiments,
    read_patients,
    read_predictions,
    use_hand_labels,
)
from tests.package_regions import ONTOLOGY


def _table(**columns: Any) -> pd.DataFrame:
    table = pd.DataFrame(
        [
            ("a", seed, "test", task, exam, float(exam == "E1"), 0.1 * seed + 0.01 * len(task))
            for seed in (1, 2)
            for task in ("liver", "lungs")
            for exam in ("E1", "E2", "E3")
        ],
        columns=["experiment", "seed", "split", "task", "exam_id", "target", "prob"],
    )
    return table.assign(**columns)


def _hand() -> tuple[pd.DataFrame, pd.DataFrame]:
    hand = pd.DataFrame(
        {"study_instance_uid": ["1", "2", "9"], "liver": [0, 1, 1], "lungs": [1, pd.NA, 0]}
    ).astype({"liver": "Int64", "lungs": "Int64"})
    identifiers = pd.DataFrame(
        {"exam_id": ["E1", "E2", "E3"], "study_instance_uid": ["1", "2", "3"]}
    )
    return hand, identifiers


def test_table_becomes_one_array_of_seeds_tasks_and_exams() -> None:
    (experiment,) = as_experiments(_table(), ontology=ONTOLOGY)

    assert (experiment.seeds, experiment.tasks) == ((1, 2), ("liver", "lungs"))
    assert experiment.prob.shape == (2, 2, 3)
    assert experiment.target.tolist() == [[1, 0, 0], [1, 0, 0]]
    assert experiment.target_kind == "weak"
    assert not experiment.has_patients


def test_probabilistic_labels_count_as_abnormal_from_one_half_on() -> None:
    (experiment,) = as_experiments(_table(target=[0.5, 0.49, np.nan] * 4), ontology=ONTOLOGY)

    np.testing.assert_array_equal(experiment.target[0], [1, 0, np.nan])


def test_patients_come_from_the_mapping_or_from_a_column() -> None:
    (by_mapping,) = as_experiments(
        _table(), patients={"E1": "P1", "E2": "P1", "E3": "P2"}, ontology=ONTOLOGY
    )
    (by_column,) = as_experiments(_table(patient_id=["P1", "P1", "P2"] * 4), ontology=ONTOLOGY)

    assert by_mapping.clusters.tolist() == by_column.clusters.tolist() == ["P1", "P1", "P2"]
    with pytest.raises(InputDataError, match="exam E3 has no patient"):
        as_experiments(_table(), patients={"E1": "P1", "E2": "P1"}, ontology=ONTOLOGY)


def test_seed_that_lacks_an_exam_is_named() -> None:
    with pytest.raises(InputDataError, match=r"'lungs': seed 2 has no prediction for exam E3"):
        as_experiments(_table().iloc[:-1], ontology=ONTOLOGY)


def test_seeds_with_different_targets_are_refused() -> None:
    with pytest.raises(InputDataError, match="exam E3: seeds 1 and 2 state different targets"):
        as_experiments(_table(target=[0, 0, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0]), ontology=ONTOLOGY)


def test_weak_and_hand_labels_are_never_mixed() -> None:
    with pytest.raises(InputDataError, match=r"mixes target kinds \(hand, weak\)"):
        as_experiments(_table(target_kind=["weak"] * 6 + ["hand"] * 6), ontology=ONTOLOGY)


def test_hand_labels_replace_the_targets_of_judged_exams() -> None:
    (experiment,) = as_experiments(
        use_hand_labels(_table(target_kind="weak"), *_hand()), ontology=ONTOLOGY
    )

    assert experiment.exam_ids == ("E1", "E2")
    assert experiment.target_kind == "hand"
    np.testing.assert_array_equal(experiment.target, [[0, 1], [1, np.nan]])


def test_task_without_hand_labels_is_named() -> None:
    hand, identifiers = _hand()
    with pytest.raises(InputDataError, match=r"no column for task 'lungs'.*'lung'\?"):
        use_hand_labels(_table(), hand.rename(columns={"lungs": "lung"}), identifiers)


def test_hand_labels_of_another_cohort_are_refused() -> None:
    hand, identifiers = _hand()
    with pytest.raises(InputDataError, match="none of the 3 predicted exams has hand labels"):
        use_hand_labels(_table(), hand.assign(study_instance_uid=["7", "8", "9"]), identifiers)


def test_wrong_split_is_refused_with_the_known_ones(tmp_path: Path) -> None:
    _table().to_csv(tmp_path / "p.csv", index=False)
    with pytest.raises(InputDataError, match=r"no prediction of split 'tests'; there is test\."):
        read_predictions([tmp_path / "p.csv"], split="tests")


def test_same_prediction_in_two_files_is_refused(tmp_path: Path) -> None:
    for name in ("p.csv", "q.csv"):
        _table().to_csv(tmp_path / name, index=False)
    with pytest.raises(InputDataError, match=r"in two of the files \(12 repeats\)"):
        read_predictions([tmp_path / "p.csv", tmp_path / "q.csv"], split="test")


def test_missing_probability_is_an_error_that_names_the_line(tmp_path: Path) -> None:
    _table(prob=[0.1] * 11 + [np.nan]).to_csv(tmp_path / "p.csv", index=False)
    with pytest.raises(InputDataError, match="line 13, column 'prob'"):
        read_predictions([tmp_path / "p.csv"], split="test")


def test_patients_are_read_from_any_table_with_both_ids(tmp_path: Path) -> None:
    (tmp_path / "s.csv").write_text("exam_id,patient_id,split\nE1,P1,test\n")

    assert read_patients(tmp_path / "s.csv") == {"E1": "P1"}
