"""Every script ends with a clear exit code and, for bad input, one line."""

from __future__ import annotations

import argparse
import logging
from collections.abc import Iterator
from pathlib import Path

import pytest

from petct_ext.cli import new_parser, progress, run
from petct_ext.errors import InputDataError


@pytest.fixture(autouse=True)
def _root_logger() -> Iterator[None]:
    """Lets logging.basicConfig work as in a new process, and undoes it."""
    root = logging.getLogger()
    before, level = list(root.handlers), root.level
    root.handlers.clear()
    yield
    for handler in root.handlers:
        handler.close()
    root.handlers[:] = before
    root.setLevel(level)


def nothing(arguments: argparse.Namespace) -> None:
    logging.getLogger("petct_ext.test").info("did nothing")


def bad_input(arguments: argparse.Namespace) -> None:
    raise InputDataError("exams.csv lacks a column; add it.")


def wrapped(arguments: argparse.Namespace) -> None:
    try:
        bad_input(arguments)
    except InputDataError as error:
        raise RuntimeError("Failed to instantiate component") from error


def fault(arguments: argparse.Namespace) -> None:
    raise ZeroDivisionError("a fault")


def interrupted(arguments: argparse.Namespace) -> None:
    raise KeyboardInterrupt


@pytest.mark.parametrize("main", [bad_input, wrapped])
def test_bad_input_is_one_line_and_exit_code_2(
    main: object, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("sys.argv", ["script.py"])
    with pytest.raises(SystemExit, match=r"^2$"):
        run(main, new_parser("Does it."))  # type: ignore[arg-type]
    assert capsys.readouterr().err == "error: exams.csv lacks a column; add it.\n"


def test_wrong_option_is_one_line_and_exit_code_2(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("sys.argv", ["script.py", "--absent"])
    with pytest.raises(SystemExit, match=r"^2$"):
        run(nothing, new_parser("Does it."))
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith("error: unrecognized arguments: --absent (see ")


def test_faults_of_the_program_keep_their_traceback(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.argv", ["script.py"])
    with pytest.raises(ZeroDivisionError, match="a fault"):
        run(fault, new_parser("Does it."))


def test_interruption_ends_with_130(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("sys.argv", ["script.py"])
    with pytest.raises(SystemExit, match=r"^130$"):
        run(interrupted, new_parser("Does it."))
    assert "run the same command to go on" in capsys.readouterr().err


def test_log_file_gets_what_the_step_says(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    log = tmp_path / "new" / "step.log"
    monkeypatch.setattr("sys.argv", ["script.py", "--log-file", str(log)])
    for _ in range(2):
        logging.getLogger().handlers.clear()  # pytest's own
        with pytest.raises(SystemExit, match=r"^0$"):
            run(nothing, new_parser("Does it."))
        for handler in logging.getLogger().handlers:
            handler.close()
        logging.getLogger().handlers.clear()
    assert log.read_text().count("did nothing") == 2


@pytest.mark.parametrize("place", ["folder", "file/step.log"])
def test_log_file_that_cannot_be_written_is_told(
    place: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    (tmp_path / "folder").mkdir()
    (tmp_path / "file").write_text("")
    monkeypatch.setattr("sys.argv", ["script.py", "--log-file", str(tmp_path / place)])
    with pytest.raises(SystemExit, match=r"^2$"):
        run(nothing, new_parser("Does it."))
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith("error: ")
    assert "cannot be written" in line


def test_progress_passes_everything_on_and_is_silent_without_a_terminal(
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert list(progress(range(5), "counting")) == [0, 1, 2, 3, 4]
    assert capsys.readouterr().err == ""
