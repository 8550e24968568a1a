"""Pairs for pretraining: what is hidden can be predicted, and only that."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from petct_ext.errors import InputDataError
from petct_ext.keys import TOKEN_IDS
from petct_ext.labeler.batches import prepare_pretraining_batch
from petct_ext.labeler.pretraining import (
    POSITIONS,
    SEGMENTS,
    TARGET,
    CollatePairs,
    PretrainingLoss,
    RandMaskedPaird,
    ReportPretrainer,
    pair_places,
    pretraining_documents,
    save_encoder,
)
from petct_ext.labeler.vocabulary import load_tokenizer
from tests.reports.phantom_reports import write_phantom_reports
from tests.scan.networks.tiny_encoder import TEXTS, write_tiny_encoder


@pytest.fixture(scope="module")
def encoder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_tiny_encoder(tmp_path_factory.mktemp("encoder"))


def test_targets_are_the_hidden_tokens(encoder: Path) -> None:
    tokenizer = load_tokenizer(encoder)
    transform = RandMaskedPaird([TEXTS[:3]], tokenizer, max_length=40)
    transform.set_random_state(seed=0)
    for place in pair_places([TEXTS[:3]]) * 5:
        pair = transform(place)
        ids, positions = list(pair[TOKEN_IDS]), pair[POSITIONS]
        assert len(ids) == len(pair[SEGMENTS]) <= 40
        for position, token in zip(positions, pair[TARGET][:-1], strict=True):
            ids[position] = token
        first = tokenizer.encode(TEXTS[place["sentence"]]).ids
        assert ids[: len(first)] == first or len(ids) == 40
        assert pair[TARGET][-1] in (0, 1)


def test_loss_falls_and_the_saved_encoder_loads(encoder: Path, tmp_path: Path) -> None:
    tokenizer = load_tokenizer(encoder)
    transform = RandMaskedPaird([TEXTS[:3]], tokenizer)
    transform.set_random_state(seed=0)
    batch = CollatePairs()([transform(place) for place in pair_places([TEXTS[:3]]) * 4])
    torch.manual_seed(0)
    network = ReportPretrainer(encoder).eval()
    ids, target, rest, _ = prepare_pretraining_batch(batch)
    assert target.shape == (len(ids), rest[1].shape[1] + 1)
    loss_function = PretrainingLoss()
    optimizer = torch.optim.Adam(network.parameters(), lr=0.01)
    losses = []
    for _ in range(30):
        loss = loss_function(network(ids, *rest), target)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(float(loss.detach()))
    assert losses[-1] < losses[0] / 2
    again = ReportPretrainer(save_encoder(network, tokenizer, tmp_path / "new"))
    assert torch.equal(
        again.encoder.get_input_embeddings().weight, network.encoder.get_input_embeddings().weight
    )


def test_only_reports_of_training_patients_are_read(tmp_path: Path) -> None:
    cohort, work = write_phantom_reports(tmp_path, num_patients=5)
    everything = pretraining_documents(cohort / "reports.csv")
    training = pretraining_documents(cohort / "reports.csv", work=work)
    assert 0 < len(training) < len(everything)
    assert all(document in everything for document in training)


def test_texts_without_two_sentences_are_refused(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text("Liver normal.")
    with pytest.raises(InputDataError, match="two sentences"):
        pretraining_documents(tmp_path)
