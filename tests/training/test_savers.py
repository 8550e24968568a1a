"""What is collected in an epoch is written at its end, once and whole."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pytest
from ignite.engine import Engine

from petct_ext.files import write_text
from petct_ext.training.savers import EpochSaver


class _SumSaver(EpochSaver[int]):
    def collect(self, batch: int, output: int) -> list[int]:
        return [batch + output] * batch

    def write(self, items: Sequence[int]) -> None:
        write_text(self.path, " ".join(map(str, items)))


def run(path: Path, batches: list[int], *, fails_at: int = 0, epochs: int = 1) -> None:
    def step(engine: Engine, batch: int) -> int:
        if engine.state.iteration == fails_at:
            raise RuntimeError("broken")
        return 10

    engine = Engine(step)
    _SumSaver(str(path)).attach(engine)
    engine.run(batches, max_epochs=epochs)


def test_writes_the_items_of_all_batches_in_order(tmp_path: Path) -> None:
    run(tmp_path / "sums.txt", [2, 0, 1])
    assert (tmp_path / "sums.txt").read_text() == "12 12 11"


def test_every_epoch_begins_empty(tmp_path: Path) -> None:
    run(tmp_path / "sums.txt", [1], epochs=3)
    assert (tmp_path / "sums.txt").read_text() == "11"


def test_epoch_that_fails_leaves_the_earlier_file(tmp_path: Path) -> None:
    run(tmp_path / "sums.txt", [1])
    with pytest.raises(RuntimeError, match="broken"):
        run(tmp_path / "sums.txt", [2, 2], fails_at=2)
    assert (tmp_path / "sums.txt").read_text() == "11"
