"""Handlers of the bundles are changed by name, and stand where MONAI looks for them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from monai.bundle import ConfigParser, ConfigWorkflow

from petct_ext.scan.networks.design import note_design
from petct_ext.training.checkpoints import AtomicCheckpointSaver
from petct_ext.training.resume import TrainingState
from tests.bundles.test_bundles import BUNDLES, NAMES, TINY_TRAINING, datalist, workflow
from tests.scan.networks.region_networks import GRID, WINDOWS, region_classifier

__all__ = ["datalist"]


def names_of(handlers: Any) -> list[str]:
    return [type(handler).__name__ for handler in handlers]


@pytest.fixture(params=NAMES)
def name(request: pytest.FixtureRequest) -> str:
    return str(request.param)


def ready(name: str, config: str, kind: str, **options: Any) -> ConfigWorkflow:
    """Returns a workflow whose references can be followed; nothing is loaded or run."""
    steps = workflow(BUNDLES / name, config, kind=kind, init_id="nothing", **options)
    steps.initialize()
    return steps


@pytest.mark.parametrize("name", [*NAMES, "report_labeler"])
def test_every_named_handler_is_used_once_and_training_state_is_last(name: str) -> None:
    for config, part in (("train", "train"), ("train", "validate"), ("inference", "")):  # "" is all
        parser = ConfigParser()
        parser.read_config(str(BUNDLES / name / "configs" / f"{config}.json"))
        section: Any = parser[part]
        named = [key for key in section["named_handlers"] if key != "_desc_"]
        before = f"%{part}#" if part else "%"
        used = [entry.removeprefix(f"{before}named_handlers#") for entry in section["handlers"]]
        assert sorted(set(used) - {"@early_stop"}) == sorted(named)
        has_state = part == "train" and name != "report_labeler"
        assert ("training_state" in used) == has_state
        assert not has_state or used[-1] == "training_state"


def test_switched_off_by_name_leaves_no_gap(
    name: str,
    datalist: Path,
    tmp_path: Path,
) -> None:
    """MONAI keeps a None where a handler stands behind a reference; here it must not."""
    places = {key: str(tmp_path) for key in ("ckpt_dir", "output_dir")}
    options = TINY_TRAINING | places | {"datalist": str(datalist)}
    off = {
        "train#named_handlers#last_weights#_disabled_": "true",
        "train#named_handlers#progress_bar#_disabled_": "$1 > 0",
        "validate#named_handlers#tensorboard#_disabled_": True,
        "train#named_handlers#stats#tag_name": "cost",
    }
    steps = ready(name, "train", "train", **options, **off)
    assert steps.check_properties() == []
    handlers, evaluation = steps.train_handlers, steps.val_handlers
    assert names_of(handlers) == [
        *("LrScheduleHandler", "ValidationHandler", "StatsHandler", "LossStop"),
        *("TensorBoardStatsHandler", "DataWait", "TrainingState"),
    ]
    assert handlers[2].tag_name == "cost"
    expected = ["StatsHandler", "AtomicCheckpointSaver", "EvidenceWriter", "ScoreStop"]
    assert names_of(evaluation) == [n for n in expected if name == "scan_model" or n[0] != "E"]
    state = handlers[-1]
    assert isinstance(state, TrainingState)
    assert state.objects["best_weights"] is evaluation[1]
    assert isinstance(evaluation[1], AtomicCheckpointSaver)


def test_prediction_without_progress_bar(name: str, datalist: Path, tmp_path: Path) -> None:
    outputs = ["liver"] if name == "scan_model" else ["dead_within_180_days"]
    network = region_classifier(2, 1, width=0.0625, last_stage="mixed_3b", regions=outputs)
    weights = note_design(network, windows=WINDOWS, grid=GRID).state_dict()
    torch.save(weights, tmp_path / "model.pt")
    options = {
        "datalist": str(datalist),
        "output_dir": str(tmp_path),
        "ckpt_path": str(tmp_path / "model.pt"),
    }
    off = {"named_handlers#progress_bar#_disabled_": True}
    steps = ready(name, "inference", "infer", **options, **off)
    assert steps.check_properties() == []
    handlers = steps.parser.get_parsed_content("handlers")
    assert names_of(handlers) == ["CheckpointLoader", "PredictionSaver"]
