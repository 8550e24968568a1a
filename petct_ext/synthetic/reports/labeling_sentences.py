"""Sentences that teach the report labeler: a varied generator and several hundred written by hand.

The phantom reports of :mod:`petct_ext.synthetic.reports.writing` describe phantom exams and come
from one grammar. These sentences describe no exam. Their purpose is variety: short notes, long
sentences with several findings of different state, comparisons, exceptions, physiologic uptake,
findings of the CT alone. What counts as abnormal: uptake that is not physiologic, whatever its
cause (tumor, inflammation, degeneration), and lesions told as active disease; not findings of the
CT alone, not what has resolved, and not places that are only named.

All text is the project's own (Apache-2.0).
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from functools import cache
from importlib.resources import files
from typing import Any

import numpy as np

from petct_ext.errors import InputDataError
from petct_ext.files import read_json
from petct_ext.ontology import RegionOntology
from petct_ext.synthetic.reports.phrases import pick

__all__ = [
    "LabelingSentence",
    "generate_labeling_sentences",
    "handwritten_sentences",
    "place_of_group",
    "vary_places",
]

LabelingSentence = dict[str, Any]
"""``text`` and ``mentions``, a list of ``start, end, region, abnormal``; offsets in the text."""

_SLOT = re.compile(r"\{(\w+)([+-]?)\}")
_MARK = re.compile("\ue000([a-z_]+)([+-])\ue001([^\ue002]*)\ue002")
_SPACES = re.compile(r"\s+([,;:.])")
_LISTS = {"nodes": "node", "anys": "any", "sites": "site", "organs": "organ"}
_MAX_DEPTH = 2
_CLAUSE_KINDS = ("abnormal", "normal", "normal", "mixed")
_KINDS = ("abnormal", "normal", "mixed", "mixed")
_SWAPPABLE = ("node", "lung", "bone")


def generate_labeling_sentences(
    rng: np.random.Generator, number: int, *, typo_chance: float = 0.05
) -> list[LabelingSentence]:
    """Writes sentences with judged mentions.

    Args:
        rng: random numbers; the same state gives the same sentences.
        number: how many.
        typo_chance: share of sentences in which two letters outside mentions are swapped.

    Returns:
        Dictionaries with ``text`` and ``mentions`` (``start, end, region, abnormal``, offsets
        in the text, region names of the ontology), in random order, no text twice unless chance
        would have it.

    Example:
        >>> sentence = generate_labeling_sentences(np.random.default_rng(0), 1)[0]
        >>> all(sentence["text"][m["start"] : m["end"]] for m in sentence["mentions"])
        True
    """
    return [_finish(_marked(rng), rng, typo_chance) for _ in range(number)]


@cache
def _handwritten() -> tuple[LabelingSentence, ...]:
    path = files(__package__) / "labeling_sentences.jsonl"
    return tuple(json.loads(line) for line in path.read_text(encoding="utf-8").splitlines())


def handwritten_sentences(ontology: RegionOntology) -> list[LabelingSentence]:
    """Returns the sentences written by hand, in the form of the generated ones.

    Raises:
        InputDataError: if a mention names a region that the ontology lacks.
    """
    sentences = [
        {"text": s["text"], "mentions": [dict(m) for m in s["mentions"]]} for s in _handwritten()
    ]
    for sentence in sentences:
        for mention in sentence["mentions"]:
            if mention["region"] not in ontology:
                raise InputDataError(
                    f"labeling_sentences.jsonl: {mention['region']!r} is no region of the ontology "
                    f"({len(ontology)} regions); correct the file."
                )
    return sentences


def vary_places(
    sentence: LabelingSentence, rng: np.random.Generator, *, chance: float = 0.5
) -> LabelingSentence:
    """Returns the sentence with some places replaced by others of the same kind.

    Nodes, lobes and bones only: what is said of them holds for all of their kind, whereas
    "excretion in the kidneys" would become nonsense elsewhere.

    Args:
        sentence: ``text`` and ``mentions``; not changed.
        rng: random numbers.
        chance: how likely each place is replaced.
    """
    text, mentions, parts, end = sentence["text"], [], [], 0
    length = 0
    for mention in sorted(sentence["mentions"], key=lambda m: (m["start"], m["end"])):
        if mention["start"] < end:
            return sentence  # overlapping mentions: leave it alone
        words, region = text[mention["start"] : mention["end"]], mention["region"]
        group = _group_of().get(region)
        if group in _SWAPPABLE and rng.random() < chance:
            region, words = place_of_group(rng, group)
        before = text[end : mention["start"]]
        start = length + len(before)
        parts += [before, words]
        length = start + len(words)
        mentions.append({**mention, "start": start, "end": length, "region": region})
        end = mention["end"]
    return {**sentence, "text": "".join([*parts, text[end:]]), "mentions": mentions}


@cache
def _document() -> Mapping[str, Any]:
    document: Mapping[str, Any] = read_json(str(files(__package__) / "labeling_phrases.json"))
    return document


@cache
def _group_of() -> Mapping[str, str]:
    places = _document()["places"]
    return {region: group for group, regions in places.items() for region in regions}


def place_of_group(rng: np.random.Generator, group: str) -> tuple[str, str]:
    """Returns region and words of a place of a group."""
    document = _document()
    if group in document["groups"]:
        group = pick(rng, document["groups"][group])
    regions = document["places"][group]
    region = pick(rng, list(regions))
    return region, pick(rng, regions[region])


def _marked(rng: np.random.Generator) -> str:
    template = pick(rng, _document()["templates"][pick(rng, _KINDS)])
    return _fill(template, rng, depth=0)


def _fill(template: str, rng: np.random.Generator, *, depth: int) -> str:
    def replace(match: re.Match[str]) -> str:
        return _slot(match.group(1), match.group(2), rng, depth)

    return _SLOT.sub(replace, template)


def _slot(name: str, sign: str, rng: np.random.Generator, depth: int) -> str:
    document = _document()
    if name == "clause":
        kind = pick(rng, _CLAUSE_KINDS if depth < _MAX_DEPTH else _CLAUSE_KINDS[:3])
        clause = _fill(pick(rng, document["templates"][kind]), rng, depth=depth + 1)
        return clause[0].lower() + clause[1:] if clause[:1].isalpha() else clause
    if not sign:
        return pick(rng, document["phrases"][name])
    if name in _LISTS:
        places = list(
            dict.fromkeys(place_of_group(rng, _LISTS[name]) for _ in range(int(rng.integers(2, 6))))
        )
    else:
        places = [place_of_group(rng, name)]
    words = [f"\ue000{region}{sign}\ue001{text}\ue002" for region, text in places]
    return _enumerate(words, rng)


def _enumerate(words: list[str], rng: np.random.Generator) -> str:
    if len(words) == 1:
        return words[0]
    last = pick(rng, [" and ", " and ", ", and ", " or ", ", ", " as well as ", " and in the "])
    return ", ".join(words[:-1]) + last + words[-1]


def _finish(marked: str, rng: np.random.Generator, typo_chance: float) -> LabelingSentence:
    """Adds an opening and an end, misspells a little, and turns marks into offsets."""
    marked = _SPACES.sub(r"\1", " ".join(marked.split()))
    opening = pick(rng, _document()["openings"])
    marked = opening + marked + pick(rng, [".", ".", ".", ".", "", "", ";"])
    if rng.random() < typo_chance:
        marked = _swap_letters(marked, rng)
    if rng.random() < 0.7:
        marked = _capitalized(marked, len(opening))
    text, mentions, length, end = [], [], 0, 0
    for match in _MARK.finditer(marked):
        before, words = marked[end : match.start()], match.group(3)
        start = length + len(before)
        text += [before, words]
        length = start + len(words)
        abnormal = int(match.group(2) == "+")
        mentions.append(
            {"start": start, "end": length, "region": match.group(1), "abnormal": abnormal}
        )
        end = match.end()
    return {"text": "".join([*text, marked[end:]]), "mentions": mentions}


def _capitalized(marked: str, at: int) -> str:
    first = marked[at : at + 1]
    if first == "\ue000":
        at = marked.index("\ue001", at) + 1
        first = marked[at : at + 1]
    return marked[:at] + first.upper() + marked[at + 1 :]


def _swap_letters(marked: str, rng: np.random.Generator) -> str:
    plain = list(_letters_outside(marked))
    if not plain:
        return marked
    at = plain[int(rng.integers(len(plain)))]
    return marked[:at] + marked[at + 1] + marked[at] + marked[at + 2 :]


def _letters_outside(marked: str) -> Iterator[int]:
    """Places of two letters in a row outside marks."""
    covered = {i for m in _MARK.finditer(marked) for i in range(*m.span())}
    for i in range(len(marked) - 1):
        if i not in covered and i + 1 not in covered and marked[i : i + 2].isalpha():
            yield i
