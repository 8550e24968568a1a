"""The prediction table is whole, honest about what is unknown, or absent."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from ignite.engine import Engine

from petct_ext.errors import InputDataError, OutputError
from petct_ext.tables.schemas import PREDICTIONS, read_table
from petct_ext.training.savers import PredictionSaver

TASKS = ["liver", "spine"]
Batch = list[dict[str, Any]]


def exam(exam_id: str, label: list[float], pred: list[float], split: str = "test") -> Batch:
    """Returns a batch of one exam as MONAI decollates it; ``pred`` travels along."""
    tensors = {"label": torch.tensor(label), "pred": torch.tensor(pred)}
    return [{"exam_id": exam_id, "split": split} | tensors]


def run(path: Path, batches: list[Batch], *, fails_at: int = 0, epochs: int = 1) -> None:
    def step(engine: Engine, batch: Batch) -> Batch:
        if engine.state.iteration == fails_at:
            raise RuntimeError("broken")
        return [{"pred": item["pred"]} for item in batch]

    engine = Engine(step)
    PredictionSaver(path, TASKS, experiment="a", seed=3, target_kind="hand").attach(engine)
    engine.run(batches, max_epochs=epochs)


BATCHES = [
    exam("E1", [1.0, torch.nan], [0.9, 0.25]),
    exam("E2", [0.0, 0.5], [0.125, 1.0], "training"),
]


def test_table_has_one_row_per_exam_and_task(tmp_path: Path) -> None:
    run(tmp_path / "new" / "predictions.csv", BATCHES)
    table = read_table(tmp_path / "new" / "predictions.csv", PREDICTIONS)
    assert table[["exam_id", "task", "split"]].to_numpy().tolist() == [
        ["E1", "liver", "test"],
        ["E1", "spine", "test"],
        ["E2", "liver", "training"],
        ["E2", "spine", "training"],
    ]
    assert table["prob"].tolist() == [torch.tensor(0.9).item(), 0.25, 0.125, 1.0]
    assert table["target"].isna().tolist() == [False, True, False, False]
    assert set(table["seed"]) == {3}
    assert set(table["target_kind"]) == {"hand"}


def test_unfinished_table_does_not_appear(tmp_path: Path) -> None:
    with pytest.raises(RuntimeError, match="broken"):
        run(tmp_path / "predictions.csv", BATCHES, fails_at=2)
    assert list(tmp_path.iterdir()) == []


def test_unfinished_table_leaves_the_old_one_whole(tmp_path: Path) -> None:
    run(tmp_path / "predictions.csv", BATCHES)
    before = (tmp_path / "predictions.csv").read_bytes()
    with pytest.raises(RuntimeError, match="broken"):
        run(tmp_path / "predictions.csv", BATCHES[:1] * 2, fails_at=2)
    assert (tmp_path / "predictions.csv").read_bytes() == before


def test_second_epoch_replaces_the_first(tmp_path: Path) -> None:
    run(tmp_path / "predictions.csv", BATCHES, epochs=2)
    assert len(read_table(tmp_path / "predictions.csv", PREDICTIONS)) == 4


@pytest.mark.parametrize("value", [torch.nan, torch.inf])
def test_broken_outputs_are_refused_and_name_the_exam(tmp_path: Path, value: float) -> None:
    with pytest.raises(InputDataError, match="exam E7: the network returned values that are not"):
        run(tmp_path / "predictions.csv", [exam("E7", [0.0, 0.0], [0.5, value])])
    assert list(tmp_path.iterdir()) == []


def test_number_of_outputs_must_be_that_of_tasks(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="returned 3 values for exam 'E1', but 2 tasks"):
        run(tmp_path / "predictions.csv", [exam("E1", [0.0, 0.0], [0.1, 0.2, 0.3])])


def test_outputs_without_a_sigmoid_are_refused(tmp_path: Path) -> None:
    with pytest.raises(InputDataError, match=r"column 'prob': '-2.0' is not a probability"):
        run(tmp_path / "predictions.csv", [exam("E1", [0.0, 0.0], [-2.0, 0.2])])
    assert list(tmp_path.iterdir()) == []


def test_exam_that_comes_twice_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputDataError, match="repeat an earlier line"):
        run(tmp_path / "predictions.csv", BATCHES[:1] * 2)


def test_file_where_the_folder_should_be_is_told(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(OutputError, match="file cannot be written to"):
        run(tmp_path / "file" / "predictions.csv", BATCHES)


def test_log_says_how_many_exams_and_where(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO", logger="petct_ext.training.savers")
    run(tmp_path / "predictions.csv", BATCHES)
    told = [record.getMessage() for record in caplog.records if "petct_ext" in record.name]
    assert told == [f"2 exam(s), 2 output(s) -> {tmp_path / 'predictions.csv'}"]
