"""From mentions to weak labels of regions."""

from petct_ext.labels.aggregate import exam_labels, label_prevalence, region_probabilities
from petct_ext.labels.agreement import audit_labels, binary_scores
from petct_ext.labels.policy import UnmentionedPolicy

__all__ = [
    "UnmentionedPolicy",
    "audit_labels",
    "binary_scores",
    "exam_labels",
    "label_prevalence",
    "region_probabilities",
]
