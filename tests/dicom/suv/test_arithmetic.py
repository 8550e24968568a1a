"""SUV follows from its definition; the numbers below are worked out by hand."""

from __future__ import annotations

import math
from typing import Any

import pytest

from petct_ext.dicom.suv.arithmetic import (
    DecayCorrection,
    frame_decay_correction,
    mean_activity_time_s,
    suv_bw_scale,
)
from petct_ext.errors import InputDataError

F18_HALF_LIFE_S = 6586.2
EXAM: dict[str, Any] = {
    "patient_weight_kg": 70.0,
    "injected_dose_bq": 350e6,
    "half_life_s": F18_HALF_LIFE_S,
    "uptake_time_s": 3600.0,
    "decay_correction": DecayCorrection.START,
}


def test_evenly_spread_dose_has_suv_one() -> None:
    """If nothing decays and the dose fills the body evenly (1 kg = 1 L), SUV is 1 everywhere."""
    concentration_bq_per_ml = 350e6 / 70_000
    scale = suv_bw_scale(**EXAM | {"uptake_time_s": 0.0})
    assert concentration_bq_per_ml * scale == pytest.approx(1.0)


def test_after_one_half_life_the_same_activity_is_twice_the_suv() -> None:
    now = suv_bw_scale(**EXAM | {"uptake_time_s": 0.0})
    later = suv_bw_scale(**EXAM | {"uptake_time_s": F18_HALF_LIFE_S})
    assert later == pytest.approx(2.0 * now)


def test_admin_correction_ignores_the_uptake_time() -> None:
    admin = EXAM | {"decay_correction": "ADMIN"}
    assert suv_bw_scale(**admin) == suv_bw_scale(**admin | {"uptake_time_s": 0.0})


@pytest.mark.parametrize(
    ("change", "message"),
    [
        pytest.param({"patient_weight_kg": 0.0}, "patient_weight_kg is 0.0", id="no-weight"),
        pytest.param({"half_life_s": math.nan}, "half_life_s is nan", id="nan"),
        pytest.param({"injected_dose_bq": 350.0}, "may hold MBq or mCi", id="dose-in-mbq"),
        pytest.param({"uptake_time_s": -60.0}, "different days", id="midnight"),
        pytest.param(
            {"decay_correction": "NONE"}, "'NONE'; SUV needs 'START' or 'ADMIN'", id="uncorrected"
        ),
    ],
)
def test_refuses_headers_without_a_defined_suv(change: dict[str, object], message: str) -> None:
    with pytest.raises(InputDataError, match=message):
        suv_bw_scale(**EXAM | change)


def test_frame_correction_is_activity_at_the_start_over_the_mean() -> None:
    decay, frame_s = math.log(2) / F18_HALF_LIFE_S, 300.0
    seconds = [(n + 0.5) * frame_s / 1000 for n in range(1000)]
    mean = sum(math.exp(-decay * s) for s in seconds) / 1000
    assert frame_decay_correction(duration_s=frame_s, half_life_s=F18_HALF_LIFE_S) == pytest.approx(
        1 / mean, rel=1e-7
    )


def test_activity_at_the_mean_time_is_the_mean_activity() -> None:
    at_s = mean_activity_time_s(duration_s=300.0, half_life_s=F18_HALF_LIFE_S)
    correction = frame_decay_correction(duration_s=300.0, half_life_s=F18_HALF_LIFE_S)
    assert 2 ** (-at_s / F18_HALF_LIFE_S) == pytest.approx(1 / correction, rel=1e-12)
    assert 149 < at_s < 150


def test_frame_without_length_is_refused() -> None:
    with pytest.raises(InputDataError, match=r"duration_s is 0\.0"):
        frame_decay_correction(duration_s=0.0, half_life_s=F18_HALF_LIFE_S)
