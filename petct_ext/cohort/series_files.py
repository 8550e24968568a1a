"""``private/series_files.json``: which files the chosen series of all exams are.

Paths within the work folder are written relative to it, so that the folder can be copied or moved.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final

from petct_ext.errors import InputDataError
from petct_ext.files import read_json, write_json

__all__ = ["read_series_files", "write_series_files"]

_WORK: Final = "WORK"  # what stands for the work folder


def write_series_files(work: Path, root: Path, files: Mapping[str, Sequence[str]]) -> None:
    """Writes the table.

    Args:
        work: the work folder.
        root: the folder to which paths are relative.
        files: paths of each series, by series id; an absolute one does not depend on ``root``.
    """
    document = {
        "dicom": _without(str(root.resolve()), work),
        "files": {series: [_without(path, work) for path in of] for series, of in files.items()},
    }
    write_json(work / "private" / "series_files.json", document)


def read_series_files(work: Path) -> dict[str, list[Path]]:
    """Reads the files of each series, by series id, with their full paths.

    Raises:
        InputDataError: if the table is missing or damaged.
    """
    path = work / "private" / "series_files.json"
    document = read_json(path)
    try:
        root = _within(document["dicom"], work)
        return {
            str(series): [root / _within(name, work) for name in names]
            for series, names in document["files"].items()
        }
    except (AttributeError, KeyError, TypeError):
        raise InputDataError(f"{path} is damaged; run scripts/index_exams.py again.") from None


def _without(path: str, work: Path) -> str:
    own = work.resolve()
    inside = Path(path).is_absolute() and Path(path).is_relative_to(own)
    return f"{_WORK}/{Path(path).relative_to(own).as_posix()}" if inside else path


def _within(path: str, work: Path) -> Path:
    first, _, rest = path.partition("/")
    return work.resolve() / rest if first == _WORK else Path(path)
