"""Checkpoints on disk: read without running anything, checked for damage, written in one step."""

from __future__ import annotations

import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch

from petct_ext.errors import InputDataError, OutputError
from petct_ext.files import atomic_path

__all__ = ["read_checkpoint", "write_checkpoint", "writing"]


def read_checkpoint(path: str | Path, *, remedy: str, what: str = "checkpoint") -> Any:
    """Reads what ``torch.save`` has written, to the CPU, with ``weights_only=True``.

    torch does not compare the checksums of a file, so that flipped bits would become weights.

    Args:
        path: the file.
        remedy: part of a sentence that ends an error, e.g. "copy it again".
        what: what the file should be, for the error.

    Raises:
        InputDataError: if the file is damaged or holds anything but tensors and plain values.
    """
    try:
        if zipfile.is_zipfile(path):  # older files of torch are none, and have no checksums
            with zipfile.ZipFile(path) as archive:
                if (broken := archive.testzip()) is not None:
                    raise zipfile.BadZipFile(f"wrong checksum of {broken}")
        return torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # zip, pickle and operating system each have their own
        raise InputDataError(
            f"{path} is no {what}, or is damaged ({type(error).__name__}); {remedy}."
        ) from None


def write_checkpoint(state: Any, path: str | Path) -> None:
    """Writes with ``torch.save`` in one step.

    Raises:
        OutputError: if the folder cannot be written to or the disk is full.
    """
    with atomic_path(path) as partial, writing(path):
        torch.save(state, partial)


@contextmanager
def writing(path: str | Path) -> Iterator[None]:
    """Tells of whatever ``torch.save`` raises in the block when it cannot write.

    Raises:
        OutputError: if the folder cannot be written to or the disk is full.
    """
    try:
        yield
    except OSError as error:
        raise OutputError(f"{path} cannot be written: {error.strerror or error}.") from error
    except RuntimeError as error:  # how torch tells of a full disk
        raise OutputError(f"{path} cannot be written; is the disk full? ({error})") from error
