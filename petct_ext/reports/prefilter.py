r"""Runs many patterns over a text, each only where a word stands that can begin it.

A loop over 94 regions' patterns tries each of them at every character. But every pattern begins at
the beginning of a word, so it is enough to look each word of the text up: which patterns can begin
with these letters? Those are tried there and nowhere else. The matches are those of
``pattern.finditer``: same spans, overlaps between patterns kept.

The letters that a pattern can begin with are read off its parse tree. They are necessary, not
sufficient, so nothing is missed; a pattern that could begin with any word runs over the whole text.
"""

from __future__ import annotations

import re
import time
from collections.abc import Iterable, Iterator
from re import _constants as ops  # type: ignore[attr-defined]
from re import _parser  # type: ignore[attr-defined]
from typing import Any, Final, Generic, TypeVar

import regex

from petct_ext.errors import InputDataError

__all__ = ["Matches", "PatternIndex", "first_letters"]

T = TypeVar("T")

_PREFIX: Final = 4
"""More letters tell patterns apart better, but alternatives multiply."""
_MAX_PREFIXES: Final = 4000
_MAX_REMEMBERED: Final = 50_000
_WORD: Final = re.compile(r"\w+")
# Letters outside ASCII that `re` takes for ASCII ones when case is ignored.
_SAME_LETTER: Final = str.maketrans({"ſ": "s", "\u212a": "k", "İ": "i", "ı": "i"})  # noqa: RUF001
_ZERO_WIDTH: Final = (ops.AT, ops.ASSERT, ops.ASSERT_NOT)
_REPEATS: Final = (ops.MAX_REPEAT, ops.MIN_REPEAT, ops.POSSESSIVE_REPEAT)

Matches = list[tuple[int, int, T, "regex.Match[str]"]]


class PatternIndex(Generic[T]):
    """Patterns by the letters that they can begin with.

    Args:
        patterns: pairs of what a match stands for and its compiled pattern.
    """

    def __init__(self, patterns: Iterable[tuple[T, re.Pattern[str]]]) -> None:
        self._names: list[T] = []
        self._patterns: list[Any] = []
        self._everywhere: list[int] = []
        self._by_prefix: dict[str, list[int]] = {}
        for number, (name, pattern) in enumerate(patterns):
            self._names.append(name)
            # The module `regex` can stop a match that takes too long; its spans are those of `re`.
            flags = pattern.flags & (re.IGNORECASE | re.MULTILINE | re.VERBOSE | re.DOTALL)
            self._patterns.append(regex.compile(pattern.pattern, flags))
            prefixes = first_letters(pattern)
            if prefixes is None:
                self._everywhere.append(number)
            for prefix in prefixes or ():
                self._by_prefix.setdefault(prefix, []).append(number)
        self._remembered: dict[str, tuple[int, ...]] = {}

    def find(self, text: str, *, deadline_s: float | None = None) -> Matches[T]:
        """Returns ``(start, end, name, match)`` of every match that is not empty.

        Args:
            text: any text.
            deadline_s: value of ``time.monotonic()`` at which to give up.

        Raises:
            InputDataError: if the deadline passes; names the pattern.
        """
        found: Matches[T] = []
        ends = [0] * len(self._names)
        try:
            for number in self._everywhere:
                for match in self._patterns[number].finditer(text, timeout=_left(deadline_s)):
                    if match.end() > match.start():
                        found.append((match.start(), match.end(), self._names[number], match))
            number = -1
            for position, number in self._places(text):
                if position < ends[number]:
                    continue
                match = self._patterns[number].match(text, position, timeout=_left(deadline_s))
                if match is not None and match.end() > position:
                    ends[number] = match.end()
                    found.append((position, match.end(), self._names[number], match))
        except TimeoutError:
            which = f" in pattern {self._patterns[number].pattern[:60]!r}" if number >= 0 else ""
            raise InputDataError(
                f"finding regions in {len(text)} characters of text took too long{which}; shorten "
                "the text or mend the pattern."
            ) from None
        return found

    def _places(self, text: str) -> Iterator[tuple[int, int]]:
        """Yields the start of each word with each pattern that can begin there."""
        remembered = self._remembered
        for word in _WORD.finditer(text):
            start = word.start()
            letters = text[start : min(word.end(), start + _PREFIX)]
            numbers = remembered.get(letters)
            if numbers is None:
                numbers = self._look_up(letters)
            for number in numbers:
                yield start, number

    def _look_up(self, letters: str) -> tuple[int, ...]:
        if len(self._remembered) >= _MAX_REMEMBERED:
            self._remembered.clear()
        plain = letters.translate(_SAME_LETTER).lower()
        numbers: set[int] = set()
        for length in range(1, len(plain) + 1):
            numbers.update(self._by_prefix.get(plain[:length], ()))
        self._remembered[letters] = result = tuple(sorted(numbers))
        return result


def first_letters(pattern: re.Pattern[str]) -> frozenset[str] | None:
    r"""Returns what the first word of a match can begin with, in lower case, up to four letters.

    Returns:
        Every match begins with one of these; None if the pattern need not begin at the beginning
        of a word, or with letters that cannot be listed.

    Example:
        >>> sorted(first_letters(re.compile(r"\b(?:livers?|hepat\w+)\b", re.IGNORECASE)))
        ['hepa', 'live']
    """
    tree = list(_parser.parse(pattern.pattern, pattern.flags & ~re.UNICODE))
    if not tree or tree[0] != (ops.AT, ops.AT_BOUNDARY):
        return None
    try:
        going, done = _walk(tree, frozenset({""}))
    except _CannotListError:
        return None
    prefixes = going | done
    if "" in prefixes or any(not p.isascii() for p in prefixes):
        return None
    return frozenset(prefixes)


class _CannotListError(Exception):
    """The first letters are too many or of any kind."""


_Prefixes = frozenset[str]


def _walk(sequence: Iterable[Any], going: _Prefixes) -> tuple[_Prefixes, _Prefixes]:
    """Lengthens prefixes by what a sequence can begin with.

    Returns:
        Prefixes that the rest of the pattern may lengthen, and those that are finished, because they
        are long enough, their word has ended, or any letter may follow.
    """
    done: set[str] = set()
    for node in sequence:
        going, finished = _step(node, going)
        done |= finished
        if len(going) + len(done) > _MAX_PREFIXES:
            raise _CannotListError
        if not going:
            break
    return going, frozenset(done)


def _step(node: tuple[Any, Any], going: _Prefixes) -> tuple[_Prefixes, _Prefixes]:
    op, value = node
    if op in _ZERO_WIDTH:
        return going, frozenset()
    if op is ops.SUBPATTERN:
        return _walk(value[-1], going)
    if op is ops.ATOMIC_GROUP:
        return _walk(value, going)
    if op is ops.BRANCH:
        results = [_walk(branch, going) for branch in value[1]]
        return _union(r[0] for r in results), _union(r[1] for r in results)
    if op in _REPEATS:
        return _repeat(value, going)
    letters = _letters(op, value)
    if letters is None:  # any letter may follow
        return frozenset(), going
    ended = going if "" in letters else frozenset()
    longer = {prefix + letter for prefix in going for letter in letters if letter}
    finished = {prefix for prefix in longer if len(prefix) >= _PREFIX}
    return frozenset(longer - finished), frozenset(finished) | ended


def _repeat(value: tuple[int, int, Any], going: _Prefixes) -> tuple[_Prefixes, _Prefixes]:
    least, most, item = value
    result = going if least == 0 else frozenset()
    done: _Prefixes = frozenset()
    for count in range(1, min(most, _PREFIX + least) + 1):
        longer, finished = _walk(item, going)
        done |= finished
        if count >= least:
            result |= longer
        if not longer or longer == going:
            break
        going = longer
    return result, done


def _letters(op: Any, value: Any) -> set[str] | None:
    """Lower-case letters that a node matches; "" stands for the end of the word; None for any."""
    if op is ops.LITERAL:
        return {_letter(value)}
    if op is not ops.IN or any(kind is ops.NEGATE for kind, _ in value):
        return None
    letters: set[str] = set()
    for kind, what in value:
        if kind is ops.LITERAL:
            letters.add(_letter(what))
        elif kind is ops.RANGE and what[1] - what[0] < 128:
            letters.update(_letter(code) for code in range(what[0], what[1] + 1))
        elif kind is ops.CATEGORY and what is ops.CATEGORY_DIGIT:
            return None
        elif kind is ops.CATEGORY and what is ops.CATEGORY_SPACE:
            letters.add("")
        else:
            return None
    return letters


def _letter(code: int) -> str:
    character = chr(code)
    return character.lower() if re.match(r"\w", character) else ""


def _union(sets: Iterable[_Prefixes]) -> _Prefixes:
    return frozenset().union(*sets)


def _left(deadline_s: float | None) -> float | None:
    if deadline_s is None:
        return None
    left = deadline_s - time.monotonic()
    if left <= 0:
        raise TimeoutError
    return left
