"""Puts the files that the bundles ship together from one source.

Three rules make a shipped ``configs/NAME.json`` from ``sources/configs/NAME.json``:

1. ``"%FILE.json#part"`` as a value stands for that part of ``sources/parts/FILE.json``, as a key
   (its value says what it is for) or as an entry of a list for the members of that part.
   ``own.json`` is the bundle's own file, ``sources/BUNDLE.json``.
2. What that file says under ``configs#NAME`` comes on top as MONAI puts configuration files on top
   of each other: ``a#b`` reaches into ``a``, ``+a`` adds to it.
3. ``sources/copies`` is copied as it is.

A bundle gets those configurations that its own file lists; others it writes by hand. Macros without
a file (``%train#handlers``) stay: MONAI follows them when it reads the shipped file.
"""

from __future__ import annotations

import copy
import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from petct_ext.errors import InputDataError
from petct_ext.files import read_json, write_text

__all__ = ["SOURCES", "assemble", "build_bundles"]

SOURCES: Final = Path("petct_ext/bundle/sources")
"""Folder of the source, below the repository's."""

_INCLUDE: Final = re.compile(r"%(?P<file>\w+\.json)(?:#(?P<part>.+))?")


def build_bundles(repository: Path, *, check: bool = False) -> list[Path]:
    """Writes the shared files of all bundles and returns those that were not as they must be.

    Args:
        repository: folder with ``bundles``, ``LICENSE`` and the source.
        check: write nothing.

    Raises:
        InputDataError: with ``check``, if a file does not follow from the source; says which. Or if
            the source is broken.
    """
    files = {
        repository / "bundles" / bundle.stem / name: content
        for bundle in sorted((repository / SOURCES).glob("*.json"))
        for name, content in assemble(bundle.stem, repository).items()
    }
    stale = [p for p, content in files.items() if not p.is_file() or p.read_bytes() != content]
    if check and stale:
        raise InputDataError(
            f"{', '.join(str(p.relative_to(repository)) for p in stale)}: not what follows from "
            f"{SOURCES}; change that source, then run scripts/build_bundles.py."
        )
    for path in stale:
        write_text(path, files[path].decode())
    return stale


def assemble(bundle: str, repository: Path) -> dict[str, bytes]:
    """Returns what one bundle ships of the source: content by path below the bundle's folder.

    Args:
        bundle: name of its folder and of its file in the source.
        repository: folder with ``LICENSE`` and the source.

    Raises:
        InputDataError: if an entry names what does not exist; says which.
    """
    sources = repository / SOURCES
    own = read_json(sources / f"{bundle}.json")
    channels = own.get("channels", [])
    own["channel_def"] = {str(number): name for number, name in enumerate(channels)}
    own["num_channels"] = len(channels)
    parts = {path.name: read_json(path) for path in (sources / "parts").glob("*.json")}
    source = _Source({**parts, "own.json": own}, bundle)
    files = {"LICENSE": (repository / "LICENSE").read_bytes()}
    for path in (p for p in (sources / "copies").rglob("*") if p.is_file()):
        files[path.relative_to(sources / "copies").as_posix()] = path.read_bytes()
    for name, changes in own["configs"].items():
        document = source.expand(read_json(sources / "configs" / f"{name}.json"))
        for key, value in source.expand(changes).items():
            _put_on_top(document, key, value)
        text = json.dumps(document, indent=4, allow_nan=False) + "\n"
        files[f"configs/{name}.json"] = text.encode("ascii")
    return files


class _Source:
    """The parts by file name, and the bundle for which they are expanded."""

    def __init__(self, parts: Mapping[str, Any], bundle: str) -> None:
        self.parts = parts
        self.bundle = bundle

    def expand(self, node: Any) -> Any:
        """Returns a copy with every ``%FILE.json#part`` replaced."""
        if isinstance(node, dict):
            return self._expand_members(node)
        if isinstance(node, list):
            entries: list[Any] = []
            for entry in node:
                expanded = self.expand(entry)
                is_list = isinstance(entry, str) and isinstance(expanded, list)
                entries.extend(expanded if is_list else [expanded])
            return entries
        if isinstance(node, str) and (match := _INCLUDE.fullmatch(node)):
            return self._part(match)
        return node

    def _expand_members(self, node: Mapping[str, Any]) -> dict[str, Any]:
        members: dict[str, Any] = {}
        for key, value in node.items():
            match = _INCLUDE.fullmatch(key)
            members.update(self._part(match) if match else {key: self.expand(value)})
        return members

    def _part(self, match: re.Match[str]) -> Any:
        part = self.parts.get(match["file"])
        for step in match["part"].split("#") if match["part"] else ():
            part = part.get(step) if isinstance(part, dict) else None
        if part is None:
            raise InputDataError(
                f"{match[0]} of bundle {self.bundle} does not exist; add it to the source."
            )
        return self.expand(copy.deepcopy(part))


def _put_on_top(document: dict[str, Any], key: str, value: Any) -> None:
    """Sets one key as MONAI's ``merge_kv`` does, but leaves keys for a file below as they are."""
    *path, last = key.lstrip("+").split("#")
    node: Any = document
    for step in path:
        node = node.get(step) if isinstance(node, dict) else None
    if not isinstance(node, dict) or (key.startswith("+") and last not in node):
        document[key] = value
    elif not key.startswith("+"):
        node[last] = value
    else:
        node[last] = node[last] + value if isinstance(value, list) else node[last] | value
