"""The paper's baseline: a mention is abnormal unless its sentence holds a word of negation."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from typing import Any, Final

from petct_ext.reports.repeats import in_order, place_of_mention
from petct_ext.reports.sections import TAGGED_SECTIONS

__all__ = ["NEGATION_WORDS", "RegexLabeler"]

NEGATION_WORDS: Final = (
    "no",
    "not",
    "without",
    "physiologic",
    "physiological",
    "unremarkable",
    "normal",
    "negative",
    "resolved",
    "absent",
    "absence",
    "free of",
    "clear",
    "symmetric",
    "benign",
    "nonspecific",
)
"""Words after which a sentence is taken for normal (own list after the kind of word that Eyuboglu
et al. 2021 name; the paper does not print its list)."""


class RegexLabeler:
    """Labels mentions by words of negation anywhere in their sentence.

    It has the interface of :class:`petct_ext.labeler.prediction.ReportPredictor`, so that
    both can be compared by one command (``scripts/compare_labelers.py``).

    Args:
        words: phrases of negation; case does not matter.

    Example:
        >>> RegexLabeler().probability("No uptake in the liver.")
        0.0
        >>> RegexLabeler().probability("Intense uptake in the liver.")
        1.0
    """

    def __init__(self, words: Iterable[str] = NEGATION_WORDS) -> None:
        ordered = sorted(set(words), key=len, reverse=True)
        phrases = "|".join(re.escape(word) for word in ordered)
        self._negated = re.compile(rf"(?<!\w)(?:{phrases})(?!\w)", flags=re.IGNORECASE)

    def probability(self, sentence: str, *, section: str = "findings") -> float:
        """Returns 0 or 1: whether what the sentence names is said to be abnormal."""
        if section not in TAGGED_SECTIONS:
            return 0.0
        return 0.0 if self._negated.search(sentence) else 1.0

    def predict(self, items: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
        """Returns one row of the table MENTIONS per mention, sorted by exam and place.

        Args:
            items: see :func:`petct_ext.reports.items.tag_report`.
        """
        rows = (
            {
                **place_of_mention(item, mention),
                "probability": self._judge(item),
            }
            for item in items
            for mention in item["mentions"]
        )
        return in_order(rows)

    def _judge(self, item: dict[str, Any]) -> float:
        start, end = item.get("own", (0, len(item["text"])))
        return self.probability(item["text"][start:end], section=item["section"])
