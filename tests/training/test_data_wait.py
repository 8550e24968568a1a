"""The share of time that goes into waiting for data is measured."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from ignite.engine import Engine

from petct_ext.training import data_wait
from petct_ext.training.data_wait import DataWait


class Clock:
    """Stands in for the module ``time``; goes on when told."""

    now = 0.0

    def perf_counter(self) -> float:
        """Returns the time in s."""
        return self.now


class SlowLoader:
    """Takes some seconds for each of four batches."""

    def __init__(self, clock: Clock, seconds: float) -> None:
        self.clock, self.seconds = clock, seconds

    def __len__(self) -> int:
        return 4

    def __iter__(self) -> Iterator[int]:
        for number in range(4):
            self.clock.now += self.seconds
            yield number


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    clock = Clock()
    monkeypatch.setattr(data_wait, "time", clock)
    return clock


def train(clock: Clock, load: float, step: float, *, epochs: int = 1) -> float:
    def update(engine: Engine, batch: int) -> None:
        clock.now += step * engine.state.epoch

    engine = Engine(update)
    DataWait().attach(engine)
    engine.run(SlowLoader(clock, load), max_epochs=epochs)
    return float(engine.state.metrics["waited_for_data"])


def test_share_is_that_of_the_loader(clock: Clock) -> None:
    assert train(clock, 3.0, 1.0) == pytest.approx(0.75)
    assert train(clock, 0.0, 1.0) == 0.0


def test_each_epoch_counts_alone(clock: Clock, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level("INFO"):
        assert train(clock, 1.0, 1.0, epochs=3) == pytest.approx(0.25)
    told = [r.getMessage() for r in caplog.records if r.name.endswith("data_wait")]
    assert told == [
        "epoch 1 waited 50.0 % of 8.0 s for data",
        "epoch 2 waited 33.3 % of 12.0 s for data",
        "epoch 3 waited 25.0 % of 16.0 s for data",
    ]
