"""Pixels of series that their headers cannot tell apart: are they the same, and which comes first.

Only series that look alike are read here, a slice at a time, and mostly one slice is enough.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pydicom

from petct_ext.dicom.files.decoding import StoredFrames
from petct_ext.dicom.files.headers import FileHeader, quiet_pydicom
from petct_ext.dicom.files.slice_file import SliceReader, decimal_numbers
from petct_ext.dicom.series.groups import Series
from petct_ext.dicom.suv.audit import element_name
from petct_ext.errors import InputDataError

__all__ = ["SUV_ELEMENTS", "SeriesPixels"]

SUV_ELEMENTS = (
    "PatientWeight",
    "PatientSize",
    "PatientSex",
    "Units",
    "SUVType",
    "DecayCorrection",
    "SeriesDate",
    "SeriesTime",
    "AcquisitionDate",
    "AcquisitionTime",
    "FrameReferenceTime",
    "DecayFactor",
    "RadionuclideTotalDose",
    "RadionuclideHalfLife",
    "RadiopharmaceuticalStartTime",
    "RadiopharmaceuticalStartDateTime",
)
"""Elements that decide an SUV. Copies of a PET that differ in one are a contradiction."""


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

    def suv_difference(self, one: Series, other: Series) -> str:
        """Returns names of elements that decide an SUV and differ in copies of one PET."""
        with quiet_pydicom():
            first, second = (
                SliceReader().read(self.root / _by_place(s)[0].path).header for s in (one, other)
            )
            return ", ".join(
                element_name(keyword)
                for keyword in SUV_ELEMENTS
                if _stated(first, keyword) != _stated(second, keyword)
            )

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


def _stated(header: pydicom.Dataset, keyword: str) -> str:
    if not keyword.startswith("Radio"):
        return str(header.get(keyword) or "")
    items = header.get("RadiopharmaceuticalInformationSequence") or []
    return "\\".join(str(item.get(keyword) or "") for item in items)


def _by_place(series: Series) -> list[FileHeader]:
    return sorted(series.files, key=_place)


def _place(file: FileHeader) -> tuple[tuple[tuple[float, float, float], ...], str]:
    return file.positions, file.acquired
