"""What decides the result of a step, so that what is done stays done and what changed is redone.

A record holds the step's version, its command, and hashes of all that it reads. It does not hold
what changes no result: the number of workers, the place of the work folder, of the cohort and of
the clone. Those places are written as ``WORK``, ``DATA`` and ``REPOSITORY``.
"""

from __future__ import annotations

import hashlib
import re
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from petct_ext.bundle.root import REPOSITORY
from petct_ext.errors import InputDataError
from petct_ext.files import read_json

__all__ = ["RunFolders", "path_hashes", "repository_state", "why_not_done"]

_OF_NO_CONSEQUENCE: Final = ("--workers",)
"""Options, each with one value, that change how a result is computed and never the result."""

_SHOWN = 3
_GIT_SECONDS = 10.0


@dataclass(frozen=True, slots=True)
class RunFolders:
    """Folders whose names do not matter.

    Attributes:
        work: the work folder.
        data: the cohort; None if there is none or it lies in the work folder.
    """

    work: Path
    data: Path | None = field(default=None)

    def without(self, text: str) -> str:
        """Returns a text in which the places stand as words."""
        known = {"REPOSITORY": REPOSITORY, "DATA": self.data, "WORK": self.work}
        there = [(str(path.resolve()), name) for name, path in known.items() if path is not None]
        for path, name in sorted(there, key=_length, reverse=True):  # the innermost first
            text = re.sub(rf"{re.escape(path)}(?![\w.-])", name, text)
        return text

    def command(self, command: Sequence[str]) -> list[str]:
        """Returns a command without its program, places, and options of no consequence."""
        kept: list[str] = []
        skip = False
        for word in command[1:]:
            if skip:
                skip = False
            elif word in _OF_NO_CONSEQUENCE:
                skip = True
            elif word.split("=")[0] not in _OF_NO_CONSEQUENCE:
                kept.append(self.without(word))
        return kept


def _length(place: tuple[str, str]) -> int:
    return len(place[0])


def path_hashes(paths: Sequence[Path], places: RunFolders) -> dict[str, str]:
    """Returns a hash of every path, by its name without places.

    A file is hashed by its content. A folder, which may hold terabytes of DICOM, is hashed by
    names, sizes and times of change. A path that is missing has an empty hash.
    """
    names = [places.without(str(path.resolve())).removeprefix("WORK/") for path in paths]
    return {name: _digest(path) for name, path in zip(names, paths, strict=True)}


def why_not_done(
    manifest: Path, wanted: Mapping[str, Any], outputs: Sequence[Path], places: RunFolders
) -> str:
    """Returns why a step has to be run, ``""`` if its record still tells the truth.

    Args:
        manifest: its record, which may be missing.
        wanted: ``version``, ``command``, ``inputs`` and, if the step writes places down, ``place``
            as they are now.
        outputs: the files that it writes.
        places: folders whose names do not matter.
    """
    if not manifest.is_file():
        return "it was never finished"
    try:
        record = read_json(manifest)
    except InputDataError:  # an edited or cut manifest proves nothing
        return "its record is damaged"
    if "version" not in record:
        return "its record is of an earlier form, or it was left out"
    if record["version"] != wanted["version"]:
        return f"its version {wanted['version']} gives another result than {record['version']}"
    if record.get("place") != wanted.get("place"):
        return "the cohort lies elsewhere, and its place stands in what the step wrote"
    if record.get("command") != wanted["command"]:
        return f"its command changed: {_changed_words(record.get('command'), wanted['command'])}"
    if changed := _changed(record.get("inputs"), wanted["inputs"]):
        return f"changed: {changed}"
    if missing := [path.name for path in outputs if not path.exists()]:
        return f"missing: {', '.join(missing[:_SHOWN])}"
    if changed := _changed(record.get("outputs"), path_hashes(outputs, places)):
        return f"no longer what it wrote: {changed}"
    return ""


def repository_state() -> str:
    """Returns the commit of the clone, ``-dirty`` if files differ; ``""`` outside of a clone."""
    if not (REPOSITORY / ".git").exists():
        return ""
    try:
        found = subprocess.run(
            ["git", "-C", str(REPOSITORY), "describe", "--always", "--dirty", "--abbrev=12"],
            capture_output=True,
            text=True,
            timeout=_GIT_SECONDS,
            check=True,
        )
    except (OSError, subprocess.SubprocessError):
        return ""
    return found.stdout.strip()


def _changed(before: object, now: Mapping[str, str]) -> str:
    """Returns the names of what differs, in words."""
    known = before if isinstance(before, Mapping) else {}
    names = [name for name in {**known, **now} if known.get(name) != now.get(name)]
    more = f" and {len(names) - _SHOWN} more" if len(names) > _SHOWN else ""
    return ", ".join(names[:_SHOWN]) + more


def _changed_words(before: object, now: Sequence[str]) -> str:
    known = [str(word) for word in before] if isinstance(before, list) else []
    gone = [word for word in known if word not in now]
    new = [word for word in now if word not in known]
    return f"{' '.join(gone) or 'nothing'} -> {' '.join(new) or 'nothing'}"


def _digest(path: Path) -> str:
    if path.is_file():
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    if not path.is_dir():
        return ""
    digest = hashlib.sha256()
    for file_path in sorted(p for p in path.rglob("*") if p.is_file()):
        status = file_path.stat()
        line = f"{file_path.relative_to(path)}:{status.st_size}:{status.st_mtime_ns}\n"
        digest.update(line.encode())
    return digest.hexdigest()
