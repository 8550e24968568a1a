"""Pixels of series that their headers cannot tell apart: are they the same, and which comes first.

Only series that look alike are read here, a slice at a time, and mostly one slice is enough.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from petct_ext.dicom.files.decoding import StoredFrames
from petct_ext.dicom.files.headers import FileHeader, quiet_pydicom
from petct_ext.dicom.files.slice_file import SliceReader, decimal_numbers
from petct_ext.dicom.series.groups import Series
from petct_ext.errors import InputDataError

__all__ = ["SeriesPixels"]


@dataclass(frozen=True, slots=True)
class SeriesPixels:
    """Reads pixels of the series of one archive.

    Attributes:
        root: the folder to which paths of headers are relative.
    """

    root: Path

    def are_same(self, one: Series, other: Series) -> bool:
        """Returns whether two series at the same places hold the same values.

        All slices are compared, up to the first that differs. A slice that cannot be read is not
        known to be the same.
        """
        if len(one.files) != len(other.files):
            return False
        pairs = zip(_by_place(one), _by_place(other), strict=True)
        return all(self._values(a) == self._values(b) is not None for a, b in pairs)

    def digest(self, series: Series) -> str:
        """Returns a number, as text, that depends on the values of the middle slice alone.

        It orders series that are equal in all that headers say, whatever their UIDs are.
        """
        files = _by_place(series)
        return self._values(files[len(files) // 2]) or ""

    def description(self, series: Series) -> str:
        """Returns Series Description (0008,103E) as it stands in the file, to be looked at only."""
        try:
            with quiet_pydicom():
                header = SliceReader().read(self.root / series.first.path).header
                return str(header.get("SeriesDescription") or "")
        except InputDataError:
            return ""

    def _values(self, file: FileHeader) -> str | None:
        digest = hashlib.sha256()
        try:
            with quiet_pydicom():
                read = SliceReader().read(self.root / file.path)
                for keyword in ("RescaleSlope", "RescaleIntercept"):
                    digest.update(repr(decimal_numbers(read.header, keyword)).encode())
                frames = StoredFrames(read)
                for number in range(len(frames)):
                    digest.update(np.ascontiguousarray(frames.read(number), "<i4").data)
        except InputDataError:
            return None
        return digest.hexdigest()


def _by_place(series: Series) -> list[FileHeader]:
    return sorted(series.files, key=_place)


def _place(file: FileHeader) -> tuple[tuple[tuple[float, float, float], ...], str]:
    return file.positions, file.acquired
