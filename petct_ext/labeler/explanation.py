"""Which words make the report labeler call a mention abnormal: each word is masked in turn.

The effect of a word is the network's probability of the mention as the sentence stands, less the
one with the word's tokens replaced by ``[MASK]``: positive effects speak for an abnormal region.
Unlike attention this is what the word does to the result; a word whose meaning is also said by
another one has little effect all the same. Rules that a bundle blends with the network are not
part of it.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from html import escape
from typing import Any, Final

import pandas as pd
import torch

from petct_ext.errors import InputDataError
from petct_ext.keys import MENTION_TOKENS, MENTIONS, TOKEN_IDS
from petct_ext.labeler.attention import token_offsets
from petct_ext.labeler.prediction import ReportPredictor
from petct_ext.labeler.transforms import mention_probabilities

__all__ = ["ExplainedMention", "explain_mentions", "render_sentences", "summarize_words"]

_WORD: Final = re.compile(r"\w+(?:[-'./]\w+)*")
_FULL_EFFECT: Final = 0.5
"""Effect that is shown in the strongest color."""
_LEAST_EFFECT: Final = 0.02


@dataclass(frozen=True, slots=True)
class ExplainedMention:
    """A mention with the effect of every word of its sentence.

    Attributes:
        exam_id: pseudonymous id.
        region: name in the ontology.
        text: the sentence.
        start: offset of the mention in the sentence.
        end: offset one past its last character.
        probability: of an abnormal mention, by the network alone.
        label: 1 abnormal, 0 not, None if nobody has judged.
        words: start, end (in the sentence) and effect of each word.
    """

    exam_id: str
    region: str
    text: str
    start: int
    end: int
    probability: float
    label: int | None
    words: tuple[tuple[int, int, float], ...]

    @property
    def error(self) -> float:
        """Distance to the label, or else how uncertain the network is, both in [0, 1]."""
        if self.label is None:
            return 1 - 2 * abs(self.probability - 0.5)
        return abs(self.probability - self.label)


def explain_mentions(
    predictor: ReportPredictor, item: Mapping[str, Any], *, batch_size: int = 64
) -> list[ExplainedMention]:
    """Masks the words of a sentence one at a time.

    Args:
        predictor: a trained report labeler.
        item: a sentence with mentions, see :mod:`petct_ext.reports.items`.
        batch_size: masked sentences at a time.

    Returns:
        One entry per mention, in their order in the windows of the sentence.

    Raises:
        InputDataError: if the tokenizer knows no mask.
    """
    tokenizer = predictor.tokenize.tokenizer
    mask_id = tokenizer.token_to_id("[MASK]")
    if mask_id is None:
        raise InputDataError("the tokenizer has no [MASK] token; use a BERT-like encoder.")
    text, offset = item["text"], item["offset"]
    labels = {(m["start"], m["end"], m["region"]): m.get("label") for m in item["mentions"]}
    explained: list[ExplainedMention] = []
    for window in predictor.tokenize(item):
        offsets = token_offsets(tokenizer, text, window[TOKEN_IDS])
        words = _words(text, offsets)
        rows = _masked(window[TOKEN_IDS], [tokens for _, tokens in words], mask_id)
        table = _probabilities(predictor, rows, window[MENTION_TOKENS], batch_size)
        for column, mention in enumerate(window[MENTIONS]):
            key = (mention["start"], mention["end"], mention["region"])
            whole = table[0][column]
            effects = tuple(
                (*span, whole - masked[column])
                for (span, _), masked in zip(words, table[1:], strict=True)
            )
            explained.append(
                ExplainedMention(
                    str(item["exam_id"]),
                    mention["region"],
                    text,
                    mention["start"] - offset,
                    mention["end"] - offset,
                    whole,
                    labels.get(key),
                    effects,
                )
            )
    return explained


def summarize_words(mentions: Iterable[ExplainedMention], *, min_count: int = 3) -> pd.DataFrame:
    """Averages effects over sentences.

    Args:
        mentions: explained mentions.
        min_count: words seen less often are left out.

    Returns:
        Columns ``word`` (lower case), ``num_mentions``, ``mean_effect``, ``largest_effect`` (of
        either sign), sorted by falling mean effect.
    """
    effects: dict[str, list[float]] = defaultdict(list)
    for mention in mentions:
        for start, end, effect in mention.words:
            effects[mention.text[start:end].lower()].append(effect)
    rows = [
        (word, len(found), sum(found) / len(found), max(found, key=abs))
        for word, found in effects.items()
        if len(found) >= min_count
    ]
    columns = ["word", "num_mentions", "mean_effect", "largest_effect"]
    rows.sort(key=lambda row: (-row[2], row[0]))
    return pd.DataFrame(rows, columns=columns)


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


def _words(
    text: str, offsets: Sequence[tuple[int, int]]
) -> list[tuple[tuple[int, int], list[int]]]:
    """Words that have tokens in the window, with the places of these."""
    found = []
    for match in _WORD.finditer(text):
        start, end = match.span()
        tokens = [i for i, (a, b) in enumerate(offsets) if a < end and start < b and a < b]
        if tokens:
            found.append(((start, end), tokens))
    return found


def _masked(
    token_ids: Sequence[int], places: Sequence[Sequence[int]], mask_id: int
) -> torch.Tensor:
    """The window as it is, then once for every list of places with these masked."""
    rows = torch.tensor([list(token_ids)]).repeat(len(places) + 1, 1)
    for row, tokens in enumerate(places, start=1):
        rows[row, list(tokens)] = mask_id
    return rows


@torch.inference_mode()
def _probabilities(
    predictor: ReportPredictor,
    rows: torch.Tensor,
    mentions: Sequence[tuple[int, int]],
    batch_size: int,
) -> list[list[float]]:
    """Probability of every mention (columns) in every row."""
    table: list[list[float]] = []
    for part in rows.split(batch_size):
        logits = predictor.network(part)
        places = [(row, *span) for row in range(len(part)) for span in mentions]
        found = mention_probabilities(logits, torch.tensor(places).reshape(-1, 3))
        table.extend(found.reshape(len(part), len(mentions)).tolist())
    return table


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
