"""SUV, kBq/mL and counts are told apart by the body, or it is said that they cannot be."""

from __future__ import annotations

import re
from typing import Any

import numpy as np
import pytest

from petct_ext.dicom.checking.check import CheckState
from petct_ext.dicom.volumes.pair_units import check_pair_units

SPACING = (8.0, 8.0, 8.0)
KNOWN = {"weight_kg": 75.0, "injected_dose_bq": 300e6}  # 2.7 kBq/mL are expected


def trunk(mean: float, *, slices: int = 100) -> tuple[np.ndarray, np.ndarray]:
    ct = np.full((60, 60, slices), -1000.0, np.float32)
    ct[15:45, 20:40] = 40.0
    return np.where(ct > 0, np.float32(mean), np.float32(0.0)), ct


@pytest.mark.parametrize(
    ("mean", "said", "state", "is_hard", "words"),
    [
        (0.9, {}, CheckState.FINE, False, "0.9"),
        (2.5, {}, CheckState.NOT_FINE, False, "SUV or kBq/mL: give weight_kg"),
        (2.5, KNOWN, CheckState.NOT_FINE, True, "fits kBq/mL, of which .* expect 2.7"),
        (2.5, KNOWN | {"injected_dose_bq": 900e6}, CheckState.NOT_FINE, False, "a body has 0.5"),
        (4.0, {}, CheckState.NOT_FINE, True, "looks like kBq/mL"),
        (400.0, {}, CheckState.NOT_FINE, True, "looks like counts or Bq/mL"),
        (0.2, {}, CheckState.NOT_FINE, True, "looks scaled"),
        (0.4, {}, CheckState.NOT_FINE, False, "a body has 0.5 to 1.6"),
        (0.001, {"pet_units": "BQML"}, CheckState.NOT_FINE, True, "no Bq/mL"),
    ],
)
def test_mean_over_the_body_is_judged(
    mean: float, said: dict[str, Any], state: CheckState, is_hard: bool, words: str
) -> None:
    check = check_pair_units(*trunk(mean), SPACING, said={"pet_units": "SUVbw", **said})
    assert (check.state, check.is_hard) == (state, is_hard)
    assert check.value == pytest.approx(mean, rel=1e-4)
    assert re.search(words, check.text)


@pytest.mark.parametrize("mean", [0.2, 2.5, 5.0])
def test_short_exam_is_not_measured(mean: float) -> None:
    check = check_pair_units(*trunk(mean, slices=50), SPACING, said={"pet_units": "SUVbw"})
    assert check.state is CheckState.NOT_MEASURED
    assert "could not be told apart by 400 mm" in check.text


def test_counts_are_found_in_a_short_exam_too() -> None:
    check = check_pair_units(*trunk(300.0, slices=20), SPACING, said={"pet_units": "SUVbw"})
    assert check.is_hard
