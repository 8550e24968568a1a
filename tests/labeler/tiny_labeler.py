"""A tiny report labeler that has learned that "mass" is abnormal and "no" is not."""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import Any

import torch
from tokenizers import Tokenizer

from petct_ext.labeler.network import ReportClassifier, begin_model_folder
from petct_ext.labeler.prediction import ReportPredictor
from petct_ext.labeler.vocabulary import learn_vocabulary

ORGANS = ("liver", "spleen", "pancreas", "stomach")
LAYERS = 2
SETTINGS = {
    "hidden_size": 32,
    "num_hidden_layers": LAYERS,
    "num_attention_heads": 2,
    "intermediate_size": 32,
}


def sentence(organ: str, *, abnormal: bool, label: int | None = None) -> dict[str, Any]:
    """An item with one mention."""
    text = f"Intense mass in the {organ}." if abnormal else f"There is no uptake in the {organ}."
    start = 100 + text.index(organ)
    mention = {"start": start, "end": start + len(organ), "region": organ, "label": label}
    return {
        "exam_id": f"e-{organ}",
        "section": "findings",
        "sentence": 0,
        "text": text,
        "offset": 100,
        "mentions": [{**mention, "rule": 0.5}],
    }


@cache
def _trained() -> tuple[ReportClassifier, Tokenizer]:
    torch.manual_seed(0)
    items = [(sentence(organ, abnormal=bool(y)), y) for organ in ORGANS for y in (0, 1)]
    tokenizer = learn_vocabulary([item["text"] for item, _ in items] * 5, size=200)
    network = ReportClassifier(SETTINGS, vocab_size=tokenizer.get_vocab_size(), dropout=0.0)
    encoded = tokenizer.encode_batch([item["text"] for item, _ in items])
    longest = max(len(one.ids) for one in encoded)
    ids = torch.tensor([one.ids + [0] * (longest - len(one.ids)) for one in encoded])
    target = torch.tensor([float(y) for _, y in items])[:, None].expand_as(ids)
    optimizer = torch.optim.Adam(network.parameters(), lr=5e-3)
    for _ in range(40):
        logits = network(ids)[:, 0]
        loss = torch.nn.functional.binary_cross_entropy_with_logits(logits, target)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    return network, tokenizer


def write_labeler(folder: Path) -> Path:
    """Trains once, for a second, and writes a model folder."""
    network, tokenizer = _trained()
    begin_model_folder(network, tokenizer, folder)
    torch.save(network.state_dict(), folder / "model.pt")
    return folder


def load_labeler(folder: Path) -> ReportPredictor:
    """Trains and loads it."""
    return ReportPredictor(write_labeler(folder))
