"""Sentences that occur in many reports are labeled once.

Reports repeat themselves ("The liver is unremarkable."): about half of the sentences of a cohort
are copies of others. The labeler reads one sentence at a time, so copies get the same result.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final

__all__ = ["COPIES", "in_order", "join_repeats", "place_of_mention", "rows_of_mentions"]

COPIES: Final = "copies"
"""Key of an item, and of the place of a mention, that stands for others of the same words."""

_PLACE: Final = ("exam_id", "section", "sentence")


def join_repeats(items: Iterable[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Joins items that a labeler cannot tell apart: same text, mentions, regions and rules.

    Args:
        items: sentences with mentions, see :mod:`petct_ext.reports.items`; not changed.

    Returns:
        The first item of each kind, in their order. ``copies`` lists the places of the others:
        ``exam_id, section, sentence, offset``. Labels of copies are dropped: they are what a
        labeler is to find.
    """
    first: dict[tuple[Any, ...], dict[str, Any]] = {}
    for item in items:
        key = _seen(item)
        if key in first:
            first[key][COPIES].append({name: item[name] for name in (*_PLACE, "offset")})
        else:
            first[key] = {**item, COPIES: []}
    return list(first.values())


def place_of_mention(item: Mapping[str, Any], mention: Mapping[str, Any]) -> dict[str, Any]:
    """Returns the columns of the table MENTIONS that say where a mention stands.

    Args:
        item: sentence of a report, see :mod:`petct_ext.reports.items`.
        mention: one of its mentions.

    Returns:
        The place. If the item has copies, its key ``copies`` holds the places of the same words in
        them; see :func:`rows_of_mentions`.
    """
    place = {name: item[name] for name in _PLACE}
    place |= {name: mention[name] for name in ("start", "end", "region")}
    if item.get(COPIES):
        place[COPIES] = [_moved(place, copy, item["offset"]) for copy in item[COPIES]]
    return place


def rows_of_mentions(
    places: Sequence[Mapping[str, Any]], probabilities: Sequence[float]
) -> list[dict[str, Any]]:
    """Returns a row of the table MENTIONS for every place and every copy of it.

    Args:
        places: results of :func:`place_of_mention`.
        probabilities: one for each of them.
    """
    rows = []
    for place, probability in zip(places, probabilities, strict=True):
        own = {name: value for name, value in place.items() if name != COPIES}
        rows += [{**p, "probability": probability} for p in (own, *place.get(COPIES, ()))]
    return rows


def in_order(rows: Iterable[dict[str, Any]]) -> list[dict[str, Any]]:
    """Returns rows of the table MENTIONS sorted by exam and place."""
    return sorted(rows, key=lambda row: (row["exam_id"], row["start"], row["end"], row["region"]))


def _seen(item: Mapping[str, Any]) -> tuple[Any, ...]:
    """What decides the probabilities of the mentions of an item."""
    offset = item["offset"]
    mentions = item["mentions"]
    return (
        item["text"],
        *((m["start"] - offset, m["end"] - offset, m["region"], m["rule"]) for m in mentions),
    )


def _moved(place: Mapping[str, Any], copy: Mapping[str, Any], offset: int) -> dict[str, Any]:
    shift = copy["offset"] - offset
    own = {name: copy[name] for name in _PLACE}
    return {**place, **own, "start": place["start"] + shift, "end": place["end"] + shift}
