"""Reads misspelled names of organs as what is meant: "blader", "mediastnal", "right uper lobe"."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from functools import lru_cache
from typing import Final

from petct_ext.ontology import RegionOntology
from petct_ext.reports.readable import Unwrapped

__all__ = ["SpellingCorrector"]

_TOKEN: Final = re.compile(r"[A-Za-z]{4,}")
_LETTERS: Final = re.compile(r"[a-z]{4,}")
_LEAST_LETTERS: Final = 6
"""Shorter words have too many neighbors that are words as well: "renal", "penal"."""
_SHORT: Final = {
    **dict.fromkeys(("uper", "uppper", "uppr", "upprer"), "upper"),
    **dict.fromkeys(("lowr", "loewr", "lowerr", "lwoer"), "lower"),
    **dict.fromkeys(("rigth", "rihgt", "righ", "rght"), "right"),
    **dict.fromkeys(("lfet", "letf", "leftt"), "left"),
    **dict.fromkeys(("midle", "middel", "mdidle"), "middle"),
    **dict.fromkeys(("axila", "axlla"), "axilla"),
    **dict.fromkeys(("noeds", "nodess", "ndoes"), "nodes"),
    **dict.fromkeys(("kidny", "kindey"), "kidney"),
    **dict.fromkeys(("kidnies", "kidnyes", "kidnes"), "kidneys"),
    **dict.fromkeys(("spleeen", "splen", "splleen"), "spleen"),
    **dict.fromkeys(("livr", "liverr", "livver"), "liver"),
    **dict.fromkeys(("bowl", "bowell"), "bowel"),
    **dict.fromkeys(("collon", "coln", "colonn"), "colon"),
    **dict.fromkeys(("hilr", "hiliar", "hillar"), "hilar"),
    **dict.fromkeys(("asending", "acending", "assending"), "ascending"),
    **dict.fromkeys(("lymp", "lymh", "limph"), "lymph"),
}
# One letter away from the name of an organ and a word of reports all the same.
_OTHER_WORDS: Final = frozenset(
    """
    plural coronal central ventral lateral external internal gastrin colonoscopy coloscopy
    pelvises posture portal carotids carpal postal neutral natural frontal temporary
    parental maternal mandible bronchial branchial throat thorough through vessel vessels
    muscles muscle sterna abdomens trachea tracheal thyroids cervix cortical marginal
    regional parotids salivary adrenals pancreatitis duodenitis esophagitis colitis
    gastritis cystitis hepatitis lingual singular lungs capsule scalpel hernia uterus ureter
    ureters urethra urethral costal caudal cordal lumber luminal lumina sacrum interval
    intervals palace plate plates vehicle vehicles beast widow eternal spanned morrow
    process station entries cecum acetabulums celia prowess sacral orbital oral ocular
    facial fascial fascia aortic atrial arterial atria ileal iliac ilium ileum peroneal
    perineal peritoneal perineum peritoneum perirenal pararenal prevertebral paravertebral
    humoral humeral tumoral femoral tibial radial clavicle vesicle vesical vertebra
    vertebrae vertebral mesenteric enteric gastric gastro hepatic hepato splenic scapula
    scapular
    """.split()  # noqa: SIM905, a list of words is easier to read so
)


class SpellingCorrector:
    """Replaces words that are one slip of the pen away from a word of the ontology.

    A slip is a letter too many, too few or wrong, or two letters in the wrong order. A word that
    occurs in the ontology, with or without an ending, is right.

    Args:
        ontology: gives the words.

    Example:
        >>> corrector = SpellingCorrector(RegionOntology.default())
        >>> corrector.correct("The blader and the mediastnal nodes.").text
        'The bladder and the mediastinal nodes.'
    """

    def __init__(self, ontology: RegionOntology) -> None:
        words: set[str] = set()
        patterns: set[str] = set()
        for region in ontology.values():
            words.update(_words_of((region.title, *region.synonyms)))
            patterns.update(_words_of(region.patterns))
        self._known = words | patterns | _OTHER_WORDS
        self._stems = {word[:-2] for word in self._known if len(word) > _LEAST_LETTERS}
        targets = {w for w in words if len(w) >= _LEAST_LETTERS}
        targets |= {f"{w}s" for w in targets if not w.endswith(("s", "l", "c", "m", "x"))}
        self._known |= targets
        self._near: dict[str, set[str]] = {}
        for word in targets:
            for key in {word, *_deletes(word)}:
                self._near.setdefault(key, set()).add(word)
        self._meant = lru_cache(maxsize=20_000)(self._look_up)

    def correct(self, text: str) -> Unwrapped:
        """Returns the text with the words that are meant, and the way back to the original."""
        pieces: list[str] = []
        joints: list[tuple[int, int]] = []
        position = length = 0
        for match in _TOKEN.finditer(text):
            meant = self._meant(match[0].lower())
            if meant:
                before = text[position : match.start()]
                pieces += [before, meant]
                # The letters of the word lie in the original as far as there are any.
                start = length + len(before)
                length = start + len(meant)
                joints += _within(start, len(meant), match.start(), match.end())
                position = match.end()
                joints.append((length, position))
        return (
            Unwrapped("".join(pieces) + text[position:], joints) if pieces else Unwrapped(text, [])
        )

    def _look_up(self, token: str) -> str:
        if token in _SHORT:
            return _SHORT[token]
        if len(token) < _LEAST_LETTERS - 1 or token in self._known or token[:-2] in self._stems:
            return ""
        near: set[str] = set()
        for key in {token, *_deletes(token)}:
            near |= {word for word in self._near.get(key, ()) if _is_slip(token, word)}
        return near.pop() if len(near) == 1 else ""


def _words_of(texts: Iterable[str]) -> Iterator[str]:
    for text in texts:
        yield from _LETTERS.findall(text.lower())


def _deletes(word: str) -> Iterator[str]:
    return (word[:i] + word[i + 1 :] for i in range(len(word)))


def _is_slip(token: str, word: str) -> bool:
    """Whether one insertion, deletion, replacement or swap of neighbors makes one the other.

    The first letter must agree: other words differ in it more often than slips do.
    """
    if token[0] != word[0] or abs(len(token) - len(word)) > 1:
        return False
    first = next((i for i, (a, b) in enumerate(zip(token, word, strict=False)) if a != b), None)
    if first is None:
        return len(token) != len(word)
    if len(token) == len(word):
        swapped = token[first + 1 : first + 2] + token[first]
        return token[first + 1 :] == word[first + 1 :] or (
            word[first : first + 2] == swapped and token[first + 2 :] == word[first + 2 :]
        )
    longer, shorter = (token, word) if len(token) > len(word) else (word, token)
    return longer[first + 1 :] == shorter[first:]


def _within(start: int, size: int, first: int, last: int) -> list[tuple[int, int]]:
    """Joints of a word of ``size`` letters that stands for the characters ``first`` to ``last``."""
    return [(start + i, min(first + i, last - 1)) for i in range(size - 1)] + [
        (start + size - 1, last - 1)
    ]
