"""The token classifier: one logit per token, whatever the encoder and the padding."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from transformers import BertConfig, BertModel

from petct_ext.errors import InputDataError
from petct_ext.labeler.network import ReportClassifier, begin_model_folder
from petct_ext.labeler.vocabulary import learn_vocabulary, load_tokenizer
from petct_ext.training.loss import MaskedBCEWithLogitsLoss

TINY: dict[str, Any] = {
    "_desc_": "left out",
    "hidden_size": 16,
    "num_hidden_layers": 1,
    "num_attention_heads": 2,
    "intermediate_size": 16,
}


@pytest.fixture
def network() -> ReportClassifier:
    return ReportClassifier(TINY, vocab_size=50).eval()


def test_forward_returns_one_logit_per_token(network: ReportClassifier) -> None:
    assert network(torch.randint(1, 50, (3, 7))).shape == (3, 1, 7)


def test_padding_does_not_change_the_logits_of_a_sentence(network: ReportClassifier) -> None:
    ids = torch.randint(1, 50, (1, 6))
    padded = torch.nn.functional.pad(ids, (0, 5))
    torch.testing.assert_close(network(padded)[..., :6], network(ids))


def test_loss_on_mention_tokens_reaches_every_weight(network: ReportClassifier) -> None:
    target = torch.full((2, 1, 5), torch.nan)
    target[0, 0, 1:3] = 1.0
    loss = MaskedBCEWithLogitsLoss()(network(torch.randint(1, 50, (2, 5))), target)
    loss.backward()
    assert all(p.grad is not None for p in network.parameters())


def test_encoder_in_a_folder_keeps_its_weights_only_if_asked(tmp_path: Path) -> None:
    config = BertConfig(vocab_size=50, **{k: v for k, v in TINY.items() if k != "_desc_"})
    BertModel(config).save_pretrained(tmp_path)
    first, second = (ReportClassifier(tmp_path, vocab_size=50) for _ in range(2))
    other = ReportClassifier(tmp_path, vocab_size=50, pretrained=False)
    name = "encoder.embeddings.word_embeddings.weight"
    assert torch.equal(first.state_dict()[name], second.state_dict()[name])
    assert not torch.equal(first.state_dict()[name], other.state_dict()[name])
    assert not [n for n, _ in first.named_parameters() if "pooler" in n]


def test_model_folder_rebuilds_the_same_network(tmp_path: Path) -> None:
    tokenizer = learn_vocabulary(["uptake in the liver"] * 5, size=80)
    network = ReportClassifier(TINY, vocab_size=tokenizer.get_vocab_size()).eval()
    begin_model_folder(network, tokenizer, tmp_path)
    torch.save(network.state_dict(), tmp_path / "model.pt")
    loaded = load_tokenizer(tmp_path / "encoder")
    again = ReportClassifier(tmp_path / "encoder", pretrained=False).eval()
    again.load_state_dict(torch.load(tmp_path / "model.pt", weights_only=True))
    ids = torch.tensor([loaded.encode("uptake in the liver").ids])
    torch.testing.assert_close(again(ids), network(ids))


def test_new_training_removes_weights_that_its_vocabulary_does_not_fit(tmp_path: Path) -> None:
    (tmp_path / "model.pt").write_text("old")
    tokenizer = learn_vocabulary(["uptake"] * 5, size=60)
    network = ReportClassifier(TINY, vocab_size=tokenizer.get_vocab_size())
    begin_model_folder(network, tokenizer, tmp_path)
    assert not (tmp_path / "model.pt").exists()
    assert json.loads((tmp_path / "encoder" / "config.json").read_text())["hidden_size"] == 16


def test_missing_encoder_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    with pytest.raises(InputDataError, match="is neither a folder with a BERT-like model nor"):
        ReportClassifier(str(tmp_path / "absent"))


def test_settings_without_a_vocabulary_are_refused() -> None:
    with pytest.raises(InputDataError, match="needs vocab_size"):
        ReportClassifier(TINY)


def test_tokenizer_with_more_tokens_than_the_encoder_is_refused(tmp_path: Path) -> None:
    BertConfig(vocab_size=50, **{k: v for k, v in TINY.items() if k != "_desc_"}).save_pretrained(
        tmp_path
    )
    with pytest.raises(InputDataError, match="the tokenizer has 60 tokens, but the encoder knows"):
        ReportClassifier(tmp_path, vocab_size=60, pretrained=False)
