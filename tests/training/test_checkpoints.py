"""Checkpoints are replaced in one step, or not at all."""

from __future__ import annotations

import stat
from pathlib import Path
from typing import Any

import pytest
import torch
from ignite.engine import Engine
from torch import nn

from petct_ext.errors import OutputError
from petct_ext.training.checkpoints import AtomicCheckpointSaver


class Interrupted(nn.Linear):
    """Cannot be pickled when armed: torch.save then fails with the file half written."""

    armed = False

    def state_dict(self, *args: Any, **kwargs: Any) -> Any:
        """Adds what cannot be written."""
        state = super().state_dict(*args, **kwargs)
        return state | {"last": _Killed()} if self.armed else state


class _Killed:
    def __reduce__(self) -> Any:
        raise KeyboardInterrupt("half-way")


def saver(folder: Path, network: nn.Module, **options: Any) -> tuple[Engine, AtomicCheckpointSaver]:
    """Returns an evaluator with a key metric that the batch gives, and its saver."""

    def step(engine: Engine, batch: float) -> float:
        if batch < 0:
            raise RuntimeError("broken")
        return batch

    engine = Engine(step)
    handler = AtomicCheckpointSaver(str(folder), {"model": network}, **options)
    return engine, handler


def keep_best(folder: Path, network: nn.Module, values: list[float]) -> None:
    engine, handler = saver(
        folder, network, save_key_metric=True, key_metric_filename="model.pt", key_metric_name="auc"
    )
    handler.attach(engine)
    for epoch, value in enumerate(values, start=1):
        with torch.no_grad():
            for parameter in network.parameters():
                parameter.fill_(epoch)
        engine.state.metrics["auc"] = value
        engine.state.epoch = epoch
        handler.metrics_completed(engine)


def weight(path: Path) -> float:
    return float(torch.load(path, weights_only=True)["weight"].flatten()[0])


def test_keeps_the_plain_weights_of_the_best_epoch_under_one_name(tmp_path: Path) -> None:
    keep_best(tmp_path, nn.Linear(2, 1), [0.5, 0.9, 0.7])
    assert [path.name for path in tmp_path.iterdir()] == ["model.pt"]
    assert weight(tmp_path / "model.pt") == 2.0


def test_others_may_read_the_file(tmp_path: Path) -> None:
    keep_best(tmp_path, nn.Linear(2, 1), [0.5])
    assert stat.S_IMODE((tmp_path / "model.pt").stat().st_mode) == 0o644


def test_interrupted_write_leaves_the_old_file_whole(tmp_path: Path) -> None:
    keep_best(tmp_path, nn.Linear(2, 1), [0.5])
    before = (tmp_path / "model.pt").read_bytes()
    network = Interrupted(2, 1)
    network.armed = True
    with pytest.raises(KeyboardInterrupt, match="half-way"):
        keep_best(tmp_path, network, [0.9])
    assert (tmp_path / "model.pt").read_bytes() == before
    assert [path.name for path in tmp_path.iterdir()] == ["model.pt"]


def test_last_state_is_saved_at_the_end_and_replaces_the_old_one(tmp_path: Path) -> None:
    (tmp_path / "last.pt").write_bytes(b"old")
    network = nn.Linear(2, 1)
    engine, handler = saver(tmp_path, network, save_final=True, final_filename="last.pt")
    handler.attach(engine)
    engine.run([1.0])
    assert weight(tmp_path / "last.pt") == pytest.approx(network.weight.flatten()[0].item())
    assert [path.name for path in tmp_path.iterdir()] == ["last.pt"]


def test_last_state_is_saved_after_an_error(tmp_path: Path) -> None:
    engine, handler = saver(tmp_path, nn.Linear(2, 1), save_final=True, final_filename="last.pt")
    handler.attach(engine)
    with pytest.raises(RuntimeError, match="broken"):
        engine.run([-1.0])
    assert (tmp_path / "last.pt").is_file()


def test_file_where_the_folder_should_be_is_told_before_the_training(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(OutputError, match="file cannot be written to"):
        saver(tmp_path / "file", nn.Linear(2, 1), save_final=True, final_filename="last.pt")


def test_folder_that_vanishes_is_told(tmp_path: Path) -> None:
    folder = tmp_path / "models"
    engine, handler = saver(folder, nn.Linear(2, 1), save_final=True, final_filename="last.pt")
    handler.attach(engine)
    folder.rmdir()
    with pytest.raises(OutputError, match=r"last\.pt cannot be written: No such file"):
        engine.run([1.0])


def test_schedulers_and_names_are_kept_as_they_are(tmp_path: Path) -> None:
    """Tensors are brought to the CPU, and nothing else is made of a checkpoint."""
    optimizer = torch.optim.Adam(nn.Linear(2, 1).parameters())
    scheduler = torch.optim.lr_scheduler.MultiStepLR(optimizer, milestones=[3, 5, 5])
    engine = Engine(lambda _engine, batch: batch)
    AtomicCheckpointSaver(
        str(tmp_path),
        {"optimizer": optimizer, "scheduler": scheduler},
        save_final=True,
        final_filename="last.pt",
    ).attach(engine)
    engine.run([0])
    saved = torch.load(tmp_path / "last.pt", weights_only=True)
    assert saved["scheduler"] == scheduler.state_dict()
    assert saved["optimizer"]["param_groups"] == optimizer.state_dict()["param_groups"]
