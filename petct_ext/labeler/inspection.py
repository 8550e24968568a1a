"""A folder that shows how a trained report labeler reads: its attention and its worst mentions."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from tqdm import tqdm

from petct_ext.errors import InputDataError
from petct_ext.figures.style import save_figure
from petct_ext.files import make_folder, write_text
from petct_ext.labeler.attention import attention_by_group, draw_attention_by_group
from petct_ext.labeler.explanation import (
    explain_mentions,
    render_sentences,
    summarize_words,
)
from petct_ext.labeler.prediction import ReportPredictor
from petct_ext.tables.contract import write_csv

__all__ = ["inspect_labeler"]

_LOGGER = logging.getLogger(__name__)


def inspect_labeler(
    predictor: ReportPredictor,
    items: Sequence[Mapping[str, Any]],
    out: str | Path,
    *,
    num_mentions: int = 60,
    max_sentences: int = 300,
    seed: int = 0,
) -> Path:
    """Writes pictures and tables of what a labeler reads.

    Into ``out``: ``attention_by_group.{csv,svg,png}`` (no text), and with text of reports
    ``sentences.html``, the mentions with the largest errors (or the least certain ones where
    nobody has judged), and ``word_effects.csv``.

    Args:
        predictor: a trained report labeler.
        items: sentences with mentions, see :mod:`petct_ext.reports.items`.
        out: folder; is made. It must be private.
        num_mentions: how many mentions are shown.
        max_sentences: of more, so many are drawn at random.
        seed: of the draw.

    Returns:
        Path of ``sentences.html``.

    Raises:
        InputDataError: if there is no mention.
        OutputError: if the folder cannot be written to.
    """
    if not items:
        raise InputDataError("there is no sentence with a mention; tag or annotate reports first.")
    out = make_folder(out)
    chosen = list(items)
    if len(chosen) > max_sentences:
        rng = np.random.default_rng(seed)
        drawn = rng.choice(len(chosen), size=max_sentences, replace=False)
        chosen = [chosen[i] for i in sorted(drawn.tolist())]
        _LOGGER.info("%d of %d sentences are drawn", max_sentences, len(items))
    attention = attention_by_group(predictor, tqdm(chosen, desc="attention", disable=None))
    _write(attention, out / "attention_by_group.csv")
    save_figure(draw_attention_by_group(attention), out / "attention_by_group")
    explained = [
        mention
        for item in tqdm(chosen, desc="words", disable=None)
        for mention in explain_mentions(predictor, item)
    ]
    _write(summarize_words(explained), out / "word_effects.csv")
    worst = sorted(explained, key=lambda m: (-m.error, m.exam_id, m.text, m.start, m.region))
    page = render_sentences(worst[:num_mentions], title="What the report labeler reads")
    return write_text(out / "sentences.html", page)


def _write(table: Any, path: Path) -> None:
    write_csv(table, path, float_format="%.5f")
