"""One failure does not stop the others, what is done is not done again, and one table is left."""

from __future__ import annotations

import sys
from pathlib import Path

import pandas as pd
import pytest

from petct_ext.errors import InputDataError
from petct_ext.pipeline.running import Finetuning, run_finetunings, status_in_words
from petct_ext.pipeline.steps import Step
from petct_ext.tables.schemas import PREDICTIONS, read_table

WRITE = """
import pathlib, sys
path = pathlib.Path(sys.argv[1])
path.parent.mkdir(exist_ok=True)
(path.parent.parent / "log.txt").open("a").write(path.parent.name + " ")
path.write_text(
    "experiment,seed,split,task,exam_id,target,prob\\n"
    f"start,0,test,{path.parent.name},E1,,0.25\\n"
)
"""


def predicting(out: Path, name: str, **options: str) -> Finetuning:
    table = out / name / "predictions.csv"
    step = Step(f"predict_{name}", name, (sys.executable, "-c", WRITE, str(table)), (), (table,))
    return Finetuning(name, "start", name, 0, (step,), table, **options)


def failing(name: str) -> Finetuning:
    code = "import sys; sys.exit('error: of 4 training exams 0 are positive')"
    return Finetuning(
        name, "start", name, 0, (Step(name, name, (sys.executable, "-c", code), (), ()),)
    )


def test_failure_is_told_and_the_others_run(tmp_path: Path) -> None:
    plan = [failing("a"), predicting(tmp_path, "b"), predicting(tmp_path, "c", needs="a")]
    status = run_finetunings(plan, tmp_path)
    assert status["status"].tolist() == ["failed", "done", "failed"]
    assert "of 4 training exams 0 are positive" in status["reason"][0]
    assert status["reason"][2].startswith("a, from which it starts, is not done")
    written = pd.read_csv(tmp_path / "finetunings.csv", keep_default_na=False)
    assert written["status"].tolist() == status["status"].tolist()
    assert read_table(tmp_path / "predictions.csv", PREDICTIONS)["task"].tolist() == ["b"]


def test_skipped_ones_keep_their_reason_and_run_nothing(tmp_path: Path) -> None:
    plan = [predicting(tmp_path, "a", skip_because="training: 0 positive")]
    status = run_finetunings(plan, tmp_path)
    assert (status["status"][0], status["reason"][0]) == ("skipped", "training: 0 positive")
    assert not (tmp_path / "a").exists()
    assert not (tmp_path / "predictions.csv").exists()
    assert status_in_words(status) == "1 trainings: 0 done, 1 skipped, 0 failed"


def test_what_is_done_is_not_done_again(tmp_path: Path) -> None:
    run_finetunings([predicting(tmp_path, "a")], tmp_path)
    status = run_finetunings([predicting(tmp_path, "a"), predicting(tmp_path, "b")], tmp_path)
    assert (tmp_path / "log.txt").read_text().split() == ["a", "b"]
    assert status["status"].tolist() == ["done", "done"]
    assert read_table(tmp_path / "predictions.csv", PREDICTIONS)["task"].tolist() == ["a", "b"]


def test_predictions_of_an_earlier_plan_do_not_stay(tmp_path: Path) -> None:
    run_finetunings([predicting(tmp_path, "a")], tmp_path)
    run_finetunings([failing("b")], tmp_path)
    assert not (tmp_path / "predictions.csv").exists()


def test_same_prediction_twice_is_refused(tmp_path: Path) -> None:
    one = predicting(tmp_path, "a")
    two = Finetuning("b", "start", "a", 0, one.steps, one.predictions)
    with pytest.raises(InputDataError, match="exam_id"):
        run_finetunings([one, two], tmp_path)
