"""Regions stand once, in metadata.json, wherever the configuration is read."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest
import torch
from monai.bundle import ConfigParser, ConfigWorkflow, ckpt_export

from petct_ext.bundle.metadata import output_names
from petct_ext.errors import InputDataError
from petct_ext.ontology import RegionOntology
from tests.conftest import REPOSITORY

CONFIGS = REPOSITORY / "bundles" / "scan_model" / "configs"
REGIONS = list(RegionOntology.default().main_regions())


def document(channels: object) -> dict[str, object]:
    return {"network_data_format": {"outputs": {"pred": {"channel_def": channels}}}}


def test_order_is_that_of_the_numbers() -> None:
    channels = {"10": "c", "2": "b", "0": "a"}
    assert output_names(document(channels), "unused") == ["a", "b", "c"]


def test_without_metadata_those_of_the_bundle_are_read() -> None:
    """A bare parser (MONAI Label, onnx_export) is not told of metadata.json."""
    assert output_names({}, CONFIGS.parent) == REGIONS
    parser = ConfigParser()
    parser.read_config(str(CONFIGS / "train.json"))
    parser["bundle_root"] = str(CONFIGS.parent)
    assert parser.get_parsed_content("regions") == REGIONS


@pytest.mark.parametrize("channels", [{}, None, ["liver"], {"first": "liver"}])
def test_metadata_without_names_is_refused(channels: object, tmp_path: Path) -> None:
    with pytest.raises(InputDataError, match=r"^the metadata names no output: .* mend it, or"):
        output_names(document(channels), tmp_path)
    (tmp_path / "configs").mkdir()
    path = tmp_path / "configs" / "metadata.json"
    path.write_text(json.dumps(document(channels)))
    with pytest.raises(InputDataError, match=f"^{path} names no output"):
        output_names({}, tmp_path)


def test_another_output_is_one_more_line(tmp_path: Path) -> None:
    """The network that is trained follows; regions of the user win."""
    configs = Path(shutil.copytree(CONFIGS, tmp_path / "mine" / "configs"))
    metadata = json.loads((configs / "metadata.json").read_text())
    metadata["network_data_format"]["outputs"]["pred"]["channel_def"]["26"] = "pancreas"
    (configs / "metadata.json").write_text(json.dumps(metadata))
    config = str(configs / "train.json")
    workflow = ConfigWorkflow(config_file=config, logging_file=False, workflow_type="train")
    assert workflow.parser.get_parsed_content("regions") == [*REGIONS, "pancreas"]
    chosen = ConfigWorkflow(
        config_file=config, logging_file=False, workflow_type="train", regions=["liver"]
    )
    chosen.parser["network_def#encoder#width"] = 0.0625
    assert chosen.parser.get_parsed_content("network_def").regions == ["liver"]


def test_export_from_python_finds_the_metadata_of_its_own_bundle(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """``ckpt_export`` without ``--meta_file`` is told of none outside of the bundle's folder."""
    configs = Path(shutil.copytree(CONFIGS, tmp_path / "mine" / "configs"))
    metadata = json.loads((configs / "metadata.json").read_text())
    metadata["network_data_format"]["outputs"]["pred"]["channel_def"]["26"] = "pancreas"
    (configs / "metadata.json").write_text(json.dumps(metadata))
    small: dict[str, Any] = {
        "network_def#encoder#width": 0.0625,
        "network_def#encoder#last_stage": "mixed_3b",
    }
    config = str(configs / "train.json")
    workflow = ConfigWorkflow(
        config_file=config, logging_file=False, workflow_type="train", **small
    )
    weights = workflow.parser.get_parsed_content("network_def").state_dict()
    torch.save(weights, tmp_path / "model.pt")
    monkeypatch.chdir(tmp_path)
    ckpt_export(
        net_id="network_def",
        filepath=str(tmp_path / "model.ts"),
        ckpt_file=str(tmp_path / "model.pt"),
        config_file=config,
        **small,
    )
    exported = torch.jit.load(str(tmp_path / "model.ts"))
    assert exported(torch.rand(1, 2, 33, 33, 9)).shape == (1, 27)
