"""Tells people which words of a report made a region abnormal."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

__all__ = ["describe_mentions"]


def describe_mentions(
    text: str,
    labels: Mapping[str, float],
    mentions: Iterable[Mapping[str, Any]],
    *,
    contexts: Mapping[tuple[int, int], str] | None = None,
    around: int = 30,
) -> list[str]:
    """Returns one line per mentioned region: its probability and the words that caused it.

    Args:
        text: the report.
        labels: probability of each region that is mentioned or contains a mentioned one.
        mentions: rows with ``start, end, region, probability``.
        contexts: by start and end of a mention, the sentences beside its own that were read with
            it; they are shown behind its words.
        around: characters shown on both sides of a mention.

    Returns:
        Lines in the order of falling probability. A region that is not mentioned itself, but
        contains mentioned ones, has no words of its own.
    """
    causes: dict[str, list[str]] = {}
    for mention in mentions:
        start, end = mention["start"], mention["end"]
        before = " ".join(text[max(0, start - around) : start].split())
        after = " ".join(text[end : end + around].split())
        words = " ".join(text[start:end].split())
        quoted = f"{mention['probability']:.2f} '{before} [{words}] {after}'"
        beside = (contexts or {}).get((start, end), "")
        quoted += f" with '{beside}'" if beside else ""
        causes.setdefault(mention["region"], []).append(quoted)
    ordered = sorted(labels, key=lambda name: (-labels[name], name))
    return [
        f"{labels[name]:5.2f}  {name:32s} "
        + ("; ".join(causes.get(name, [])) or "(from its parts)")
        for name in ordered
    ]
