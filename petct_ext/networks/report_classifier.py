"""The report labeler: a BERT-like encoder and one logit per token."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from tokenizers import Tokenizer
from torch import Tensor, nn

from petct_ext.errors import InputDataError
from petct_ext.files import write_json
from petct_ext.reports.vocabulary import save_tokenizer

__all__ = ["ReportClassifier", "begin_model_folder"]


class ReportClassifier(nn.Module):
    """Predicts for every token of a sentence whether it belongs to an abnormal region.

    Deviation from the paper: the encoder is exchangeable, so a group may use its own.

    Args:
        encoder: a folder or hub name of a BERT-like model, or the settings of a
            :class:`transformers.BertConfig` for one with random weights.
        vocab_size: number of tokens; needed with settings, checked otherwise.
        pretrained: whether the encoder's own weights are loaded. False if those of the whole
            network follow from a checkpoint.
        dropout: probability that a feature is dropped before the last layer.

    Raises:
        InputDataError: if the encoder does not exist, cannot be read, or does not fit the
            vocabulary.
    """

    def __init__(
        self,
        encoder: str | Path | Mapping[str, Any],
        *,
        vocab_size: int | None = None,
        pretrained: bool = True,
        dropout: float = 0.1,
    ) -> None:
        super().__init__()
        self.encoder = _build_encoder(encoder, vocab_size, pretrained)
        config = self.encoder.config
        if vocab_size is not None and vocab_size > config.vocab_size:
            raise InputDataError(
                f"the tokenizer has {vocab_size} tokens, but the encoder knows {config.vocab_size};"
                " use the encoder's own tokenizer."
            )
        self.pad_id = int(config.pad_token_id or 0)
        self.dropout = nn.Dropout(dropout)
        self.classifier = nn.Linear(int(config.hidden_size), 1)

    def forward(self, token_ids: Tensor) -> Tensor:
        """Returns logits ``(B, 1, L)`` for token ids ``(B, L)``; padding tokens are masked."""
        mask = (token_ids != self.pad_id).long()
        features = self.encoder(input_ids=token_ids, attention_mask=mask).last_hidden_state
        logits: Tensor = self.classifier(self.dropout(features))
        return logits.transpose(1, 2)


def begin_model_folder(network: ReportClassifier, tokenizer: Tokenizer, folder: str | Path) -> Path:
    """Writes what inference needs beside the weights, before the training starts.

    ``encoder/config.json`` and ``encoder/{vocab.txt,tokenizer.json}`` go into ``folder``. Weights
    of an earlier training are removed: with another vocabulary they would give nonsense silently.

    Raises:
        OutputError: if the folder cannot be written to.
    """
    folder = Path(folder)
    (folder / "model.pt").unlink(missing_ok=True)
    write_json(folder / "encoder" / "config.json", network.encoder.config.to_dict())
    save_tokenizer(tokenizer, folder / "encoder")
    return folder


def _build_encoder(
    encoder: str | Path | Mapping[str, Any], vocab_size: int | None, pretrained: bool
) -> Any:
    # Imported here: transformers takes seconds, and the other networks do not need it.
    from transformers import AutoConfig, AutoModel, BertConfig, BertModel

    if isinstance(encoder, Mapping):
        if vocab_size is None:
            raise InputDataError("an encoder given by its settings needs vocab_size.")
        settings = {k: v for k, v in encoder.items() if not k.startswith("_")}
        config = BertConfig(**settings, vocab_size=vocab_size)
        return BertModel(config, add_pooling_layer=False)
    try:
        if pretrained:
            model = AutoModel.from_pretrained(str(encoder), trust_remote_code=False)
        else:
            config = AutoConfig.from_pretrained(str(encoder), trust_remote_code=False)
            model = AutoModel.from_config(config)
    except (OSError, ValueError):
        raise InputDataError(
            f"encoder {str(encoder)!r} is neither a folder with a BERT-like model nor a model of "
            "the hub that can be reached; train first, or download it and give its folder."
        ) from None
    if getattr(model, "pooler", None) is not None:
        model.pooler = None  # its weights would never get a gradient
    return model
