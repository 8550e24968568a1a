"""Findings that take more than one sentence, to teach the report labeler to read a context.

Own text (Apache-2.0), in the form of :mod:`petct_ext.synthetic.reports.labeling_sentences`; ``own``
is the place of the sentence that names the region, as in :mod:`petct_ext.reports.items`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import cache
from importlib.resources import files
from typing import Any, Final

import numpy as np

from petct_ext.files import read_json
from petct_ext.synthetic.reports.labeling_sentences import LabelingSentence, place_of_group
from petct_ext.synthetic.reports.phrases import pick

__all__ = ["generate_contexts"]

_SIGNS: Final = "-+"
_GROUPS: Final = ("node", "node", "lung", "bone", "organ", "organ", "soft")


def generate_contexts(rng: np.random.Generator, number: int) -> list[LabelingSentence]:
    """Writes findings with their context.

    Args:
        rng: random numbers; the same state gives the same text.
        number: how many.

    Returns:
        Dictionaries with ``text``, ``own`` (place of the sentence that names the region) and
        ``mentions``, one each.

    Example:
        >>> finding = generate_contexts(np.random.default_rng(0), 1)[0]
        >>> start, end = finding["own"]
        >>> start <= finding["mentions"][0]["start"] < finding["mentions"][0]["end"] <= end
        True
    """
    chosen = rng.integers(len(_KINDS), size=number).tolist()
    return [_KINDS[kind](rng, int(rng.integers(2))) for kind in chosen]


@cache
def _phrases() -> Mapping[str, Any]:
    document: Mapping[str, Any] = read_json(str(files(__package__) / "contexts.json"))
    return document


def _two_sentences(rng: np.random.Generator, label: int) -> LabelingSentence:
    parts = [pick(rng, _phrases()[name]) for name in ("between", f"follow{_SIGNS[label]}")]
    follow = " ".join(_filled(part, rng) for part in parts if part)
    return _finding(rng, label, own=pick(rng, _phrases()["introductions"]), follow=follow)


def _opened(rng: np.random.Generator, label: int) -> LabelingSentence:
    lead = pick(rng, _phrases()[f"openers{_SIGNS[label]}"])
    return _finding(rng, label, lead=lead, own=pick(rng, _phrases()["places"]))


def _listed(rng: np.random.Generator, label: int) -> LabelingSentence:
    lead = pick(rng, _phrases()[f"heads{_SIGNS[label]}"])
    return _finding(rng, label, lead=lead, own=pick(rng, _phrases()["items"]))


def _headed(rng: np.random.Generator, label: int) -> LabelingSentence:
    follow = _filled(pick(rng, _phrases()[f"follow{_SIGNS[label]}"]), rng)
    return _finding(rng, label, own=pick(rng, _phrases()["headings"]), follow=follow)


def _row(rng: np.random.Generator, label: int) -> LabelingSentence:
    head = pick(rng, _phrases()["tables"])
    bar = " | " if "|" in head else " "
    now = "{high}" if label else pick(rng, ["{low}", "normal", "-", "resolved"])
    cells = [now, pick(rng, ["{high}", "{low}", "-"])]
    if not any(word in head for word in ("Prior", "before", "Previous")):
        cells = cells[:1]
    return _finding(rng, label, lead=head, own=bar.join(["{Place}", *cells]))


def _finding(
    rng: np.random.Generator, label: int, *, own: str, lead: str = "", follow: str = ""
) -> LabelingSentence:
    region, words = place_of_group(rng, pick(rng, _GROUPS))
    shown = {"{place}": words, "{Place}": words[0].upper() + words[1:], "{PLACE}": words.upper()}
    slot = next(name for name in shown if name in own)
    before, after = (_filled(part, rng) for part in own.split(slot))
    begin = len(lead) + 1 if lead else 0
    sentence = f"{before}{shown[slot]}{after}"
    start = begin + len(before)
    text = " ".join(part for part in (lead, sentence, follow) if part)
    mention = {"start": start, "end": start + len(words), "region": region, "abnormal": label}
    return {"text": text, "own": [begin, begin + len(sentence)], "mentions": [mention]}


def _filled(template: str, rng: np.random.Generator) -> str:
    size = pick(rng, [f"{rng.integers(4, 40)} mm", f"{rng.uniform(0.4, 6):.1f} cm", "small"])
    values = {
        "{size}": size,
        "{high}": f"{rng.uniform(3, 18):.1f}",
        "{low}": f"{rng.uniform(0.5, 2.2):.1f}",
        "{n}": str(int(rng.integers(1, 9))),
    }
    for slot, value in values.items():
        template = template.replace(slot, value)
    return template


_KINDS: Final[tuple[Callable[[np.random.Generator, int], LabelingSentence], ...]] = (
    *(_two_sentences, _two_sentences, _two_sentences),
    *(_opened, _listed, _listed, _headed, _row),
)
