"""Slices of one series to an array with an affine, checked rather than averaged.

Axes of arrays are (X, Y, Z) in the order column, row, slice; the affine maps voxel centers to RAS+
patient coordinates in mm (nibabel's convention), where DICOM's own are LPS+.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pydicom
from pydicom.tag import Tag

from petct_ext.arrays import Affine, FloatArray
from petct_ext.dicom.checking.check import Check, CheckState, find_problems
from petct_ext.dicom.files.decoding import StoredFrames, rescale
from petct_ext.dicom.files.slice_file import SliceFile, SliceReader, decimal_numbers
from petct_ext.dicom.series.enhanced import flat_frames, is_enhanced
from petct_ext.dicom.series.pixel_checks import PixelCounts
from petct_ext.dicom.series.stack import SAME_PLACE_MM, fit_stack, plane_normal
from petct_ext.errors import InputDataError

__all__ = ["OpenSeries", "SeriesVolume", "open_series", "read_series"]

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
        checks: what the stored values say about themselves.
    """

    array: FloatArray
    affine: Affine
    datasets: list[pydicom.Dataset]
    warnings: tuple[str, ...] = ()
    checks: tuple[Check, ...] = ()

    @property
    def shape(self) -> tuple[int, int, int]:
        """Voxels along X, Y and Z."""
        x, y, z = self.array.shape
        return x, y, z

    def planes(self) -> Iterator[FloatArray]:
        """Yields the slices (X, Y) in the order of Z, each a copy."""
        for z in range(self.array.shape[2]):
            yield self.array[:, :, z].copy(order="K")


@dataclass(slots=True)
class _Slice:
    """One slice whose header was checked and whose pixels are still in its file."""

    header: pydicom.Dataset
    frames: StoredFrames
    frame: int  # of those in the file
    file_name: str


class OpenSeries:
    """One series whose headers were read and checked, and whose pixels are read slice by slice.

    No more than a few slices are in memory at a time. Made by :func:`open_series`.

    Attributes:
        shape: voxels along X, Y and Z.
        affine: as that of :class:`SeriesVolume`.
        datasets: as those of :class:`SeriesVolume`.
    """

    def __init__(self, slices: list[_Slice]) -> None:
        first = slices[0].header
        self._counts = PixelCounts(str(first.get("Modality")))
        self._found: dict[int, list[str]] = {}  # warnings by slice
        orientation = np.array(decimal_numbers(first, "ImageOrientationPatient"))
        normal = plane_normal(orientation)
        heights = np.array([_position(one) @ normal for one in slices])
        order = np.argsort(heights, kind="stable")
        self._slices = [slices[i] for i in order]
        notes = self._drop_copies(heights[order])
        rows_mm, columns_mm = decimal_numbers(first, "PixelSpacing")
        thickness = decimal_numbers(first, "SliceThickness")
        stack = fit_stack(
            np.array([_position(one) for one in self._slices]),
            normal,
            pixel_mm=min(rows_mm, columns_mm),
            thickness_mm=thickness[0] if thickness else None,
        )
        lps = np.eye(4)
        lps[:3, 0] = orientation[:3] * columns_mm  # moving along a row changes the column index
        lps[:3, 1] = orientation[3:] * rows_mm
        lps[:3, 2], lps[:3, 3] = stack.step_mm, stack.origin_mm
        self.affine: Affine = _LPS_TO_RAS @ lps
        headers = [one.header for one in self._slices]
        self._notes = notes + stack.warnings + _count_warnings(headers)
        self._places = stack.places
        nearest = range(len(headers)) if stack.places is None else map(round, stack.places.tolist())
        self.datasets = [headers[i] for i in nearest]
        self.shape = int(first.Columns), int(first.Rows), len(self.datasets)

    @property
    def warnings(self) -> tuple[str, ...]:
        """What was put right, in words; about pixels as far as they were read."""
        counts = Counter(text for found in self._found.values() for text in found)
        return (*(_counted(text, count) for text, count in counts.items()), *self._notes)

    @property
    def checks(self) -> tuple[Check, ...]:
        """What the stored values say about themselves, as far as they were read."""
        return tuple(self._counts.checks())

    def planes(self) -> Iterator[FloatArray]:
        """Reads the slices in the order of Z.

        Yields:
            Shape (X, Y), float32, after rescale slope and intercept; the receiver's to change.

        Raises:
            InputDataError: if pixels are cut, lossy (PET) or cannot be decoded; names the file.
        """
        numbers = range(len(self._slices))
        if self._places is None:
            yield from (self._plane(number).T for number in numbers)
            return
        place, lower = iter(self._places.tolist()), self._plane(0)
        following = next(place)
        for number in numbers[1:]:
            upper = self._plane(number)
            while following is not None and min(int(following), len(numbers) - 2) == number - 1:
                share = np.float32(following - (number - 1))
                yield ((1 - share) * lower + share * upper).T
                following = next(place, None)
            lower = upper

    def load(self) -> SeriesVolume:
        """Reads all slices into one volume.

        Raises:
            InputDataError: as :meth:`planes`, and if the sign of the stored values is wrong.
        """
        x, y, z = self.shape
        buffer = np.empty((z, y, x), np.float32)
        for row, plane in zip(buffer, self.planes(), strict=True):
            row[...] = plane.T
        checks = self.checks
        for check in checks:
            if check.is_hard and check.state is CheckState.NOT_FINE:
                raise InputDataError(f"{check.text}.")
        warnings = (*self.warnings, *find_problems(checks))
        return SeriesVolume(buffer.T, self.affine, self.datasets, warnings, checks)

    def _plane(self, number: int) -> FloatArray:
        """Reads one slice (rows, columns)."""
        one = self._slices[number]
        try:
            stored = one.frames.read(one.frame)
            out = np.empty(stored.shape, np.float32)
            self._found[number] = rescale(stored, one.header, out)
            self._counts.add(number, stored, one.header)
        except InputDataError as error:
            raise _of_file(one.file_name, error) from None
        return out

    def _drop_copies(self, heights: Affine) -> list[str]:
        """Drops slices that repeat their neighbor pixel by pixel; refuses other repetitions."""
        keep, kept_plane = [0], None
        for number in range(1, len(heights)):
            if heights[number] - heights[keep[-1]] > SAME_PLACE_MM:
                keep.append(number)
                kept_plane = None
                continue
            kept_plane = self._plane(keep[-1]) if kept_plane is None else kept_plane
            if not np.array_equal(self._plane(number), kept_plane):
                repeated = int((np.diff(heights) <= SAME_PLACE_MM).sum())
                raise InputDataError(
                    f"two different slices lie at the same position ({heights[number]:.2f} mm "
                    f"along the normal; {repeated} of {len(heights)} slices repeat one); the "
                    "series holds several time points or reconstructions."
                )
        dropped = len(heights) - len(keep)
        self._slices = [self._slices[number] for number in keep]
        self._found.clear()
        self._counts = PixelCounts(self._counts.modality)
        return [f"{dropped} slice(s) are exact copies of others and were dropped."] * bool(dropped)


def open_series(files: Sequence[Path]) -> OpenSeries:
    """Reads and checks the headers of one series; its pixels are read when they are asked for.

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
        The series.

    Raises:
        InputDataError: if a header is unreadable or an image not gray; slices belong to several
            series or patients, or differ in size, spacing, orientation or units; two different
            slices lie at one position, or one is missing. The message gives positions in mm and
            file names without folders.
    """
    if not files:
        raise InputDataError("the series has no files.")
    reader, slices = SliceReader(), list[_Slice]()
    for path in files:
        try:
            frames, headers = _frames(reader.read(path))
            for number, header in enumerate(headers):
                if slices:
                    _require_same(header, slices[0].header)
                else:
                    _require_measurement(header)
                slices.append(_Slice(header, frames, number, path.name))
        except InputDataError as error:
            raise _of_file(path.name, error) from None
    return OpenSeries(slices)


def read_series(files: Sequence[Path]) -> SeriesVolume:
    """Reads the slices of one series into a volume.

    Args:
        files: the files of one series, in any order.

    Returns:
        The volume.

    Raises:
        InputDataError: as :func:`open_series` and :meth:`OpenSeries.load`.
    """
    return open_series(files).load()


def _frames(file: SliceFile) -> tuple[StoredFrames, list[pydicom.Dataset]]:
    frames, header = StoredFrames(file), file.header
    if is_enhanced(header):
        return frames, flat_frames(header)
    if len(frames) > 1:
        raise InputDataError(
            f"it has {len(frames)} frames without functional groups; their places are unknown."
        )
    return frames, [header]


def _of_file(name: str, error: InputDataError) -> InputDataError:
    return InputDataError(f"slice file {name}: {error}")


def _position(one: _Slice) -> Affine:
    return np.array(decimal_numbers(one.header, "ImagePositionPatient"))


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


def _count_warnings(headers: list[pydicom.Dataset]) -> list[str]:
    announced = headers[0].get("NumberOfSlices")  # (0054,0081), PET only
    if not announced or int(announced) == len(headers):
        return []
    found = f"{len(headers)} slices of {announced} (0054,0081)"
    return [f"the series has {found}; it may be cut at an end."]
