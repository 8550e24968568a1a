"""All headers of an archive: walked, read in parallel, and remembered for the next run.

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
import time
from collections import Counter
from collections.abc import Generator, Iterable, Iterator
from concurrent.futures.process import BrokenProcessPool
from contextlib import closing
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from sys import intern
from typing import Any

from tqdm import tqdm

from petct_ext.dicom.files.headers import (
    NOT_DICOM,
    READER_VERSION,
    FileHeader,
    HeaderReader,
    UnreadFile,
)
from petct_ext.dicom.files.walk import FileStamp, walk_files
from petct_ext.errors import InputDataError
from petct_ext.files import atomic_path, make_folder
from petct_ext.processes import new_pool

__all__ = [
    "Archive",
    "HeaderCache",
    "read_archive",
]

_LOGGER = logging.getLogger(__name__)

_CHUNK = 128
# Starting processes takes seconds; one alone reads so many files in the meantime.
_FEWEST_FOR_POOL = 40 * _CHUNK
# What a killed run loses at most.
_FLUSH_AFTER_FILES = 10_000
_FLUSH_AFTER_S = 15.0


@dataclass(slots=True)
class Archive:
    """What an archive holds.

    Attributes:
        headers: one per DICOM file, in order of folders and names.
        unread: files and folders that gave no header though they should, with the reason. Paths
            may name patients: this belongs into ``private/``.
        num_files: regular files.
        num_other: files that are no DICOM.
        num_read: files that were opened in this run; the others were known from an earlier one.
    """

    headers: list[FileHeader] = field(default_factory=list)
    unread: dict[str, str] = field(default_factory=dict)
    num_files: int = 0
    num_other: int = 0
    num_read: int = 0


def read_archive(root: str | Path, cache_folder: Path, *, workers: int = 1) -> Archive:
    """Reads the headers of all files below ``root``, except those known from an earlier run.

    Args:
        root: any tree of files.
        cache_folder: where headers are kept between runs; must not be readable by others.
        workers: processes to use.

    Returns:
        The headers and what could not be read.

    Raises:
        InputDataError: if ``root`` is no folder or holds no file, or a process was killed.
        OutputError: if the cache cannot be written.
    """
    root = Path(root)
    walk, cache = walk_files(root), HeaderCache(cache_folder)
    new = [stamp for stamp in walk.files if cache.get(stamp) is None]
    _LOGGER.info(
        "%d files, %d of them known from before", len(walk.files), len(walk.files) - len(new)
    )
    fleeting = _read_new(root, new, cache, workers)
    archive = Archive(unread=dict(walk.unread), num_files=len(walk.files), num_read=len(new))
    reasons: Counter[str] = Counter(walk.unread.values())
    for stamp in walk.files:
        result = cache.get(stamp) or fleeting[stamp.path]
        if isinstance(result, FileHeader):
            archive.headers.append(result)
        elif result.reason == NOT_DICOM:
            archive.num_other += 1
        else:
            archive.unread[result.path] = result.reason
            reasons[result.reason] += 1
    cache.compact(walk.files)
    if archive.num_other:
        _LOGGER.info("%d file(s) are not DICOM and were skipped", archive.num_other)
    for reason, count in reasons.most_common():
        _LOGGER.warning("%d file(s) or folder(s) give no header: %s", count, reason)
    return archive


def _read_new(
    root: Path, new: list[FileStamp], cache: HeaderCache, workers: int
) -> dict[str, UnreadFile]:
    """Reads files into the cache; returns those whose failure is not worth remembering."""
    fleeting: dict[str, UnreadFile] = {}
    chunks = [new[i : i + _CHUNK] for i in range(0, len(new), _CHUNK)]
    bar = tqdm(total=len(new), desc="reading headers", unit="file", disable=None)
    flushed = time.monotonic()
    with bar, closing(_results(root, chunks, workers)) as results:
        try:
            for chunk, found in zip(chunks, results, strict=True):
                bar.update(len(chunk))
                for stamp, result in zip(chunk, found, strict=True):
                    kept = cache.add(stamp, result)
                    if isinstance(kept, UnreadFile) and not kept.is_lasting:
                        fleeting[kept.path] = kept
                late = time.monotonic() - flushed > _FLUSH_AFTER_S
                if late or cache.num_pending >= _FLUSH_AFTER_FILES:
                    cache.flush()
                    flushed = time.monotonic()
        finally:  # also after Ctrl-C
            cache.flush()
    return fleeting


def _results(
    root: Path, chunks: list[list[FileStamp]], workers: int
) -> Generator[list[FileHeader | UnreadFile], None, None]:
    paths: Iterable[list[str]] = ([stamp.path for stamp in chunk] for chunk in chunks)
    if workers < 2 or len(chunks) * _CHUNK < _FEWEST_FOR_POOL:
        yield from map(partial(_read_chunk, HeaderReader(root)), paths)
        return
    pool = new_pool(workers, _start_reader, root)
    try:
        yield from pool.map(_read_in_process, paths)
    except BrokenProcessPool:
        raise InputDataError(
            "a process that reads headers was killed, probably for want of memory; run the same "
            f"command with fewer than {workers} workers, it goes on where it stopped."
        ) from None
    finally:
        pool.shutdown(cancel_futures=True)


_reader: list[HeaderReader] = []  # of this process


def _start_reader(root: Path) -> None:
    _reader[:] = [HeaderReader(root)]


def _read_in_process(paths: list[str]) -> list[FileHeader | UnreadFile]:
    return _read_chunk(_reader[0], paths)


def _read_chunk(reader: HeaderReader, paths: list[str]) -> list[FileHeader | UnreadFile]:
    return [reader.read(path) for path in paths]


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
