"""The script writes a file that answers alone, with the parity beside it."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from petct_ext.scan.networks.design import note_design
from petct_ext.scan.networks.exported import exported_design, load_exported
from tests.conftest import REPOSITORY
from tests.forks import run_forked
from tests.scan.networks.region_networks import GRID, WINDOWS, region_classifier

ROOT = REPOSITORY
SCRIPT = ROOT / "scripts" / "export_model.py"
CONFIG = ROOT / "bundles" / "scan_model" / "configs" / "inference.json"


def run(*arguments: object) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, str(SCRIPT), *map(str, arguments)]
    return run_forked(command, folder=ROOT)


@pytest.mark.slow
def test_network_of_a_bundle_becomes_one_file(tmp_path: Path) -> None:
    network = region_classifier(2, 3, width=0.0625, last_stage="mixed_3b", num_heads=2).eval()
    note_design(network, windows=WINDOWS, grid=GRID | {"in_plane": 33})
    torch.save(network.state_dict(), tmp_path / "model.pt")
    done = run(
        *(CONFIG, tmp_path / "scan_model.pt2", "--weights", tmp_path / "model.pt"),
        *("--depths", 9, 20),
    )
    assert done.returncode == 0, done.stderr
    image = torch.rand(1, 2, 33, 33, 14)
    with torch.no_grad():
        expected = network(image)
    exported = load_exported(tmp_path / "scan_model.pt2")
    torch.testing.assert_close(exported(image), expected, atol=1e-5, rtol=1e-5)
    report = json.loads((tmp_path / "scan_model.parity.json").read_text())
    assert report["max_abs_difference"]["logits"] < 1e-5
    design = exported_design(tmp_path / "scan_model.pt2")
    assert design["windows"] == WINDOWS
    assert design["grid"]["in_plane"] == 33
    done = run(CONFIG, tmp_path / "b.pt2", "--weights", tmp_path / "model.pt", "--in-plane", 224)
    assert done.returncode == 2
    assert "was trained on 33 voxels in-plane (not 224)" in done.stderr.splitlines()[-1]


def test_missing_weights_are_told_in_one_line(tmp_path: Path) -> None:
    done = run(CONFIG, tmp_path / "model.pt2", "--weights", tmp_path / "absent.pt")
    assert done.returncode == 2
    assert "absent.pt does not exist" in done.stderr.splitlines()[-1]
