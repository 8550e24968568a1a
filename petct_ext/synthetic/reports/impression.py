"""The impression of a report: what the exam comes to."""

from __future__ import annotations

from collections.abc import Sequence

from petct_ext.synthetic.patients import Exam, Lesion
from petct_ext.synthetic.reports.case import (
    Case,
    Finding,
    enumerate_words,
    family_of,
    group_slots,
    node_list,
    region_words,
)
from petct_ext.synthetic.reports.phrases import (
    compose,
    load_phrases,
    marked_regions,
    pick,
    sentence,
)
from petct_ext.synthetic.summary_codes import region_burden

__all__ = ["impression_items"]

_MAX_ITEMS = 6
_MAX_LISTED = 5
_KNOWN = 2
"""Summary code of disease that is known and has not grown."""


def impression_items(case: Case) -> list[str]:
    """Returns the items of the impression as marked text, the weightiest disease first.

    Up to six groups of findings are named; then what is free of disease, and advice.
    """
    phrases, rng = load_phrases()["impression"], case.rng
    items = _course_items(case)
    if case.findings:
        items += [_group_item(case, group) for group in _groups(case)[:_MAX_ITEMS]]
    else:
        items += [_clean_item(case)]
    chance = 0.5 if case.findings else 0.25
    templates = list(phrases["negatives"])
    rng.shuffle(templates)
    kept = [text for text in (_plain(case, t) for t in templates) if case.allows(text)]
    seen: set[str] = set()
    for text in kept[:2]:
        regions = marked_regions(text, abnormal=False)
        if rng.random() < chance and not regions & seen:
            items.append(text)
            seen |= regions
    if rng.random() < 0.25:
        closing = "closing" if case.findings else "closing_clean"
        items.append(_plain(case, pick(rng, phrases[closing])))
    return items


def _plain(case: Case, template: str) -> str:
    disease = load_phrases()["diseases"][case.patient.disease]
    return sentence(compose(template, case.rng, slots={"search_for": disease["search_for"]}))


def _clean_item(case: Case) -> str:
    phrases = load_phrases()["impression"]
    treated = case.exam.treated and case.patient.disease != "inflammation"
    kind = "clean_treated" if treated and case.rng.random() < 0.5 else "clean"
    return _plain(case, pick(case.rng, phrases[kind]))


def _course_items(case: Case) -> list[str]:
    """Says how the disease has gone since the exam before, if that one showed any."""
    if case.previous is None or not _reported(case.previous):
        return []
    phrases, rng = load_phrases()["impression"], case.rng
    if not case.findings:
        return [_plain(case, pick(rng, phrases["clean_follow_up"]))]
    now, before = region_burden(case.exam.lesions), region_burden(case.previous.lesions)
    shrunk = sum(now.values()) < 0.85 * sum(before.values())
    if case.exam.summary_code == _KNOWN:
        kind = "regressed" if shrunk else "stable"
    else:
        kind = "mixed" if shrunk else "progressed"
    return [_plain(case, pick(rng, phrases[kind]))]


def _reported(exam: Exam) -> list[Lesion]:
    return [lesion for lesion in exam.lesions if lesion.mentioned]


def _groups(case: Case) -> list[list[Finding]]:
    """Groups findings as an impression does: nodes by body part, bones, lungs, organs."""
    groups: dict[str, list[Finding]] = {}
    for finding in case.findings:
        words = region_words(finding.region)
        kind = words["kind"]
        key = {
            "node": f"node {words['area']}",
            "bone": "bone",
            "lung": "lung",
        }.get(kind, finding.region)
        if kind == "node" and "lymph_node" not in case.ontology.containers(finding.region):
            key = finding.region
        groups.setdefault(key, []).append(finding)
    return sorted(groups.values(), key=_weight, reverse=True)


def _weight(group: Sequence[Finding]) -> float:
    return sum(lesion.diameter_mm * lesion.suv for f in group for lesion in f.lesions)


def _group_item(case: Case, group: Sequence[Finding]) -> str:
    phrases, rng = load_phrases()["impression"], case.rng
    lesions = tuple(lesion for finding in group for lesion in finding.lesions)
    merged = Finding(group[0].region, lesions)
    slots = group_slots(case, merged)
    kind = region_words(group[0].region)["kind"]
    sides = {finding.region.partition("_")[0] for finding in group}
    if kind == "node":
        template = "list"
        slots["list"] = _node_words(case, group)
        slots |= {"node_words": case.style.nodes, "adenopathy": case.style.adenopathy}
    elif kind == "bone" and len(group) > 1 and (len(group) > 2 or rng.random() < 0.5):
        template = "skeleton"
    elif kind == "lung" and len(group) > 2 and len(sides) == 2:
        template = "lungs"
    elif len(group) > 1:
        template = "places"
        places = [group_slots(case, finding)["place"] for finding in group[:_MAX_LISTED]]
        slots["places"] = enumerate_words(places)
    else:
        template = "single" if len(lesions) == 1 else "several"
    return sentence(compose(pick(rng, phrases[template]), rng, slots=slots, region=group[0].region))


def _node_words(case: Case, group: Sequence[Finding]) -> str:
    """Lists nodal regions; of several that must stand last in a list, only the first is named."""
    regions: list[str] = []
    last_family = ""
    for finding in sorted(group, key=_finding_weight, reverse=True):
        family = family_of(finding.region)
        if region_words(finding.region)["last_in_list"]:
            if last_family not in ("", family):
                continue
            last_family = family
        regions.append(finding.region)
    return node_list(case, regions[: _MAX_LISTED + 1], merge_chance=0.7)


def _finding_weight(finding: Finding) -> float:
    return max(lesion.diameter_mm for lesion in finding.lesions)
