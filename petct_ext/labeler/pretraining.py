"""Domain pretraining of a BERT-like encoder: masked words and whether one sentence follows another.

Shapes: B pairs of sentences, L tokens, P masked positions, V tokens of the vocabulary.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from tokenizers import Tokenizer
from torch import Tensor, nn

from petct_ext.files import make_folder
from petct_ext.labeler.merged_vocabulary import MergedVocabulary
from petct_ext.labeler.network import build_text_encoder
from petct_ext.labeler.offline_encoder import encoder_folder
from petct_ext.labeler.vocabulary import save_tokenizer

__all__ = ["PretrainingLoss", "ReportPretrainer", "save_encoder"]

_LOGGER = logging.getLogger(__name__)


class ReportPretrainer(nn.Module):
    """An encoder with the two heads of BERT's pretraining (Devlin et al. 2019).

    Args:
        encoder: as in :class:`petct_ext.labeler.network.ReportClassifier`.
        vocabulary: tokens of the reports that were merged into the encoder's vocabulary; each gets
            the mean of the embeddings of the word pieces that spelled it before. None: none.
        vocab_size: number of tokens, needed where ``encoder`` is settings.
    """

    def __init__(
        self,
        encoder: str | Path | Mapping[str, Any],
        *,
        vocabulary: MergedVocabulary | None = None,
        vocab_size: int | None = None,
    ) -> None:
        super().__init__()
        if not isinstance(encoder, Mapping):
            encoder = encoder_folder(str(encoder))
        self.encoder = build_text_encoder(encoder, vocab_size, pretrained=True)
        config = self.encoder.config
        width = int(config.hidden_size)
        self.pad_id = int(config.pad_token_id or 0)
        if vocabulary is not None:
            _initialize(self.encoder.get_input_embeddings().weight, vocabulary)
        self.transform = nn.Sequential(nn.Linear(width, width), nn.GELU(), nn.LayerNorm(width))
        self.bias = nn.Parameter(torch.zeros(int(config.vocab_size)))
        self.follows = nn.Sequential(nn.Linear(width, width), nn.Tanh(), nn.Linear(width, 1))

    def forward(self, token_ids: Tensor, segments: Tensor, positions: Tensor) -> Tensor:
        """Predicts masked tokens and whether the second sentence follows the first.

        Args:
            token_ids: pairs of sentences (B, L), padded.
            segments: 0 for tokens of the first sentence, 1 for those of the second (B, L).
            positions: of the masked tokens (B, P), padded with 0.

        Returns:
            Logits (B, P + 1, V): of the masked tokens, and in ``[:, P, 0]`` that of "follows".
        """
        mask = (token_ids != self.pad_id).long()
        features = self.encoder(
            input_ids=token_ids, attention_mask=mask, token_type_ids=segments
        ).last_hidden_state
        at = positions.unsqueeze(-1).expand(-1, -1, features.shape[-1])
        chosen = self.transform(features.gather(1, at))
        words = nn.functional.linear(chosen, self.encoder.get_input_embeddings().weight, self.bias)
        follows = self.follows(features[:, :1])
        return torch.cat([words, follows.expand(-1, -1, words.shape[-1])], dim=1)


class PretrainingLoss(nn.Module):
    """Sum of the cross entropies of masked tokens and of "follows".

    Targets (B, P + 1), int64: the token at each masked position, -100 where there is none, and in
    the last column 1 if the second sentence follows the first, else 0.
    """

    def forward(self, input: Tensor, target: Tensor) -> Tensor:
        """Returns a scalar for the logits of :class:`ReportPretrainer`."""
        words, follows = input[:, :-1], input[:, -1, 0]
        of_words = nn.functional.cross_entropy(
            words.transpose(1, 2), target[:, :-1], ignore_index=-100, reduction="sum"
        ) / (target[:, :-1] != -100).sum().clamp_min(1)
        return of_words + nn.functional.binary_cross_entropy_with_logits(
            follows, target[:, -1].to(follows.dtype)
        )


def save_encoder(network: ReportPretrainer, tokenizer: Tokenizer, folder: str | Path) -> Path:
    """Writes the encoder and its tokenizer: a folder for ``--encoder`` of the labeler's training.

    Raises:
        OutputError: if the folder cannot be written to.
    """
    folder = make_folder(folder)
    network.encoder.save_pretrained(str(folder))
    save_tokenizer(tokenizer, folder)
    _LOGGER.info("%s: encoder for --encoder", folder)
    return folder


@torch.no_grad()
def _initialize(weight: Tensor, vocabulary: MergedVocabulary) -> None:
    old = weight.clone()
    for token, pieces in vocabulary.sources.items():
        weight[token] = old[list(pieces)].mean(dim=0)
