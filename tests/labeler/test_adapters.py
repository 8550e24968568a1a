"""Adapters change nothing at first, learn alone, and fold into plain layers."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from torch import nn

from petct_ext.errors import InputDataError
from petct_ext.labeler.adapters import LowRankLinear, add_adapters, merge_adapters
from petct_ext.labeler.network import ReportClassifier, begin_model_folder
from petct_ext.labeler.vocabulary import load_tokenizer
from tests.scan.networks.tiny_encoder import write_tiny_encoder


@pytest.fixture(scope="module")
def encoder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_tiny_encoder(tmp_path_factory.mktemp("encoder"))


def changed(network: ReportClassifier) -> ReportClassifier:
    generator = torch.Generator().manual_seed(1)
    with torch.no_grad():
        for module in network.modules():
            if isinstance(module, LowRankLinear):
                module.up.normal_(generator=generator)
    return network.eval()


def test_new_adapters_change_no_output(encoder: Path) -> None:
    ids = torch.randint(5, 40, (2, 7))
    torch.manual_seed(0)
    plain = ReportClassifier(encoder).eval()
    torch.manual_seed(0)
    adapted = ReportClassifier(encoder, adapter_rank=2).eval()
    adapted.classifier.load_state_dict(plain.classifier.state_dict())
    assert torch.allclose(adapted(ids), plain(ids), atol=1e-6)


def test_only_adapters_norms_and_classifier_learn(encoder: Path) -> None:
    network = ReportClassifier(encoder, adapter_rank=2)
    learned = {n for n, p in network.named_parameters() if p.requires_grad}
    assert all(
        n.endswith((".up", ".down")) or "LayerNorm" in n or n.startswith("classifier.")
        for n in learned
    )
    assert learned == set(network.state_dict()) - {"blend"}


def test_merged_layers_compute_the_same(encoder: Path) -> None:
    network = changed(ReportClassifier(encoder, adapter_rank=2))
    ids = torch.randint(5, 40, (3, 9))
    before = network(ids)
    assert network.merge_adapters() == 12
    assert torch.allclose(network(ids), before, atol=1e-5)


def test_written_adapters_come_back_on_their_encoder(encoder: Path, tmp_path: Path) -> None:
    network = changed(ReportClassifier(encoder, adapter_rank=2))
    begin_model_folder(network, load_tokenizer(encoder), tmp_path)
    state = {k: v.clone() for k, v in network.state_dict().items()}
    again = ReportClassifier(tmp_path / "encoder", pretrained=False).eval()
    assert set(again.state_dict()) == set(state)
    again.load_state_dict(state)
    ids = torch.randint(5, 40, (2, 6))
    assert torch.allclose(again(ids), network(ids), atol=1e-6)


def test_other_weights_below_the_adapters_are_refused(encoder: Path, tmp_path: Path) -> None:
    base = write_tiny_encoder(tmp_path / "base")
    network = ReportClassifier(base, adapter_rank=2)
    begin_model_folder(network, load_tokenizer(base), tmp_path / "model")
    weights = base / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[:-1] + b"\x01")
    with pytest.raises(InputDataError, match="has other weights"):
        ReportClassifier(tmp_path / "model" / "encoder")


@pytest.mark.parametrize(("rank", "within"), [(0, "0"), (2, "nowhere")])
def test_impossible_adapters_are_refused(rank: int, within: str) -> None:
    with pytest.raises(InputDataError, match="adapt"):
        add_adapters(nn.Sequential(nn.Linear(2, 2)), rank=rank, within=within)


def test_network_without_adapters_has_nothing_to_merge() -> None:
    assert merge_adapters(nn.Sequential(nn.Linear(2, 2))) == 0
