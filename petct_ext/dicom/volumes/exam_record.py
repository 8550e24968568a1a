"""``exam.json``: what a prepared exam was made from, and whether its volumes still are that.

The record is written last. An exam without one was never finished; one whose record does not fit
the request, the DICOM files or the volumes on disk is made again.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final

from petct_ext.errors import InputDataError
from petct_ext.files import read_json

__all__ = ["RECORD", "RECORD_FORMAT", "VOLUMES", "find_prepared", "source_fingerprint"]

RECORD_FORMAT: Final = 3
"""Raised when volumes of an earlier version of this package must not be used any more."""
RECORD: Final = "exam.json"
VOLUMES: Final = ("pet.nii", "ct.nii")


def source_fingerprint(files: Sequence[Path]) -> dict[str, Any]:
    """Returns what tells an exam's DICOM files from changed ones, without names or content.

    Args:
        files: the files of an exam, in any order.

    Returns:
        Number of files, bytes in all, and the SHA-256 of their sizes and modification times.

    Raises:
        InputDataError: if a file is missing or may not be looked at; names it without its folder.
    """
    digest, total = hashlib.sha256(), 0
    for path in sorted(files):
        try:
            status = path.stat()
        except OSError as error:
            raise InputDataError(
                f"DICOM file {path.name} cannot be read ({error.strerror}); check the folder and "
                "its permissions, or run scripts/index_exams.py again."
            ) from None
        digest.update(f"{status.st_size}:{status.st_mtime_ns}\n".encode())
        total += status.st_size
    return {"files": len(files), "bytes": total, "sizes_and_times_sha256": digest.hexdigest()}


def find_prepared(
    folder: Path,
    *,
    parameters: Mapping[str, Any],
    source: Mapping[str, Any] | None,
    verify: bool = False,
) -> tuple[dict[str, Any] | None, str]:
    """Returns the record of an exam that is ready, or why it must be made again.

    Args:
        folder: the exam's folder.
        parameters: of the preparation that is wanted.
        source: see :func:`source_fingerprint`; None if the DICOM files are no longer there.
        verify: also compare the checksums of the volumes, which reads them in full.

    Returns:
        The record and an empty text; or None and the reason, empty if it was never prepared.
    """
    path = folder / RECORD
    if not path.is_file():
        return None, ""
    try:
        record = read_json(path)
        problem = _problem(folder, record, parameters, source)
        problem = problem or (_damage(folder, record) if verify else "")
    except (InputDataError, KeyError, TypeError, OSError):
        problem = f"{RECORD} is damaged or from an earlier version"
    return (None, problem) if problem else (record, "")


def _problem(
    folder: Path,
    record: Mapping[str, Any],
    parameters: Mapping[str, Any],
    source: Mapping[str, Any] | None,
) -> str:
    if record["parameters"] != dict(parameters):
        return "it was prepared with other parameters"
    if source is not None and record["source"] != dict(source):
        return "its DICOM files have changed"
    for name in VOLUMES:
        volume = folder / name
        if not volume.is_file() or volume.stat().st_size != record["volumes"][name]["bytes"]:
            return f"{name} is missing or cut"
    return ""


def _damage(folder: Path, record: Mapping[str, Any]) -> str:
    for name in VOLUMES:
        with (folder / name).open("rb") as file:
            if hashlib.file_digest(file, "sha256").hexdigest() != record["volumes"][name]["sha256"]:
                return f"{name} is damaged: its checksum differs"
    return ""
