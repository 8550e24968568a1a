"""Switches mean what their user wrote."""

from __future__ import annotations

import pytest

from petct_ext.errors import InputDataError
from petct_ext.run_settings import is_on


@pytest.mark.parametrize(
    ("value", "expected"),
    [(True, True), (False, False), ("true", True), ("false", False), ("False", False)],
)
def test_words_count_as_what_they_say(value: object, expected: bool) -> None:
    assert is_on(value, "resume") is expected


@pytest.mark.parametrize("value", ["no", "", 0, 1, None])
def test_anything_else_is_refused(value: object) -> None:
    with pytest.raises(InputDataError, match=r"resume is .*; write true or false"):
        is_on(value, "resume")
