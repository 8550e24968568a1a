"""A folder that shows how a trained report labeler reads: its attention and its worst mentions."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from html import escape
from pathlib import Path
from typing import Any, Final

import numpy as np
from tqdm import tqdm

from petct_ext.errors import InputDataError
from petct_ext.figures.labeler_attention import draw_attention_by_group
from petct_ext.figures.style import save_figure
from petct_ext.files import make_folder, write_text
from petct_ext.labeler.attention import attention_by_group
from petct_ext.labeler.explanation import ExplainedMention, explain_mentions, summarize_words
from petct_ext.labeler.prediction import ReportPredictor
from petct_ext.tables.contract import write_csv

__all__ = ["inspect_labeler", "render_sentences"]

_LOGGER = logging.getLogger(__name__)

_FULL_EFFECT: Final = 0.5
"""Effect that is shown in the strongest color."""


_LEAST_EFFECT: Final = 0.02


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


def render_sentences(mentions: Sequence[ExplainedMention], *, title: str) -> str:
    """Returns a page with one colored sentence per mention, in the order given.

    Orange words raise the probability, blue ones lower it; the full color stands for 0.5. The page
    asks for nothing from outside. It shows report text: keep it as private as the reports.
    """
    wrong = sum(m.label is not None and (m.probability >= 0.5) != bool(m.label) for m in mentions)
    judged = sum(m.label is not None for m in mentions)
    lead = f"{len(mentions)} mentions, worst first"
    if judged:
        lead += f"; {wrong} of the {judged} judged ones are on the wrong side of 0.5"
    body = "\n".join(_row(mention) for mention in mentions)
    return _PAGE.format(title=escape(title), lead=escape(lead), body=body)


def _row(mention: ExplainedMention) -> str:
    label = {None: "not judged", 0: "judged not abnormal", 1: "judged abnormal"}[mention.label]
    is_wrong = mention.label is not None and (mention.probability >= 0.5) != bool(mention.label)
    kind = ' class="wrong"' if is_wrong else ""
    return (
        f"<tr{kind}><td>{mention.probability:.2f}</td><td>{escape(label)}</td>"
        f"<td>{escape(mention.region.replace('_', ' '))}<br><small>{escape(mention.exam_id)}"
        f"</small></td><td>{_sentence(mention)}</td></tr>"
    )


def _sentence(mention: ExplainedMention) -> str:
    """The sentence with its words in color, and a line below the mention."""
    marks: list[tuple[int, int, str]] = []
    for start, end, effect in mention.words:
        style = _color(effect)
        told = f' title="without this word {mention.probability - effect:.2f}"'
        marks.append((start, end, f"<span{style}{told}>"))
    pieces: list[str] = []
    position = 0
    for start, end, tag in marks:
        pieces.append(_plain(mention, position, start))
        pieces.append(f"{tag}{_plain(mention, start, end)}</span>")
        position = end
    pieces.append(_plain(mention, position, len(mention.text)))
    return "".join(pieces)


def _plain(mention: ExplainedMention, start: int, end: int) -> str:
    """Escaped text, the part in the mention underlined."""
    first, last = max(start, mention.start), min(end, mention.end)
    text = mention.text
    if first >= last:
        return escape(text[start:end])
    return f"{escape(text[start:first])}<u>{escape(text[first:last])}</u>{escape(text[last:end])}"


def _color(effect: float) -> str:
    if abs(effect) < _LEAST_EFFECT:
        return ""
    strength = 0.1 + 0.65 * min(1.0, abs(effect) / _FULL_EFFECT)
    red_green_blue = "213,94,0" if effect > 0 else "0,114,178"
    return f' style="background:rgba({red_green_blue},{strength:.2f})"'


_PAGE: Final = """<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta http-equiv="Content-Security-Policy" content="default-src 'none'; style-src 'unsafe-inline'">
<title>{title}</title>
<style>
body {{ max-width: 1000px; margin: 24px auto; padding: 0 16px; color: #111827;
  font: 15px/1.6 system-ui, sans-serif; }}
table {{ border-collapse: collapse; width: 100%; }}
th, td {{ padding: 6px 10px; border-bottom: 1px solid #e5e7eb; text-align: left;
  vertical-align: top; }}
td:first-child {{ font-variant-numeric: tabular-nums; }}
td:nth-child(2), td:nth-child(3) {{ width: 8em; color: #4b5563; font-size: 13px; }}
tr.wrong td:first-child {{ border-left: 4px solid #b91c1c; }}
td span {{ border-radius: 3px; }}
u {{ text-decoration-thickness: 2px; text-underline-offset: 3px; }}
.high {{ background: rgba(213,94,0,.75); }}
.low {{ background: rgba(0,114,178,.75); }}
.high, .low {{ padding: 0 6px; border-radius: 3px; }}
</style>
</head>
<body>
<h1>{title}</h1>
<p>{lead}. The mention is underlined; the number is the network's
probability that it is abnormal, without rules. Words in <span class="high">orange</span> raise
it, words in <span class="low">blue</span> lower it: each word was
masked in turn, the full color stands for a change of 0.5. A red bar marks a wrong answer.
<strong>This page holds report text: keep it as private as the reports.</strong></p>
<table>
<thead><tr><th>network</th><th>reader</th><th>region</th><th>sentence</th></tr></thead>
<tbody>
{body}
</tbody>
</table>
</body>
</html>
"""
