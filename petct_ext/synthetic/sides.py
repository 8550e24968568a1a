"""Sides of lesions in paired organs, for ontologies that tell these sides apart."""

from __future__ import annotations

import zlib
from collections.abc import Iterable
from dataclasses import replace

import numpy as np

from petct_ext.errors import InputDataError
from petct_ext.ontology import RegionOntology
from petct_ext.synthetic.patients import Exam, Lesion, Patient

__all__ = ["with_sides"]

_SIDES = ("left", "right")
_STREAM = 15
"""Of random numbers; others are listed in :mod:`petct_ext.synthetic.cohort`."""


def with_sides(
    patients: Iterable[Patient], ontology: RegionOntology, *, seed: int
) -> list[Patient]:
    """Gives lesions of paired organs a side where the ontology has a region for one.

    The disease patterns put lesions into the breast; an ontology with ``left_breast`` within
    ``breast`` wants to know which. All lesions of a region and patient lie on one side, in every
    exam. With the package's ontology nothing changes.

    Args:
        patients: of :func:`petct_ext.synthetic.diseases.sample_patients`.
        ontology: every region of a lesion must be in it.
        seed: seed of the cohort.

    Raises:
        InputDataError: if the ontology lacks the region of a lesion.
    """
    return [
        replace(p, exams=tuple(_sided_exam(exam, p.number, ontology, seed) for exam in p.exams))
        for p in patients
    ]


def _sided_exam(exam: Exam, patient: int, ontology: RegionOntology, seed: int) -> Exam:
    lesions = tuple(_sided(lesion, patient, ontology, seed) for lesion in exam.lesions)
    return replace(exam, lesions=lesions)


def _sided(lesion: Lesion, patient: int, ontology: RegionOntology, seed: int) -> Lesion:
    region = lesion.region
    if region not in ontology:
        raise InputDataError(
            f"{ontology.source} lacks {region!r}, in which artificial patients have lesions; add "
            "your regions to those of the package rather than replace them."
        )
    named = {s: f"{s}_{region}" for s in _SIDES if f"{s}_{region}" in ontology}
    if not any(region in ontology[name].within for name in named.values()):
        return lesion
    rng = np.random.default_rng([seed, patient, _STREAM, zlib.crc32(region.encode())])
    side = _SIDES[int(rng.integers(2))]
    return replace(lesion, region=named.get(side, region), side=side)
