"""Tells English reports from those in other languages, by the small words of a sentence.

Libraries for this judge whole documents; reports are short, terse and full of Latin, and the common
ones guess wrong on them. What has to be known is only whether a text is English, and small words
that are English only, or never English, tell that.
"""

from __future__ import annotations

import re
from typing import Final

__all__ = ["is_english"]

_WORD: Final = re.compile(r"[^\W\d_]+")
_ENGLISH_WORDS: Final = """
the of is and with there are this that was were which has have been not without from at by for to or
within both
"""
_GERMANIC_WORDS: Final = """
der das und mit kein keine keinen ist sind im den dem ein eine einen nicht ohne zur vom auf nach bei
sowie het een van geen niet bij naar og ikke til
"""
_ROMANCE_WORDS: Final = """
le la les et avec sans pas une dans sur du au aux chez nel nella della senza il gli el los las con
sin en y del una por para que se não sem com uma ao dos
"""
_ENGLISH: Final = frozenset(_ENGLISH_WORDS.split())
_FOREIGN: Final = frozenset((_GERMANIC_WORDS + _ROMANCE_WORDS).split())
_FEWEST: Final = 3
_FEWEST_LETTERS: Final = 12


def is_english(text: str) -> bool:
    """Whether a report is in English, as far as its words tell; terse texts pass.

    Args:
        text: a report, readable.

    Returns:
        False where letters of other scripts, or small words of other languages, prevail.

    Example:
        >>> is_english("R hilar LN SUV 7."), is_english("Kein Herd in der Leber und im Skelett.")
        (True, False)
    """
    letters = sum(character.isalpha() for character in text)
    latin = sum(character.isalpha() and ord(character) < 0x250 for character in text)
    if letters >= _FEWEST_LETTERS and latin < letters / 2:
        return False
    words = [word.lower() for word in _WORD.findall(text)]
    english = sum(word in _ENGLISH for word in words)
    foreign = sum(word in _FOREIGN for word in words)
    return foreign < _FEWEST or foreign <= english
