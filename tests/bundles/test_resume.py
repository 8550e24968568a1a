"""A training that is killed goes on with the result of one that is not."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
import torch

from tests.bundles.test_bundles import (  # noqa: F401 - datalist is a fixture
    BUNDLES,
    TINY_TRAINING,
    config_files,
    datalist,
    run,
)

OPTIONS: dict[str, Any] = TINY_TRAINING | {"epochs": 6, "val_interval": 1, "exams_per_epoch": 4}


def states(folder: Path) -> list[dict[str, torch.Tensor]]:
    last = torch.load(folder / "last.pt", weights_only=True)
    return [torch.load(folder / "model.pt", weights_only=True), last["network"]]


def equal(one: dict[str, torch.Tensor], other: dict[str, torch.Tensor]) -> bool:
    return one.keys() == other.keys() and all(torch.equal(one[key], other[key]) for key in one)


def train(folder: Path, datalist: Path, **options: Any) -> None:  # noqa: F811
    places = {"datalist": str(datalist), "ckpt_dir": str(folder), "output_dir": str(folder)}
    run(BUNDLES / "scan_model", "train", "demo", **(OPTIONS | places | options))


@pytest.mark.slow
def test_training_killed_after_an_epoch_ends_as_an_unbroken_one(
    datalist: Path,  # noqa: F811
    tmp_path: Path,
) -> None:
    unbroken, killed = tmp_path / "unbroken", tmp_path / "killed"
    train(unbroken, datalist)
    settings = OPTIONS | {"datalist": datalist, "ckpt_dir": killed, "output_dir": killed}
    files = ",".join(f"'{f}'" for f in config_files(BUNDLES / "scan_model", "train", "demo"))
    command = [sys.executable, "-m", "monai.bundle", "run", "training", f"--config_file=[{files}]"]
    command += [f"--{name}={value}" for name, value in settings.items()]
    with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as process:
        while not (killed / "training_state.pt").exists():
            assert process.poll() is None, "the training ended before it could be killed"
            time.sleep(0.01)
        os.kill(process.pid, signal.SIGKILL)
    assert torch.load(killed / "training_state.pt", weights_only=True)["epoch"] < OPTIONS["epochs"]
    train(killed, datalist)
    for of_killed, of_unbroken in zip(states(killed), states(unbroken), strict=True):
        assert equal(of_killed, of_unbroken)


def test_other_settings_start_anew(datalist: Path, tmp_path: Path) -> None:  # noqa: F811
    train(tmp_path / "a", datalist, epochs=1)
    train(tmp_path / "b", datalist, epochs=1, seed=1)
    train(tmp_path / "a", datalist, epochs=1, seed=1)
    assert (tmp_path / "a" / "training_state.previous").is_file()
    assert all(map(equal, states(tmp_path / "a"), states(tmp_path / "b")))
