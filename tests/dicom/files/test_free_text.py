"""Free text that holds a part of the patient's identity is not kept."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from petct_ext.dicom.files.identity import REMOVED, identity_words, without_dates, without_identity

WORDS = identity_words(["Müller-Lüdenscheidt^Jo=山田^太郎"], ["MRN4711"], "19500102")


@pytest.mark.parametrize(
    "text",
    [
        "PET Muller whole body",
        "PET MÜLLER",
        "wb_mullerneu",
        "PET of Jo",
        "PET 山田",
        "Pat. mrn4711",
        "born 02.01.1950",
        "born 1950-01-02",
        "19500102 PET",
    ],
)
def test_text_with_a_name_number_or_birth_date_is_removed(text: str) -> None:
    kept = without_identity(text, WORDS)
    assert kept.startswith(REMOVED)
    assert set(kept.split()[1:]) <= {"pet", "wb", "whole", "body"}


@pytest.mark.parametrize("text", ["PET/CT whole body", "Joint PET", "", "CT 5.0 B30f 20200102"])
def test_other_text_is_kept(text: str) -> None:
    assert without_identity(text, WORDS) == text


@given(st.text(st.characters(codec="ascii", categories=["L"]), min_size=2, max_size=12))
def test_no_word_of_the_name_is_ever_left_as_a_word(name: str) -> None:
    words = identity_words([f"{name}^Anna"], [], "")
    kept = without_identity(f"PET {name} legs", words)
    assert name.casefold() not in kept.casefold().split()


def test_words_of_the_trade_are_kept_unless_they_are_the_name() -> None:
    words = identity_words(["Doe^Brain"], [], "")
    assert without_identity("Doe PET brain_NAC 07", words) == "[removed] pet nac"


def test_dates_are_replaced_and_numbers_are_not() -> None:
    assert without_dates("PET 12.03.2019, 2019-03-12, 20190312") == "PET [date], [date], [date]"
    assert without_dates("CT 5.0 B30f 120 kV 10/3") == "CT 5.0 B30f 120 kV 10/3"
