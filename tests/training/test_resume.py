"""A training goes on only with the state and the best weights that belong to it."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from ignite.engine import Engine, Events
from torch import nn
from torch.utils.data import DataLoader

from petct_ext.training.checkpoints import AtomicCheckpointSaver
from petct_ext.training.resume import TrainingState


def train(folder: Path, *, epochs: int, settings: dict[str, Any] | None = None) -> list[int]:
    """Trains a bias that grows by one in each epoch; returns which epochs ran."""
    network = nn.Linear(1, 1)
    nn.init.zeros_(network.bias)
    ran: list[int] = []

    def step(engine: Engine, batch: float) -> float:
        with torch.no_grad():
            network.bias.add_(1.0)
        ran.append(engine.state.epoch)
        return batch

    trainer, evaluator = Engine(step), Engine(lambda _, batch: batch)
    saver = AtomicCheckpointSaver(
        str(folder),
        {"model": network},
        save_key_metric=True,
        key_metric_filename="model.pt",
        key_metric_name="auc",
    )

    def validate(engine: Engine) -> None:
        evaluator.state.metrics["auc"] = float(engine.state.epoch)
        evaluator.state.epoch = engine.state.epoch
        saver.metrics_completed(evaluator)

    trainer.add_event_handler(Events.EPOCH_COMPLETED, validate)
    TrainingState(
        str(folder / "training_state.pt"),
        {"network": network, "best_weights": saver},
        evaluator=evaluator,
        settings=settings,
    ).attach(trainer)
    trainer.run(DataLoader([1.0]), max_epochs=epochs)  # type: ignore[arg-type]
    return ran


def best(folder: Path) -> float:
    return float(torch.load(folder / "model.pt", weights_only=True)["bias"])


def flip(path: Path) -> None:
    raw = bytearray(path.read_bytes())
    raw[len(raw) // 2] ^= 1
    path.write_bytes(raw)


def put_other_weights(path: Path) -> None:
    torch.save(nn.Linear(1, 1).state_dict(), path)


def test_finished_training_has_nothing_to_do(tmp_path: Path) -> None:
    assert train(tmp_path, epochs=2) == [1, 2]
    assert train(tmp_path, epochs=2) == []
    assert best(tmp_path) == 2


def test_more_epochs_go_on(tmp_path: Path) -> None:
    train(tmp_path, epochs=2)
    assert train(tmp_path, epochs=3) == [3]
    assert best(tmp_path) == 3


@pytest.mark.parametrize("change", [Path.unlink, flip, put_other_weights])
def test_best_weights_that_are_not_as_saved_are_trained_anew(
    tmp_path: Path, change: Callable[[Path], None]
) -> None:
    train(tmp_path, epochs=2)
    change(tmp_path / "model.pt")
    assert train(tmp_path, epochs=2) == [1, 2]
    assert best(tmp_path) == 2
    assert (tmp_path / "training_state.previous.pt").is_file()
    # Nothing that another training or a person has put there is lost.
    assert (tmp_path / "model.previous.pt").is_file() is (change is not Path.unlink)


def test_weights_of_an_epoch_that_a_kill_broke_off_do_not_hinder(tmp_path: Path) -> None:
    """The saver writes before the state: a kill between them leaves newer weights."""
    train(tmp_path, epochs=2)
    put_other_weights(tmp_path / "model.pt")
    assert train(tmp_path, epochs=4) == [3, 4]


def test_older_weights_in_its_place_do(tmp_path: Path) -> None:
    train(tmp_path, epochs=2)
    put_other_weights(tmp_path / "model.pt")
    os.utime(tmp_path / "model.pt", (0, 0))
    assert train(tmp_path, epochs=3) == [1, 2, 3]


def test_log_names_what_differs(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("INFO")
    train(tmp_path, epochs=1, settings={"rate": 1, "loss": nn.BCELoss(), "same": 0})
    train(tmp_path, epochs=1, settings={"rate": 2, "loss": nn.MSELoss(), "same": 0})
    assert "training_state.pt is of another training (loss, rate differ)" in caplog.text
