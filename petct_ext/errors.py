"""Exceptions raised by petct_ext.

Each one also derives from the built-in that a caller would expect (``ValueError``, ``KeyError``),
so ``except ValueError`` keeps working for code that does not know this package. A message has four
parts: where (file, exam, region), what is wrong, the value found, and the likely fix. It never
holds a patient's name, birth date or raw identifier.
"""

from __future__ import annotations

import logging
import os
import sys
import traceback
from collections.abc import Iterable
from difflib import get_close_matches
from pathlib import Path
from types import TracebackType

__all__ = [
    "SOME_FAILED",
    "InputDataError",
    "OntologyError",
    "OutputError",
    "PETCTError",
    "UnknownRegionError",
    "did_you_mean",
    "find_own_error",
    "own_fault",
    "show_errors_in_one_line",
]


SOME_FAILED = 3
"""Exit code of a step that went through the whole cohort, though some exams failed."""


class PETCTError(Exception):
    """Base class of every exception that petct_ext raises on purpose."""


class InputDataError(PETCTError, ValueError):
    """A file, table, report, image or tensor breaks its documented contract."""


class OutputError(PETCTError, OSError):
    """A result cannot be written where it was asked for."""


class OntologyError(InputDataError):
    """A region ontology is malformed: unknown container, cycle, bad pattern."""


class UnknownRegionError(PETCTError, KeyError):
    """A region name is not part of the ontology in use."""

    def __str__(self) -> str:
        # KeyError prints repr(args[0]), which would wrap the message in quotes.
        return str(self.args[0]) if self.args else ""


def did_you_mean(name: str, known: Iterable[str]) -> str:
    """Returns ``" Did you mean 'x'?"`` for the closest known name, or an empty string."""
    close = get_close_matches(name, list(known), n=1)
    return f" Did you mean {close[0]!r}?" if close else ""


def find_own_error(error: BaseException) -> PETCTError | None:
    """Returns the error of ours that made a library raise ``error``, or None if there is none."""
    cause: BaseException | None = error
    while cause is not None and not isinstance(cause, PETCTError):
        cause = cause.__cause__ or cause.__context__
    return cause


def own_fault(error: BaseException) -> str:
    """Returns where an unexpected exception was raised, if that was in this package.

    A library that reads a file raises what it likes where the file is damaged; an exception that
    begins in our own code is a fault of ours, and must not be told as damage of the file.

    Returns:
        ``"KeyError in headers.py, line 12"``, without the text of the exception, which might quote
        a header; ``""`` if it began elsewhere.
    """
    frames = traceback.extract_tb(error.__traceback__)
    if not frames or f"{os.sep}petct_ext{os.sep}" not in frames[-1].filename:
        return ""
    last = frames[-1]
    return f"{type(error).__name__} in {Path(last.filename).name}, line {last.lineno}"


def show_errors_in_one_line() -> None:
    """Makes an uncaught :class:`PETCTError` end the process with one line and exit code 2.

    The bundles call it first, since ``python -m monai.bundle`` would print a long traceback, in
    which MONAI's own errors hide ours. Ignite and MONAI's handlers log the same error again on its
    way up, each with a traceback; what is printed of the log leaves those records out. MONAI has
    set the log up by then. Other exceptions keep their traceback.
    """
    sys.excepthook = _show
    for handler in logging.getLogger().handlers:
        handler.addFilter(_without_own_errors)


def _without_own_errors(record: logging.LogRecord) -> bool:
    """Filter of a log's handler: false where Ignite or MONAI log an error of ours on its way up."""
    error = record.exc_info[1] if record.exc_info else sys.exc_info()[1]
    is_theirs = record.name.startswith(("ignite.", "monai")) and record.levelno >= logging.ERROR
    return not (is_theirs and error is not None and find_own_error(error) is not None)


def _show(kind: type[BaseException], error: BaseException, frames: TracebackType | None) -> None:
    cause = find_own_error(error)
    if cause is None:
        sys.__excepthook__(kind, error, frames)
        return
    # torchrun's workers replace sys.stderr, and lose what it holds.
    (sys.__stderr__ or sys.stderr).write(f"error: {cause}\n")
    sys.exit(2)
