"""Puts words of a group's own reports into the vocabulary of a pretrained encoder.

As published (Eyuboglu et al. 2021, Methods): SentencePiece learns 3,000 pieces on the training
reports; those that BERT's vocabulary lacks take the places of its unused tokens. Here tokens that
are not ASCII give up their places as well, since English reports do not need them. The number of
tokens, and so the encoder's shape, stays as it is.
"""

from __future__ import annotations

import io
import json
import logging
import re
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, Final

import sentencepiece
from tokenizers import Tokenizer

from petct_ext.errors import InputDataError

__all__ = ["MergedVocabulary", "merge_vocabulary"]

_LOGGER = logging.getLogger(__name__)
_BEGIN: Final = "\u2581"
_UNUSED: Final = re.compile(r"\[unused\d+\]")
_WORD: Final = re.compile(r"[a-z]+|\d")


@dataclass(frozen=True, slots=True)
class MergedVocabulary:
    """A tokenizer with new tokens in the places of tokens that are not needed.

    Attributes:
        tokenizer: the merged one, with as many tokens as before.
        sources: id of each new token -> ids of the old word pieces that spelled it.
        num_learned: pieces that were learned.
        num_known: of these, the vocabulary had already.
        num_replaced: of these, were put in.
    """

    tokenizer: Tokenizer
    sources: dict[int, tuple[int, ...]]
    num_learned: int
    num_known: int
    num_replaced: int


def merge_vocabulary(
    tokenizer: Tokenizer, texts: Iterable[str], *, size: int = 3000, min_frequency: int = 3
) -> MergedVocabulary:
    """Learns pieces on reports and merges them into a WordPiece tokenizer.

    Learn from the training split only: a vocabulary is a part of the model.

    Args:
        tokenizer: of the encoder; not changed.
        texts: report text.
        size: pieces that SentencePiece learns; fewer if there is little text.
        min_frequency: a word must occur that often to become a token; also keeps rare words, which
            could identify a patient, out of the vocabulary.

    Raises:
        InputDataError: if there is no text, or the tokenizer is no WordPiece one.
    """
    document: dict[str, Any] = json.loads(tokenizer.to_str())
    if document["model"].get("type") != "WordPiece":
        raise InputDataError(
            f"the encoder's tokenizer is of type {document['model'].get('type')}; a vocabulary can "
            "be merged into BERT's WordPiece only."
        )
    lines = [" ".join(_WORD.findall(text.lower())) for text in texts]
    lines = [line for line in lines if line]
    if not lines:
        raise InputDataError("a vocabulary cannot be learned: no report in training has text.")
    learned = _frequent(_pieces(lines, size), lines, min_frequency)
    vocabulary: dict[str, int] = document["model"]["vocab"]
    new = [piece for piece in learned if piece not in vocabulary]
    places = _free_places(vocabulary)
    sources = {}
    for piece, place in zip(new, places, strict=False):
        sources[vocabulary[place]] = _spelled(piece, tokenizer, vocabulary)
    for piece, place in zip(new, places, strict=False):
        vocabulary[piece] = vocabulary.pop(place)
    merged = MergedVocabulary(
        tokenizer=Tokenizer.from_str(json.dumps(document)),
        sources=sources,
        num_learned=len(learned),
        num_known=len(learned) - len(new),
        num_replaced=len(sources),
    )
    _LOGGER.info(
        "vocabulary: %d pieces learned, %d there already, %d put in the place of unused and "
        "non-ASCII tokens (%d such places), %d left out for want of places",
        merged.num_learned,
        merged.num_known,
        merged.num_replaced,
        len(places),
        len(new) - merged.num_replaced,
    )
    return merged


def _pieces(lines: list[str], size: int) -> list[str]:
    """Returns the learned pieces in BERT's spelling, most useful first."""
    model = io.BytesIO()
    sentencepiece.SentencePieceTrainer.train(
        sentence_iterator=iter(lines),
        model_writer=model,
        vocab_size=size,
        hard_vocab_limit=False,
        character_coverage=1.0,
        num_threads=1,
        minloglevel=2,
    )
    learned = sentencepiece.SentencePieceProcessor(model_proto=model.getvalue())
    pieces = []
    for index in range(learned.get_piece_size()):
        piece = learned.id_to_piece(index)
        if learned.is_unknown(index) or learned.is_control(index) or piece == _BEGIN:
            continue
        pieces.append(piece[1:] if piece.startswith(_BEGIN) else f"##{piece}")
    return list(dict.fromkeys(pieces))


def _frequent(pieces: list[str], lines: list[str], minimum: int) -> list[str]:
    words = Counter(word for line in lines for word in line.split())
    begins: Counter[str] = Counter()
    inside: Counter[str] = Counter()
    for word, count in words.items():
        for end in range(1, len(word) + 1):
            begins[word[:end]] += count
        for part in {word[i:j] for i in range(1, len(word)) for j in range(i + 1, len(word) + 1)}:
            inside[part] += count
    return [
        piece
        for piece in pieces
        if (inside[piece[2:]] if piece.startswith("##") else begins[piece]) >= minimum
    ]


def _free_places(vocabulary: dict[str, int]) -> list[str]:
    """Tokens that give up their place, unused ones first, each kind in the order of its ids."""
    ordered = sorted(vocabulary, key=vocabulary.__getitem__)
    unused = [token for token in ordered if _UNUSED.fullmatch(token)]
    return unused + [token for token in ordered if not token.isascii()]


def _spelled(piece: str, tokenizer: Tokenizer, vocabulary: dict[str, int]) -> tuple[int, ...]:
    """Ids of the old word pieces of a new one; inside a word, their forms for that place."""
    encoding = tokenizer.encode(piece.removeprefix("##"), add_special_tokens=False)
    if not piece.startswith("##"):
        return tuple(encoding.ids)
    first = vocabulary.get(f"##{encoding.tokens[0]}", encoding.ids[0])
    return (first, *encoding.ids[1:])
