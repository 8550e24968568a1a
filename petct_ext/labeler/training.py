"""Fits a report labeler on sentences in memory: short trainings, folds, the shipped model.

The bundle's ``train.json`` trains on a cohort through MONAI's engines. This loop takes whole
sentences instead of single mentions, buckets them by length and can vary their places, which is
what a model that is rebuilt and cross-validated on two CPU cores needs.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from tokenizers import Tokenizer
from torch import Tensor

from petct_ext.errors import InputDataError
from petct_ext.keys import MENTION_LABEL, MENTION_TOKENS, TOKEN_IDS
from petct_ext.labeler.batches import CollateWindows, prepare_report_batch
from petct_ext.labeler.network import ReportClassifier
from petct_ext.labeler.tokens import TokenizeReportd, mention_probabilities
from petct_ext.reports.rules import rule_probability
from petct_ext.synthetic.reports.labeling_sentences import LabelingSentence, vary_places
from petct_ext.training.loss import MaskedBCEWithLogitsLoss

__all__ = ["FitSettings", "fit_labeler", "items_of_sentences", "network_probabilities"]

_LOGGER = logging.getLogger(__name__)
_BUCKET_BATCHES = 8
_MAX_GRADIENT = 1.0


@dataclass(frozen=True, slots=True, kw_only=True)
class FitSettings:
    """How long and how fast.

    Attributes:
        epochs: passes over the sentences.
        learning_rate: highest one; it rises over the first tenth and falls to nearly 0.
        batch_size: sentences at a time.
        weight_decay: of AdamW.
        vary: chance that a place is replaced by another of its kind, 0 to 1.
        max_length: most tokens of a window.
    """

    epochs: int
    learning_rate: float = 5e-4
    batch_size: int = 16
    weight_decay: float = 0.01
    vary: float = 0.0
    max_length: int = 256


def items_of_sentences(sentences: Sequence[LabelingSentence], *, prefix: str = "own") -> list[Any]:
    """Turns sentences into items as in :mod:`petct_ext.reports.items`, rules included.

    Args:
        sentences: ``text`` and ``mentions`` (``start, end, region, abnormal``).
        prefix: the exam ids are ``<prefix>_<number>``.
    """
    items = []
    for number, sentence in enumerate(sentences):
        text = sentence["text"]
        first, last = sentence.get("own", (0, len(text)))
        own = (first, last)
        mentions = [
            {
                "start": m["start"],
                "end": m["end"],
                "region": m["region"],
                "label": int(m["abnormal"]),
                "rule": rule_probability(text, m["start"], m["end"], own=own),
            }
            for m in sentence["mentions"]
        ]
        exam_id = f"{prefix}_{number}"
        place = {"exam_id": exam_id, "section": "findings", "sentence": 0, "offset": 0}
        items.append({**place, "text": text, "own": list(own), "mentions": mentions})
    return items


def fit_labeler(
    network: ReportClassifier,
    tokenizer: Tokenizer,
    items: Sequence[dict[str, Any]],
    settings: FitSettings,
    *,
    seed: int,
) -> float:
    """Trains in place on sentences with judged mentions; AdamW, the loss of the bundle.

    Args:
        network: parameters that require a gradient learn.
        tokenizer: the encoder's.
        items: see :mod:`petct_ext.reports.items`, every mention with its label.
        settings: see :class:`FitSettings`.
        seed: of the order, the dropout and the variation of places.

    Returns:
        Mean loss of the last epoch.

    Raises:
        InputDataError: if there is no item, or the loss is not finite.
    """
    if not items:
        raise InputDataError("nothing to train on: no sentence with a judged mention.")
    rng = np.random.default_rng(seed)
    torch.manual_seed(seed)
    learned = [p for p in network.parameters() if p.requires_grad]
    optimizer = torch.optim.AdamW(
        learned, lr=settings.learning_rate, weight_decay=settings.weight_decay
    )
    steps = settings.epochs * -(-len(items) // settings.batch_size)
    schedule = torch.optim.lr_scheduler.LambdaLR(optimizer, _Schedule(steps))
    loss_function = MaskedBCEWithLogitsLoss()
    tokenize = TokenizeReportd(tokenizer, max_length=settings.max_length)
    network.train()
    mean = 0.0
    for epoch in range(settings.epochs):
        losses = []
        for batch in _batches(items, tokenize, settings, rng):
            token_ids, target = prepare_report_batch(batch)
            loss = loss_function(network(token_ids), target)
            optimizer.zero_grad()
            loss.backward()
            torch.nn.utils.clip_grad_norm_(learned, _MAX_GRADIENT)
            optimizer.step()
            schedule.step()
            losses.append(float(loss.detach()))
        mean = float(np.mean(losses))
        if not np.isfinite(mean):
            raise InputDataError(f"the loss is {mean} in epoch {epoch + 1}; lower learning_rate.")
        _LOGGER.info("epoch %d of %d: loss %.3f", epoch + 1, settings.epochs, mean)
    network.eval()
    return mean


@torch.inference_mode()
def network_probabilities(
    network: ReportClassifier,
    tokenizer: Tokenizer,
    items: Sequence[dict[str, Any]],
    *,
    batch_size: int = 32,
) -> Tensor:
    """Returns the network's own probability of every mention (M,), in the order of the items."""
    network.eval()
    tokenize = TokenizeReportd(tokenizer)
    collate = CollateWindows(network.pad_id)
    begins = np.cumsum([0, *(len(item["mentions"]) for item in items)]).tolist()
    result = torch.full((begins[-1],), torch.nan)
    order = sorted(range(len(items)), key=lambda i: len(items[i]["text"]))
    for first in range(0, len(order), batch_size):
        chosen = order[first : first + batch_size]
        batch = collate([tokenize(_numbered(items[i], begins[i])) for i in chosen])
        probabilities = mention_probabilities(network(batch[TOKEN_IDS]), batch[MENTION_TOKENS])
        result[batch[MENTION_LABEL].flatten().long()] = probabilities
    return result


def _numbered(item: dict[str, Any], first: int) -> dict[str, Any]:
    """The item with the number of each mention in place of its label.

    Windows of a long sentence do not keep the order of its mentions.
    """
    mentions = [{**m, "label": first + i} for i, m in enumerate(item["mentions"])]
    return {**item, "mentions": mentions}


class _Schedule:
    """Factor of the learning rate: up over a tenth of the steps, then down in a line."""

    def __init__(self, steps: int) -> None:
        self.steps = steps

    def __call__(self, step: int) -> float:
        return min((step + 1) / (0.1 * self.steps + 1), max(0.02, 1 - step / self.steps))


def _batches(
    items: Sequence[dict[str, Any]],
    tokenize: TokenizeReportd,
    settings: FitSettings,
    rng: np.random.Generator,
) -> Iterator[dict[str, Any]]:
    """Yields batches of sentences of similar length in random order."""
    size = settings.batch_size
    order = rng.permutation(len(items)).tolist()
    varied = [_varied(items[i], settings.vary, rng) for i in order]
    collate = CollateWindows()
    for first in range(0, len(varied), size * _BUCKET_BATCHES):
        bucket = sorted(
            varied[first : first + size * _BUCKET_BATCHES], key=lambda item: len(item["text"])
        )
        groups = [bucket[i : i + size] for i in range(0, len(bucket), size)]
        for i in rng.permutation(len(groups)).tolist():
            yield collate([tokenize(item) for item in groups[i]])


def _varied(item: dict[str, Any], chance: float, rng: np.random.Generator) -> dict[str, Any]:
    if chance <= 0:
        return item
    offset = item["offset"]
    mentions = [
        {**m, "start": m["start"] - offset, "end": m["end"] - offset} for m in item["mentions"]
    ]
    moved = {**item, "offset": 0, "mentions": mentions}
    return vary_places(moved, rng, chance=chance)
