"""Both bundles read exams alike; a training can be resumed, tracked, and bucketed or not."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from tests.bundles.test_bundles import (  # noqa: F401 - datalist is a fixture
    BUNDLES,
    TINY_TRAINING,
    datalist,
    read,
    run,
    workflow,
)


def test_both_bundles_bring_exams_to_the_network_in_the_same_way() -> None:
    """The mortality model starts from the scan model's encoder."""
    one, other = read("scan_model", "train"), read("mortality", "train")
    for key in ("preprocessing_transforms", "device_transforms", "random_transforms"):
        assert one["train"][key] == other["train"][key], key


def test_threads_and_cache_change_nothing(datalist: Path, tmp_path: Path) -> None:  # noqa: F811
    """All random numbers are drawn on the device's side, in the order of the batches."""
    weights = []
    for number, options in enumerate(({}, {"num_workers": 2, "cache_rate": 1.0})):
        folder = tmp_path / str(number)
        places = {"datalist": str(datalist), "ckpt_dir": str(folder), "output_dir": str(folder)}
        settings = TINY_TRAINING | {"exams_per_epoch": 4} | places | options
        run(BUNDLES / "scan_model", "train", "demo", **settings)
        weights.append(torch.load(folder / "model.pt", weights_only=True))
    assert all(torch.equal(weights[0][key], weights[1][key]) for key in weights[0])


@pytest.mark.parametrize("name", ["scan_model", "mortality"])
def test_false_on_the_command_line_is_no(name: str, datalist: Path, tmp_path: Path) -> None:  # noqa: F811
    """MONAI hands it on as a text, which Python counts as true."""
    switches = dict.fromkeys(("amp", "compile", "resume", "bucketing"), "false")
    places = {"datalist": str(datalist), "ckpt_dir": str(tmp_path), "output_dir": str(tmp_path)}
    options = TINY_TRAINING | places | switches | {"network_def#encoder#channels_last": "false"}
    steps = workflow(BUNDLES / name, "train", "demo", kind="train", **options)
    steps.initialize()
    trainer, evaluator = (
        steps.parser.get_parsed_content(key) for key in ("train#trainer", "validate#evaluator")
    )
    assert (trainer.amp, evaluator.amp, trainer.compile) == (False, False, False)
    assert not steps.parser.get_parsed_content("train#batch_sampler").bucketing
    assert not steps.parser.get_parsed_content("train#handlers")[-1].resume
    assert not trainer.network.encoder.channels_last


def test_mlflow_finds_the_engines_of_the_bundle(datalist: Path, tmp_path: Path) -> None:  # noqa: F811
    """MONAI adds its handler behind ours; mlflow itself need not be installed for that."""
    options = TINY_TRAINING | {"datalist": str(datalist), "output_dir": f"$'{tmp_path}'"}
    steps = workflow(BUNDLES / "scan_model", "train", kind="train", tracking="mlflow", **options)
    for handlers in ("train#handlers", "validate#handlers"):
        assert steps.parser[handlers][-1]["_target_"] == "MLFlowHandler"
    predicting = workflow(
        BUNDLES / "scan_model", "inference", kind="infer", tracking="mlflow", **options
    )
    assert predicting.parser["handlers"][-1]["_target_"] == "MLFlowHandler"
