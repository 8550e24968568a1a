"""A training that is killed goes on with the result of one that is not."""

from __future__ import annotations

import logging
import os
import signal
import sys
import time
from pathlib import Path
from typing import Any

import pytest
import torch
from monai.bundle import ConfigParser

from petct_ext.pipeline.forked import WITH_TORCH, start_command
from petct_ext.scan.networks.definition import definition_of
from petct_ext.scan.networks.design import counted_options
from petct_ext.training.resume import TrainingState
from tests.bundles.test_bundles import (  # noqa: F401 - datalist is a fixture
    BUNDLES,
    TINY_TRAINING,
    config_files,
    datalist,
    run,
)
from tests.forks import ENVIRONMENT

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
    with (tmp_path / "said").open("wb") as said:
        process = start_command(
            command,
            stdout=said.fileno(),
            stderr=said.fileno(),
            environment=os.environ
            | ENVIRONMENT
            | {"OMP_NUM_THREADS": str(torch.get_num_threads())},  # sums round alike
            modules=WITH_TORCH,
        )
    while not (killed / "training_state.pt").exists():
        time.sleep(0.01)
    os.kill(process.pid, signal.SIGKILL)
    assert process.wait() == -signal.SIGKILL, "the training ended before it could be killed"
    assert torch.load(killed / "training_state.pt", weights_only=True)["epoch"] < OPTIONS["epochs"]
    train(killed, datalist)
    for of_killed, of_unbroken in zip(states(killed), states(unbroken), strict=True):
        assert equal(of_killed, of_unbroken)


def test_other_seed_starts_anew(datalist: Path, tmp_path: Path) -> None:  # noqa: F811
    train(tmp_path / "a", datalist, epochs=1)
    train(tmp_path / "b", datalist, epochs=1, seed=1)
    first = states(tmp_path / "a")[0]
    train(tmp_path / "a", datalist, epochs=1, seed=1)
    assert (tmp_path / "a" / "training_state.previous.pt").is_file()
    kept = torch.load(tmp_path / "a" / "model.previous.pt", weights_only=True)
    assert equal(kept, first)
    assert all(map(equal, states(tmp_path / "a"), states(tmp_path / "b")))


CHANGES: list[tuple[str, dict[str, Any]]] = [
    ("network.channels", {"network_def#channels": [0]}),
    ("network.encoder", {"network_def#encoder#batch_norm_eps": 1e-5}),
    ("network.dropout", {"network_def#dropout": 0.2}),
    ("network.pooling", {"network_def#pooling": "mean", "network_def#num_frequencies": 0}),
    ("device_preprocessing", {"pet_range_suv": [0.0, 8.0]}),
    ("device_preprocessing", {"ct_range_hu": [-500.0, 500.0]}),
    ("device_preprocessing", {"crop_in_plane": 28}),
    ("device_preprocessing", {"brightness": 0.3}),
    ("device_preprocessing", {"train#random_transforms#2#prob": 0.5}),
    ("preprocessing", {"min_slices": 9}),
    ("optimizer", {"head_learning_rate_factor": 3.0}),
    ("optimizer", {"optimizer#weight_decay": 0.1}),
    ("lr_scheduler", {"lr_scheduler#pct_start": 0.5}),
    ("loss", {"loss#region_weights": [2.0] * 26}),
    ("validation_labels", {"validation_labels": "hybrid"}),
    ("amp_was_chosen", {"amp": True}),
    ("bucketing", {"bucketing": False}),
]
NO_CHANGE: dict[str, Any] = {
    "num_workers": 1,
    "device": "$torch.device('cpu:0')",
    "cache_rate": 0.0,
    "num_overlays": 1,
    "network_def#encoder#gradient_checkpointing": True,
}


def training_state(datalist: Path, folder: Path, **options: Any) -> TrainingState:  # noqa: F811
    """Returns the handler of a configured training that does not run."""
    places = {"datalist": str(datalist), "ckpt_dir": str(folder), "output_dir": str(folder)}
    files = config_files(BUNDLES / "scan_model", "train", "demo")
    parser = ConfigParser()
    parser.read_config(files)
    parser.update(OPTIONS | places | options)
    handler = parser.get_parsed_content("train#handlers")[-1]
    assert isinstance(handler, TrainingState)
    return handler


@pytest.fixture(scope="module")
def usual(datalist: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:  # noqa: F811
    return training_state(datalist, tmp_path_factory.mktemp("usual")).settings


@pytest.mark.parametrize(("name", "options"), CHANGES)
def test_every_setting_that_changes_the_training_counts(
    name: str,
    options: dict[str, Any],
    datalist: Path,  # noqa: F811
    tmp_path: Path,
    usual: dict[str, str],
) -> None:
    changed = training_state(datalist, tmp_path, **options).settings
    assert changed.keys() == usual.keys()
    assert name in {key for key in usual if usual[key] != changed[key]}


def test_device_places_and_workers_do_not_count(
    datalist: Path,  # noqa: F811
    tmp_path: Path,
    usual: dict[str, str],
) -> None:
    assert training_state(datalist, tmp_path, **NO_CHANGE).settings == usual


@pytest.mark.parametrize("name", ["scan_model", "mortality"])
def test_every_part_of_the_network_counts_or_is_known_to_change_nothing(name: str) -> None:
    files = config_files(BUNDLES / name, "train", "demo")
    parser = ConfigParser()
    parser.read_config(files)
    network = parser.get_parsed_content("network_def")
    counted, all_options = counted_options(network), definition_of(network)
    assert all_options.keys() - counted.keys() == {"num_regions", "regions"}  # told elsewhere
    same_result = {"gradient_checkpointing", "channels_last"}
    assert all_options["encoder"].keys() - counted["encoder"].keys() == same_result


def test_finished_training_starts_anew_only_where_something_changed(
    datalist: Path,  # noqa: F811
    tmp_path: Path,
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level(logging.INFO, logger="petct_ext.training.resume")
    train(tmp_path, datalist, epochs=1)
    weights = states(tmp_path)[0]
    train(tmp_path, datalist, epochs=1, **NO_CHANGE)
    assert not (tmp_path / "training_state.previous").exists()
    assert equal(states(tmp_path)[0], weights)
    train(tmp_path, datalist, epochs=1, brightness=0.5)
    assert "is of another training (device_preprocessing differ)" in caplog.text
    assert not equal(states(tmp_path)[0], weights)


@pytest.mark.parametrize("damage", ["removed", "wrong byte"])
def test_best_weights_that_are_gone_or_changed_are_trained_anew(
    damage: str,
    datalist: Path,  # noqa: F811
    tmp_path: Path,
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level(logging.INFO, logger="petct_ext.training.resume")
    train(tmp_path, datalist, epochs=1)
    weights, path = states(tmp_path)[0], tmp_path / "model.pt"
    raw = bytearray(path.read_bytes())
    path.unlink()
    if damage == "wrong byte":
        raw[len(raw) // 2] ^= 1
        path.write_bytes(raw)
    train(tmp_path, datalist, epochs=1)
    assert "belongs to best weights that are gone or were changed" in caplog.text
    assert equal(states(tmp_path)[0], weights)
