"""What every script shares: one-line errors with exit code 2, logging, and help texts."""

from __future__ import annotations

import argparse
import logging
import sys
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import NoReturn, TypeVar

from tqdm import tqdm

from petct_ext.errors import SOME_FAILED, OutputError, find_own_error
from petct_ext.files import make_folder

__all__ = ["SOME_FAILED", "new_parser", "progress", "run"]

_T = TypeVar("_T")


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> NoReturn:
        sys.stderr.write(f"error: {message} (see {self.prog} --help)\n")
        raise SystemExit(2)


def new_parser(doc: str | None) -> argparse.ArgumentParser:
    """Returns an argument parser whose help is the script's docstring, with ``--log-file``.

    Errors are one line and end with exit code 2.
    """
    parser = _Parser(description=doc, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument(
        "--log-file", type=Path, help="append what the step does to this file as well"
    )
    return parser


def run(
    main: Callable[[argparse.Namespace], int | None], parser: argparse.ArgumentParser
) -> NoReturn:
    """Parses the command line, runs ``main`` and ends the process.

    Exit codes: 0 done, or what ``main`` returns; 2 the input or the command is wrong, told in one
    line on stderr; 3 (:data:`SOME_FAILED`, returned by ``main``) the cohort is done but some exams
    failed; 130 interrupted. Other exceptions are faults of the program and keep their traceback.
    """
    arguments = parser.parse_args()
    try:
        _configure_logging(arguments.log_file)
        code = main(arguments) or 0
    except Exception as error:
        # MONAI raises its own error where one of ours is the cause.
        cause = find_own_error(error)
        if cause is None:
            raise
        sys.stderr.write(f"error: {cause}\n")
        raise SystemExit(2) from None
    except KeyboardInterrupt:
        sys.stderr.write("interrupted; what is finished is kept, run the same command to go on\n")
        raise SystemExit(130) from None
    raise SystemExit(code)


def progress(items: Iterable[_T], what: str, total: int | None = None) -> Iterable[_T]:
    """Wraps ``items`` in a progress bar on stderr, silent where stderr is not a terminal."""
    bar: Iterable[_T] = tqdm(items, desc=what, total=total, disable=None, dynamic_ncols=True)
    return bar


def _configure_logging(log_file: Path | None) -> None:
    handlers: list[logging.Handler] = [logging.StreamHandler(sys.stderr)]
    if log_file is not None:
        make_folder(log_file.parent)
        try:
            handlers.append(logging.FileHandler(log_file, encoding="utf-8"))
        except OSError as error:
            raise OutputError(f"{log_file} cannot be written: {error.strerror}.") from None
    logging.basicConfig(
        level=logging.INFO, format="%(asctime)s %(message)s", datefmt="%H:%M:%S", handlers=handlers
    )
    # pydicom warns with values of the data set, which may identify a patient.
    logging.getLogger("pydicom").setLevel(logging.ERROR)
