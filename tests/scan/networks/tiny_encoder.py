"""A BERT of a few kilobytes in a folder, as a user would bring one."""

from __future__ import annotations

from pathlib import Path

import torch
from transformers import BertConfig, BertModel

from petct_ext.labeler.vocabulary import learn_vocabulary, save_tokenizer

TEXTS = [
    "Intense uptake in the left lung and the liver.",
    "No uptake in the right hilar node; spleen normal.",
    "Physiologic activity in the kidneys, bladder and bowel.",
] * 3


def write_tiny_encoder(folder: Path) -> Path:
    """Writes config, weights and tokenizer of an encoder with 16 features."""
    tokenizer = learn_vocabulary(TEXTS, size=120, min_frequency=2)
    save_tokenizer(tokenizer, folder)
    torch.manual_seed(0)
    config = BertConfig(
        vocab_size=tokenizer.get_vocab_size(),
        hidden_size=16,
        num_hidden_layers=2,
        num_attention_heads=2,
        intermediate_size=32,
        max_position_embeddings=256,
    )
    BertModel(config, add_pooling_layer=False).save_pretrained(folder)
    return folder
