"""A training in several processes ends with the same weights in all of them, and one model."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import torch

from petct_ext.files import write_json
from tests.bundles.test_bundles import (  # noqa: F401 - datalist is a fixture
    BUNDLES,
    TINY_TRAINING,
    config_files,
    datalist,
)

OPTIONS: dict[str, Any] = TINY_TRAINING | {"epochs": 2, "val_interval": 1, "exams_per_epoch": 8}


def train(folder: Path, datalist: Path, *, processes: int) -> subprocess.CompletedProcess[str]:  # noqa: F811
    """Runs the bundle; every process leaves its weights and the names that it drew."""
    spy = {
        "+finalize": [
            f"$torch.save(@network.state_dict(), '{folder}/rank%d.pt' % @rank)",
            f"$torch.save(len(@train#dataloader), '{folder}/steps%d.pt' % @rank)",
        ]
    }
    files = config_files(BUNDLES / "scan_model", "train", "demo")
    files += [str(write_json(folder / "spy.json", spy))]
    files += config_files(BUNDLES / "scan_model", "multi_gpu_train")
    listed = ",".join(f"'{file}'" for file in files)
    settings = OPTIONS | {"datalist": datalist, "ckpt_dir": folder, "output_dir": folder}
    command = [sys.executable, "-m", "torch.distributed.run", "--standalone"]
    command += [f"--nproc_per_node={processes}", "-m", "monai.bundle", "run", "training"]
    command += [f"--config_file=[{listed}]", *(f"--{k}={v}" for k, v in settings.items())]
    environment = os.environ | {"OMP_NUM_THREADS": "1"}
    return subprocess.run(command, env=environment, capture_output=True, text=True, check=False)


@pytest.mark.slow
def test_two_processes_end_with_the_same_weights(
    datalist: Path,  # noqa: F811
    tmp_path: Path,
) -> None:
    ended = train(tmp_path, datalist, processes=2)
    assert ended.returncode == 0, ended.stderr[-3000:]
    first, second = (torch.load(tmp_path / f"rank{i}.pt", weights_only=True) for i in (0, 1))
    assert first.keys() == second.keys()
    assert all(torch.equal(first[key], second[key]) for key in first)
    assert all(bool(value.isfinite().all()) for value in first.values())
    # 8 exams per epoch, 2 in the batch of each of 2 processes
    assert [torch.load(tmp_path / f"steps{i}.pt") for i in (0, 1)] == [2, 2]
    saved = torch.load(tmp_path / "model.pt", weights_only=True)
    assert saved.keys() == first.keys()
    state = torch.load(tmp_path / "training_state.pt", weights_only=True)
    assert state["epoch"] == 2
    assert len(list(tmp_path.glob("events.out.tfevents.*"))) <= 2  # of the first process alone


def test_one_process_without_torchrun_is_told_how_to_start(datalist: Path, tmp_path: Path) -> None:  # noqa: F811
    from petct_ext.errors import InputDataError
    from petct_ext.training.distributed import start_processes

    with pytest.raises(InputDataError, match="start it with torchrun --nproc_per_node N"):
        start_processes(torch.device("cpu"))


def test_disables_the_handlers_that_write_for_people() -> None:
    """The names of handlers in the file must be those of train.json."""
    configs = BUNDLES / "scan_model" / "configs"
    train_config = json.loads((configs / "train.json").read_text())
    on_top = json.loads((configs / "multi_gpu_train.json").read_text())
    writers = ("StatsHandler", "TensorBoardStatsHandler", "ProgressBar", "EvidenceWriter")
    expected = {
        f"{part}#named_handlers#{name}#_disabled_"
        for part in ("train", "validate")
        for name, handler in train_config[part]["named_handlers"].items()
        if "_target_" in handler and handler["_target_"].endswith(writers)
    }
    assert {key for key in on_top if key.endswith("_disabled_")} == expected
