"""Errors are also those that a caller would expect, and are shown in one line."""

from __future__ import annotations

import sys

import pytest

from petct_ext.errors import (
    InputDataError,
    OntologyError,
    OutputError,
    PETCTError,
    UnknownRegionError,
    did_you_mean,
    find_own_error,
    show_errors_in_one_line,
)


@pytest.mark.parametrize(
    ("kind", "builtin"),
    [
        (InputDataError, ValueError),
        (OntologyError, ValueError),
        (OutputError, OSError),
        (UnknownRegionError, KeyError),
    ],
)
def test_each_is_ours_and_a_builtin(kind: type[Exception], builtin: type[Exception]) -> None:
    assert issubclass(kind, PETCTError)
    assert issubclass(kind, builtin)
    assert str(kind("where; what")) == "where; what"


def test_close_name_is_proposed_and_a_far_one_is_not() -> None:
    assert did_you_mean("livr", ["liver", "spleen"]) == " Did you mean 'liver'?"
    assert did_you_mean("xyz", ["liver", "spleen"]) == ""
    assert did_you_mean("liver", []) == ""


def wrapped(*, explicit: bool) -> Exception:
    try:
        try:
            raise InputDataError("the cause")
        except InputDataError as error:
            if explicit:
                raise RuntimeError("MONAI failed") from error
            raise RuntimeError("MONAI failed")  # noqa: B904
    except RuntimeError as error:
        return error


@pytest.mark.parametrize("explicit", [True, False])
def test_error_behind_that_of_a_library_is_found(explicit: bool) -> None:
    found = find_own_error(wrapped(explicit=explicit))
    assert str(found) == "the cause"
    assert find_own_error(RuntimeError("theirs")) is None


def test_shown_in_one_line_with_exit_code_2(
    monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys, "excepthook", sys.__excepthook__)
    show_errors_in_one_line()
    error = wrapped(explicit=True)
    with pytest.raises(SystemExit, match=r"^2$"):
        sys.excepthook(type(error), error, error.__traceback__)
    assert capfd.readouterr().err == "error: the cause\n"


def test_others_keep_their_traceback(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys, "excepthook", sys.__excepthook__)
    show_errors_in_one_line()
    error = RuntimeError("theirs")
    sys.excepthook(type(error), error, None)
    assert "RuntimeError: theirs" in capsys.readouterr().err
