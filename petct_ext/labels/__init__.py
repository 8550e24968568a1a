"""From mentions to weak labels of an exam, and how they agree with a reader."""

from petct_ext.labels.aggregation import (
    UnmentionedPolicy,
    exam_labels,
    label_prevalence,
    region_probabilities,
)
from petct_ext.labels.agreement import audit_labels, binary_scores

__all__ = [
    "UnmentionedPolicy",
    "audit_labels",
    "binary_scores",
    "exam_labels",
    "label_prevalence",
    "region_probabilities",
]
