"""What every datalist and its labels must hold, checked before a training begins."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from itertools import combinations
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from petct_ext.errors import InputDataError
from petct_ext.keys import CT, PET

__all__ = [
    "check_labels",
    "has_both_outcomes",
    "require_exams",
]

Sections = Mapping[str, Sequence[Any]]


def require_exams(sections: Sections, source: Path) -> None:
    """Refuses items that are not whole, exams that stand there twice, and patients in two sections.

    Args:
        sections: items by the name of their section, as read from JSON.
        source: the file, for errors.

    Raises:
        InputDataError: names the file and the first fault.
    """
    for name, items in sections.items():
        _require_items(items, name, source)
    _require_single_exams(sections, source)
    _require_disjoint_patients(sections, source)


def _require_items(items: Sequence[Any], section: str, source: Path) -> None:
    """Raises InputDataError unless every item has what an exam needs."""
    for number, item in enumerate(items, start=1):
        where = f"{source}: item {number} of section {section!r}"
        if not isinstance(item, dict):
            raise InputDataError(f"{where} is {item!r}; it must be an object with exam_id.")
        for key in ("exam_id", "patient_id", PET, CT):
            if not isinstance(item.get(key), str) or not item[key]:
                raise InputDataError(f"{where} has {key} {item.get(key)!r}; it must be a text.")
        for key in ("labels", "hand_labels"):
            if not isinstance(item.get(key) or {}, dict):
                raise InputDataError(
                    f"{where} (exam {item['exam_id']}) has {key} {item[key]!r}; it must be an "
                    "object of region: probability."
                )
        num_slices = item.get("num_slices")
        if num_slices is not None and not isinstance(num_slices, int):
            raise InputDataError(
                f"{where} (exam {item['exam_id']}) has num_slices {num_slices!r}; it must be a "
                "whole number."
            )


def _require_single_exams(sections: Sections, source: Path) -> None:
    counts = Counter(item["exam_id"] for items in sections.values() for item in items)
    if twice := sorted(exam for exam, count in counts.items() if count > 1):
        raise InputDataError(
            f"{source}: {len(twice)} exam(s) stand there more than once, e.g. {twice[0]!r}; keep "
            "each in one section, once."
        )


def _require_disjoint_patients(sections: Sections, source: Path) -> None:
    patients = {name: {item["patient_id"] for item in items} for name, items in sections.items()}
    for one, other in combinations(patients, 2):
        if shared := patients[one] & patients[other]:
            raise InputDataError(
                f"{source}: {len(shared)} patient(s) occur in both {one!r} and {other!r}, "
                f"e.g. {min(shared)!r}; split by patient, not by exam."
            )


_ABNORMAL = 0.5


def has_both_outcomes(labels: npt.NDArray[np.floating]) -> npt.NDArray[np.bool_]:
    """Tells which outputs have a normal and an abnormal exam, so that an AUROC is defined.

    Args:
        labels: probabilities (N, R), NaN unknown.

    Returns:
        Shape (R,).
    """
    both = (labels >= _ABNORMAL).any(axis=0) & (labels < _ABNORMAL).any(axis=0)
    return np.asarray(both, dtype=np.bool_)


def check_labels(
    training: Sequence[Mapping[str, Any]],
    validation: Sequence[Mapping[str, Any]],
    source: str | Path,
) -> None:
    """Refuses labels from which nothing can be learned, or by which no epoch can be chosen.

    Args:
        training: items of :func:`petct_ext.scan.data.datalist.load_datalist`: ``label`` (R,), NaN
            is unknown.
        validation: items that choose the best epoch.
        source: of the labels, for errors.

    Raises:
        InputDataError: if no training exam has a label, or no output has both a normal and an
            abnormal validation exam: its AUROC would be undefined.
    """
    known = np.isfinite([item["label"] for item in training])
    if not known.any():
        raise InputDataError(
            f"{source}: none of the {len(training)} training exams has a label; write it with "
            "labels (scripts/make_datalist.py), or choose another kind (labels)."
        )
    if not has_both_outcomes(np.asarray([item["label"] for item in validation])).any():
        raise InputDataError(
            f"{source}: among the {len(validation)} validation exams no output has both a normal "
            "and an abnormal one, so that AUROC is undefined and no epoch could be chosen. Add "
            "exams to the validation section, or train other outputs."
        )
