"""Settings mean what their user wrote, or are refused."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from petct_ext.bundle.settings import (
    check_command_line,
    is_on,
    require_counts,
    require_not_negative,
    require_positive,
    require_validation,
)
from petct_ext.errors import InputDataError
from tests.conftest import REPOSITORY

CONFIG = {
    "epochs": 3,
    "network_def": {"_target_": "Network", "width": 1, "encoder": {}},
    "train": {"handlers": [{"_target_": "Saver"}], "loss": "@loss"},
    "validate": {
        "named_handlers": {"stats": {"_target_": "Stats"}},
        "handlers": ["%validate#named_handlers#stats"],
    },
    "network_def#depth": 2,
}


@pytest.fixture
def config(tmp_path: Path) -> str:
    """Two configuration files, as fire takes a list."""
    (tmp_path / "train.json").write_text(json.dumps(CONFIG))
    (tmp_path / "top.json").write_text(json.dumps({"+imports": [], "region": "liver"}))
    return f"['{tmp_path}/train.json','{tmp_path}/top.json']"


def command(monkeypatch: pytest.MonkeyPatch, *words: str) -> None:
    program = "/somewhere/site-packages/monai/bundle/__main__.py"
    monkeypatch.setattr("sys.argv", [program, *words])


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (
            ["--epoch", "3"],
            r"--epoch is no setting of train\.json, top\.json\. Did you .* 'epochs'",
        ),
        (["--epoch=3"], r"--epoch is no setting"),
        (["--regoin", "spine"], r"--regoin is no setting .* Did you mean 'region'"),
        (["-epohcs", "3"], r"--epohcs is no setting .* Did you mean 'epochs'"),
        (["--train#los", "2"], r"--train#los is no setting of"),
        (["--train#handlers#1#path", "2"], r"--train#handlers#1#path is no setting"),
        (["--networkdef#width", "2"], r"--networkdef#width is no .* Did you mean 'network_def'"),
    ],
)
def test_misspelt_option_is_refused(
    words: list[str], told: str, config: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    command(monkeypatch, "run", "training", "--config_file", config, *words)
    with pytest.raises(InputDataError, match=told):
        check_command_line()


@pytest.mark.parametrize("option", ["validate#handlers#0#_disabled_", "validate::handlers::0::x"])
def test_handler_with_a_number_is_told_its_name(
    option: str, config: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    command(monkeypatch, "run", "--config_file", config, f"--{option}", "true")
    setting = option.replace("::", "#").rpartition("#")[2]
    told = f"^--{option} has a name; write --validate#named_handlers#stats#{setting}\\.$"
    with pytest.raises(InputDataError, match=told):
        check_command_line()


def test_sections_are_not_run(config: str, monkeypatch: pytest.MonkeyPatch) -> None:
    for words in (["train", "--config_file", config], ["--config_file", config, "--run_id=train"]):
        command(monkeypatch, "run", *words)
        with pytest.raises(InputDataError, match=r"'train' is a section .* write 'training'"):
            check_command_line()


@pytest.mark.parametrize(
    "words",
    [
        [
            "run",
            "training",
            "--epochs",
            "3",
            "--network_def#encoder#width",
            "0.5",
            "--imports",
            "x",
        ],
        ["run", "--region=train", "--tracking", "mlflow", "--meta_file", "m.json"],
        ["run", "--network_def::new", "-1", "--train#handlers#0#path", "x", "--train#loss#a=1"],
        ["run", "--network_def#encoder#width", "2"],
        ["run", "--network_def#depth", "1", "--tracking=mlflow", "--save_execute_config", "False"],
        ["run", "--network-def#width=1", "--meta-file=m.json"],
        ["run", "--validate#named_handlers#stats#_disabled_", "1", "--validate#handlers", "[]"],
        ["ckpt_export", "--net_id", "network_def"],
    ],
)
def test_what_is_known_passes(
    words: list[str], config: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    command(monkeypatch, *words, "--config_file", config)
    check_command_line()


def test_other_programs_are_not_judged(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.argv", ["scripts/run_pipeline.py", "run", "--anything", "1"])
    check_command_line()


@pytest.mark.parametrize("value", [0, -1, 1.5, "three", True, None])
def test_counts_are_whole_and_positive(value: Any) -> None:
    with pytest.raises(InputDataError, match=r"epochs is .*; it must be a whole number from 1 up"):
        require_counts(batch_size=2, epochs=value)


@pytest.mark.parametrize("value", [-0.001, "abc", float("nan"), float("inf")])
def test_amounts_are_finite_and_not_negative(value: Any) -> None:
    require_not_negative(learning_rate=0)
    with pytest.raises(InputDataError, match=r"learning_rate is .*; it must be a number from 0 up"):
        require_not_negative(learning_rate=value)


def test_units_are_above_zero() -> None:
    require_positive(unit=0.7)
    with pytest.raises(InputDataError, match="unit is 0; it must be a number above 0"):
        require_positive(unit=0)


@pytest.mark.parametrize(
    ("value", "expected"),
    [(True, True), (False, False), ("true", True), ("false", False), ("False", False), (0, False)],
)
def test_words_count_as_what_they_say(value: object, expected: bool) -> None:
    assert is_on(value, "resume") is expected


@pytest.mark.parametrize("value", ["no", "", 2, None])
def test_anything_else_is_refused(value: object) -> None:
    with pytest.raises(InputDataError, match=r"resume is .*; write true or false"):
        is_on(value, "resume")


def test_training_that_never_validates_is_refused() -> None:
    require_validation(epochs=3, val_interval=3)
    with pytest.raises(InputDataError, match="val_interval is 5, but there are 3 epochs"):
        require_validation(epochs=3, val_interval=5)


SHIPPED = str(REPOSITORY / "bundles" / "scan_model" / "configs" / "train.json")


@pytest.mark.parametrize(
    ("option", "told"),
    [
        ("network_def#width", r"train\.json\. Write --network_def#encoder#width\."),
        ("network_def#encoder#widht", r"train\.json\. Did you mean 'width'\?"),
        ("network_def#poolling", r"train\.json\. Did you mean 'pooling'\?"),
    ],
)
def test_argument_that_no_component_takes_is_refused_with_the_one_meant(
    option: str, told: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    command(monkeypatch, "run", "training", "--config_file", SHIPPED, f"--{option}", "1")
    with pytest.raises(InputDataError, match=told):
        check_command_line()
