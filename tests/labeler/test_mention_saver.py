"""Handlers write whole tables, sorted, at the end of an epoch."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pandas as pd
import pytest
import torch
from ignite.engine import Engine

from petct_ext.errors import InputDataError, OutputError
from petct_ext.keys import MENTION_LABEL, MENTION_PLACES, MENTION_PROB, MENTION_RULE
from petct_ext.labeler.mention_saver import MentionSaver, MentionScoreSaver
from petct_ext.tables.schemas import MENTIONS as MENTIONS_TABLE
from petct_ext.tables.schemas import read_table


def place(exam_id: str, start: int) -> dict[str, Any]:
    return {
        "exam_id": exam_id,
        "section": "findings",
        "sentence": 0,
        "start": start,
        "end": start + 5,
        "region": "liver",
    }


BATCHES: list[dict[str, Any]] = [
    {MENTION_PLACES: [place("b", 7), place("a", 9)], MENTION_PROB: torch.tensor([[0.75], [0.25]])},
    {MENTION_PLACES: [place("a", 3)], MENTION_PROB: torch.tensor([[1.0]])},
]


def engine_of(handler: MentionSaver | MentionScoreSaver, *, fails: bool = False) -> Engine:
    def step(engine: Engine, batch: dict[str, Any]) -> dict[str, Any]:
        if fails and engine.state.iteration == 2:
            raise RuntimeError("broken")
        return batch

    engine = Engine(step)
    handler.attach(engine)
    return engine


def test_mentions_are_sorted_by_exam_and_place(tmp_path: Path) -> None:
    engine_of(MentionSaver(tmp_path / "new" / "mentions.csv")).run(BATCHES)
    table = read_table(tmp_path / "new" / "mentions.csv", MENTIONS_TABLE)
    assert table["exam_id"].tolist() == ["a", "a", "b"]
    assert table["start"].tolist() == [3, 9, 7]
    assert table["probability"].tolist() == [1.0, 0.25, 0.75]


def test_second_run_replaces_the_first(tmp_path: Path) -> None:
    engine = engine_of(MentionSaver(tmp_path / "mentions.csv"))
    engine.run(BATCHES)
    engine.run(BATCHES[1:])
    assert len(read_table(tmp_path / "mentions.csv", MENTIONS_TABLE)) == 1


def test_failed_run_leaves_no_file(tmp_path: Path) -> None:
    with pytest.raises(RuntimeError, match="broken"):
        engine_of(MentionSaver(tmp_path / "mentions.csv"), fails=True).run(BATCHES)
    assert list(tmp_path.iterdir()) == []


def test_folder_that_cannot_be_written_to_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(OutputError, match="cannot be written to"):
        engine_of(MentionSaver(tmp_path / "file" / "mentions.csv")).run(BATCHES)


def test_scores_stand_beside_those_of_the_rules(tmp_path: Path) -> None:
    labels, rules = torch.tensor([[1.0], [0.0], [torch.nan]]), torch.tensor([[0.1], [0.9], [0.5]])
    probability = torch.tensor([[0.9], [0.1], [0.5]])
    batch = {MENTION_PROB: probability, MENTION_RULE: rules, MENTION_LABEL: labels}
    engine_of(MentionScoreSaver(tmp_path / "metrics.csv")).run([batch])
    table = pd.read_csv(tmp_path / "metrics.csv")
    assert table[["labeler", "num", "auroc"]].to_numpy().tolist() == [
        ["model", 2, 1.0],
        ["rules", 2, 0.0],
    ]


def test_scores_of_nothing_are_refused(tmp_path: Path) -> None:
    with pytest.raises(InputDataError, match="no annotated mention was scored"):
        MentionScoreSaver(tmp_path / "metrics.csv").write([])
