r"""Runs many patterns over a text, each only where the text begins as the pattern can begin.

A loop over 94 regions' patterns tries each of them at every character. But every pattern begins at
the beginning of a word, so it is enough to look the first letters of each word up: which patterns
can begin like this? Those are tried there and nowhere else. The matches are those of
``pattern.finditer``: same spans, overlaps between patterns kept.

The first letters of a pattern are read off its parse tree. They are necessary, not sufficient, so
nothing is missed; a pattern whose first letters cannot be listed runs over the whole text.
The parser of ``re`` is private to Python, and no public module gives a tree (``sre_parse`` is
deprecated); a test compares the index with ``finditer`` over all patterns, so that a change of
Python that matters cannot pass.

A pattern that could take exponential time (repeats inside repeats, as a group may write into its
own ontology) is run by the module ``regex``, which can stop it; the others by ``re``.
"""

from __future__ import annotations

import re
import time
from collections.abc import Iterable
from re import _constants as ops  # type: ignore[attr-defined]
from re import _parser  # type: ignore[attr-defined]
from typing import Any, Final, Generic, TypeVar

import regex  # type: ignore[import-untyped]

from petct_ext.errors import InputDataError

__all__ = ["PatternIndex", "first_letters", "is_guarded"]

_T = TypeVar("_T")

_LENGTHS: Final = (14, 8, 5, 3)
"""How many first letters tell patterns apart: the longest that needs few enough entries."""
_MAX_ENTRIES: Final = 400
_MAX_REMEMBERED: Final = 100_000
_CHECK_EVERY: Final = 256
_WORD: Final = re.compile(r"\w+")
# Letters outside ASCII that `re` takes for ASCII ones when case is ignored.
_SAME_LETTER: Final = str.maketrans({"ſ": "s", "\u212a": "k", "İ": "i", "ı": "i"})  # noqa: RUF001
_ZERO_WIDTH: Final = (ops.AT, ops.ASSERT, ops.ASSERT_NOT)
_REPEATS: Final = (ops.MAX_REPEAT, ops.MIN_REPEAT, ops.POSSESSIVE_REPEAT)


class PatternIndex(Generic[_T]):
    """Patterns by the letters that they can begin with.

    Args:
        patterns: pairs of what a match stands for and its compiled pattern.
    """

    def __init__(self, patterns: Iterable[tuple[_T, re.Pattern[str]]]) -> None:
        self._names: list[_T] = []
        self._patterns: list[re.Pattern[str]] = []
        self._guarded: dict[int, Any] = {}
        self._everywhere: list[int] = []
        self._by_prefix: dict[str, list[int]] = {}
        for number, (name, pattern) in enumerate(patterns):
            self._names.append(name)
            self._patterns.append(pattern)
            if is_guarded(pattern):
                self._guarded[number] = _stoppable(pattern)
            prefixes = first_letters(pattern)
            if prefixes is None:
                self._everywhere.append(number)
            for prefix in prefixes or ():
                self._by_prefix.setdefault(prefix, []).append(number)
        self._lengths = sorted({len(prefix) for prefix in self._by_prefix})
        self._stems = {prefix[:length] for prefix in self._by_prefix for length in range(1, 5)}
        self._longest = max(self._lengths, default=1)
        self._words: dict[str, bool] = {}
        self._places: dict[str, tuple[int, ...]] = {}

    def find(self, text: str, *, deadline_s: float | None = None) -> list[tuple[int, int, _T, Any]]:
        """Returns ``(start, end, name, match)`` of every match that is not empty.

        Args:
            text: any text.
            deadline_s: value of ``time.monotonic()`` at which to give up.

        Raises:
            InputDataError: if the deadline passes; names the pattern if it is to blame.
        """
        found = self._run_everywhere(text, deadline_s)
        ends = [0] * len(self._names)
        longest, words, places = self._longest, self._words, self._places
        for count, word in enumerate(_WORD.finditer(text)):
            if count % _CHECK_EVERY == 0 and deadline_s is not None:
                _require_time(deadline_s, text)
            start = word.start()
            known = words.get(word[0][:4])
            if known is None:
                known = self._look_up_word(word[0])
            if not known:
                continue
            letters = text[start : start + longest]
            numbers = places.get(letters)
            if numbers is None:
                numbers = self._look_up(letters)
            for number in numbers:
                if start >= ends[number]:
                    match = self._match(number, text, start, deadline_s)
                    if match is not None and match.end() > start:
                        ends[number] = match.end()
                        found.append((start, match.end(), self._names[number], match))
        return found

    def _match(self, number: int, text: str, start: int, deadline_s: float | None) -> Any:
        guarded = self._guarded.get(number)
        if guarded is None or deadline_s is None:
            return self._patterns[number].match(text, start)
        try:
            return guarded.match(text, start, timeout=_require_time(deadline_s, text))
        except TimeoutError:
            raise _too_slow(text, guarded.pattern) from None

    def _run_everywhere(
        self, text: str, deadline_s: float | None
    ) -> list[tuple[int, int, _T, Any]]:
        found = []
        for number in self._everywhere:
            guarded = self._guarded.get(number)
            if guarded is None or deadline_s is None:
                matches: Iterable[Any] = self._patterns[number].finditer(text)
            else:
                matches = _all_in_time(guarded, text, deadline_s)
            found += [
                (match.start(), match.end(), self._names[number], match)
                for match in matches
                if match.end() > match.start()
            ]
        return found

    def _look_up_word(self, word: str) -> bool:
        """Whether any pattern can begin with the first four letters of a word."""
        if len(self._words) >= _MAX_REMEMBERED:
            self._words.clear()
        letters = _fold(word[:4])
        known = letters in self._stems or any(
            letters[:length] in self._by_prefix for length in range(1, 5)
        )
        self._words[word[:4]] = known
        return known

    def _look_up(self, letters: str) -> tuple[int, ...]:
        if len(self._places) >= _MAX_REMEMBERED:
            self._places.clear()
        folded = _fold(letters)
        numbers: set[int] = set()
        for length in self._lengths:
            numbers.update(self._by_prefix.get(folded[:length], ()))
        self._places[letters] = result = tuple(sorted(numbers))
        return result


def first_letters(pattern: re.Pattern[str]) -> frozenset[str] | None:
    r"""Returns what the matches of a pattern can begin with, in lower case.

    Returns:
        Every match begins with one of these; None if the pattern need not begin at the beginning
        of a word, or with letters that cannot be listed.

    Example:
        >>> sorted(first_letters(re.compile(r"\b(?:livers?|hepat\w+)\b", re.IGNORECASE)))
        ['hepat', 'liver', 'livers']
    """
    tree = list(_parser.parse(pattern.pattern, pattern.flags & ~re.UNICODE))
    if not tree or tree[0] != (ops.AT, ops.AT_BOUNDARY):
        return None
    for length in _LENGTHS:
        try:
            going, done = _walk(tree, frozenset({""}), length)
        except _TooManyError:
            continue
        prefixes = going | done
        if all(prefix.isascii() and re.match(r"\w", prefix) for prefix in prefixes):
            return prefixes
    return None


def is_guarded(pattern: re.Pattern[str]) -> bool:
    r"""Whether a pattern needs a time limit: an unbounded repeat in a repeat, or many in a row.

    Example:
        >>> is_guarded(re.compile(r"(?:a+)+")), is_guarded(re.compile(r"thym\w+"))
        (True, False)
    """
    return _count_repeats(_parser.parse(pattern.pattern, pattern.flags & ~re.UNICODE)) > 1


class _TooManyError(Exception):
    """The beginnings are too many to list."""


_Prefixes = frozenset[str]


def _walk(sequence: Iterable[Any], going: _Prefixes, length: int) -> tuple[_Prefixes, _Prefixes]:
    """Lengthens beginnings by what a sequence can begin with.

    Returns:
        Beginnings that the rest of the pattern may lengthen, and those that are finished, because
        they are long enough or any letter may follow.
    """
    done: set[str] = set()
    for node in sequence:
        going, finished = _step(node, going, length)
        done |= finished
        if len(going) + len(done) > _MAX_ENTRIES:
            raise _TooManyError
        if not going:
            break
    return going, frozenset(done)


def _step(node: tuple[Any, Any], going: _Prefixes, length: int) -> tuple[_Prefixes, _Prefixes]:
    op, value = node
    if op in _ZERO_WIDTH:
        return going, frozenset()
    if op is ops.SUBPATTERN:
        return _walk(value[-1], going, length)
    if op is ops.ATOMIC_GROUP:
        return _walk(value, going, length)
    if op is ops.BRANCH:
        results = [_walk(branch, going, length) for branch in value[1]]
        return _union(r[0] for r in results), _union(r[1] for r in results)
    if op in _REPEATS:
        return _repeat(value, going, length)
    letters = _letters(op, value)
    if letters is None:  # any letter may follow
        return frozenset(), going
    longer = {prefix + letter for prefix in going for letter in letters}
    finished = frozenset(prefix for prefix in longer if len(prefix) >= length)
    return frozenset(longer) - finished, finished


def _repeat(
    value: tuple[int, int, Any], going: _Prefixes, length: int
) -> tuple[_Prefixes, _Prefixes]:
    least, most, item = value
    result = going if least == 0 else frozenset()
    done: _Prefixes = frozenset()
    for count in range(1, min(most, least + length) + 1):
        longer, finished = _walk(item, going, length)
        done |= finished
        if count >= least:
            result |= longer
        if not longer or longer == going:
            break
        going = longer
    return result, done


def _letters(op: Any, value: Any) -> set[str] | None:
    """Lower-case characters that a node matches; None if they are many."""
    if op is ops.LITERAL:
        return {chr(value).lower()}
    if op is not ops.IN:
        return None
    letters: set[str] = set()
    for kind, what in value:
        if kind is ops.LITERAL:
            letters.add(chr(what).lower())
        elif kind is ops.RANGE and what[1] - what[0] < 64:
            letters.update(chr(code).lower() for code in range(what[0], what[1] + 1))
        else:
            return None
    return letters


def _union(sets: Iterable[_Prefixes]) -> _Prefixes:
    return frozenset().union(*sets)


def _count_repeats(tree: Iterable[Any]) -> int:
    """Unbounded repeats; one that holds another, or a choice, counts twice."""
    total = 0
    for op, value in tree:
        if op in _REPEATS:
            inner = _count_repeats(value[2])
            unbounded = value[1] is ops.MAXREPEAT
            branches = any(node[0] in (ops.BRANCH, ops.SUBPATTERN) for node in value[2])
            total += (2 if inner or branches else 1) if unbounded else inner
        elif op is ops.SUBPATTERN:
            total += _count_repeats(value[-1])
        elif op is ops.BRANCH:
            total += max((_count_repeats(branch) for branch in value[1]), default=0)
        elif op in (ops.ASSERT, ops.ASSERT_NOT):
            total += _count_repeats(value[1])
        elif op is ops.ATOMIC_GROUP:
            total += _count_repeats(value)
    return total


def _fold(letters: str) -> str:
    return letters.translate(_SAME_LETTER).lower()


def _stoppable(pattern: re.Pattern[str]) -> Any:
    flags = pattern.flags & (re.IGNORECASE | re.MULTILINE | re.VERBOSE | re.DOTALL)
    return regex.compile(pattern.pattern, flags)


def _all_in_time(pattern: Any, text: str, deadline_s: float) -> Iterable[Any]:
    try:
        return list(pattern.finditer(text, timeout=_require_time(deadline_s, text)))
    except TimeoutError:
        raise _too_slow(text, pattern.pattern) from None


def _require_time(deadline_s: float, text: str) -> float:
    left = deadline_s - time.monotonic()
    if left <= 0:
        raise _too_slow(text, "")
    return left


def _too_slow(text: str, pattern: str) -> InputDataError:
    which = f" at pattern {pattern[:60]!r}" if pattern else ""
    return InputDataError(
        f"finding regions took too long{which} in a stretch of {len(text)} characters; shorten the "
        "text, or mend the pattern in the ontology."
    )
