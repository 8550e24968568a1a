"""Findings whose uptake stands in another sentence than their region, and lists under a head.

The phrases are others than those that the labeler learns from
(``petct_ext/synthetic/reports/contexts.json``).
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import product

REGIONS = {
    "right_lower_lobe": "right lower lobe",
    "liver": "liver",
    "left_adrenal_gland": "left adrenal gland",
    "mediastinum": "anterior mediastinum",
    "pancreas": "pancreatic tail",
    "left_axillary_lymph_node": "left axilla",
    "thyroid": "thyroid",
    "sternum": "sternum",
    "right_iliac_lymph_node": "right external iliac chain",
    "spleen": "spleen",
}
INTRODUCTIONS = (
    "There is a 2.1 cm nodule in the {}.",
    "A rounded lesion is noted in the {} on the CT images.",
    "In the {} there is a soft tissue density measuring 18 mm.",
    "Stable 1.4 cm abnormality of the {}.",
)
AFFIRMED = (
    "It shows intense uptake.",
    "This is markedly hypermetabolic with an SUVmax of 9.3.",
    "FDG uptake is increased.",
    "Corresponding focal tracer accumulation is seen.",
    "The lesion is strongly FDG-avid.",
)
DENIED = (
    "It shows no uptake.",
    "This is not hypermetabolic.",
    "FDG uptake is not increased.",
    "No corresponding tracer accumulation is seen.",
    "The lesion is not FDG-avid.",
)
HEADS = {
    "Sites of hypermetabolic disease:": 1,
    "Areas of abnormal tracer uptake:": 1,
    "The following structures are FDG avid:": 1,
    "No abnormal uptake in the following structures:": 0,
    "The following show physiologic uptake:": 0,
}


def two_sentence_findings() -> Iterator[tuple[str, str, int]]:
    """Yields ``text, region, abnormal``: 4 introductions x 10 regions x 5 sentences, both ways."""
    for introduction, (region, words) in product(INTRODUCTIONS, REGIONS.items()):
        for label, sentences in ((1, AFFIRMED), (0, DENIED)):
            for sentence in sentences:
                yield f"FINDINGS: {introduction.format(words)} {sentence}", region, label


def listed_findings() -> Iterator[tuple[str, dict[str, int]]]:
    """Yields ``text, labels``: a head and a list of three regions, with marks and without."""
    names = list(REGIONS)
    for (head, label), first, mark in product(HEADS.items(), range(len(names)), ("- ", "1. ", "")):
        chosen = [names[(first + step) % len(names)] for step in (0, 3, 6)]
        lines = "\n".join(f"{mark}{REGIONS[name].capitalize()}" for name in chosen)
        yield f"FINDINGS:\n{head}\n{lines}\n", dict.fromkeys(chosen, label)


def headed_findings() -> Iterator[tuple[str, str, int]]:
    """Yields ``text, region, abnormal``: a region as a heading, and what is said below it."""
    for (region, words), below in product(REGIONS.items(), ("\n", " ", "\n\n")):
        for label, sentences in ((1, AFFIRMED), (0, DENIED)):
            for sentence in sentences:
                yield f"FINDINGS:\n{words.upper()}:{below}{sentence}\n", region, label
