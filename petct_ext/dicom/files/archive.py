"""All headers of an archive: walked, read in parallel, and remembered for the next run."""

from __future__ import annotations

import logging
import os
import threading
import time
from collections import Counter
from collections.abc import Generator, Iterable
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from contextlib import closing
from dataclasses import dataclass, field
from functools import partial
from multiprocessing import get_context, parent_process
from pathlib import Path

from tqdm import tqdm

from petct_ext.dicom.files.header_cache import HeaderCache
from petct_ext.dicom.files.headers import NOT_DICOM, FileHeader, HeaderReader, UnreadFile
from petct_ext.dicom.files.walk import FileStamp, walk_files
from petct_ext.errors import InputDataError

__all__ = ["Archive", "read_archive"]

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
    context = get_context("spawn")
    pool = ProcessPoolExecutor(workers, context, initializer=_start_reader, initargs=(root,))
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
    threading.Thread(target=_end_with_parent, daemon=True).start()


def _end_with_parent() -> None:
    """Ends this process when its parent is killed; it would wait for work forever."""
    parent = parent_process()
    if parent is not None:
        parent.join()
        os._exit(1)


def _read_in_process(paths: list[str]) -> list[FileHeader | UnreadFile]:
    return _read_chunk(_reader[0], paths)


def _read_chunk(reader: HeaderReader, paths: list[str]) -> list[FileHeader | UnreadFile]:
    return [reader.read(path) for path in paths]
