"""A bundle finds itself wherever it lies and from wherever it is run."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
from monai.bundle import ConfigWorkflow

from petct_ext.bundle.root import _of_config_files, bundle_root
from petct_ext.errors import InputDataError
from tests.conftest import REPOSITORY

BUNDLE = REPOSITORY / "bundles" / "scan_model"


@pytest.fixture
def copy(tmp_path: Path) -> Path:
    """The configurations under another name, and nothing else."""
    return Path(shutil.copytree(BUNDLE / "configs", tmp_path / "renamed" / "configs")).parent


def root_of(config: str | list[str], **options: str) -> Path:
    workflow = ConfigWorkflow(
        config_file=config, logging_file=False, workflow_type="train", **options
    )
    workflow.initialize()
    return Path(workflow.bundle_root)


def test_from_the_repository(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(REPOSITORY)
    monkeypatch.setattr("sys.argv", ["x"])
    assert Path(bundle_root("mortality")) == REPOSITORY / "bundles" / "mortality"
    assert root_of("bundles/scan_model/configs/train.json") == BUNDLE


def test_from_the_folder_of_the_bundle(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(BUNDLE)
    monkeypatch.setattr("sys.argv", ["x"])
    assert Path(bundle_root("whatever")) == BUNDLE
    assert root_of("configs/train.json") == BUNDLE


def test_from_anywhere_else(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.chdir(tmp_path)
    assert Path(bundle_root("scan_model")) == BUNDLE


def test_copy_with_another_name_is_its_own_root(
    copy: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(REPOSITORY)
    configs = [str(copy / "configs" / name) for name in ("train.json", "demo.json")]
    assert root_of(configs) == copy
    monkeypatch.chdir(copy)
    assert root_of("configs/train.json") == copy


@pytest.mark.parametrize(
    "arguments",
    [
        ["--config_file", "{}/configs/train.json"],
        ["--config_file={}/configs/train.json"],
        ["--config_file=['{}/configs/train.json','{}/configs/demo.json']"],
    ],
)
def test_command_line_names_the_bundle(
    copy: Path, monkeypatch: pytest.MonkeyPatch, arguments: list[str]
) -> None:
    monkeypatch.setattr("sys.argv", ["monai.bundle", *(a.format(copy, copy) for a in arguments)])
    assert Path(bundle_root("scan_model")) == copy


def test_running_workflow_wins_over_the_command_line(
    copy: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sys.argv", ["x", "--config_file", str(BUNDLE / "configs" / "train.json")])
    assert root_of(str(copy / "configs" / "train.json")) == copy


def test_option_of_the_user_wins_over_all(copy: Path, tmp_path: Path) -> None:
    assert root_of(str(copy / "configs/train.json"), bundle_root=str(tmp_path)) == tmp_path


def test_data_and_weights_lie_below_the_root(copy: Path) -> None:
    workflow = ConfigWorkflow(
        config_file=str(copy / "configs" / "train.json"),
        logging_file=False,
        workflow_type="train",
    )
    workflow.initialize()
    assert workflow.dataset_dir == str(copy / "data")
    content = workflow.parser.get_parsed_content
    assert content("datalist") == str(copy / "data" / "datalist.json")
    assert content("ckpt_dir") == str(copy / "models")
    assert content("output_dir") == str(copy / "eval")


def test_lists_of_files_are_understood_in_every_spelling() -> None:
    wanted = [Path("a"), Path("b")]
    files = ["a/configs/train.json", "b/configs/demo.json"]
    assert list(_of_config_files(files)) == wanted
    assert list(_of_config_files(",".join(files))) == wanted
    assert list(_of_config_files(json.dumps(files))) == wanted
    assert list(_of_config_files(str(tuple(files)))) == wanted


def test_unknown_bundle_is_told_with_the_places_tried(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("sys.argv", ["x"])
    with pytest.raises(InputDataError, match=r"no bundle 'absent' was found \(tried .*absent"):
        bundle_root("absent")
