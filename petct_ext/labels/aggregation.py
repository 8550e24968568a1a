"""From probabilities of mentions to probabilities of regions, one row per exam."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from enum import StrEnum

import numpy as np
import pandas as pd

from petct_ext.errors import InputDataError
from petct_ext.ontology import RegionOntology

__all__ = [
    "UnmentionedPolicy",
    "exam_labels",
    "label_prevalence",
    "region_probabilities",
]


class UnmentionedPolicy(StrEnum):
    """What the label of a region is that a report does not mention.

    Example:
        >>> UnmentionedPolicy("normal").label
        0.0
    """

    NORMAL = "normal"
    """Probability 0: radiologists report what is abnormal. As published (Eyuboglu et al. 2021)."""
    UNKNOWN = "unknown"
    """NaN: the loss and the metrics leave the region out for this exam."""

    @property
    def label(self) -> float:
        """Label of a region that the report does not mention."""
        return 0.0 if self is UnmentionedPolicy.NORMAL else math.nan


def region_probabilities(
    mentions: Iterable[tuple[int, int, str, float]], ontology: RegionOntology
) -> dict[str, float]:
    """Combines the mentions of one report by noisy-or.

    The probability that a region is abnormal is ``1 - prod(1 - p)`` over the words that name it or
    a part of it. Each stretch of text counts once per region, however many paths lead up to it;
    where one stretch names several parts of a region ("bilateral hilar nodes"), the most
    probable one counts.

    Args:
        mentions: ``(start, end, region, probability)``.
        ontology: regions; every mention must name one of them.

    Returns:
        Probabilities in [0, 1] of the regions that are mentioned or contain a mentioned one, in the
        order of the ontology. A container is never less probable than its parts.

    Raises:
        UnknownRegionError: if a mention names a region that the ontology lacks.

    Example:
        >>> ontology = RegionOntology.default()
        >>> labels = region_probabilities([(0, 5, "liver", 0.5), (9, 15, "spleen", 0.5)], ontology)
        >>> labels["liver"], labels["abdomen"]
        (0.5, 0.75)
    """
    spans: dict[str, dict[tuple[int, int], float]] = {}
    for start, end, region, probability in mentions:
        for name in (region, *ontology.containers(region)):
            counted = spans.setdefault(name, {})
            counted[start, end] = max(probability, counted.get((start, end), 0.0))
    # Sorted, so that rounding does not depend on the order of the mentions.
    return {
        name: float(1.0 - np.prod(1.0 - np.sort(np.fromiter(spans[name].values(), float))))
        for name in ontology
        if name in spans
    }


def exam_labels(
    mentions: pd.DataFrame,
    ontology: RegionOntology,
    policy: UnmentionedPolicy | str = UnmentionedPolicy.NORMAL,
    *,
    exams: Mapping[str, bool] | None = None,
) -> pd.DataFrame:
    """Makes the table of weak labels.

    Args:
        mentions: columns ``exam_id, start, end, region, probability`` (table MENTIONS).
        ontology: regions.
        policy: what an unmentioned region means.
        exams: every exam that gets a row -> whether its report says anything. A report without text
            is not a normal exam: all its labels are NaN. If None, the exams in ``mentions``.

    Returns:
        Column ``exam_id`` and one column per region of the ontology, probabilities in [0, 1] or
        NaN, rows in the order of ``exams``.

    Raises:
        InputDataError: if a mention belongs to an exam that is not in ``exams``.
        UnknownRegionError: if a mention names a region that the ontology lacks.
    """
    label = UnmentionedPolicy(policy).label
    by_exam: dict[str, list[tuple[int, int, str, float]]] = {}
    columns = ("exam_id", "start", "end", "region", "probability")
    for exam_id, start, end, region, probability in zip(
        *(mentions[column].tolist() for column in columns), strict=True
    ):
        by_exam.setdefault(exam_id, []).append((start, end, region, probability))
    if exams is None:
        exams = dict.fromkeys(by_exam, True)
    if strangers := sorted(set(by_exam) - set(exams)):
        raise InputDataError(
            f"{len(strangers)} exams with mentions are not among the {len(exams)} exams, e.g. "
            f"{strangers[0]!r}; the mentions are older than the exams: label the reports again."
        )
    rows = []
    for exam_id, has_text in exams.items():
        values = dict.fromkeys(ontology, label if has_text else np.nan)
        values.update(region_probabilities(by_exam.get(exam_id, ()), ontology))
        rows.append({"exam_id": exam_id, **values})
    return pd.DataFrame(rows, columns=["exam_id", *ontology])


def label_prevalence(
    labels: pd.DataFrame, ontology: RegionOntology, *, threshold: float = 0.5
) -> pd.DataFrame:
    """Counts how often each region is labeled abnormal.

    Args:
        labels: result of :func:`exam_labels`.
        ontology: regions.
        threshold: a label at or above it counts as abnormal.

    Returns:
        One row per region: ``region, title, main`` (1 for outputs of the scan model),
        ``num_exams`` with a label, ``num_abnormal``, ``prevalence`` (NaN without exams), and
        ``mean_probability``.
    """
    rows = []
    for name in ontology:
        known = labels[name].dropna()
        abnormal = int((known >= threshold).sum())
        rows.append(
            {
                "region": name,
                "title": ontology.title(name),
                "main": int(ontology[name].main),
                "num_exams": len(known),
                "num_abnormal": abnormal,
                "prevalence": abnormal / len(known) if len(known) else np.nan,
                "mean_probability": float(known.mean()) if len(known) else np.nan,
            }
        )
    return pd.DataFrame(rows)
