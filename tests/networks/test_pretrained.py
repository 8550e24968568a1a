"""An encoder starts from another one's weights, all of them, or is refused."""

from __future__ import annotations

import logging
from pathlib import Path

import pytest
import torch

from petct_ext.errors import InputDataError
from petct_ext.networks import RegionClassifier
from petct_ext.networks.pretrained import load_encoder


def network(
    outputs: int = 1, *, width: float = 0.0625, stage: str = "mixed_4b"
) -> RegionClassifier:
    return RegionClassifier(2, outputs, num_heads=2, width=width, last_stage=stage)


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


def test_file_that_is_no_checkpoint_is_told(tmp_path: Path) -> None:
    (tmp_path / "model.pt").write_text("not weights")
    with pytest.raises(InputDataError, match=r"model\.pt is no checkpoint \("):
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
    with pytest.raises(InputDataError, match=rf"do not fit, first 'encoder\.{first}[^']*'; set"):
        load_encoder(target, scan_model)
    for key, value in target.state_dict().items():
        torch.testing.assert_close(value, before[key])


def test_one_lacking_tensor_is_enough_to_refuse(scan_model: Path) -> None:
    state = torch.load(scan_model, weights_only=True)
    lacking = next(key for key in state if key.startswith("encoder."))
    del state[lacking]
    torch.save(state, scan_model)
    with pytest.raises(
        InputDataError, match=rf"1 encoder tensor\(s\) do not fit, first '{lacking}'"
    ):
        load_encoder(network(), scan_model)
