"""Sentences of a report's findings: lesions, negatives, normal uptake, incidental findings."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from petct_ext.ontology import RegionOntology
from petct_ext.synthetic.reports.case import (
    Case,
    Finding,
    enumerate_words,
    family_of,
    group_slots,
    highest_suv,
    node_list,
    region_words,
)
from petct_ext.synthetic.reports.phrases import (
    compose,
    load_phrases,
    mark,
    marked_regions,
    pick,
    sentence,
)

__all__ = [
    "AREAS",
    "FindingSentence",
    "optional_sentences",
    "positive_sentences",
    "resolved_sentences",
]

AREAS = ("head_neck", "chest", "abdomen", "musculoskeletal")
"""Body parts in the order in which a reader goes through them."""

_CROWDED = 7
"""From so many abnormal regions on a reader lists them rather than gives each a sentence."""


@dataclass(frozen=True, slots=True)
class FindingSentence:
    """A sentence as marked text, and the body part it belongs to ("" if to none)."""

    area: str
    text: str


def positive_sentences(case: Case) -> list[FindingSentence]:
    """Writes every reported lesion down; each region gets a mention, of itself or a container."""
    sentences: list[FindingSentence] = []
    crowded = len(case.findings) >= _CROWDED
    for area in AREAS:
        local = [f for f in case.findings if region_words(f.region)["area"] == area]
        nodes = [f for f in local if region_words(f.region)["kind"] == "node"]
        others = [f for f in local if region_words(f.region)["kind"] != "node"]
        for findings, kind, minimum in ((nodes, "list", 2), (others, "places", 3 - crowded)):
            together = crowded or case.rng.random() < 0.5
            if len(findings) >= minimum and together:
                chunks = _chunks(findings, 5 if kind == "list" else 4)
                sentences.extend(
                    FindingSentence(area, _list_sentence(case, c, kind)) for c in chunks
                )
            else:
                sentences.extend(
                    FindingSentence(area, _finding_sentence(case, f)) for f in findings
                )
    return sentences


def resolved_sentences(case: Case) -> list[FindingSentence]:
    """Says which reported findings of the exam before have gone (at most four)."""
    if case.previous is None:
        return []
    gone = {
        lesion.region: lesion
        for lesion in case.previous.lesions
        if lesion.mentioned and lesion.region not in case.abnormal
    }
    sentences = []
    for region, lesion in list(gone.items())[:4]:
        slots = group_slots(case, Finding(region, (lesion,)), abnormal=False)
        template = pick(case.rng, load_phrases()["positive"]["resolved"])
        text = sentence(compose(template, case.rng, slots=slots, region=region, abnormal=False))
        sentences.append(FindingSentence(region_words(region)["area"], text))
    return sentences


def optional_sentences(case: Case) -> list[FindingSentence]:
    """Writes negatives, normal uptake and incidental findings that agree with the exam.

    Returns:
        Sentences in random order, those that the exam's uptake calls for first (brown fat, muscle,
        marrow, myocardium, changes after treatment). No two name the same region.
    """
    phrases, rng = load_phrases(), case.rng
    pool: list[FindingSentence] = []
    for group, share in (("negative", 0.8), ("physiologic", 0.55), ("benign", 0.22)):
        for area in (*AREAS, "whole_body"):
            templates = [t for t in phrases[group].get(area, ()) if rng.random() < share]
            pool.extend(FindingSentence(area, _normal_sentence(case, t)) for t in templates)
    pool.extend(_negative_list(case, area) for area in AREAS[:3] if rng.random() < 0.5)
    order = rng.permutation(len(pool))
    candidates = [*_called_for(case), *(pool[int(i)] for i in order)]
    chosen: list[FindingSentence] = []
    named: set[str] = set()
    for candidate in candidates:
        regions = marked_regions(candidate.text, abnormal=False)
        repeats = bool(regions & named) or (not regions and candidate.area == "whole_body"
                                            and "" in named)  # fmt: skip
        if candidate.text and case.allows(candidate.text) and not repeats:
            chosen.append(candidate)
            named |= regions | ({""} if not regions else set())
    return chosen


def _chunks(findings: Sequence[Finding], size: int) -> list[list[Finding]]:
    """Splits findings so that no list is long and at most one item of each must stand last."""
    last: dict[str, list[Finding]] = {}
    free = []
    for finding in findings:
        if region_words(finding.region)["last_in_list"]:
            family = family_of(finding.region)
            last.setdefault(family, []).append(finding)
        else:
            free.append(finding)
    chunks = [free[i : i + size] for i in range(0, len(free), size)]
    for i, group in enumerate(last.values()):
        if i < len(chunks):
            chunks[i].extend(group)
        else:
            chunks.append(group)
    return chunks


def _finding_sentence(case: Case, finding: Finding) -> str:
    templates, rng = load_phrases()["positive"], case.rng
    kind = "single" if len(finding.lesions) == 1 else "several"
    if case.previous is not None and len(finding.lesions) == 1:
        kind = _course(case, finding) or kind
    elif kind == "single" and rng.random() < 0.15:
        kind = "hedged"
    slots = group_slots(case, finding)
    return sentence(compose(pick(rng, templates[kind]), rng, slots=slots, region=finding.region))


def _course(case: Case, finding: Finding) -> str:
    """Returns how the region has changed; "" if the exam before had it but did not report it."""
    if not finding.earlier:
        hidden = case.previous is not None and any(
            lesion.region == finding.region for lesion in case.previous.lesions
        )
        return "" if hidden else "new"
    ratio = highest_suv(finding.lesions) / highest_suv(finding.earlier)
    return "decreased" if ratio < 0.88 else "increased" if ratio > 1.12 else "stable"


def _list_sentence(case: Case, findings: Sequence[Finding], kind: str) -> str:
    lesions = tuple(lesion for finding in findings for lesion in finding.lesions)
    slots = group_slots(case, Finding(findings[0].region, lesions))
    if kind == "list":
        slots["list"] = node_list(case, [f.region for f in findings], merge_chance=0.25)
        slots |= {"node_words": case.style.nodes, "adenopathy": case.style.adenopathy}
    else:
        slots["places"] = enumerate_words([group_slots(case, f)["place"] for f in findings])
    template = pick(case.rng, load_phrases()["positive"][kind])
    return sentence(compose(template, case.rng, slots=slots))


def _normal_sentence(case: Case, template: str) -> str:
    physiology = case.exam.physiology
    slots = {
        name: f"{getattr(physiology, name):.1f}"
        for name in ("blood_pool", "liver", "myocardium", "brown_fat")
    }
    return sentence(compose(template, case.rng, slots=slots))


def _called_for(case: Case) -> list[FindingSentence]:
    """Returns what the uptake of this exam and an earlier treatment make worth saying."""
    phrases, rng, physiology = load_phrases(), case.rng, case.exam.physiology
    heart = "heart_high" if physiology.myocardium > 5.0 else "heart_low"
    wanted = [("chest", heart, rng.random() < 0.6)]
    wanted.append(("head_neck", "brown_fat", physiology.brown_fat > 0.0))
    wanted.append(("musculoskeletal", "muscle_high", physiology.muscle > 1.4))
    wanted.append(("musculoskeletal", "marrow_high", physiology.marrow > 2.1))
    said = [
        FindingSentence(area, _normal_sentence(case, pick(rng, phrases["physiologic"][kind])))
        for area, kind, so in wanted
        if so
    ]
    if case.exam.treated and rng.random() < 0.6:
        template = pick(rng, phrases["post_treatment"][case.patient.disease])
        text = _normal_sentence(case, template)
        said.append(FindingSentence(_area_of(text, case.ontology), text))
    return said


def _area_of(marked: str, ontology: RegionOntology) -> str:
    for region in sorted(marked_regions(marked, abnormal=False)):
        around = ontology.containers(region) | {region}
        for area, name in zip(AREAS, ("head_neck", "chest", "abdomen", "soft_tissue"), strict=True):
            if name in around or (area == "abdomen" and "pelvis" in around):
                return area
    return "chest"


def _negative_list(case: Case, area: str) -> FindingSentence:
    """Denies disease in two to four nodal regions of a body part at once."""
    mediastinal = ["mediastinal"] if case.rng.random() < 0.7 else ["paratracheal", "subcarinal"]
    names = {
        "head_neck": ["cervical", "supraclavicular"],
        "chest": [*mediastinal, "hilar", "axillary"],
        "abdomen": ["retroperitoneal", "inguinal"],
    }[area]
    regions = {"subcarinal": "carinal_lymph_node"}
    pairs = [(regions.get(n, f"{n}_lymph_node"), n) for n in names]
    free = [(region, name) for region, name in pairs if region not in case.abnormal]
    case.rng.shuffle(free)
    if len(free) < 2:
        return FindingSentence(area, "")
    items = [mark(region, name, abnormal=False) for region, name in free[:4]]
    joined = f"{', '.join(items[:-1])} or {items[-1]}"
    slots = {"list": joined, "node_words": case.style.nodes, "adenopathy": case.style.adenopathy}
    template = pick(case.rng, load_phrases()["negative"]["node_lists"])
    if template.startswith("{list"):
        slots["list"] = joined.replace(" or ", " and ")
    return FindingSentence(area, sentence(compose(template, case.rng, slots=slots)))
