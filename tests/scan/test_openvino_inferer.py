"""OpenVINO says what torch says, for every number of slices, and tells nobody."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest
import torch
from torch import Tensor

from petct_ext.errors import InputDataError
from petct_ext.scan.inferers import ExamInferer, OpenVINOInferer
from petct_ext.scan.networks.region_classifier import RegionClassifier
from tests.forks import run_forked
from tests.scan.networks.region_networks import region_classifier


@pytest.fixture(scope="module")
def network() -> RegionClassifier:
    torch.manual_seed(0)
    return region_classifier(
        2, 3, num_heads=2, width=0.0625, last_stage="mixed_4b", num_frequencies=1
    ).eval()


@pytest.fixture(scope="module")
def inferer() -> OpenVINOInferer:
    pytest.importorskip("openvino", reason="the extra openvino is not installed")
    return OpenVINOInferer()


def batch_of(depths: list[int]) -> tuple[Tensor, Tensor]:
    image = torch.rand(len(depths), 2, 33, 33, max(depths))
    for exam, depth in zip(image, depths, strict=True):
        exam[..., depth:] = 0
    return image, torch.tensor(depths)


@pytest.mark.parametrize("depths", [[17], [9, 30], [3, 8, 24], [41, 41]])
def test_logits_are_those_of_the_network(
    depths: list[int], inferer: OpenVINOInferer, network: RegionClassifier
) -> None:
    image, num_slices = batch_of(depths)
    with torch.no_grad():
        expected = ExamInferer()(image, network, num_slices=num_slices)
        found = inferer(image, network, num_slices=num_slices)
    assert len({round(float(logit), 3) for logit in expected.flatten()}) > 1
    torch.testing.assert_close(found, expected, atol=1e-4, rtol=1e-4)


@pytest.mark.parametrize("sides", [(33, 33), (24, 24), (33, 24)])
def test_volumes_may_have_any_sides(
    sides: tuple[int, int], inferer: OpenVINOInferer, network: RegionClassifier
) -> None:
    """One that was compiled for another size would answer, and be wrong."""
    image = torch.rand(1, 2, *sides, 17)
    with torch.no_grad():
        torch.testing.assert_close(inferer(image, network), network(image), atol=1e-5, rtol=1e-5)


def test_unknown_precision_is_refused() -> None:
    with pytest.raises(InputDataError, match="'fp8', expected f32 or bf16"):
        OpenVINOInferer("fp8")


def test_missing_library_is_named_with_the_command(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "openvino", None)
    with pytest.raises(InputDataError, match=r"not installed: pip install .*\[openvino\]"):
        OpenVINOInferer()


@pytest.mark.slow
def test_usage_statistics_stay_off(tmp_path: Path) -> None:
    """OpenVINO's reporter keeps its identity in ~/intel; nothing of it may appear."""
    pytest.importorskip("openvino", reason="the extra openvino is not installed")
    script = (
        "import sys, torch\n"
        "from petct_ext.scan.inferers import OpenVINOInferer\n"
        "from petct_ext.scan.networks.i3d import I3DEncoder\n"
        "from petct_ext.scan.networks.region_classifier import RegionClassifier\n"
        "encoder = I3DEncoder(2, width=0.02, last_stage='mixed_3b')\n"
        "network = RegionClassifier(encoder, 1, num_heads=1).eval()\n"
        "OpenVINOInferer()(torch.rand(1, 2, 33, 33, 9), network)\n"
        "import openvino.tools.ovc\n"
        "assert sys.modules['openvino_telemetry'] is None\n"
    )
    environment = {k: v for k, v in os.environ.items() if k != "CI"} | {"HOME": str(tmp_path)}
    environment["MPLCONFIGDIR"] = str(tmp_path / "matplotlib")
    done = run_forked([sys.executable, "-c", script], environment=environment)
    assert done.returncode == 0, done.stderr
    assert not (tmp_path / "intel").exists()
