"""What a report is written about, and the words for it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from petct_ext.ontology import RegionOntology
from petct_ext.synthetic.patients import Exam, Lesion, Patient
from petct_ext.synthetic.reports.phrases import (
    compose,
    load_phrases,
    mark,
    marked_regions,
    number,
    pick,
)

__all__ = [
    "Case",
    "Finding",
    "Style",
    "enumerate_words",
    "family_of",
    "group_slots",
    "highest_suv",
    "node_list",
    "region_words",
    "sample_style",
]

_MALE_REGIONS = frozenset({"prostate"})
_FEMALE_REGIONS = frozenset({"uterus", "ovary", "breast"})
_MEDIASTINAL = ("paratracheal_lymph_node", "carinal_lymph_node", "aortopulmonary_lymph_node")


@dataclass(frozen=True, slots=True)
class Style:
    """Habits of one reader that stay the same throughout a report."""

    suv: str
    avid: str
    in_mm: bool
    two_dimensions: bool
    nodes: str
    adenopathy: str
    count: str


@dataclass(frozen=True, slots=True)
class Finding:
    """All lesions of one region that the report speaks of.

    Attributes:
        region: the region.
        lesions: its lesions, at least one.
        earlier: reported lesions of the region in the exam before; empty if there were none.
    """

    region: str
    lesions: tuple[Lesion, ...]
    earlier: tuple[Lesion, ...] = ()


@dataclass(frozen=True)
class Case:
    """What a report is written about."""

    patient: Patient
    exam: Exam
    previous: Exam | None
    ontology: RegionOntology
    style: Style
    rng: np.random.Generator
    findings: tuple[Finding, ...] = field(init=False)
    abnormal: frozenset[str] = field(init=False)

    def __post_init__(self) -> None:
        reported: dict[str, list[Lesion]] = {}
        for lesion in self.exam.lesions:
            if lesion.mentioned:
                reported.setdefault(lesion.region, []).append(lesion)
        before = self.previous.lesions if self.previous is not None else ()
        findings = tuple(
            Finding(region, tuple(lesions), _reported(before, region))
            for region, lesions in reported.items()
        )
        regions = {lesion.region for lesion in self.exam.lesions}
        around = {container for region in regions for container in self.ontology.containers(region)}
        object.__setattr__(self, "findings", findings)
        object.__setattr__(self, "abnormal", frozenset(regions | around))

    def allows(self, marked: str) -> bool:
        """Whether a sentence calls no region normal that is not, and fits the patient's sex."""
        normal = marked_regions(marked, abnormal=False)
        foreign = _MALE_REGIONS if self.patient.sex == "F" else _FEMALE_REGIONS
        return not normal & self.abnormal and not normal & foreign

    def fixed_rng(self, region: str) -> np.random.Generator:
        """Randomness for details that stay the same from exam to exam, such as a vertebra."""
        index = list(self.ontology).index(region)
        return np.random.default_rng([self.patient.number, index])


def sample_style(rng: np.random.Generator) -> Style:
    """Draws the habits of a reader."""
    words = load_phrases()["vocabulary"]
    return Style(
        suv=pick(rng, words["suv"]),
        avid=pick(rng, words["avid"]),
        in_mm=bool(rng.random() < 0.35),
        two_dimensions=bool(rng.random() < 0.5),
        nodes=pick(rng, words["nodes"]),
        adenopathy=pick(rng, words["adenopathy"]),
        count=pick(rng, words["counts"]),
    )


def group_slots(case: Case, finding: Finding, *, abnormal: bool = True) -> dict[str, str]:
    """Returns the values of all slots that speak of one region."""
    rng, style, words = case.rng, case.style, region_words(finding.region)
    hottest = highest_suv(finding.lesions)
    largest = max(lesion.diameter_mm for lesion in finding.lesions)
    slots = {**_lesion_words(case, finding, largest), **_uptake_words(case, hottest)}

    def phrase(options: Sequence[str], *, plural: bool) -> str:
        text = compose(
            pick(rng, options), rng, slots=slots, region=finding.region, abnormal=abnormal
        )
        return number(text, plural=plural)

    several = len(finding.lesions)
    slots["noun"] = phrase(words["nouns"], plural=False)
    slots["nouns"] = phrase(words["nouns"], plural=True)
    slots["place"] = phrase(words["places"], plural=False)
    slots["size"] = _size(case, largest)
    slots["suv"] = style.suv.format(v=f"{hottest:.1f}")
    slots["suv_value"] = f"{hottest:.1f}"
    slots["count"] = {2: "two", 3: "three"}.get(several, style.count)
    slots["process"] = pick(rng, _processes(case, finding.region))
    if finding.earlier:
        slots["prev_suv"] = f"{highest_suv(finding.earlier):.1f}"
        slots["prev_size"] = _size(case, max(x.diameter_mm for x in finding.earlier))
    return slots


def node_list(case: Case, regions: Sequence[str], *, merge_chance: float) -> str:
    """Returns "left supraclavicular, mediastinal and bilateral hilar" as marked text.

    Both sides become "bilateral", which mentions the region around them; several mediastinal
    stations become "mediastinal" with the given chance.
    """
    families, rest = load_phrases()["families"], list(regions)
    items: list[tuple[str, str, bool]] = []
    stations = [name for name in rest if name in _MEDIASTINAL]
    if len(stations) > 1 and case.rng.random() < merge_chance:
        rest = [name for name in rest if name not in stations]
        items.append(("mediastinal_lymph_node", "mediastinal", False))
    for name in rest:
        side, _, family = name.partition("_")
        other = {"left": "right", "right": "left"}.get(side, "")
        last = region_words(name)["last_in_list"]
        if family in families and f"{other}_{family}" in rest:
            item = (family, f"bilateral {families[family]}", last)
        else:
            words = pick(case.rng, region_words(name)["adjectives"])
            item = (name, compose(words, case.rng, slots=_fixed_words(case, name)), last)
        if item[0] not in [name for name, _, _ in items]:
            items.append(item)
    items.sort(key=_is_last)
    return enumerate_words([mark(name, words, abnormal=True) for name, words, _ in items])


def _is_last(item: tuple[str, str, bool]) -> bool:
    return item[2]


def highest_suv(lesions: Iterable[Lesion]) -> float:
    """Returns the SUVbw in g/mL of the hottest lesion."""
    return max(lesion.suv for lesion in lesions)


def region_words(region: str) -> Mapping[str, Any]:
    """Returns the entry of ``phrases.json`` for a region: kind, area, nouns, places, ..."""
    known = load_phrases()["regions"]
    words: Mapping[str, Any] = known[region if region in known else family_of(region)]
    return words


def family_of(region: str) -> str:
    """Returns the region without its side."""
    return region.removeprefix("left_").removeprefix("right_")


def _reported(lesions: Iterable[Lesion], region: str) -> tuple[Lesion, ...]:
    return tuple(x for x in lesions if x.mentioned and x.region == region)


def enumerate_words(items: Sequence[str]) -> str:
    """Returns "a", "a and b" or "a, b and c"."""
    return items[0] if len(items) == 1 else f"{', '.join(items[:-1])} and {items[-1]}"


def _fixed_words(case: Case, region: str) -> dict[str, str]:
    rng = case.fixed_rng(region)
    levels = region_words(region)["levels"]
    return {
        "level": pick(rng, levels) if levels else "",
        "lesion_side": pick(rng, ("left", "right")),
    }


def _lesion_words(case: Case, finding: Finding, largest: float) -> dict[str, str]:
    mass = largest > 30.0
    return {
        **_fixed_words(case, finding.region),
        **({"lesion_side": finding.lesions[0].side} if finding.lesions[0].side else {}),
        "mass": "mass" if mass else "nodule",
        "mass_lesion": "mass" if mass else "lesion",
    }


def _uptake_words(case: Case, suv: float) -> dict[str, str]:
    words = load_phrases()["vocabulary"]
    degree = "mild" if suv < 5.5 else "moderate" if suv < 9.0 else "intense"
    strong = pick(case.rng, words[f"strong_{degree}"])
    adverb = f"{words[degree]} " if case.rng.random() < 0.35 else ""
    return {"avid": adverb + case.style.avid, "strong": strong, "lower_strong": strong.lower()}


def _size(case: Case, diameter_mm: float) -> str:
    style = case.style
    sides = [diameter_mm * 1.08, diameter_mm * float(case.rng.uniform(0.7, 0.95))]
    values = sides if style.two_dimensions else [diameter_mm]
    if style.in_mm:
        return " x ".join(f"{v:.0f}" for v in values) + " mm"
    return " x ".join(f"{v / 10:.1f}" for v in values) + " cm"


def _processes(case: Case, region: str) -> Sequence[str]:
    """Returns words for what a lesion may be: a primary tumor is not called a metastasis."""
    phrases = load_phrases()
    disease = phrases["diseases"][case.patient.disease]
    words: Sequence[str] = disease["process"]
    if {region, family_of(region)} & set(disease["primary_sites"]):
        kind = "primary_process_treated" if case.exam.treated else "primary_process"
        words = phrases["vocabulary"][kind]
    return words
