"""How the labeler that ships with the bundle is made, and how its accuracy is estimated."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
from tokenizers import Tokenizer

from petct_ext.labeler.blend import EQUAL_WEIGHTS, BlendScores, choose_blend, score_blend
from petct_ext.labeler.network import ReportClassifier, begin_model_folder
from petct_ext.labeler.offline_encoder import OFFLINE_ENCODER
from petct_ext.labeler.own_reports import own_annotated_reports
from petct_ext.labeler.tokens import blend_with_rules
from petct_ext.labeler.training import (
    FitSettings,
    fit_labeler,
    items_of_sentences,
    network_probabilities,
)
from petct_ext.labeler.vocabulary import load_tokenizer
from petct_ext.ontology import RegionOntology
from petct_ext.reports.items import SentenceTagger, items_of_texts
from petct_ext.reports.repeats import in_order, place_of_mention
from petct_ext.synthetic.reports.contexts import generate_contexts
from petct_ext.synthetic.reports.labeling_sentences import (
    generate_labeling_sentences,
    handwritten_sentences,
)
from petct_ext.training.checkpoints import write_checkpoint

__all__ = [
    "FoldedLabeler",
    "Recipe",
    "cross_validate",
    "fit_blend",
    "fold_of",
    "save_labeler",
    "train_stage_one",
    "train_tuned",
]

_LOGGER = logging.getLogger(__name__)
Items = Sequence[dict[str, Any]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Recipe:
    """Everything that decides the shipped weights, beside the text.

    Attributes:
        encoder: folder or name of the pretrained encoder.
        adapter_rank: rank of the adapters.
        num_generated: generated sentences of the first stage.
        num_contexts: generated findings of more than one sentence: half of them stand among the
            generated text, half among the text written by hand.
        generated, written, tuned: settings of the first stage (generated text, then text written by
            hand) and of the second one (real mentions mixed with as many sentences of our own).
        own_per_real: sentences written by hand per sentence of real text in the second stage. Seven
            of ten real mentions are abnormal, four of ten of our own: with too few of our own the
            network takes what is abnormal for usual, and specificity falls.
        blend: weights of network, rules and offset, see
            :func:`petct_ext.labeler.tokens.blend_with_rules`; where :func:`fit_blend` begins.
        seed: of everything random.
    """

    encoder: str = OFFLINE_ENCODER
    adapter_rank: int = 16
    num_generated: int = 3600
    num_contexts: int = 1600
    generated: FitSettings = field(default_factory=lambda: FitSettings(epochs=1))
    written: FitSettings = field(default_factory=lambda: FitSettings(epochs=3, vary=0.4))
    tuned: FitSettings = field(
        default_factory=lambda: FitSettings(epochs=3, learning_rate=4e-4, vary=0.2)
    )
    own_per_real: float = 2.5
    blend: tuple[float, float, float] = EQUAL_WEIGHTS
    seed: int = 0


def train_stage_one(
    recipe: Recipe, ontology: RegionOntology
) -> tuple[ReportClassifier, Tokenizer, list[Any]]:
    """Trains on the project's own text.

    Returns:
        The network, its tokenizer and the items written by hand (for the second stage).

    Raises:
        InputDataError: if the encoder is not installed.
    """
    tokenizer = load_tokenizer(recipe.encoder)
    torch.manual_seed(recipe.seed)
    network = ReportClassifier(recipe.encoder, adapter_rank=recipe.adapter_rank)
    rng = np.random.default_rng(recipe.seed)
    generated = items_of_sentences(
        generate_labeling_sentences(rng, recipe.num_generated), prefix="generated"
    )
    contexts = items_of_sentences(generate_contexts(rng, recipe.num_contexts), prefix="context")
    written = items_of_sentences(handwritten_sentences(ontology), prefix="written")
    written += contexts[: len(contexts) // 2]
    written += items_of_texts(own_annotated_reports("training"), SentenceTagger(ontology))[0]
    _LOGGER.info(
        "stage 1: %d generated sentences, %d findings in context, %d of both and written by hand",
        len(generated),
        len(contexts),
        len(written),
    )
    generated += contexts[len(contexts) // 2 :]
    fit_labeler(network, tokenizer, generated, recipe.generated, seed=recipe.seed)
    fit_labeler(network, tokenizer, written, recipe.written, seed=recipe.seed + 1)
    return network, tokenizer, written


def fit_blend(
    network: ReportClassifier, tokenizer: Tokenizer, ontology: RegionOntology
) -> tuple[tuple[float, float, float], BlendScores]:
    """Chooses the blend of a trained network with the rules, on own reports seen by neither.

    Returns:
        The blend and its calibration on the same reports.
    """
    items = items_of_texts(own_annotated_reports("blend"), SentenceTagger(ontology))[0]
    mentions = [mention for item in items for mention in item["mentions"]]
    of_network = network_probabilities(network, tokenizer, items).double().numpy()
    rules = np.array([float(mention["rule"]) for mention in mentions])
    labels = np.array([float(mention["label"]) for mention in mentions])
    blend = choose_blend(of_network, rules, labels)
    return blend, score_blend(of_network, rules, labels, blend)


def train_tuned(
    network: ReportClassifier, tokenizer: Tokenizer, recipe: Recipe, *, real: Items, own: Items
) -> None:
    """Second stage, in place: real mentions, mixed with own sentences against forgetting."""
    rng = np.random.default_rng(recipe.seed + 2)
    number = min(len(own), round(recipe.own_per_real * len(real)))
    chosen = [own[i] for i in sorted(rng.choice(len(own), number, replace=False).tolist())]
    _LOGGER.info("stage 2: %d real sentences, %d own", len(real), len(chosen))
    fit_labeler(network, tokenizer, [*real, *chosen], recipe.tuned, seed=recipe.seed + 3)


def fold_of(exam_ids: Sequence[str], *, folds: int, seed: int) -> dict[str, int]:
    """Deals texts into folds of equal size; all sentences of a text are in the same one."""
    names = sorted(set(exam_ids))
    order = np.random.default_rng(seed).permutation(len(names))
    return {names[i]: rank % folds for rank, i in enumerate(order.tolist())}


def cross_validate(
    recipe: Recipe,
    first: tuple[ReportClassifier, Tokenizer, list[Any]],
    real: Items,
    *,
    folds: int = 5,
) -> dict[str, Any]:
    """Trains the second stage once per fold, without the texts of that fold.

    Args:
        recipe: as for the shipped model.
        first: result of :func:`train_stage_one`, which saw no real text; not changed.
        real: items of annotated real texts.
        folds: how many.

    Returns:
        State dict of the network that has not seen a text, per exam id.
    """
    network, tokenizer, own = first
    begin = {name: tensor.clone() for name, tensor in network.state_dict().items()}
    of_text = fold_of([item["exam_id"] for item in real], folds=folds, seed=recipe.seed)
    states: dict[str, Any] = {}
    for fold in range(folds):
        network.load_state_dict(begin)
        training = [item for item in real if of_text[item["exam_id"]] != fold]
        train_tuned(network, tokenizer, recipe, real=training, own=own)
        state = {name: tensor.clone() for name, tensor in network.state_dict().items()}
        states |= {name: state for name, number in of_text.items() if number == fold}
    network.load_state_dict(begin)
    return states


class FoldedLabeler:
    """Labels every text with the network that did not see it in training.

    Args:
        network: receives the weights of each fold in turn.
        tokenizer: the encoder's.
        states: result of :func:`cross_validate`.
        blend: as in :class:`Recipe`.
    """

    def __init__(
        self,
        network: ReportClassifier,
        tokenizer: Tokenizer,
        states: Mapping[str, Any],
        blend: tuple[float, float, float],
    ) -> None:
        self.network = network
        self.tokenizer = tokenizer
        self.states = states
        self.blend = torch.tensor(blend)

    def predict(self, items: Items) -> list[dict[str, Any]]:
        """Returns one row of the table MENTIONS per mention, sorted by exam and place.

        Args:
            items: of the texts of the cross-validation.
        """
        rows: list[dict[str, Any]] = []
        folds = list({id(s): s for s in self.states.values()}.values())
        for state in folds:
            self.network.load_state_dict(state)
            # A text without judged sentences was in no training: any network will do.
            own = [i for i in items if self.states.get(i["exam_id"], folds[0]) is state]
            found = network_probabilities(self.network, self.tokenizer, own)
            mentions = [(item, m) for item in own for m in item["mentions"]]
            rules = torch.tensor([float(m["rule"]) for _, m in mentions])
            blended = blend_with_rules(found, rules, self.blend).tolist()
            rows += [
                {**place_of_mention(item, m), "probability": probability}
                for (item, m), probability in zip(mentions, blended, strict=True)
            ]
        return in_order(rows)


def save_labeler(
    network: ReportClassifier, tokenizer: Tokenizer, folder: str | Path, recipe: Recipe
) -> Path:
    """Writes ``model.pt`` (float16) and ``encoder/`` and returns the folder.

    Raises:
        OutputError: if the folder cannot be written to.
    """
    folder = begin_model_folder(network, tokenizer, folder)
    network.blend.copy_(torch.tensor(recipe.blend))
    state = {name: tensor.to(torch.float16) for name, tensor in network.state_dict().items()}
    state["blend"] = network.blend.clone()
    write_checkpoint(state, folder / "model.pt")
    return folder
