"""Report sentences to windows of tokens, and token logits to probabilities of mentions.

Shapes: B windows of sentences, L tokens, M mentions in the batch.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import torch
from monai.transforms import Transform
from tokenizers import Tokenizer
from torch import Tensor

from petct_ext.errors import InputDataError
from petct_ext.keys import (
    MENTION_LABEL,
    MENTION_PLACES,
    MENTION_PROB,
    MENTION_RULE,
    MENTION_TOKENS,
    PRED,
    REFERENCE,
    TOKEN_IDS,
)
from petct_ext.reports.repeats import place_of_mention

__all__ = [
    "NETWORK_MARGIN",
    "RULE_MARGIN",
    "MentionProbabilitiesd",
    "TokenizeReportd",
    "Window",
    "blend_with_rules",
    "mention_probabilities",
    "split_windows",
    "token_span",
]

NETWORK_MARGIN: Final = 1e-4
RULE_MARGIN: Final = 0.02


class TokenizeReportd(Transform):
    """Turns an item of ``report_items.json`` into windows of tokens.

    Args:
        tokenizer: see :func:`petct_ext.labeler.vocabulary.load_tokenizer`.
        max_length: most tokens of a window, special tokens included.
    """

    def __init__(self, tokenizer: Tokenizer, *, max_length: int = 256) -> None:
        self.tokenizer = tokenizer
        self.max_length = max_length

    def __call__(self, data: Mapping[str, Any]) -> list[dict[str, Any]]:
        """Returns one dictionary per window, usually one.

        Each has ``token_ids`` (list), ``mention_tokens`` (list of first and one past the last
        position), ``mention_label`` (float, NaN if unknown), ``mention_rule`` and ``mentions``, the
        last four with one entry per mention. No mention is lost or cut.

        Raises:
            InputDataError: if a mention has no token or does not fit into a window.
        """
        given = data["mentions"]
        offset = data["offset"]
        spans = [(m["start"] - offset, m["end"] - offset) for m in given]
        windows = split_windows(self.tokenizer, data["text"], spans, max_length=self.max_length)
        return [
            {
                TOKEN_IDS: list(window.token_ids),
                MENTION_TOKENS: [(first, last) for _, first, last in window.mentions],
                MENTION_LABEL: [_label(given[i]) for i, _, _ in window.mentions],
                MENTION_RULE: [float(given[i]["rule"]) for i, _, _ in window.mentions],
                MENTION_PLACES: [place_of_mention(data, given[i]) for i, _, _ in window.mentions],
            }
            for window in windows
        ]


class MentionProbabilitiesd(Transform):
    """Post-processing: adds ``mention_prob`` (M, 1) from ``pred`` (B, 1, L).

    Works on whole batches: the engine must not decollate.

    Args:
        blend: how the probability is combined with that of the rules, see
            :func:`blend_with_rules`; ``network.blend`` in the bundle, read at every batch since a
            checkpoint may change it. None: the network alone.
    """

    def __init__(self, blend: Tensor | None = None) -> None:
        self.blend = blend

    def __call__(self, data: Mapping[str, Any]) -> dict[str, Any]:
        """Returns the data with the probability of every mention of the batch, on the CPU."""
        probabilities = mention_probabilities(data[PRED], data[MENTION_TOKENS])
        if self.blend is not None:
            rules = data[MENTION_RULE].flatten().to(probabilities.device)
            probabilities = blend_with_rules(probabilities, rules, self.blend)
        return {
            **data,
            MENTION_PROB: probabilities[:, None].cpu(),
            # A copy under a key that the batch lacks, so that it goes where metrics can see it.
            REFERENCE: data[MENTION_LABEL],
        }


def mention_probabilities(logits: Tensor, mention_tokens: Tensor) -> Tensor:
    """Averages token probabilities over the word pieces of each mention.

    ``p = mean over the mention's tokens of sigmoid(logit)`` (Eyuboglu et al. 2021, Methods).

    Args:
        logits: token logits ``(B, 1, L)``.
        mention_tokens: row, first and one past the last token of each mention, ``(M, 3)``.

    Returns:
        Probabilities ``(M,)`` in [0, 1], float32.

    Example:
        >>> logits = torch.tensor([[[0.0, 100.0, -100.0]]])
        >>> mention_probabilities(logits, torch.tensor([[0, 0, 2], [0, 2, 3]]))
        tensor([0.7500, 0.0000])
    """
    tokens = logits[:, 0].float().sigmoid().double()
    sums = torch.nn.functional.pad(tokens.cumsum(dim=1), (1, 0))
    row, first, last = mention_tokens.to(logits.device).unbind(dim=1)
    mean = (sums[row, last] - sums[row, first]) / (last - first)
    return mean.clamp(0.0, 1.0).float()


def blend_with_rules(probabilities: Tensor, rules: Tensor, blend: Tensor) -> Tensor:
    """Combines what the network and the rules say: ``sigmoid(a logit(p) + b logit(r) + c)``.

    Args:
        probabilities: of the network (M,), in [0, 1].
        rules: of the rules (M,), in [0, 1].
        blend: a, b and c (3,); (1, 0, 0) returns the network's probabilities.

    Returns:
        Probabilities (M,), float32. Both inputs are kept ``1e-4`` and ``0.02`` away from 0 and 1: a
        rule is an order of certainty and must never outvote the network alone.

    Example:
        >>> p = torch.tensor([0.9, 0.2])
        >>> blend_with_rules(p, torch.tensor([0.0, 0.5]), torch.tensor([1.0, 0.0, 0.0]))
        tensor([0.9000, 0.2000])
    """
    scale, weight, offset = blend.to(probabilities.device, torch.float64)
    if weight == 0 and scale == 1 and offset == 0:
        return probabilities.float()
    of_network = probabilities.double().logit(eps=NETWORK_MARGIN)
    of_rules = rules.double().logit(eps=RULE_MARGIN)
    blended: Tensor = scale * of_network + weight * of_rules + offset
    return blended.sigmoid().float()


def _label(mention: Mapping[str, Any]) -> float:
    label = mention.get("label")
    return float("nan") if label is None else float(label)


@dataclass(frozen=True, slots=True)
class Window:
    """Tokens of a sentence, or of the part of a long sentence, with the mentions they hold.

    Attributes:
        token_ids: ids with the special tokens at both ends.
        mentions: for each mention in the window, its index among those given, and the
            positions of its first and one past its last token in ``token_ids``.
    """

    token_ids: tuple[int, ...]
    mentions: tuple[tuple[int, int, int], ...]


def token_span(offsets: Sequence[tuple[int, int]], start: int, end: int) -> tuple[int, int]:
    """Returns the first and one past the last token that share a character with a span.

    Args:
        offsets: start and end offset of every token, in order.
        start: offset of the first character.
        end: offset one past the last character.

    Raises:
        InputDataError: if no token shares a character with the span.

    Example:
        >>> token_span([(0, 4), (5, 9), (9, 10)], 5, 10)
        (1, 3)
    """
    inside = [i for i, (a, b) in enumerate(offsets) if a < end and start < b and a < b]
    if not inside:
        raise InputDataError(
            f"no token lies at characters {start} to {end}; the mention is empty, or the tokenizer "
            "drops its characters."
        )
    return inside[0], inside[-1] + 1


def split_windows(
    tokenizer: Tokenizer, text: str, spans: Sequence[tuple[int, int]], *, max_length: int
) -> tuple[Window, ...]:
    """Tokenizes a sentence so that every mention lies whole in exactly one window.

    A sentence that fits is one window. A longer one is split into windows of ``max_length`` tokens
    around its mentions; text far from any mention may then be in none, but no mention
    is ever cut or dropped.

    Args:
        tokenizer: tokenizer whose offsets refer to the unchanged text.
        text: the sentence.
        spans: start and end offset of each mention in ``text``.
        max_length: most tokens of a window, special tokens included.

    Returns:
        The windows; a sentence without mentions gives the one that starts it.

    Raises:
        InputDataError: if a mention alone is longer than a window, or has no token.
    """
    prefix, suffix = _special_tokens(tokenizer)
    encoding = tokenizer.encode(text, add_special_tokens=False)
    room = max_length - len(prefix) - len(suffix)
    placed = sorted(
        (*token_span(encoding.offsets, start, end), index)
        for index, (start, end) in enumerate(spans)
    )
    windows = []
    for begin, members in _plan(placed, len(encoding.ids), room):
        ids = (*prefix, *encoding.ids[begin : begin + room], *suffix)
        shift = len(prefix) - begin
        windows.append(
            Window(
                ids, tuple((index, first + shift, last + shift) for first, last, index in members)
            )
        )
    return tuple(windows)


def _plan(
    placed: list[tuple[int, int, int]], num_tokens: int, room: int
) -> list[tuple[int, list[tuple[int, int, int]]]]:
    """Chooses where windows begin; each mention goes to the first window that holds it whole."""
    if num_tokens <= room:
        return [(0, placed)]
    plan = []
    waiting = list(placed)
    while waiting:
        first, last, _ = waiting[0]
        if last - first > room:
            raise InputDataError(
                f"a mention of {last - first} tokens does not fit into a window of {room}; raise "
                "max_length, or check the annotation."
            )
        begin = max(0, min(first - room // 4, num_tokens - room), last - room)
        members = [m for m in waiting if begin <= m[0] and m[1] <= begin + room]
        plan.append((begin, members))
        waiting = [m for m in waiting if m not in members]
    return plan or [(0, [])]


def _special_tokens(tokenizer: Tokenizer) -> tuple[list[int], list[int]]:
    ids = list(tokenizer.encode("").ids)
    middle = (len(ids) + 1) // 2
    return ids[:middle], ids[middle:]
