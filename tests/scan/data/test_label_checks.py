"""A training without labels, or without a way to choose its best epoch, does not begin."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from petct_ext.errors import InputDataError
from petct_ext.scan.data.checks import check_labels

NAN = np.nan


def items(*labels: list[float]) -> list[dict[str, Any]]:
    return [{"label": np.array(label, dtype=np.float32)} for label in labels]


def test_one_label_and_one_output_to_score_are_enough() -> None:
    check_labels(items([NAN, 0.2], [NAN, NAN]), items([0.7, NAN], [0.1, NAN]), "datalist.json")


def test_training_without_any_label_is_refused() -> None:
    with pytest.raises(
        InputDataError, match=r"list\.json: none of the 2 training exams has a label"
    ):
        check_labels(items([NAN], [NAN]), items([0.0], [1.0]), "datalist.json")


@pytest.mark.parametrize("validation", [[[0.9, 0.1], [0.8, NAN]], [[NAN, NAN]]])
def test_validation_that_cannot_be_scored_is_refused(validation: list[list[float]]) -> None:
    with pytest.raises(InputDataError, match=r"no output has both a normal and an abnormal one"):
        check_labels(items([1.0, 0.0]), items(*validation), "datalist.json")
