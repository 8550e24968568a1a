"""All files below a folder, found quickly and without getting lost in links."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from sys import intern
from typing import NamedTuple

from tqdm import tqdm

from petct_ext.errors import InputDataError

__all__ = ["FileStamp", "FileWalk", "walk_files"]


class FileStamp(NamedTuple):
    """A file and what tells whether it has changed.

    Attributes:
        folder: its folder relative to the root, with ``/``; ``""`` for the root. One string is
            shared by all files of a folder.
        name: its name.
        size: bytes.
        mtime_ns: time of the last change in ns.
    """

    folder: str
    name: str
    size: int
    mtime_ns: int

    @property
    def path(self) -> str:
        """Path relative to the root, with ``/``."""
        return f"{self.folder}/{self.name}" if self.folder else self.name


@dataclass(slots=True)
class FileWalk:
    """What a walk has found.

    Attributes:
        files: regular files in order of their paths within a folder.
        unread: paths that could not be entered or looked at, with the reason.
    """

    files: list[FileStamp] = field(default_factory=list)
    unread: dict[str, str] = field(default_factory=dict)


def walk_files(root: str | Path) -> FileWalk:
    """Finds all regular files below ``root``; hidden files and folders are left out.

    Links are followed; a folder that is reached twice (a loop of links) is entered once. Folders
    without permission and dead links are listed in ``unread`` and do not stop the walk.

    Raises:
        InputDataError: if ``root`` is no folder, cannot be entered or holds no file.
    """
    root = Path(root)
    if not root.is_dir():
        raise InputDataError(f"{root} is not a folder; it should hold the DICOM files.")
    walk, entered, waiting = FileWalk(), set[tuple[int, int]](), [""]
    bar = tqdm(desc="finding files", unit="file", disable=None)
    while waiting:
        bar.update(len(walk.files) - bar.n)
        folder = waiting.pop()
        try:
            status = (root / folder).stat()
            if (status.st_dev, status.st_ino) in entered:
                continue
            entered.add((status.st_dev, status.st_ino))
            waiting += reversed(list(_enter(root, folder, walk)))
        except OSError as error:
            walk.unread[folder or "."] = _why(error)
    bar.close()
    if not walk.files:
        if "." in walk.unread:
            raise InputDataError(f"{root} cannot be entered: {walk.unread['.']}.")
        raise InputDataError(f"{root} holds no file; put the DICOM files there.")
    return walk


def _enter(root: Path, folder: str, walk: FileWalk) -> Iterator[str]:
    """Adds the files of one folder to ``walk`` and yields its subfolders."""
    shared = intern(folder)
    with os.scandir(root / folder) as entries:
        found = sorted(entries, key=_name)
    for entry in found:
        if entry.name.startswith("."):
            continue
        path = f"{folder}/{entry.name}" if folder else entry.name
        try:
            if entry.is_dir():
                yield path
            elif entry.is_file():
                status = entry.stat()
                walk.files.append(FileStamp(shared, entry.name, status.st_size, status.st_mtime_ns))
            elif entry.is_symlink():
                walk.unread[path] = "a link that leads nowhere"
        except OSError as error:
            walk.unread[path] = _why(error)


def _name(entry: os.DirEntry[str]) -> str:
    return entry.name


def _why(error: OSError) -> str:
    return error.strerror or type(error).__name__
