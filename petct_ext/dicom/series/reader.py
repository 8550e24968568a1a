"""Slices of one series to an array with an affine, checked rather than averaged.

Axes of arrays are (X, Y, Z) in the order column, row, slice; the affine maps voxel centers to RAS+
patient coordinates in mm (nibabel's convention), where DICOM's own are LPS+.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pydicom
from pydicom.tag import Tag

from petct_ext.arrays import Affine, FloatArray
from petct_ext.dicom.files.decoding import rescale, stored_frames
from petct_ext.dicom.files.slice_file import SliceFile, SliceReader, decimal_numbers
from petct_ext.dicom.series.enhanced import flat_frames, is_enhanced
from petct_ext.dicom.series.stack import SAME_PLACE_MM, Stack, fit_stack, plane_normal
from petct_ext.errors import InputDataError

__all__ = ["SeriesVolume", "read_series"]


_LPS_TO_RAS = np.diag([-1.0, -1.0, 1.0, 1.0])
# How far slices may differ: 0.1 mm over 512 pixels, 0.25 mm at 250 mm from the center.
_GEOMETRY = {"PixelSpacing": 2e-4, "ImageOrientationPatient": 1e-3}
_SHARED = (
    "PatientID",
    "StudyInstanceUID",
    "SeriesInstanceUID",
    "FrameOfReferenceUID",
    "Modality",
    "Rows",
    "Columns",
    "Units",
    "RescaleType",
    "DecayCorrection",
)
_TAGS = {keyword: Tag(keyword) for keyword in (*_SHARED, *_GEOMETRY)}
_PRIVATE = ("PatientID", "StudyInstanceUID", "SeriesInstanceUID", "FrameOfReferenceUID")
_HU_NAMES = ("", "HU")


@dataclass(frozen=True, slots=True)
class SeriesVolume:
    """One series as a volume.

    Attributes:
        array: shape (X, Y, Z), float32, after rescale slope and intercept of each slice; X varies
            fastest in memory (Fortran order).
        affine: (4, 4), voxel center to RAS+ mm; sheared if the gantry was tilted.
        datasets: headers of the slices in the order of Z, without pixels; for slices that were
            interpolated, that of the nearest one read. Those of an enhanced object are flat. They
            share elements that are the same in all slices, so read them only.
        warnings: what was put right on reading, in words without identity.
    """

    array: FloatArray
    affine: Affine
    datasets: list[pydicom.Dataset]
    warnings: tuple[str, ...] = ()


@dataclass(slots=True)
class _Slices:
    """Slices in the order of their files; the buffer (slices, rows, columns) grows as needed."""

    expected: int
    buffer: FloatArray = field(default_factory=lambda: np.empty((0, 0, 0), np.float32))
    headers: list[pydicom.Dataset] = field(default_factory=list)
    warnings: dict[str, int] = field(default_factory=dict)

    def add(self, stored: npt.NDArray[np.integer], header: pydicom.Dataset) -> None:
        """Checks one slice against the first and rescales it into the buffer."""
        number = len(self.headers)
        if number == 0:
            _require_measurement(header)
            self.buffer = np.empty((self.expected, *stored.shape), np.float32)
        else:
            _require_same(header, self.headers[0])
        if number == len(self.buffer):
            self.buffer = np.concatenate([self.buffer, np.empty_like(self.buffer)])
        for warning in rescale(stored, header, self.buffer[number]):
            self.warnings[warning] = self.warnings.get(warning, 0) + 1
        self.headers.append(header)

    def keep(self, order: npt.NDArray[np.intp]) -> None:
        """Puts the slices into an order, which may leave some out, without a second buffer."""
        self.headers = [self.headers[i] for i in order]
        where = list(range(len(self.buffer)))  # where[i]: slot that holds original slice i
        holds = list(range(len(self.buffer)))  # and the reverse
        for slot, original in enumerate(order):
            source = where[original]
            if source != slot:
                self.buffer[[slot, source]] = self.buffer[[source, slot]]
                moved = holds[slot]
                holds[slot], holds[source] = int(original), moved
                where[original], where[moved] = slot, source
        self.buffer = self.buffer[: len(order)]


def read_series(files: Sequence[Path]) -> SeriesVolume:
    """Reads the slices of one series.

    Slices are ordered by their position along the normal of the image plane, Image Position
    (0020,0032) and Image Orientation (0020,0037), never by file name or instance number. Rescale
    Slope (0028,1053) and Intercept (0028,1052) are applied slice by slice. Enhanced (multi-frame)
    objects are read like as many files as they have frames.

    A slice that was exported twice is dropped, a sheared stack (gantry tilt) keeps its shear in the
    affine, and a spacing that varies by more than a tenth of a slice is made regular by linear
    interpolation along the normal; each with a warning.

    Args:
        files: the files of one series, in any order.

    Returns:
        The volume.

    Raises:
        InputDataError: if a file is unreadable, cut, lossy (PET) or no gray image; slices belong to
            several series or patients, or differ in size, spacing, orientation or units; two
            different slices lie at one position, or one is missing. The message gives positions in
            mm and file names without folders.
    """
    if not files:
        raise InputDataError("the series has no files.")
    reader, slices = SliceReader(), _Slices(expected=len(files))
    for path in files:
        try:
            stored, headers = _frames(reader.read(path))
            if not slices.headers:
                slices.expected = len(files) * len(headers)
            for one, header in zip(stored, headers, strict=True):
                slices.add(one, header)
        except InputDataError as error:
            raise InputDataError(f"slice file {path.name}: {error}") from None
    return _volume(slices)


def _frames(file: SliceFile) -> tuple[npt.NDArray[np.integer], list[pydicom.Dataset]]:
    stored, header = stored_frames(file), file.header
    if "PixelData" in header:
        del header.PixelData
    if is_enhanced(header):
        return stored, flat_frames(header)
    if len(stored) > 1:
        raise InputDataError(
            f"it has {len(stored)} frames without functional groups; their places are unknown."
        )
    return stored, [header]


def _volume(slices: _Slices) -> SeriesVolume:
    first = slices.headers[0]
    orientation = np.array(decimal_numbers(first, "ImageOrientationPatient"))
    normal = plane_normal(orientation)
    positions = np.array([decimal_numbers(h, "ImagePositionPatient") for h in slices.headers])
    order = np.argsort(positions @ normal, kind="stable")
    slices.keep(order)
    notes = [_counted(text, count) for text, count in slices.warnings.items()]
    notes += _drop_copies(slices, positions[order] @ normal)
    positions = np.array([decimal_numbers(h, "ImagePositionPatient") for h in slices.headers])
    rows_mm, columns_mm = decimal_numbers(first, "PixelSpacing")
    thickness = decimal_numbers(first, "SliceThickness")
    stack = fit_stack(
        positions,
        normal,
        pixel_mm=min(rows_mm, columns_mm),
        thickness_mm=thickness[0] if thickness else None,
    )
    lps = np.eye(4)
    lps[:3, 0] = orientation[:3] * columns_mm  # moving along a row changes the column index
    lps[:3, 1] = orientation[3:] * rows_mm
    lps[:3, 2], lps[:3, 3] = stack.step_mm, stack.origin_mm
    notes += stack.warnings + _count_warnings(slices.headers)
    buffer, headers = _interpolated(slices, stack)
    return SeriesVolume(buffer.T, _LPS_TO_RAS @ lps, headers, tuple(notes))


def _counted(text: str, count: int) -> str:
    return text if count == 1 else f"{text} ({count} slices)"


def _require_measurement(header: pydicom.Dataset) -> None:
    """Checks what only the first slice needs to be asked, since the others have to agree."""
    _require_geometry(header)
    kind = str(header.get("RescaleType") or "").strip()
    if str(header.get("Modality")) == "CT" and kind not in _HU_NAMES:
        raise InputDataError(f"Rescale Type (0028,1054) of the CT is {kind!r}; HU are needed.")
    spacing = decimal_numbers(header, "PixelSpacing")
    if min(spacing) <= 0:
        raise InputDataError(f"Pixel Spacing (0028,0030) is {spacing}; it should be in mm.")


def _require_geometry(header: pydicom.Dataset) -> None:
    for keyword, length in (
        ("ImagePositionPatient", 3),
        ("ImageOrientationPatient", 6),
        ("PixelSpacing", 2),
    ):
        found = decimal_numbers(header, keyword)
        if len(found) != length or not np.isfinite(found).all():
            state = f"{found}" if found else "nothing"
            raise InputDataError(
                f"it has no {keyword} {Tag(keyword)} of {length} numbers but {state}; its place is "
                "unknown."
            )


def _require_same(header: pydicom.Dataset, first: pydicom.Dataset) -> None:
    _require_geometry(header)
    for keyword, tolerance in _GEOMETRY.items():
        if header.get_item(_TAGS[keyword]) is first.get_item(_TAGS[keyword]):
            continue
        own, others = decimal_numbers(header, keyword), decimal_numbers(first, keyword)
        if np.abs(np.subtract(own, others)).max() > tolerance:
            raise _mixed(keyword, own, others)
    for keyword in _SHARED:
        if header.get_item(_TAGS[keyword]) is first.get_item(_TAGS[keyword]):
            continue  # shared, so the same to the byte, or absent in both
        own_text, first_text = (str(d.get(keyword) or "").strip() for d in (header, first))
        if own_text != first_text:
            hidden = keyword in _PRIVATE
            raise _mixed(keyword, *(("", "") if hidden else (own_text, first_text)))


def _mixed(keyword: str, own: object, first: object) -> InputDataError:
    shown = f" ({own} here, {first} in the first)" if own or first else ""
    return InputDataError(
        f"the slices differ in {keyword} {Tag(keyword)}{shown}; the files belong to several series "
        "or volumes. Split them or choose one."
    )


def _drop_copies(slices: _Slices, heights: Affine) -> list[str]:
    """Drops slices that repeat their neighbor pixel by pixel; refuses other repetitions."""
    keep = [0]
    for number in range(1, len(heights)):
        if heights[number] - heights[keep[-1]] > SAME_PLACE_MM:
            keep.append(number)
            continue
        if not np.array_equal(slices.buffer[number], slices.buffer[keep[-1]]):
            repeated = int((np.diff(heights) <= SAME_PLACE_MM).sum())
            raise InputDataError(
                f"two different slices lie at the same position ({heights[number]:.2f} mm along "
                f"the normal; {repeated} of {len(heights)} slices repeat one); the series holds "
                "several time points or reconstructions."
            )
    dropped = len(heights) - len(keep)
    if not dropped:
        return []
    slices.keep(np.array(keep))
    return [f"{dropped} slice(s) are exact copies of others and were dropped."]


def _count_warnings(headers: list[pydicom.Dataset]) -> list[str]:
    announced = headers[0].get("NumberOfSlices")  # (0054,0081), PET only
    if not announced or int(announced) == len(headers):
        return []
    found = f"{len(headers)} slices of {announced} (0054,0081)"
    return [f"the series has {found}; it may be cut at an end."]


def _interpolated(slices: _Slices, stack: Stack) -> tuple[FloatArray, list[pydicom.Dataset]]:
    if stack.places is None:
        return slices.buffer, slices.headers
    buffer = np.empty((len(stack.places), *slices.buffer.shape[1:]), np.float32)
    headers = []
    for z, place in enumerate(stack.places):
        lower = min(int(place), len(slices.buffer) - 2)
        share = np.float32(place - lower)
        buffer[z] = (1 - share) * slices.buffer[lower] + share * slices.buffer[lower + 1]
        headers.append(slices.headers[round(float(place))])
    return buffer, headers
