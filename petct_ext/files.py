"""Writing files so that a half-written one is never taken for a finished one."""

from __future__ import annotations

import json
import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from petct_ext.errors import InputDataError, OutputError

__all__ = ["atomic_path", "make_folder", "read_json", "require_file", "write_json", "write_text"]


def make_folder(folder: str | Path) -> Path:
    """Creates a folder with its parents and checks that files can be written there.

    Raises:
        OutputError: if it cannot be created or written to.
    """
    folder = Path(folder)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.NamedTemporaryFile(dir=folder, prefix=".writable_"):
            pass
    except OSError as error:
        raise OutputError(
            f"{folder} cannot be written to ({error.strerror or error}); choose another output "
            "folder or mend its permissions."
        ) from None
    return folder


@contextmanager
def atomic_path(path: str | Path) -> Iterator[Path]:
    """Yields a temporary path that becomes ``path`` only if the block ends without an error.

    The temporary file lies beside the final one, keeps its suffixes (so writers that choose a
    format by suffix work), is flushed to disk, and is removed after an error.

    Raises:
        OutputError: if the folder cannot be written to or the disk is full.

    Example:
        >>> import tempfile
        >>> target = Path(tempfile.mkdtemp()) / "a.txt"
        >>> with atomic_path(target) as partial:
        ...     _ = partial.write_text("done")
        >>> target.read_text()
        'done'
    """
    path = Path(path)
    make_folder(path.parent)
    partial = path.with_name(f".partial_{os.getpid()}_{path.name}")
    try:
        yield partial
        with partial.open("rb") as file:
            os.fsync(file.fileno())
        partial.replace(path)
    except OSError as error:
        if isinstance(error, OutputError):
            raise
        raise OutputError(f"{path} cannot be written: {error.strerror or error}.") from error
    finally:
        partial.unlink(missing_ok=True)


def write_text(path: str | Path, text: str) -> Path:
    """Writes UTF-8 text atomically and returns the path."""
    with atomic_path(path) as partial:
        partial.write_text(text, encoding="utf-8")
    return Path(path)


def write_json(path: str | Path, document: Any) -> Path:
    """Writes a document as indented JSON (NaN is refused) atomically and returns the path."""
    return write_text(path, json.dumps(document, indent=2, allow_nan=False) + "\n")


def require_file(path: str | Path) -> str:
    """Returns the path of a file that must exist before anything slow begins, e.g. weights.

    Raises:
        InputDataError: if there is no such file.
    """
    if Path(path).is_dir():
        raise InputDataError(f"{path} is a folder; give a file in it.")
    if not Path(path).is_file():
        raise InputDataError(
            f"{path} does not exist; check the path or run the step that writes it."
        )
    return str(path)


def read_json(path: str | Path) -> Any:
    """Reads a JSON document.

    Raises:
        InputDataError: if the file is missing or is not JSON; names the file and the line.
    """
    path = Path(path)
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise InputDataError(f"{path} does not exist; run the step that writes it.") from None
    except OSError as error:
        raise InputDataError(f"{path} cannot be read: {error.strerror}.") from None
    except (json.JSONDecodeError, UnicodeDecodeError) as error:
        raise InputDataError(f"{path} is not valid JSON: {error}.") from None
