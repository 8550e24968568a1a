"""Labels report items with a trained model, without a bundle."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch

from petct_ext.errors import InputDataError
from petct_ext.keys import MENTION_PLACES, MENTION_RULE, MENTION_TOKENS, TOKEN_IDS
from petct_ext.labeler.batches import CollateWindows
from petct_ext.labeler.network import ReportClassifier
from petct_ext.labeler.transforms import (
    TokenizeReportd,
    blend_with_rules,
    mention_probabilities,
)
from petct_ext.labeler.vocabulary import load_tokenizer
from petct_ext.reports.repeats import join_repeats, rows_of_mentions
from petct_ext.scan.networks.pretrained import check_weights

__all__ = ["ReportPredictor"]


class ReportPredictor:
    """A trained report labeler, ready to use on a few texts.

    For a cohort use the bundle (``python -m monai.bundle run --config_file
    bundles/report_labeler/configs/inference.json``); the probabilities are the same.

    Args:
        folder: holds ``model.pt`` and ``encoder/``, as the bundle's training writes them.
        max_length: most tokens of a window.

    Raises:
        InputDataError: if the model is missing, or its weights do not fit its encoder.
    """

    def __init__(self, folder: str | Path, *, max_length: int = 256) -> None:
        folder = Path(folder)
        weights = folder / "model.pt"
        if not weights.is_file():
            raise InputDataError(
                f"{weights} does not exist; train the report labeler (README), or use --labeler "
                "rules."
            )
        tokenizer = load_tokenizer(folder / "encoder")
        self.tokenize = TokenizeReportd(tokenizer, max_length=max_length)
        self.network = ReportClassifier(folder / "encoder", pretrained=False)
        self.network.load_state_dict(check_weights(self.network, weights))
        self.network.merge_adapters()
        self.network.eval()

    @torch.inference_mode()
    def predict(
        self, items: Sequence[dict[str, Any]], *, batch_size: int = 32
    ) -> list[dict[str, Any]]:
        """Returns one row of the table MENTIONS per mention, sorted by exam and place.

        Args:
            items: see :func:`petct_ext.reports.items.tag_report`.
            batch_size: sentences at a time.
        """
        rows: list[dict[str, Any]] = []
        # Copies cost nothing, and sentences of similar length need little padding.
        ordered = sorted(join_repeats(items), key=lambda item: len(item["text"]))
        collate = CollateWindows(self.network.pad_id)
        for begin in range(0, len(ordered), batch_size):
            batch = collate([self.tokenize(x) for x in ordered[begin : begin + batch_size]])
            logits = self.network(batch[TOKEN_IDS])
            probabilities = mention_probabilities(logits, batch[MENTION_TOKENS])
            rules = batch[MENTION_RULE].flatten()
            blended = blend_with_rules(probabilities, rules, self.network.blend).tolist()
            rows.extend(rows_of_mentions(batch[MENTION_PLACES], blended))
        return sorted(
            rows, key=lambda row: (row["exam_id"], row["start"], row["end"], row["region"])
        )
