"""Weights in half precision predict the same, keep their names, and tell what they fit."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch

from petct_ext.errors import InputDataError
from petct_ext.scan.networks.design import build_network, note_design, read_design, stored_regions
from petct_ext.scan.networks.pretrained import check_weights
from petct_ext.scan.networks.region_classifier import RegionClassifier
from petct_ext.scan.networks.stamping import save_half
from tests.scan.networks.region_networks import GRID, WINDOWS, region_classifier

REGIONS = ["full", "liver", "spine"]


def network(**options: Any) -> RegionClassifier:
    sizes: dict[str, Any] = {
        "width": 0.125,
        "last_stage": "mixed_4b",
        "num_heads": 2,
        "regions": REGIONS,
    }
    return region_classifier(2, 3, **(sizes | options)).eval()


def test_half_precision_changes_predictions_by_less_than_a_thousandth(tmp_path: Path) -> None:
    trained = network()
    trained.train()(torch.rand(2, 2, 32, 32, 16))  # running statistics that are not 0 and 1
    path = save_half(trained.eval(), tmp_path / "model.pt")
    loaded = network()
    loaded.load_state_dict(check_weights(loaded, path))
    image = torch.rand(2, 2, 32, 32, 16)
    with torch.inference_mode():
        difference = (trained(image).sigmoid() - loaded(image).sigmoid()).abs().max()
    assert 0 < difference < 1e-3
    assert all(p.dtype == torch.float32 for p in loaded.parameters())


def test_file_is_a_plain_state_dict_with_names_and_large_tensors_halved(tmp_path: Path) -> None:
    trained = network()
    torch.save(trained.state_dict(), tmp_path / "full.pt")
    path = save_half(trained, tmp_path / "half.pt")
    state = torch.load(path, weights_only=True)
    assert list(state) == list(trained.state_dict())
    small = {k for k, t in state.items() if t.dtype == torch.float32}
    assert {state[k].dtype for k in set(state) - small} == {torch.float16, torch.int64}
    assert max(state[k].numel() for k in small) <= 8192 < state["head.value"].numel()
    assert path.stat().st_size < 0.8 * (tmp_path / "full.pt").stat().st_size
    assert stored_regions(state) == REGIONS


def test_design_stays_with_the_weights(tmp_path: Path) -> None:
    path = save_half(note_design(network(), windows=WINDOWS, grid=GRID), tmp_path / "model.pt")
    built = build_network(read_design(path), windows=WINDOWS, grid=GRID, regions=REGIONS)
    built.load_state_dict(check_weights(built, path))
    with pytest.raises(InputDataError, match="does not fit the network"):
        check_weights(network(width=0.0625), path)


def test_other_regions_are_still_refused(tmp_path: Path) -> None:
    path = save_half(network(), tmp_path / "model.pt")
    with pytest.raises(InputDataError, match="other regions"):
        check_weights(network(regions=["full", "liver", "neck"]), path)


def test_weight_beyond_half_precision_is_refused(tmp_path: Path) -> None:
    trained = network()
    value = trained.head.value
    assert value is not None
    with torch.no_grad():
        value[0, 0, 0, 0] = 1e6
    with pytest.raises(InputDataError, match=r"head\.value: a value of 1e\+06 does not fit"):
        save_half(trained, tmp_path / "model.pt")
    assert not list(tmp_path.iterdir())
