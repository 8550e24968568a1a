"""Which designs of the scan model are compared, and what each changes in the bundle's settings."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any, Final

from petct_ext.errors import InputDataError, did_you_mean

__all__ = [
    "ARTIFICIAL",
    "DESIGNS",
    "REFERENCE_DESIGN",
    "SINGLE_TASK",
    "Design",
    "choose_designs",
    "with_true_labels",
]

ARTIFICIAL: Final = (
    "Artificial patients (phantoms) and a network of reduced size: it tests software and says "
    "nothing about patients."
)
"""Stands beside every number of the comparison."""

REFERENCE_DESIGN: Final = "attention"
"""Name of the design that the others are compared with."""

SINGLE_TASK: Final = "single_task"
"""Name of the design that trains one network for each region."""


@dataclass(frozen=True, slots=True)
class Design:
    """One way to train the scan model.

    Attributes:
        name: short, a file name.
        title: what is different, for people.
        overrides: keys of the training's configuration and their values, of the network.
        training: the same, of how it is trained.
        true_labels: trained on the phantoms' truth in place of weak labels from reports.
    """

    name: str
    title: str
    overrides: Mapping[str, Any] = field(default_factory=dict)
    training: Mapping[str, Any] = field(default_factory=dict)
    true_labels: bool = False


_NO_PLACE = MappingProxyType({"network_def#num_frequencies": 0})

DESIGNS: Final = MappingProxyType(
    {
        design.name: design
        for design in (
            Design(REFERENCE_DESIGN, "multi-task, attention, weak labels, PET and CT (default)"),
            Design(
                "attention_without_place", "attention without the place (the paper's)", _NO_PLACE
            ),
            Design(
                "sum",
                "sum over all positions in place of attention",
                {**_NO_PLACE, "network_def#pooling": "sum"},
                # A sum over 171 positions needs small steps: of 0.01, 0.1 and 1 the factor with
                # the best AUROC on the validation patients (0.57, 0.65, 0.56 after 8 epochs).
                {"head_learning_rate_factor": 0.1},
            ),
            Design(
                "mean",
                "mean over all positions in place of attention",
                {**_NO_PLACE, "network_def#pooling": "mean"},
            ),
            Design(
                "finer_map",
                "encoder ends before its last pooling: attention on a finer map",
                {"network_def#encoder#last_stage": "mixed_3c"},
            ),
            Design("true_labels", "true labels of the phantoms in training", true_labels=True),
            Design("pet_only", "PET alone", {"network_def#channels": [0]}),
            Design("ct_only", "CT alone", {"network_def#channels": [1]}),
            Design(SINGLE_TASK, "one network for each region"),
        )
    }
)
"""All designs by name."""


def choose_designs(names: Sequence[str]) -> list[Design]:
    """Returns designs by name, the one that the others are compared with first.

    Raises:
        InputDataError: if there is no such design.
    """
    for name in names:
        if name not in DESIGNS:
            raise InputDataError(
                f"there is no design {name!r}; there is {', '.join(DESIGNS)}."
                f"{did_you_mean(name, DESIGNS)}"
            )
    return [DESIGNS[name] for name in DESIGNS if name in {REFERENCE_DESIGN, *names}]


def with_true_labels(
    datalist: Mapping[str, Any], truth: Mapping[str, Mapping[str, float]]
) -> dict[str, Any]:
    """Returns a datalist whose labels are the truth of an artificial cohort.

    Args:
        datalist: document of :func:`petct_ext.scan.data.datalist.load_datalist`; not changed.
        truth: label by region, by exam.

    Returns:
        The same exams and sections; other keys of the document are kept.

    Raises:
        InputDataError: if the truth lacks an exam.
    """
    document: dict[str, Any] = {}
    for key, value in datalist.items():
        if isinstance(value, list):
            document[key] = [_with_truth(item, truth) for item in value]
        else:
            document[key] = value
    return document | {"labels_are": "the truth of artificial patients"}


def _with_truth(
    item: Mapping[str, Any], truth: Mapping[str, Mapping[str, float]]
) -> dict[str, Any]:
    if item["exam_id"] not in truth:
        raise InputDataError(
            f"exam {item['exam_id']} of the datalist has no true labels; give the cohort that the "
            "work folder was made from."
        )
    return {**item, "labels": dict(truth[item["exam_id"]])}
