"""Words of the reports take the places of tokens that BERT does not need."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch
from tokenizers import Tokenizer

from petct_ext.errors import InputDataError
from petct_ext.labeler.merged_vocabulary import merge_vocabulary
from petct_ext.labeler.pretraining import ReportPretrainer
from petct_ext.labeler.vocabulary import load_tokenizer
from tests.scan.networks.tiny_encoder import write_tiny_encoder

TEXTS = ["hypermetabolic adenopathy of the mediastinum and the porta hepatis"] * 6 + ["Smithers"]


def tokenizer_with_places(folder: Path) -> Tokenizer:
    letters = [chr(c) for c in range(ord("a"), ord("z") + 1)]
    words = ["[PAD]", "[unused1]", "[unused2]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "é", "the"]
    folder.mkdir(exist_ok=True)
    vocabulary = [*words, *letters, *(f"##{c}" for c in letters)]
    (folder / "vocab.txt").write_text("\n".join(vocabulary) + "\n")
    return load_tokenizer(folder)


def test_new_tokens_take_free_places_and_nothing_else_moves(tmp_path: Path) -> None:
    old = tokenizer_with_places(tmp_path)
    merged = merge_vocabulary(old, TEXTS, size=60)
    before, after = old.get_vocab(), merged.tokenizer.get_vocab()
    assert len(before) == len(after)
    gone = before.keys() - after.keys()
    assert gone == {"[unused1]", "[unused2]", "é"}
    assert {after[token] for token in after.keys() - before.keys()} == {before[t] for t in gone}
    assert all(after[token] == before[token] for token in before.keys() - gone)
    assert merged.num_replaced == 3
    assert merged.num_known + merged.num_replaced <= merged.num_learned


def test_new_tokens_spell_the_same_letters_as_their_old_pieces(tmp_path: Path) -> None:
    old = tokenizer_with_places(tmp_path)
    merged = merge_vocabulary(old, TEXTS, size=60)
    for token, pieces in merged.sources.items():
        spelled = "".join((old.id_to_token(i) or "").removeprefix("##") for i in pieces)
        assert spelled == (merged.tokenizer.id_to_token(token) or "").removeprefix("##")


def test_rare_words_do_not_become_tokens(tmp_path: Path) -> None:
    merged = merge_vocabulary(tokenizer_with_places(tmp_path), TEXTS, size=60)
    assert not any("smithers".startswith(t) and len(t) > 3 for t in merged.tokenizer.get_vocab())


def test_embedding_of_a_new_token_is_the_mean_of_its_old_pieces(tmp_path: Path) -> None:
    folder = write_tiny_encoder(tmp_path / "tiny")
    document = json.loads((folder / "tokenizer.json").read_text())
    vocabulary = document["model"]["vocab"]
    last = max(vocabulary, key=vocabulary.__getitem__)
    vocabulary["[unused1]"] = vocabulary.pop(last)
    merged = merge_vocabulary(Tokenizer.from_str(json.dumps(document)), TEXTS, size=60)
    plain, network = ReportPretrainer(folder), ReportPretrainer(folder, vocabulary=merged)
    before = plain.encoder.get_input_embeddings().weight
    after = network.encoder.get_input_embeddings().weight
    ((token, pieces),) = merged.sources.items()
    assert torch.allclose(after[token], before[list(pieces)].mean(dim=0))
    others = [i for i in range(len(before)) if i != token]
    assert torch.equal(after[others], before[others])


def test_no_text_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputDataError, match="no report in training has text"):
        merge_vocabulary(tokenizer_with_places(tmp_path), ["", " .. "])
