"""Domain pretraining of a BERT-like encoder: pairs of sentences, masked words, the network.

Shapes: B pairs of sentences, L tokens, P masked positions, V tokens of the vocabulary.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final

import torch
from monai.transforms import RandomizableTransform
from tokenizers import Tokenizer
from torch import Tensor, nn

from petct_ext.errors import InputDataError
from petct_ext.files import make_folder
from petct_ext.keys import TOKEN_IDS
from petct_ext.labeler.merged_vocabulary import MergedVocabulary
from petct_ext.labeler.network import build_text_encoder
from petct_ext.labeler.offline_encoder import encoder_folder
from petct_ext.labeler.report_files import read_reports
from petct_ext.labeler.vocabulary import save_tokenizer
from petct_ext.reports.context import report_sentences
from petct_ext.reports.readable import readable_text
from petct_ext.reports.status import LABELED, report_status
from petct_ext.tables.schemas import IDENTIFIERS, SPLITS, read_table

__all__ = [
    "POSITIONS",
    "SEGMENTS",
    "TARGET",
    "CollatePairs",
    "PretrainingLoss",
    "RandMaskedPaird",
    "ReportPretrainer",
    "pair_places",
    "pretraining_documents",
    "save_encoder",
]

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


SEGMENTS: Final = "segments"
POSITIONS: Final = "positions"
TARGET: Final = "target"
_IGNORED: Final = -100
_MASKED, _RANDOM = 0.8, 0.9
"""Of the chosen tokens, this share becomes [MASK], up to this share a random one, the rest stay."""


class RandMaskedPaird(RandomizableTransform):
    """Makes a training example of BERT's pretraining (Devlin et al. 2019) from a place in a text.

    In half of the cases the sentence after the given one follows, else a random one of any text.

    Args:
        documents: sentences of each report.
        tokenizer: of the encoder.
        max_length: most tokens of a pair; the longer sentence is cut at its end.
        mask_share: share of the tokens that are to be predicted.
    """

    def __init__(
        self,
        documents: Sequence[Sequence[str]],
        tokenizer: Tokenizer,
        *,
        max_length: int = 128,
        mask_share: float = 0.15,
    ) -> None:
        super().__init__()
        self.documents = documents
        self.tokenizer = tokenizer
        self.max_length = max_length
        self.mask_share = mask_share
        ids = tokenizer.get_vocab()
        self._cls, self._sep, self._mask = ids["[CLS]"], ids["[SEP]"], ids["[MASK]"]
        self._num_tokens = tokenizer.get_vocab_size()

    def __call__(self, data: Mapping[str, int]) -> dict[str, Any]:
        """Returns ``token_ids``, ``segments``, ``positions`` and ``target`` (lists) for a place.

        Args:
            data: ``document`` and ``sentence``, numbers; the sentence is not the last one.
        """
        first = self.documents[data["document"]][data["sentence"]]
        follows = bool(self.R.random() < 0.5)
        if follows:
            second = self.documents[data["document"]][data["sentence"] + 1]
        else:
            other = self.documents[int(self.R.randint(len(self.documents)))]
            second = other[int(self.R.randint(len(other)))]
        a, b = (self.tokenizer.encode(s, add_special_tokens=False).ids for s in (first, second))
        while len(a) + len(b) > self.max_length - 3:
            (a if len(a) > len(b) else b).pop()
        ids = [self._cls, *a, self._sep, *b, self._sep]
        segments = [0] * (len(a) + 2) + [1] * (len(b) + 1)
        maskable = [i for i, token in enumerate(ids) if token not in (self._cls, self._sep)]
        number = min(len(maskable), max(1, round(self.mask_share * len(maskable))))
        positions = sorted(self.R.permutation(len(maskable))[:number].tolist())
        positions = [maskable[i] for i in positions]
        target = [ids[i] for i in positions]
        for i in positions:
            ids[i] = self._hidden(ids[i])
        return {
            TOKEN_IDS: ids,
            SEGMENTS: segments,
            POSITIONS: positions,
            TARGET: [*target, int(follows)],
        }

    def _hidden(self, token: int) -> int:
        chance = self.R.random()
        if chance < _MASKED:
            return self._mask
        return int(self.R.randint(self._num_tokens)) if chance < _RANDOM else token


class CollatePairs:
    """Makes a batch of pairs.

    Args:
        pad_id: token id that fills shorter pairs.
    """

    def __init__(self, pad_id: int = 0) -> None:
        self.pad_id = pad_id

    def __call__(self, batch: Sequence[Mapping[str, Any]]) -> dict[str, Tensor]:
        """Returns ``token_ids`` and ``segments`` (B, L), ``positions`` (B, P), ``target``
        (B, P + 1): -100 where there is no masked token, last column "follows".
        """  # noqa: D205
        positions = _padded([item[POSITIONS] for item in batch], 0)
        words = _padded([item[TARGET][:-1] for item in batch], _IGNORED)
        follows = torch.tensor([[item[TARGET][-1]] for item in batch])
        return {
            TOKEN_IDS: _padded([item[TOKEN_IDS] for item in batch], self.pad_id),
            SEGMENTS: _padded([item[SEGMENTS] for item in batch], 0),
            POSITIONS: positions,
            TARGET: torch.cat([words, follows], dim=1),
        }


def _padded(rows: Sequence[Sequence[int]], value: int) -> Tensor:
    length = max(len(row) for row in rows)
    return torch.tensor([[*row, *[value] * (length - len(row))] for row in rows])


def pretraining_documents(
    reports: str | Path, *, work: str | Path | None = None
) -> list[list[str]]:
    """Returns the sentences of findings and impression of each report with two or more.

    Args:
        reports: see :func:`petct_ext.labeler.report_files.read_reports`.
        work: work folder of a cohort: reports of validation and test patients are left out, so that
            no model has read them. None: all reports are used; then none of them may be tested on.

    Raises:
        InputDataError: if no report is left.
    """
    texts = read_reports(reports).texts
    if work is None:
        _LOGGER.warning(
            "work is null: all %d reports are used, also those of test patients", len(texts)
        )
    else:
        texts = _of_training(texts, Path(work))
    readable = [text for text in map(readable_text, texts.values()) if _is_read(text)]
    if len(readable) < len(texts):
        left_out = len(texts) - len(readable)
        _LOGGER.warning("%d of %d reports cannot be read: left out", left_out, len(texts))
    documents = [
        [" ".join(text[s.start : s.end].split()) for s in report_sentences(text)]
        for text in readable
    ]
    documents = [sentences for sentences in documents if len(sentences) > 1]
    if not documents:
        raise InputDataError(
            f"{reports}: no training report has two sentences of findings or impression."
        )
    _LOGGER.info("pretraining on %d reports", len(documents))
    return documents


def _is_read(text: str) -> bool:
    return report_status(text).status == LABELED


def pair_places(documents: Sequence[Sequence[str]]) -> list[dict[str, int]]:
    """Returns every sentence that has a next one, as ``document`` and ``sentence`` numbers."""
    return [
        {"document": number, "sentence": i}
        for number, sentences in enumerate(documents)
        for i in range(len(sentences) - 1)
    ]


def _of_training(texts: dict[str, str], work: Path) -> dict[str, str]:
    splits = read_table(work / "splits.csv", SPLITS)
    identifiers = read_table(work / "private" / "identifiers.csv", IDENTIFIERS)
    training = set(splits.loc[splits["split"] == "training", "exam_id"])
    known = dict(zip(identifiers["study_instance_uid"], identifiers["exam_id"], strict=True))
    return {name: text for name, text in texts.items() if known.get(name, name) in training}
