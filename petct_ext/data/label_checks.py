"""Labels that a training needs, checked before it begins."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from petct_ext.errors import InputDataError

__all__ = ["check_labels", "has_both_outcomes"]

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
        training: items of :func:`petct_ext.data.load_datalist`: ``label`` (R,), NaN is unknown.
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
