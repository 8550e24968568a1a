"""An exported network is the network, for every number of slices."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch

from petct_ext.errors import InputDataError
from petct_ext.scan.networks.exported import (
    LEAST_SLICES,
    compare_export,
    export_network,
    fold_batch_norms,
    load_exported,
    save_export,
)
from petct_ext.scan.networks.region_classifier import RegionClassifier
from tests.scan.networks.region_networks import region_classifier


@pytest.fixture(scope="module")
def network() -> RegionClassifier:
    return region_classifier(
        2, 3, num_heads=2, width=0.0625, last_stage="mixed_4b", num_frequencies=1
    ).eval()


@pytest.fixture(scope="module")
def program(network: RegionClassifier) -> torch.export.ExportedProgram:
    return export_network(fold_batch_norms(network), in_channels=2, in_plane=33)


def test_every_number_of_slices_gives_the_same_logits(
    network: RegionClassifier, program: torch.export.ExportedProgram
) -> None:
    depths = [*range(LEAST_SLICES, 26), 64, 71]
    report = compare_export(network, program, shape=(1, 2, 33, 33), depths=depths)
    assert report["max_abs_difference"]["logits"] < 1e-5
    assert [row["slices"] for row in report["by_depth"]] == depths
    assert network.training is False


@pytest.mark.slow
def test_whole_network_keeps_its_slices_open() -> None:
    whole = region_classifier(2, 3, num_heads=2, width=0.0625).eval()
    exported = export_network(whole, in_channels=2, in_plane=33)
    depths = [*range(LEAST_SLICES, 26), 64, 71]
    report = compare_export(whole, exported, shape=(1, 2, 33, 33), depths=depths)
    assert report["max_abs_difference"]["logits"] < 1e-5


def test_saved_file_answers_alone(
    tmp_path: Path, network: RegionClassifier, program: torch.export.ExportedProgram
) -> None:
    report = compare_export(network, program, shape=(1, 2, 33, 33), depths=[12])
    path = save_export(program, tmp_path / "model.pt2", report)
    image = torch.rand(1, 2, 33, 33, 19)
    torch.testing.assert_close(load_exported(path)(image), network(image), atol=1e-5, rtol=1e-5)
    assert json.loads((tmp_path / "model.parity.json").read_text()) == report


def test_too_few_slices_are_told(
    network: RegionClassifier, program: torch.export.ExportedProgram
) -> None:
    with pytest.raises(InputDataError, match="depth 8: an exported network needs 9 slices"):
        compare_export(network, program, shape=(1, 2, 33, 33), depths=[8, 9])


def test_impossible_sizes_are_refused(network: RegionClassifier) -> None:
    with pytest.raises(ValueError, match="must be positive, got 2, 0 and 1"):
        export_network(network, in_channels=2, in_plane=0)


def test_other_suffix_is_refused(tmp_path: Path, program: torch.export.ExportedProgram) -> None:
    with pytest.raises(InputDataError, match=r"model\.pt: an exported network ends with \.pt2"):
        save_export(program, tmp_path / "model.pt", {})


def test_damaged_file_is_told(tmp_path: Path) -> None:
    (tmp_path / "model.pt2").write_bytes(b"no zip")
    with pytest.raises(InputDataError, match=r"model\.pt2 is no exported network, or is damaged"):
        load_exported(tmp_path / "model.pt2")
