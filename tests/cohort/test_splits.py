"""Patients are split, never exams, and nobody moves when others come."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from petct_ext.cohort.splits import split_by_patient
from petct_ext.errors import InputDataError

COHORT = [f"P{i:04d}" for i in range(400)]


@given(seed=st.integers(0, 10_000), kept=st.integers(100, 399))
def test_adding_patients_moves_nobody(seed: int, kept: int) -> None:
    few = split_by_patient(COHORT[:kept], fractions=(0.5, 0.2, 0.3), seed=seed)
    many = split_by_patient(COHORT, fractions=(0.5, 0.2, 0.3), seed=seed)
    assert {p: many[p] for p in few} == few


def test_shares_are_met_on_average() -> None:
    split = list(split_by_patient(COHORT, fractions=(0.7, 0.1, 0.2), seed=1).values())
    assert split.count("training") / len(split) == pytest.approx(0.7, abs=0.07)
    assert split.count("test") / len(split) == pytest.approx(0.2, abs=0.07)


def test_seed_changes_the_split() -> None:
    one = split_by_patient(COHORT, fractions=(0.7, 0.1, 0.2), seed=1)
    assert one != split_by_patient(COHORT, fractions=(0.7, 0.1, 0.2), seed=2)


def test_too_few_patients_are_refused() -> None:
    with pytest.raises(InputDataError, match=r"1 patient\(s\) leave no one for"):
        split_by_patient(["P1", "P1"], fractions=(0.7, 0.1, 0.2), seed=0)


@pytest.mark.parametrize("fractions", [(0.7, 0.1, 0.1), (1.0, 0.0, 0.0), (1.2, -0.1, -0.1)])
def test_fractions_that_are_no_shares_are_refused(fractions: tuple[float, float, float]) -> None:
    with pytest.raises(InputDataError, match="positive and sum to 1"):
        split_by_patient(COHORT, fractions=fractions, seed=0)
