"""Headers that were read already, kept so that a later or a killed run reads only what is new.

The cache is a folder of parts. A part holds the headers of some thousand files, is written
atomically and never changed, so a killed run loses some seconds at most. At the end of a run
the parts are joined into few that hold the files that are there now. It belongs into ``private/``:
it holds identifiers and paths, though neither names nor birth dates.
"""

from __future__ import annotations

import gzip
import json
import logging
import os
from collections.abc import Iterable, Iterator
from dataclasses import replace
from pathlib import Path
from sys import intern
from typing import Any

from petct_ext.dicom.files.headers import READER_VERSION, FileHeader, UnreadFile
from petct_ext.dicom.files.walk import FileStamp
from petct_ext.files import atomic_path, make_folder

__all__ = ["HeaderCache"]

_LOGGER = logging.getLogger(__name__)

_FILES_PER_PART = 20_000  # a part is held in memory as a whole while it is read

_Result = FileHeader | UnreadFile


class HeaderCache:
    """Headers by path, size and time of change.

    Args:
        folder: where the parts lie; made if missing.

    Raises:
        OutputError: if the folder cannot be written to.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = make_folder(folder)
        self._shared: dict[str, dict[str, str]] = {}
        self._results: dict[tuple[str, str], tuple[int, int, _Result]] = {}
        self._pending: list[tuple[FileStamp, _Result]] = []
        self._parts = sorted(folder.glob("part_*.json.gz"))
        self._has_new_parts = False
        self._number = max((_part_number(part) for part in self._parts), default=0)
        for part in self._parts:
            self._load(part)

    def get(self, stamp: FileStamp) -> FileHeader | UnreadFile | None:
        """Returns what the file gave when it was read, None if it has to be read."""
        size, mtime_ns, result = self._results.get((stamp.folder, stamp.name), (-1, -1, None))
        return result if (size, mtime_ns) == (stamp.size, stamp.mtime_ns) else None

    def add(self, stamp: FileStamp, result: FileHeader | UnreadFile) -> FileHeader | UnreadFile:
        """Takes up a result and returns it with all values shared; see :meth:`flush`.

        What another attempt could mend, e.g. a file without permission, is not kept.
        """
        if isinstance(result, FileHeader):
            result = self._with_shared_values(stamp, result)
        elif not result.is_lasting:
            return result
        self._results[stamp.folder, stamp.name] = (stamp.size, stamp.mtime_ns, result)
        self._pending.append((stamp, result))
        return result

    @property
    def num_pending(self) -> int:
        """Number of results that are not on the disk yet."""
        return len(self._pending)

    def flush(self) -> None:
        """Writes what is pending as a new part."""
        if self._pending:
            self._write(self._pending)
            self._pending = []
            self._has_new_parts = True

    def compact(self, stamps: Iterable[FileStamp]) -> None:
        """Joins the parts into few that hold the given files only."""
        self.flush()
        kept = [(stamp, result) for stamp in stamps if (result := self.get(stamp)) is not None]
        if not self._has_new_parts and len(kept) == len(self._results):
            return
        old = self._parts
        self._parts = []
        for start in range(0, len(kept), _FILES_PER_PART):
            self._write(kept[start : start + _FILES_PER_PART])
        self._has_new_parts = False
        for part in old:
            part.unlink(missing_ok=True)

    def _with_shared_values(self, stamp: FileStamp, header: FileHeader) -> FileHeader:
        return replace(
            header,
            folder=stamp.folder,
            name=stamp.name,
            values=self._canonical(header.values),
            acquired=intern(header.acquired),
        )

    def _write(self, results: Iterable[tuple[FileStamp, _Result]]) -> None:
        numbers: dict[int, int] = {}
        shared: list[dict[str, str]] = []
        rows: list[list[Any]] = []
        for stamp, result in results:
            if isinstance(result, UnreadFile):
                rows.append([*stamp, result.reason])
                continue
            number = numbers.setdefault(id(result.values), len(shared))
            if number == len(shared):
                shared.append(result.values)
            rows.append([*stamp, number, result.instance, result.positions, result.acquired])
        self._number += 1
        path = self._folder / f"part_{self._number:06d}_{os.getpid()}.json.gz"
        with atomic_path(path) as partial, gzip.open(partial, "wt", compresslevel=1) as file:
            json.dump({"version": READER_VERSION, "shared": shared, "files": rows}, file)
        self._parts.append(path)

    def _load(self, part: Path) -> None:
        """Takes up one part; one that is damaged or of another version is as good as none."""
        try:
            with gzip.open(part, "rt") as file:
                document = json.load(file)
            if document["version"] != READER_VERSION:
                self._has_new_parts = True
                return
            shared = [self._canonical(values) for values in document["shared"]]
            loaded = dict(_rows(document["files"], shared))
        except (OSError, EOFError, ValueError, LookupError, TypeError):
            _LOGGER.warning("a part of the header cache is damaged; its files are read again")
            self._has_new_parts = True  # so that it is replaced
            return
        self._results.update(loaded)

    def _canonical(self, values: dict[str, str]) -> dict[str, str]:
        return self._shared.setdefault(json.dumps(values, sort_keys=True), values)


def _part_number(part: Path) -> int:
    digits = part.name.split("_")[1]
    return int(digits) if digits.isdigit() else 0


def _rows(
    rows: list[list[Any]], shared: list[dict[str, str]]
) -> Iterator[tuple[tuple[str, str], tuple[int, int, _Result]]]:
    for folder, name, size, mtime_ns, number, *own in rows:
        stamp = FileStamp(intern(folder), name, size, mtime_ns)
        result: _Result
        if isinstance(number, str):
            result = UnreadFile(stamp.path, number)
        else:
            instance, positions, acquired = own
            places = tuple((x, y, z) for x, y, z in positions)
            values = shared[number]
            result = FileHeader(stamp.folder, name, values, instance, places, intern(acquired))
        yield (stamp.folder, stamp.name), (stamp.size, stamp.mtime_ns, result)
