"""Pseudonyms are stable, differ by salt and kind, and do not show the identifier."""

from __future__ import annotations

import stat
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from petct_ext.dicom.files.identity import (
    Pseudonyms,
    date_shift_days,
    load_or_make_salt,
    pseudonym,
)
from petct_ext.errors import InputDataError

names = st.text(st.characters(codec="ascii", categories=["L", "N"]), min_size=4, max_size=30)


@given(names, names)
def test_equal_inputs_alone_give_equal_ids(one: str, other: str) -> None:
    ids = [pseudonym("P", raw, salt="a secret") for raw in (one, other)]
    assert (ids[0] == ids[1]) == (one == other)


def test_salt_and_kind_change_the_id() -> None:
    first = pseudonym("P", "123", salt="a secret")
    assert first != pseudonym("P", "123", salt="another secret")
    assert first[1:] != pseudonym("E", "123", salt="a secret")[1:]


def test_empty_identifier_is_refused() -> None:
    with pytest.raises(InputDataError, match="is empty"):
        pseudonym("P", " ", salt="a secret")


def test_salt_is_made_once_and_is_private(tmp_path: Path) -> None:
    path = tmp_path / "private" / "salt.txt"
    assert load_or_make_salt(path) == load_or_make_salt(path)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_short_salt_is_refused(tmp_path: Path) -> None:
    (tmp_path / "salt.txt").write_text("abc")
    with pytest.raises(InputDataError, match="salt of 3 characters"):
        load_or_make_salt(tmp_path / "salt.txt")


@given(names)
def test_dates_are_shifted_by_at_most_a_year_and_never_by_nothing(raw: str) -> None:
    days = date_shift_days(raw, salt="a secret")
    assert 1 <= abs(days) <= 365
    assert days == date_shift_days(f" {raw} ", salt="a secret")


def test_shifts_use_the_whole_range() -> None:
    days = {date_shift_days(str(n), salt="a secret") for n in range(8000)}
    assert (min(days), max(days)) == (-365, 365)
    assert days == set(range(-365, 366)) - {0}


def test_dates_are_kept_unless_a_shift_is_asked_for() -> None:
    assert Pseudonyms("a secret").shift_days("123") is None
    shift = Pseudonyms("a secret", shift_dates=True).shift_days("123")
    assert shift == date_shift_days("123", salt="a secret")


@pytest.mark.parametrize(
    ("raw", "name"), [("MRN-4711 ", "MRN-4711"), ("1.2.3", "1.2.3"), ("1.2.3#2", "1.2.3_2")]
)
def test_identifiers_are_kept_on_request(raw: str, name: str) -> None:
    assert Pseudonyms("a secret", keep_ids=True).name("P", raw) == name


@pytest.mark.parametrize("raw", ["../../etc", "a/b", "..", "A^B C", "x" * 65])
def test_identifier_that_is_no_file_name_is_hashed_all_the_same(raw: str) -> None:
    assert Pseudonyms("a secret", keep_ids=True).name("E", raw) == pseudonym(
        "E", raw, salt="a secret"
    )
