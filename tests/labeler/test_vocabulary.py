"""Tokenizers are learned reproducibly, saved whole and loaded without truncation."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from petct_ext.errors import InputDataError
from petct_ext.labeler.vocabulary import learn_vocabulary, load_tokenizer, save_tokenizer

TEXTS = ["Hypermetabolic left hilar node, SUVmax 12.5.", "No uptake in the liver."] * 5


def test_learning_twice_gives_the_same_vocabulary() -> None:
    first, second = (learn_vocabulary(TEXTS, size=150) for _ in range(2))
    assert first.to_str() == second.to_str()


def test_numbers_are_split_into_digits_and_padding_is_zero() -> None:
    tokenizer = learn_vocabulary(TEXTS, size=150)
    assert tokenizer.encode("12", add_special_tokens=False).tokens == ["1", "2"]
    assert tokenizer.token_to_id("[PAD]") == 0


def test_rare_words_are_no_tokens_of_their_own() -> None:
    tokenizer = learn_vocabulary([*TEXTS, "Mr. Xyzzyq"], size=500, min_frequency=3)
    assert not any("xyzz" in token for token in tokenizer.get_vocab())


def test_saved_tokenizer_is_the_same(tmp_path: Path) -> None:
    tokenizer = learn_vocabulary(TEXTS, size=150)
    loaded = load_tokenizer(save_tokenizer(tokenizer, tmp_path))
    assert loaded.encode(TEXTS[0]).ids == tokenizer.encode(TEXTS[0]).ids
    lines = (tmp_path / "vocab.txt").read_text().splitlines()
    assert lines[:3] == ["[PAD]", "[UNK]", "[CLS]"]
    assert len(lines) == tokenizer.get_vocab_size()


def test_truncation_of_an_encoder_is_switched_off(tmp_path: Path) -> None:
    tokenizer = learn_vocabulary(TEXTS, size=150)
    tokenizer.enable_truncation(4)
    tokenizer.enable_padding(length=8)
    save_tokenizer(tokenizer, tmp_path)
    assert len(load_tokenizer(tmp_path).encode("liver " * 20).ids) > 20


@pytest.mark.parametrize(("lower", "known"), [(True, True), (False, False)])
def test_plain_bert_vocabulary_respects_its_casing(
    tmp_path: Path, lower: bool, known: bool
) -> None:
    (tmp_path / "vocab.txt").write_text("[PAD]\n[UNK]\n[CLS]\n[SEP]\nliver\n")
    (tmp_path / "tokenizer_config.json").write_text(json.dumps({"do_lower_case": lower}))
    tokens = load_tokenizer(tmp_path).encode("Liver").tokens
    assert tokens == ["[CLS]", "liver" if known else "[UNK]", "[SEP]"]


def test_folder_without_a_tokenizer_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputDataError, match=r"holds neither tokenizer\.json nor vocab\.txt"):
        load_tokenizer(tmp_path)


def test_missing_folder_is_refused_without_asking_the_network(tmp_path: Path) -> None:
    with pytest.raises(InputDataError, match=r"the folder .* does not exist"):
        load_tokenizer(tmp_path / "absent")


def test_broken_tokenizer_is_refused(tmp_path: Path) -> None:
    (tmp_path / "tokenizer.json").write_text("{}")
    with pytest.raises(InputDataError, match="the tokenizer cannot be read"):
        load_tokenizer(tmp_path)


def test_vocabulary_without_text_is_refused() -> None:
    with pytest.raises(InputDataError, match="no report in training has text"):
        learn_vocabulary([" "])
