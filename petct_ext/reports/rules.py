"""What a sentence says about the regions it names, by rules.

What the trained labeler has to beat, and a labeler for groups without annotations.
Cue phrases are data (``cues.json``); their scope follows ConText (Harkema et al., J Biomed
Inform 2009): a cue speaks of what follows or precedes it, up to a break such as "but".
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from functools import cache, lru_cache
from importlib.resources import files
from pathlib import Path
from typing import Any, Final

from petct_ext.files import read_json
from petct_ext.reports.repeats import in_order, place_of_mention
from petct_ext.reports.sections import TAGGED_SECTIONS
from petct_ext.reports.table_lines import is_table_head
from petct_ext.reports.values import category_in_row, is_back_to_normal, is_background

__all__ = [
    "Assertion",
    "RuleLabeler",
    "assert_mention",
    "rule_probability",
]


class Assertion(StrEnum):
    """What a sentence says about a region."""

    NEGATED = "negated"
    """Something abnormal is denied: "no uptake in the liver"."""
    NORMAL = "normal"
    PHYSIOLOGIC = "physiologic"
    """There is uptake, and it is normal there."""
    HISTORICAL = "historical"
    """It was abnormal: "has resolved", "history of"."""
    INCIDENTAL = "incidental"
    """A finding of the CT without uptake: cysts, calcification."""
    UNCERTAIN = "uncertain"
    """Uptake whose cause is uncertain or benign; it is abnormal uptake all the same."""
    ABNORMAL = "abnormal"
    UNSTATED = "unstated"
    """No cue: the region is only named."""


_FIELDS: Final = ("forward", "backward", "both", "touching")
_VERB: Final = re.compile(
    r"\b(?:is|are|was|were|has|have|shows?|demonstrates?|seen|noted|appears?|remains?|identified)\b"
)
_AND_CLAUSE: Final = re.compile(r",?\s+and\s+(?=(?:the|there|no|a|an)\b)|,\s+(?=the\b)")


_LONG_CLAUSE: Final = 80
_STOPS: Final = re.compile(r"[.,;:](?=\s\S)")
# Where a new statement begins in dictation without stops.
_RUN_ON: Final = re.compile(
    r"(?<!\bthe)(?<!\bof)(?<!\bin)(?<!\band)\s(?=(?:the|both|left|right)\s(?:[\w-]+\s){1,4}?(?:is|are"
    r"|looks?|shows?|appears?|has|have|was|were)\b|there\s(?:is|are)\b|nothing\b)",
    flags=re.IGNORECASE,
)
_WORDS_BETWEEN: Final = (
    r"(?:(?:the|an?|left|right|both|bilateral|adjacent|upper|lower|small|tiny|stable|few|multiple"
    r"|scattered|enlarged|sub-?centimeter|simple|[\d.]+[ -]?[cm]m)\s+){0,4}"
)
# What may stand between a touching cue and its mention, also as the last item of a list.
_TOUCHING: Final = re.compile(
    rf"\s+{_WORDS_BETWEEN}(?:(?:[\w-]+\s*,\s*{_WORDS_BETWEEN}){{0,2}}[\w-]+,?\s+(?:and|or)\s+"
    rf"{_WORDS_BETWEEN})?"
)
_SENTENCE: Final = re.compile(r"(?<=[.!?;])\s+")
_REFERENCE: Final = re.compile(
    r"(?:the )?(?:normal |right |background )*(?:liver|hepatic|mediastin\w+|aort\w+|blood pool)"
    r"(?: (?:blood pool|background|parenchyma|reference))?",
    flags=re.IGNORECASE,
)
_VALUE_IN_BRACKETS: Final = re.compile(
    r"(?: SUV\w*| mean| max)*[ :=]*\d[\d.,]*\s*[,;)]", flags=re.IGNORECASE
)
_MARKED_REFERENCE: Final = re.compile(
    r"(?: SUV\w*)?\s?(?:\(|(?:is |was |were )?(?:used |taken )?as (?:an? )?(?:internal )?)"
    r"(?:ref\b|reference|background)",
    flags=re.IGNORECASE,
)
_COMPARED_TO: Final = re.compile(
    r"\b(?:reference(?: organ| SUV\w*)?:?|versus|vs\.?|compared (?:to|with)|than|times|fold|that of"
    r"|those of|above|below|relative to|exceed\w*|in excess of)\s(?:that of |those of )?(?:the )?"
    r"(?:normal |mean )?"
    r"(?:(?:liver|mediastin\w+|blood pool)(?: blood pool)?,? (?:and|or) (?:the )?)?$",
    flags=re.IGNORECASE,
)
_BUT_FOR: Final = re.compile(
    r"[\s,]*(?:except(?:ing|ion)?(?: for| of)?|apart from|aside from|other than|save for|with the "
    r"(?:sole |only |single )?exception)\b",
    flags=re.IGNORECASE,
)
_NOTHING: Final = re.compile(
    r"\b(?:no|normal|negative|unremarkable|clear|free|resolved|without)\b", flags=re.IGNORECASE
)
_DENIAL: Final = re.compile(
    r"(?:there (?:is|are|was|were) )?(?:no|nil|without|absent|absence of)\b", flags=re.IGNORECASE
)
_EXCEPTION: Final = re.compile(
    r"\W*(?:other than|apart from|aside from|except(?:ing)?(?: for)?|besides|although|though|while"
    r"|whereas|despite)\b[^,;]*(?P<comma>,)",
    flags=re.IGNORECASE,
)


@dataclass(frozen=True, slots=True)
class _Cue:
    category: str
    direction: str
    start: int
    end: int


@dataclass(frozen=True, slots=True)
class _Rules:
    breaks: re.Pattern[str]
    pseudo: re.Pattern[str]
    cues: tuple[tuple[str, str, re.Pattern[str]], ...]
    probability: dict[str, float]


def assert_mention(sentence: str, start: int, end: int) -> Assertion:
    """Decides what a sentence says about the mention ``sentence[start:end]``.

    Denial wins over history, history over normal or physiologic uptake, these over abnormal
    uptake, and uptake over incidental findings.

    Args:
        sentence: one sentence, unchanged.
        start: offset of the mention in the sentence.
        end: offset one past the mention.

    Example:
        >>> str(assert_mention("No uptake in the liver, but in the spleen.", 17, 22))
        'negated'
    """
    found = _categories(sentence, start, end)
    for category in ("negated", "historical", "normal", "physiologic"):
        if category in found:
            return Assertion(category)
    if "landmark" in found:
        return Assertion.UNSTATED
    if "uptake" in found or ("elsewhere" in found and "incidental" not in found):
        return Assertion.UNCERTAIN if "uncertain" in found else Assertion.ABNORMAL
    if "incidental" in found:
        return Assertion.INCIDENTAL
    if "lesion" in found:
        return Assertion.UNCERTAIN if "uncertain" in found else Assertion.ABNORMAL
    return Assertion.UNSTATED


def rule_probability(
    text: str,
    start: int,
    end: int,
    *,
    section: str = "findings",
    own: tuple[int, int] | None = None,
) -> float:
    """Returns the probability that a mention is said to be metabolically abnormal, by rules.

    The mention's own sentence decides. Where it says nothing of uptake, the sentences that follow
    decide ("It is not avid."), and then the head of the list or the sentence before it.

    Args:
        text: one sentence, with what is read with it (:mod:`petct_ext.reports.context`).
        start: offset of the mention in the text.
        end: offset one past the mention.
        section: name of the section; history, technique and comparison do not speak of this exam.
        own: place of the sentence in the text; None: there is nothing else.

    Returns:
        One of a dozen values in [0, 1], set by hand in ``cues.json``: an order of certainty, not
        a calibrated probability.

    Example:
        >>> text = "Hypermetabolic mass in the liver; spleen normal."
        >>> rule_probability(text, 27, 32) > 0.9, rule_probability(text, 34, 40) < 0.1
        (True, True)
    """
    values = _rules().probability
    if section not in TAGGED_SECTIONS:
        return values["other_section"]
    first, last = own or (0, len(text))
    sentence = text[first:last]
    found = _categories(sentence, start - first, end - first)
    if own is not None and (row := _of_row(text[:first], sentence[end - first :], found)):
        return values[row]
    if own is not None and not found & _DECIDING:
        lead, follow = text[:first].strip(), text[last:].strip()
        around = _of_following(follow) or _of_lead(lead)
        if "uptake" in around or (around and not found & _JUDGING):
            found = (found - _OVERRULED) | around
    return values[_outcome(found)]


_DECIDING: Final = frozenset({"negated", "physiologic", "uptake"})
_JUDGING: Final = _DECIDING | {"normal", "historical"}
_OVERRULED: Final = frozenset({"normal", "historical", "incidental", "landmark"})
"""What "It shows uptake." behind a sentence makes void: "The known mass is stable in size."."""


def _outcome(found: frozenset[str]) -> str:
    """Returns the key of the probability that some categories have together."""
    for category in ("negated", "historical", "normal", "physiologic", "landmark"):
        if category in found:
            return category
    if "uptake" in found:
        if "incidental" in found:
            return "incidental_uptake"
        return "uptake_uncertain" if "uncertain" in found else "uptake"
    if "incidental" in found:
        return "incidental"
    if "elsewhere" in found:
        return "uptake_elsewhere"
    return "lesion" if "lesion" in found else "unstated"


def _of_following(text: str) -> frozenset[str]:
    """What sentences without a region say of the one before them; empty if nothing."""
    for sentence in _SENTENCE.split(text):
        if not sentence.strip():
            continue
        found = _categories(f"it {sentence}", 0, 2)
        words = sentence.rstrip(" .;!")
        behind = _categories(f"{words} it", len(words) + 1, len(words) + 3)
        denied = _DENIAL.match(sentence) is not None and "negated" in behind
        if is_background(sentence) or denied:
            found = found - {"uptake"} | {"negated"}
        if "elsewhere" in found and not found & _JUDGING:
            found |= {"uptake"}
        if found & _JUDGING:
            return found & (_JUDGING | {"uncertain"})
    return frozenset()


def _of_row(lead: str, behind: str, found: frozenset[str]) -> str:
    """What the row of a table says of its region; ``behind`` follows the mention."""
    if not is_table_head(lead) or found & {"landmark", "physiologic"}:
        return ""
    return category_in_row(lead.strip(), behind)


def _of_lead(lead: str) -> frozenset[str]:
    """What the head of a list, or the sentence before, says of an item."""
    if not lead:
        return frozenset()
    lead = lead.rstrip(" .:")
    found = _categories(f"{lead}: it", len(lead) + 2, len(lead) + 4)
    if "negated" in _categories(f"it {lead}", 0, 2):  # "Stable, not avid:"
        found |= {"negated"}
    return found & (_JUDGING | {"uncertain", "lesion"})


def _categories(sentence: str, start: int, end: int) -> frozenset[str]:
    """Categories of the cues whose scope holds the mention; "uptake" stands for abnormal."""
    first, last = _clause(sentence, start, end)
    found: set[str] = set()
    cues = _cues_in(sentence)
    # "Left node SUV 5, right node not avid": the denial speaks of what follows the comma.
    told = [c.end for c in cues if c.category == "abnormal" and end <= c.start]
    comma = sentence.find(",", min(told, default=last), last)
    for cue in cues:
        inside = first <= cue.start and cue.end <= last
        if cue.category == "abnormal":
            found.add("uptake" if inside else "elsewhere")
        elif inside and (
            cue.direction == "both"
            or (cue.direction == "forward" and cue.end <= start)
            or (cue.direction == "backward" and cue.start >= end and not 0 <= comma < cue.start)
            or (cue.direction == "touching" and _TOUCHING.fullmatch(sentence, cue.end, start))
        ):
            found.add(cue.category)
    opening = _BUT_FOR.match(sentence, first)
    if opening is not None and _NOTHING.search(sentence[:first]) and not found:
        found.add("uptake")  # "All regions are normal except the spleen."
    if _is_reference(sentence, start, end):
        found.add("landmark")
    if "uptake" in found and is_back_to_normal(sentence[first:last]):
        found.add("historical")
    return frozenset(found)


def _is_reference(sentence: str, start: int, end: int) -> bool:
    """Whether a mention is what uptake is compared to: "(liver 2.4)", "above that of the liver"."""
    if not _REFERENCE.fullmatch(sentence, start, end):
        return False
    before, after = sentence[max(0, start - 60) : start], sentence[end:]
    if _MARKED_REFERENCE.match(after) or (before.endswith("(") and _VALUE_IN_BRACKETS.match(after)):
        return True
    return _COMPARED_TO.search(before) is not None


def _clause(sentence: str, start: int, end: int) -> tuple[int, int]:
    """The stretch between the breaks around a mention."""
    first, last = 0, len(sentence)
    for a, b in _edges(sentence):
        # "no" in ", no" both ends a clause and belongs to the next one.
        if b <= start:
            first = max(first, a)
        elif a == end and "whose" in sentence[a:b]:
            first = max(first, start)  # what follows speaks of this mention alone
        elif a >= end:
            last = min(last, a)
    return first, last


# A sentence is asked about once per mention, so its breaks and cues are remembered.
@lru_cache(maxsize=64)
def _edges(sentence: str) -> tuple[tuple[int, int], ...]:
    edges = [(m.start(), m.end()) for m in _rules().breaks.finditer(sentence)]
    exception = _EXCEPTION.match(sentence)
    if exception:
        edges.append(exception.span("comma"))
    if len(sentence) > _LONG_CLAUSE and _STOPS.search(sentence) is None:
        edges += [(match.start(), match.end()) for match in _RUN_ON.finditer(sentence)]
    verbs = [match.start() for match in _VERB.finditer(sentence)]
    if verbs:
        edges += [
            match.span()
            for match in _AND_CLAUSE.finditer(sentence)
            if verbs[0] < match.start() and verbs[-1] >= match.end()
        ]
    return tuple(edges)


@lru_cache(maxsize=64)
def _cues_in(sentence: str) -> list[_Cue]:
    rules = _rules()
    hidden = [match.span() for match in rules.pseudo.finditer(sentence)]
    found = []
    for category, direction, pattern in rules.cues:
        for match in pattern.finditer(sentence):
            covered = any(a <= match.start() and match.end() <= b for a, b in hidden)
            whole = any((a, b) == match.span() for a, b in hidden)
            if whole or not covered:
                found.append(_Cue(category, direction, match.start(), match.end()))
    return found


@cache
def _rules() -> _Rules:
    document: dict[str, Any] = read_json(Path(str(files("petct_ext.reports") / "cues.json")))
    cues = tuple(
        (category, direction, _any_of(directions[direction]))
        for category, directions in document["cues"].items()
        for direction in _FIELDS
        if directions[direction]
    )
    return _Rules(
        re.compile("|".join(document["breaks"]), flags=re.IGNORECASE),
        _any_of(document["pseudo"]),
        cues,
        document["probability"],
    )


def _any_of(phrases: list[str]) -> re.Pattern[str]:
    ordered = sorted(phrases, key=len, reverse=True)
    return re.compile(rf"(?<!\w)(?:{'|'.join(ordered)})(?!\w)", flags=re.IGNORECASE)


class RuleLabeler:
    """Labels mentions by the cue phrases of :mod:`petct_ext.reports.rules`."""

    def predict(self, items: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
        """Returns one row of the table MENTIONS per mention, sorted by exam and place.

        Args:
            items: see :func:`petct_ext.reports.items.tag_report`; their ``rule`` is used.
        """
        return in_order(
            {**place_of_mention(item, mention), "probability": float(mention["rule"])}
            for item in items
            for mention in item["mentions"]
        )
