"""Weights fit the network in every tensor, or are refused before anything slow begins."""

from __future__ import annotations

import logging
import re
from pathlib import Path
from typing import Any

import pytest
import torch

from petct_ext.errors import InputDataError
from petct_ext.scan.networks.pretrained import (
    check_weights,
    load_encoder,
    load_regions,
    load_start,
)
from petct_ext.scan.networks.region_classifier import RegionClassifier
from tests.scan.networks.region_networks import region_classifier


def network(
    outputs: int = 1, *, width: float = 0.0625, stage: str = "mixed_4b"
) -> RegionClassifier:
    return region_classifier(2, outputs, num_heads=2, width=width, last_stage=stage)


@pytest.fixture
def scan_model(tmp_path: Path) -> Path:
    trained = network(5)
    torch.save(trained.state_dict(), tmp_path / "model.pt")
    return tmp_path / "model.pt"


def test_copies_every_tensor_of_the_encoder_and_none_of_the_head(scan_model: Path) -> None:
    target = network()
    head = {k: v.clone() for k, v in target.head.state_dict().items()}
    copied = load_encoder(target, scan_model)
    saved = torch.load(scan_model, weights_only=True)
    encoder = target.encoder.state_dict()
    assert copied == len(encoder)
    for key, value in encoder.items():
        torch.testing.assert_close(value, saved[f"encoder.{key}"])
    for key, value in target.head.state_dict().items():
        torch.testing.assert_close(value, head[key])


def test_features_are_those_of_the_scan_model(scan_model: Path) -> None:
    source, target = network(5).eval(), network().eval()
    source.load_state_dict(torch.load(scan_model, weights_only=True))
    load_encoder(target, scan_model)
    image = torch.rand(1, 2, 32, 32, 9)
    torch.testing.assert_close(target.encoder(image), source.encoder(image))


def test_null_keeps_random_weights_and_says_so(caplog: pytest.LogCaptureFixture) -> None:
    target = network()
    before = {k: v.clone() for k, v in target.state_dict().items()}
    with caplog.at_level(logging.INFO):
        assert load_encoder(target, None) == 0
    assert "random weights" in caplog.text
    for key, value in target.state_dict().items():
        torch.testing.assert_close(value, before[key])


def test_missing_file_is_told(tmp_path: Path) -> None:
    with pytest.raises(InputDataError, match=r"absent\.pt does not exist; train the scan model"):
        load_encoder(network(), tmp_path / "absent.pt")


@pytest.mark.parametrize("size", [0, 100, 5000])
def test_damaged_file_is_told(scan_model: Path, size: int) -> None:
    scan_model.write_bytes(scan_model.read_bytes()[:size])
    for read in (load_encoder, check_weights):
        with pytest.raises(InputDataError, match=r"model\.pt is no checkpoint, or is damaged \("):
            read(network(5), scan_model)


def test_file_that_is_no_checkpoint_is_told(tmp_path: Path) -> None:
    (tmp_path / "model.pt").write_text("not weights")
    with pytest.raises(InputDataError, match=r"model\.pt is no checkpoint, or is damaged \(U"):
        load_encoder(network(), tmp_path / "model.pt")
    with pytest.raises(InputDataError, match="is no checkpoint"):
        load_encoder(network(), tmp_path)


@pytest.mark.parametrize(
    "content", [torch.ones(3), [1, 2], {"model": {"encoder.a": torch.ones(1)}}]
)
def test_other_content_is_told(tmp_path: Path, content: object) -> None:
    torch.save(content, tmp_path / "model.pt")
    with pytest.raises(InputDataError, match=r"model\.pt is no plain state dict; give the model"):
        load_encoder(network(), tmp_path / "model.pt")


@pytest.mark.parametrize(
    ("width", "stage", "first"),
    [(0.125, "mixed_4b", "stages.conv_1a"), (0.0625, "mixed_3c", "stages.mixed_4b")],
)
def test_other_encoder_is_refused_and_the_first_tensor_named(
    scan_model: Path, width: float, stage: str, first: str
) -> None:
    target = network(width=width, stage=stage)
    before = {k: v.clone() for k, v in target.state_dict().items()}
    with pytest.raises(InputDataError, match=rf"encoder of .* does not fit: .* \(encoder\.{first}"):
        load_encoder(target, scan_model)
    for key, value in target.state_dict().items():
        torch.testing.assert_close(value, before[key])


def test_one_lacking_tensor_is_enough_to_refuse(scan_model: Path) -> None:
    state = torch.load(scan_model, weights_only=True)
    lacking = next(key for key in state if key.startswith("encoder."))
    del state[lacking]
    torch.save(state, scan_model)
    with pytest.raises(
        InputDataError,
        match=rf": 1 of \d+ tensors differ \({lacking}: expected .*, found none\); set",
    ):
        load_encoder(network(), scan_model)


def test_own_weights_are_returned_whole_and_the_network_stays(scan_model: Path) -> None:
    target = network(5)
    before = {k: v.clone() for k, v in target.state_dict().items()}
    state = check_weights(target, scan_model)
    saved = torch.load(scan_model, weights_only=True)
    assert state.keys() == saved.keys()
    for key, value in target.state_dict().items():
        torch.testing.assert_close(state[key], saved[key])
        torch.testing.assert_close(value, before[key])


def test_weights_may_be_the_model_of_a_larger_checkpoint(scan_model: Path) -> None:
    state = torch.load(scan_model, weights_only=True)
    torch.save({"model": state, "optimizer": {"lr": 1.0}}, scan_model)
    assert check_weights(network(5), scan_model).keys() == state.keys()


def test_other_region_list_is_told_with_both_shapes(scan_model: Path) -> None:
    with pytest.raises(InputDataError, match=r"model\.pt does not fit the network: ") as caught:
        check_weights(network(6), scan_model)
    message = str(caught.value)
    assert re.search(r"\(head\.\w+: expected \(6, .*\), found \(5, .*\);", message)
    assert "\n" not in message
    assert "set network_def" in message


def test_only_the_first_of_many_differences_are_named(scan_model: Path) -> None:
    with pytest.raises(InputDataError, match=r"differ \((encoder\.[^;]+; ){3}\.\.\.\); set"):
        check_weights(network(5, width=0.125), scan_model)


def test_weights_that_the_network_lacks_are_told(scan_model: Path) -> None:
    state = torch.load(scan_model, weights_only=True)
    torch.save(state | {"extra.bias": torch.ones(3)}, scan_model)
    with pytest.raises(InputDataError, match=r"\(extra\.bias: expected none, found \(3,\)\)"):
        check_weights(network(5), scan_model)


def test_missing_weights_are_told(tmp_path: Path) -> None:
    with pytest.raises(InputDataError, match=r"absent\.pt does not exist; "):
        check_weights(network(), tmp_path / "absent.pt")


@pytest.mark.parametrize("content", [torch.ones(3), [1, 2], {"model": 3}, {"epoch": 1}])
def test_content_other_than_weights_is_told(tmp_path: Path, content: object) -> None:
    torch.save(content, tmp_path / "model.pt")
    with pytest.raises(InputDataError, match=r"model\.pt is no plain state dict; give the model"):
        check_weights(network(), tmp_path / "model.pt")


@pytest.mark.parametrize("value", [torch.nan, torch.inf])
def test_weights_of_a_diverged_training_are_refused(scan_model: Path, value: float) -> None:
    state = torch.load(scan_model, weights_only=True)
    key = next(iter(state))
    state[key].view(-1)[0] = value
    torch.save(state, scan_model)
    with pytest.raises(InputDataError, match=rf"1 of \d+ tensors hold values .* first {key}; "):
        check_weights(network(5), scan_model)


def test_training_has_one_start(scan_model: Path) -> None:
    with pytest.raises(InputDataError, match="are both given, but a training has one start"):
        load_start(network(), pretrained_path=scan_model, kinetics_path="flow.pth")
    with pytest.raises(InputDataError, match=r"flow\.pth does not exist"):
        load_start(network(), pretrained_path=None, kinetics_path="flow.pth")
    assert load_start(network(), pretrained_path=scan_model, kinetics_path=None) > 0
    assert load_start(network(), pretrained_path=None, kinetics_path=None) == 0


SOURCE = ["full", "liver", "lungs", "spine", "mouth"]


def test_known_region_keeps_its_head_and_a_new_one_starts_at_its_prevalence(
    scan_model: Path,
) -> None:
    target, saved = network(2), torch.load(scan_model, weights_only=True)
    labels = [[1.0, 0.0], [1.0, torch.nan], [0.0, 1.0]]
    new = load_regions(
        target, scan_model, regions=["pancreas", "liver"], source_regions=SOURCE, labels=labels
    )
    assert new == ["pancreas"]
    for key, value in target.head.state_dict().items():
        torch.testing.assert_close(value[1], saved[f"head.{key}"][1])
        assert key == "bias" or not torch.equal(value[0], saved[f"head.{key}"][0])
    torch.testing.assert_close(target.head.bias[0].sigmoid(), torch.tensor(2 / 3))
    for key, value in target.encoder.state_dict().items():
        torch.testing.assert_close(value, saved[f"encoder.{key}"])


def test_logits_of_a_known_region_are_those_of_the_scan_model(scan_model: Path) -> None:
    source, target = network(5).eval(), network(1).eval()
    source.load_state_dict(torch.load(scan_model, weights_only=True))
    assert load_regions(target, scan_model, regions=["spine"], source_regions=SOURCE) == []
    image = torch.rand(1, 2, 32, 32, 9)
    torch.testing.assert_close(target(image)[:, 0], source(image)[:, 3])


def test_names_in_the_file_win_over_those_given(tmp_path: Path) -> None:
    named = region_classifier(
        2, 2, num_heads=2, width=0.0625, last_stage="mixed_4b", regions=["spine", "liver"]
    )
    torch.save(named.state_dict(), tmp_path / "model.pt")
    target = network(1)
    load_regions(target, tmp_path / "model.pt", regions=["liver"], source_regions=SOURCE)
    torch.testing.assert_close(target.head.weight[0], named.head.weight[1])


def test_fine_tuning_without_a_start_or_with_other_outputs_is_refused(scan_model: Path) -> None:
    with pytest.raises(InputDataError, match="add --pretrained_path"):
        load_regions(network(), None, regions=["liver"], source_regions=SOURCE)
    with pytest.raises(InputDataError, match="has 5 outputs, but source_regions names 2"):
        load_regions(network(), scan_model, regions=["liver"], source_regions=SOURCE[:2])
    other = region_classifier(2, 1, num_heads=1, width=0.0625, last_stage="mixed_4b")
    with pytest.raises(InputDataError, match=r"the heads of .* do not fit: .*head\.query"):
        load_regions(other, scan_model, regions=["liver"], source_regions=SOURCE)


def test_weights_of_another_design_are_told_though_their_tensors_fit(tmp_path: Path) -> None:
    options: dict[str, Any] = {"width": 0.0625, "pooling": "mean"}
    trained = region_classifier(2, 3, channels=[0], **options)
    torch.save(trained.state_dict(), tmp_path / "model.pt")
    check_weights(region_classifier(2, 3, channels=[0], **options), tmp_path / "model.pt")
    for other, told in (
        ({"channels": [0], "pooling": "sum"}, r"with pooling mean \(not sum\); set network_def"),
        ({"channels": [1]}, r"with channels \[0\] \(not \[1\]\)"),
    ):
        network = region_classifier(2, 3, **(options | other))
        with pytest.raises(InputDataError, match=told):
            check_weights(network, tmp_path / "model.pt")
    with pytest.raises(InputDataError, match=r"with channels \[0\] \(not \[1\]\); set network_def"):
        load_encoder(region_classifier(2, 3, channels=[1], width=0.0625), tmp_path / "model.pt")
