"""What the tokens of a mention attend to, layer by layer, by groups of words.

After the supplementary figure of Eyuboglu et al. 2021: attention weights are averaged over the
heads of a layer, the tokens of a mention, and all mentions. Attention shows where a layer takes
its input from; it is no proof of what a word does to the result. For that see
:mod:`petct_ext.labeler.explanation`.

Shapes: G groups, H heads, L tokens of a window, N layers.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from importlib import resources
from typing import Any, Final

import numpy as np
import pandas as pd
import torch
from tokenizers import Tokenizer
from torch import Tensor

from petct_ext.errors import InputDataError
from petct_ext.files import read_json
from petct_ext.keys import MENTION_TOKENS, TOKEN_IDS
from petct_ext.labeler.prediction import ReportPredictor

__all__ = [
    "GROUPS",
    "WordGroups",
    "attention_by_group",
    "token_offsets",
]

_MENTION: Final = "the mention itself"
_OTHER: Final = "other words"
_SIGNS: Final = "punctuation, numbers"
_SPECIAL: Final = "[CLS], [SEP]"
GROUPS: Final = (
    _MENTION,
    "anatomy",
    "physical features",
    "qualifiers",
    "negation",
    _OTHER,
    _SIGNS,
    _SPECIAL,
)
"""Groups of words; every token is in one."""

_WORD: Final = re.compile(r"[^\W\d_]+")


class WordGroups:
    """Says which group a word belongs to.

    Args:
        words: lower-case words of each group; a star at the end stands for the rest of a word. A
            word in several groups counts for the first one.
    """

    def __init__(self, words: Mapping[str, Sequence[str]]) -> None:
        self._patterns = [
            (group, re.compile("|".join(map(_pattern, listed)))) for group, listed in words.items()
        ]

    @classmethod
    def default(cls) -> WordGroups:
        """Returns the lists of ``word_groups.json``."""
        return cls(read_json(str(resources.files(__package__) / "word_groups.json"))["groups"])

    def group(self, word: str) -> str:
        """Returns the group of a word, ``"other words"`` if none.

        Example:
            >>> [WordGroups.default().group(w) for w in ("No", "mild", "uptake", "left", "the")]
            ['negation', 'qualifiers', 'physical features', 'anatomy', 'other words']
        """
        lowered = word.lower()
        for group, pattern in self._patterns:
            if pattern.fullmatch(lowered):
                return group
        return _OTHER

    def of_tokens(
        self,
        text: str,
        offsets: Sequence[tuple[int, int]],
        mention: tuple[int, int],
        *,
        others: Iterable[tuple[int, int]] = (),
    ) -> list[str]:
        """Returns the group of every token as seen from one mention.

        Args:
            text: the sentence.
            offsets: of the tokens, see :func:`token_offsets`.
            mention: offsets of the mention in the sentence.
            others: offsets of all mentions in the sentence, which are anatomy.
        """
        words = {match.span(): self.group(match.group()) for match in _WORD.finditer(text)}
        for span in words:
            if any(a < span[1] and span[0] < b for a, b in others):
                words[span] = "anatomy"
        return [_group_of_token(token, mention, words) for token in offsets]


def attention_by_group(
    predictor: ReportPredictor,
    items: Iterable[Mapping[str, Any]],
    groups: WordGroups | None = None,
) -> pd.DataFrame:
    """Averages the attention from mentions to groups of words.

    Args:
        predictor: a trained report labeler.
        items: sentences with mentions, see :mod:`petct_ext.reports.items`.
        groups: lists of words; the default ones if None.

    Returns:
        One row per layer (from 1) and group: ``attention``, the mean over mentions of the weight
        that falls on the group (over all groups of a layer it sums to 1); ``expected``, the same if
        every token got the same weight; ``ratio`` of both (NaN if the group never occurs); and
        ``num_mentions`` whose sentence has a word of the group.

    Raises:
        InputDataError: if there is no mention.
    """
    groups = groups or WordGroups.default()
    sums = expected = present = np.zeros(0)
    num_mentions = 0
    with _plain_attention(predictor.network.encoder):
        for item in items:
            for weights, member in _mentions(predictor, item, groups):
                if not num_mentions:
                    sums = np.zeros((weights.shape[0], len(GROUPS)))
                    expected, present = np.zeros(len(GROUPS)), np.zeros(len(GROUPS))
                sums = sums + weights @ member
                expected = expected + member.mean(axis=0)
                present = present + member.any(axis=0)
                num_mentions += 1
    if not num_mentions:
        raise InputDataError("there is no mention whose attention could be averaged; tag reports.")
    return _table(sums / num_mentions, expected / num_mentions, present)


def _mentions(
    predictor: ReportPredictor, item: Mapping[str, Any], groups: WordGroups
) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Yields weights (N, L) and membership (L, G) for every mention of a sentence."""
    text, offset = item["text"], item["offset"]
    spans = [(m["start"] - offset, m["end"] - offset) for m in item["mentions"]]
    for window in predictor.tokenize(item):
        offsets = token_offsets(predictor.tokenize.tokenizer, text, window[TOKEN_IDS])
        layers = _attention(predictor, window[TOKEN_IDS])
        for first, last in window[MENTION_TOKENS]:
            own = (offsets[first][0], offsets[last - 1][1])
            named = groups.of_tokens(text, offsets, own, others=spans)
            member = np.array([[name == group for group in GROUPS] for name in named], dtype=float)
            yield layers[:, first:last].mean(dim=1).numpy(), member


@torch.inference_mode()
def _attention(predictor: ReportPredictor, token_ids: Sequence[int]) -> Tensor:
    """Weights (N, L, L) from row to column, the mean over heads."""
    ids = torch.tensor([list(token_ids)])
    output = predictor.network.encoder(
        input_ids=ids, attention_mask=torch.ones_like(ids), output_attentions=True
    )
    return torch.stack([layer[0].mean(dim=0) for layer in output.attentions]).double()


@contextmanager
def _plain_attention(encoder: Any) -> Iterator[None]:
    """The fast kernels do not keep the weights, so the plain formula is used meanwhile."""
    before = encoder.config._attn_implementation
    encoder.set_attn_implementation("eager")
    try:
        yield
    finally:
        encoder.set_attn_implementation(before)


def _table(attention: np.ndarray, expected: np.ndarray, present: np.ndarray) -> pd.DataFrame:
    rows = [
        {
            "layer": layer + 1,
            "group": group,
            "attention": attention[layer, index],
            "expected": expected[index],
            "ratio": attention[layer, index] / expected[index] if expected[index] else np.nan,
            "num_mentions": int(present[index]),
        }
        for layer in range(attention.shape[0])
        for index, group in enumerate(GROUPS)
    ]
    return pd.DataFrame(rows)


def _pattern(word: str) -> str:
    return re.escape(word[:-1]) + r"\w*" if word.endswith("*") else re.escape(word)


def _group_of_token(
    token: tuple[int, int], mention: tuple[int, int], words: Mapping[tuple[int, int], str]
) -> str:
    start, end = token
    if start == end:
        return _SPECIAL
    if mention[0] < end and start < mention[1]:
        return _MENTION
    return next((g for (a, b), g in words.items() if a < end and start < b), _SIGNS)


def token_offsets(
    tokenizer: Tokenizer, text: str, token_ids: Sequence[int]
) -> list[tuple[int, int]]:
    """Returns start and end offset of every token of a window; ``(0, 0)`` for special tokens.

    Args:
        tokenizer: that of the window.
        text: the sentence.
        token_ids: ids of the window, special tokens included, see
            :class:`petct_ext.labeler.tokens.TokenizeReportd`.

    Raises:
        InputDataError: if the window is not one of this sentence.
    """
    encoding = tokenizer.encode(text, add_special_tokens=False)
    num_special = len(tokenizer.encode("").ids)
    num_first = (num_special + 1) // 2
    inner = list(token_ids[num_first : len(token_ids) - (num_special - num_first)])
    for begin in range(len(encoding.ids) - len(inner) + 1):
        if encoding.ids[begin : begin + len(inner)] == inner:
            offsets = list(encoding.offsets[begin : begin + len(inner)])
            return [(0, 0)] * num_first + offsets + [(0, 0)] * (num_special - num_first)
    raise InputDataError(
        f"a window of {len(token_ids)} tokens is not part of its sentence of {len(encoding.ids)}; "
        "use the tokenizer that made it."
    )
