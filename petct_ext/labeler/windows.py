"""Exact correspondence between characters and tokens."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from tokenizers import Tokenizer

from petct_ext.errors import InputDataError

__all__ = ["Window", "split_windows", "token_span"]


@dataclass(frozen=True, slots=True)
class Window:
    """Tokens of a sentence, or of the part of a long sentence, with the mentions they hold.

    Attributes:
        token_ids: ids with the special tokens at both ends.
        mentions: for each mention in the window, its index among those given, and the
            positions of its first and one past its last token in ``token_ids``.
    """

    token_ids: tuple[int, ...]
    mentions: tuple[tuple[int, int, int], ...]


def token_span(offsets: Sequence[tuple[int, int]], start: int, end: int) -> tuple[int, int]:
    """Returns the first and one past the last token that share a character with a span.

    Args:
        offsets: start and end offset of every token, in order.
        start: offset of the first character.
        end: offset one past the last character.

    Raises:
        InputDataError: if no token shares a character with the span.

    Example:
        >>> token_span([(0, 4), (5, 9), (9, 10)], 5, 10)
        (1, 3)
    """
    inside = [i for i, (a, b) in enumerate(offsets) if a < end and start < b and a < b]
    if not inside:
        raise InputDataError(
            f"no token lies at characters {start} to {end}; the mention is empty, or the tokenizer "
            "drops its characters."
        )
    return inside[0], inside[-1] + 1


def split_windows(
    tokenizer: Tokenizer, text: str, spans: Sequence[tuple[int, int]], *, max_length: int
) -> tuple[Window, ...]:
    """Tokenizes a sentence so that every mention lies whole in exactly one window.

    A sentence that fits is one window. A longer one is split into windows of ``max_length`` tokens
    around its mentions; text far from any mention may then be in none, but no mention
    is ever cut or dropped.

    Args:
        tokenizer: tokenizer whose offsets refer to the unchanged text.
        text: the sentence.
        spans: start and end offset of each mention in ``text``.
        max_length: most tokens of a window, special tokens included.

    Returns:
        The windows; a sentence without mentions gives the one that starts it.

    Raises:
        InputDataError: if a mention alone is longer than a window, or has no token.
    """
    prefix, suffix = _special_tokens(tokenizer)
    encoding = tokenizer.encode(text, add_special_tokens=False)
    room = max_length - len(prefix) - len(suffix)
    placed = sorted(
        (*token_span(encoding.offsets, start, end), index)
        for index, (start, end) in enumerate(spans)
    )
    windows = []
    for begin, members in _plan(placed, len(encoding.ids), room):
        ids = (*prefix, *encoding.ids[begin : begin + room], *suffix)
        shift = len(prefix) - begin
        windows.append(
            Window(
                ids, tuple((index, first + shift, last + shift) for first, last, index in members)
            )
        )
    return tuple(windows)


def _plan(
    placed: list[tuple[int, int, int]], num_tokens: int, room: int
) -> list[tuple[int, list[tuple[int, int, int]]]]:
    """Chooses where windows begin; each mention goes to the first window that holds it whole."""
    if num_tokens <= room:
        return [(0, placed)]
    plan = []
    waiting = list(placed)
    while waiting:
        first, last, _ = waiting[0]
        if last - first > room:
            raise InputDataError(
                f"a mention of {last - first} tokens does not fit into a window of {room}; raise "
                "max_length, or check the annotation."
            )
        begin = max(0, min(first - room // 4, num_tokens - room), last - room)
        members = [m for m in waiting if begin <= m[0] and m[1] <= begin + room]
        plan.append((begin, members))
        waiting = [m for m in waiting if m not in members]
    return plan or [(0, [])]


def _special_tokens(tokenizer: Tokenizer) -> tuple[list[int], list[int]]:
    ids = list(tokenizer.encode("").ids)
    middle = (len(ids) + 1) // 2
    return ids[:middle], ids[middle:]
