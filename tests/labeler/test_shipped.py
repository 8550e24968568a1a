"""The recipe of the shipped labeler at tiny size: it learns, and folds never see their texts."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch

from petct_ext.errors import InputDataError
from petct_ext.labeler.network import ReportClassifier
from petct_ext.labeler.prediction import ReportPredictor
from petct_ext.labeler.shipped import (
    FoldedLabeler,
    Recipe,
    cross_validate,
    fold_of,
    save_labeler,
    train_stage_one,
)
from petct_ext.labeler.training import (
    FitSettings,
    fit_labeler,
    items_of_sentences,
    network_probabilities,
)
from petct_ext.labeler.vocabulary import load_tokenizer
from petct_ext.ontology import RegionOntology
from tests.scan.networks.tiny_encoder import write_tiny_encoder

ONCE = FitSettings(epochs=1)


@pytest.fixture(scope="module")
def recipe(tmp_path_factory: pytest.TempPathFactory) -> Recipe:
    encoder = write_tiny_encoder(tmp_path_factory.mktemp("encoder"))
    return Recipe(
        encoder=str(encoder),
        num_generated=20,
        num_contexts=8,
        generated=ONCE,
        written=ONCE,
        tuned=ONCE,
        blend=(1.0, 0.3, 0.0),
    )


@pytest.fixture(scope="module")
def first(recipe: Recipe) -> Any:
    return train_stage_one(recipe, RegionOntology.default())


def real_items(first: Any, number: int = 20) -> list[Any]:
    return [{**item, "exam_id": f"t{i % 7}"} for i, item in enumerate(first[2][:number])]


def test_network_learns_two_sentences(recipe: Recipe) -> None:
    torch.manual_seed(0)
    network = ReportClassifier(recipe.encoder)
    texts = [("Intense uptake in the liver.", 1), ("No uptake in the liver.", 0)]
    sentences = [
        {
            "text": text,
            "mentions": [
                {
                    "start": text.index("liver"),
                    "end": text.index("liver") + 5,
                    "region": "liver",
                    "abnormal": label,
                }
            ],
        }
        for text, label in texts
    ]
    items = items_of_sentences(sentences)
    tokenizer = load_tokenizer(recipe.encoder)
    loss = fit_labeler(
        network, tokenizer, items, FitSettings(epochs=60, learning_rate=0.01), seed=0
    )
    assert loss < 0.2
    first_, second = network_probabilities(network, tokenizer, items).tolist()
    assert first_ > 0.8 > 0.2 > second


def test_nothing_to_train_on_is_refused(first: Any) -> None:
    with pytest.raises(InputDataError, match="nothing to train on"):
        fit_labeler(first[0], first[1], [], ONCE, seed=0)


def test_folds_keep_texts_together() -> None:
    folds = fold_of(["a", "b", "a", "c", "d"], folds=2, seed=0)
    assert sorted(folds.values()) == [0, 0, 1, 1]


def test_each_text_is_labeled_by_a_network_that_did_not_see_it(recipe: Recipe, first: Any) -> None:
    items = real_items(first)
    begin = {name: tensor.clone() for name, tensor in first[0].state_dict().items()}
    states = cross_validate(recipe, first, items, folds=3)
    assert set(states) == {item["exam_id"] for item in items}
    assert len({id(state) for state in states.values()}) == 3
    assert all(torch.equal(first[0].state_dict()[name], begin[name]) for name in begin)
    rows = FoldedLabeler(first[0], first[1], states, recipe.blend).predict(items)
    assert len(rows) == sum(len(item["mentions"]) for item in items)
    assert all(0 <= row["probability"] <= 1 for row in rows)


def test_saved_labeler_is_small_and_predicts_the_same(
    recipe: Recipe, first: Any, tmp_path: Path
) -> None:
    network, tokenizer, items = first
    save_labeler(network, tokenizer, tmp_path, recipe)
    state = torch.load(tmp_path / "model.pt", weights_only=True)
    assert not any("embeddings.word" in name for name in state)
    assert state["blend"].tolist() == pytest.approx([1.0, 0.3, 0.0])
    labeler = FoldedLabeler(
        network, tokenizer, {i["exam_id"]: network.state_dict() for i in items}, recipe.blend
    )
    # One state for all: the network itself.
    labeler.states = dict.fromkeys(labeler.states, network.state_dict())
    expected = [row["probability"] for row in labeler.predict(items[:30])]
    found = [row["probability"] for row in ReportPredictor(tmp_path).predict(items[:30])]
    assert found == pytest.approx(expected, abs=0.01)
