"""Changes of a finished report that keep every offset: line breaks and typing errors."""

from __future__ import annotations

import re
from collections.abc import Sequence

import numpy as np

from petct_ext.synthetic.phrases import ReportMention

__all__ = ["misspell", "wrap_lines"]


def wrap_lines(text: str, mentions: Sequence[ReportMention], *, width: int) -> str:
    """Breaks long lines at spaces outside mentions, as systems with fixed line length do.

    Args:
        text: the report.
        mentions: spans that stay on one line.
        width: longest line in characters, as far as spaces allow.

    Returns:
        Text of the same length; some spaces have become line feeds.
    """
    inside = {i for mention in mentions for i in range(mention.start, mention.end)}
    characters = list(text)
    line_start, last_space = 0, -1
    for i, character in enumerate(text):
        if character == "\n":
            line_start, last_space = i + 1, -1
            continue
        if character == " " and i not in inside:
            last_space = i
        if i - line_start >= width and last_space >= 0:
            characters[last_space] = "\n"
            line_start, last_space = last_space + 1, -1
    return "".join(characters)


def misspell(text: str, mentions: Sequence[ReportMention], rng: np.random.Generator) -> str:
    """Swaps two inner letters of one long lower-case word outside mentions.

    Negations and headings are left alone, so that the meaning stays.

    Returns:
        Text of the same length; unchanged if there is no such word.
    """
    inside = {i for mention in mentions for i in range(mention.start, mention.end)}
    words = [
        found
        for found in re.finditer(r"\b[a-z]{8,}\b", text)
        if found.start() not in inside and found[0] != "negative"
    ]
    if not words:
        return text
    word = words[int(rng.integers(len(words)))]
    i = word.start() + int(rng.integers(2, len(word[0]) - 3))
    return text[:i] + text[i + 1] + text[i] + text[i + 2 :]
