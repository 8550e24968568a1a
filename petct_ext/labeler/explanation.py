"""Which words make the report labeler call a mention abnormal: each word is masked in turn.

The effect of a word is the network's probability of the mention as the sentence stands, less the
one with the word's tokens replaced by ``[MASK]``: positive effects speak for an abnormal region.
Unlike attention this is what the word does to the result; a word whose meaning is also said by
another one has little effect all the same. Rules that a bundle blends with the network are not
part of it.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import pandas as pd
import torch

from petct_ext.errors import InputDataError
from petct_ext.keys import MENTION_PLACES, MENTION_TOKENS, TOKEN_IDS
from petct_ext.labeler.attention import token_offsets
from petct_ext.labeler.prediction import ReportPredictor
from petct_ext.labeler.tokens import mention_probabilities

__all__ = ["ExplainedMention", "explain_mentions", "summarize_words"]

_WORD: Final = re.compile(r"\w+(?:[-'./]\w+)*")


@dataclass(frozen=True, slots=True)
class ExplainedMention:
    """A mention with the effect of every word of its sentence.

    Attributes:
        exam_id: pseudonymous id.
        region: name in the ontology.
        text: the sentence.
        start: offset of the mention in the sentence.
        end: offset one past its last character.
        probability: of an abnormal mention, by the network alone.
        label: 1 abnormal, 0 not, None if nobody has judged.
        words: start, end (in the sentence) and effect of each word.
    """

    exam_id: str
    region: str
    text: str
    start: int
    end: int
    probability: float
    label: int | None
    words: tuple[tuple[int, int, float], ...]

    @property
    def error(self) -> float:
        """Distance to the label, or else how uncertain the network is, both in [0, 1]."""
        if self.label is None:
            return 1 - 2 * abs(self.probability - 0.5)
        return abs(self.probability - self.label)


def explain_mentions(
    predictor: ReportPredictor, item: Mapping[str, Any], *, batch_size: int = 64
) -> list[ExplainedMention]:
    """Masks the words of a sentence one at a time.

    Args:
        predictor: a trained report labeler.
        item: a sentence with mentions, see :mod:`petct_ext.reports.items`.
        batch_size: masked sentences at a time.

    Returns:
        One entry per mention, in their order in the windows of the sentence.

    Raises:
        InputDataError: if the tokenizer knows no mask.
    """
    tokenizer = predictor.tokenize.tokenizer
    mask_id = tokenizer.token_to_id("[MASK]")
    if mask_id is None:
        raise InputDataError("the tokenizer has no [MASK] token; use a BERT-like encoder.")
    text, offset = item["text"], item["offset"]
    labels = {(m["start"], m["end"], m["region"]): m.get("label") for m in item["mentions"]}
    explained: list[ExplainedMention] = []
    for window in predictor.tokenize(item):
        offsets = token_offsets(tokenizer, text, window[TOKEN_IDS])
        words = _words(text, offsets)
        rows = _masked(window[TOKEN_IDS], [tokens for _, tokens in words], mask_id)
        table = _probabilities(predictor, rows, window[MENTION_TOKENS], batch_size)
        for column, mention in enumerate(window[MENTION_PLACES]):
            key = (mention["start"], mention["end"], mention["region"])
            whole = table[0][column]
            effects = tuple(
                (*span, whole - masked[column])
                for (span, _), masked in zip(words, table[1:], strict=True)
            )
            explained.append(
                ExplainedMention(
                    str(item["exam_id"]),
                    mention["region"],
                    text,
                    mention["start"] - offset,
                    mention["end"] - offset,
                    whole,
                    labels.get(key),
                    effects,
                )
            )
    return explained


def summarize_words(mentions: Iterable[ExplainedMention], *, min_count: int = 3) -> pd.DataFrame:
    """Averages effects over sentences.

    Args:
        mentions: explained mentions.
        min_count: words seen less often are left out.

    Returns:
        Columns ``word`` (lower case), ``num_mentions``, ``mean_effect``, ``largest_effect`` (of
        either sign), sorted by falling mean effect.
    """
    effects: dict[str, list[float]] = defaultdict(list)
    for mention in mentions:
        for start, end, effect in mention.words:
            effects[mention.text[start:end].lower()].append(effect)
    rows = [
        (word, len(found), sum(found) / len(found), max(found, key=abs))
        for word, found in effects.items()
        if len(found) >= min_count
    ]
    columns = ["word", "num_mentions", "mean_effect", "largest_effect"]
    rows.sort(key=lambda row: (-row[2], row[0]))
    return pd.DataFrame(rows, columns=columns)


def _words(
    text: str, offsets: Sequence[tuple[int, int]]
) -> list[tuple[tuple[int, int], list[int]]]:
    """Words that have tokens in the window, with the places of these."""
    found = []
    for match in _WORD.finditer(text):
        start, end = match.span()
        tokens = [i for i, (a, b) in enumerate(offsets) if a < end and start < b and a < b]
        if tokens:
            found.append(((start, end), tokens))
    return found


def _masked(
    token_ids: Sequence[int], places: Sequence[Sequence[int]], mask_id: int
) -> torch.Tensor:
    """The window as it is, then once for every list of places with these masked."""
    rows = torch.tensor([list(token_ids)]).repeat(len(places) + 1, 1)
    for row, tokens in enumerate(places, start=1):
        rows[row, list(tokens)] = mask_id
    return rows


@torch.inference_mode()
def _probabilities(
    predictor: ReportPredictor,
    rows: torch.Tensor,
    mentions: Sequence[tuple[int, int]],
    batch_size: int,
) -> list[list[float]]:
    """Probability of every mention (columns) in every row."""
    table: list[list[float]] = []
    for part in rows.split(batch_size):
        logits = predictor.network(part)
        places = [(row, *span) for row in range(len(part)) for span in mentions]
        found = mention_probabilities(logits, torch.tensor(places).reshape(-1, 3))
        table.extend(found.reshape(len(part), len(mentions)).tolist())
    return table
