"""One DICOM file to its header and the place of its pixels, read by pydicom.

pydicom converts elements when they are used. What a slice has in common with the first one of its
series is shared between their headers, so that it is converted once.
"""

from __future__ import annotations

import os
import struct
import traceback
import warnings
from collections.abc import Iterator, MutableMapping
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any, TypeAlias

import pydicom
from pydicom.datadict import dictionary_VR
from pydicom.dataelem import DataElement, RawDataElement
from pydicom.tag import BaseTag, Tag
from pydicom.uid import (
    UID,
    ExplicitVRBigEndian,
    ExplicitVRLittleEndian,
    ImplicitVRLittleEndian,
)

from petct_ext.errors import InputDataError

__all__ = ["SliceFile", "SliceReader", "decimal_numbers"]

Element: TypeAlias = DataElement | RawDataElement
Elements: TypeAlias = MutableMapping[BaseTag, Element]

_TEXT_VRS = frozenset(["DS", "IS"])
_PIXEL_DATA = Tag("PixelData")
_IN_PLACE = (ImplicitVRLittleEndian, ExplicitVRLittleEndian, ExplicitVRBigEndian)
_PREFIX = slice(128, 132)
_FIRST_GROUPS = (b"\x08\x00", b"\x02\x00")  # with which a file without a preamble begins
# Longer elements are skipped on reading: headers of slices take 3 to 20 KB, pixels 30 to 500.
_WINDOW_BYTES = 16_384
_UNDEFINED = 0xFFFFFFFF
_OWN_CODE = Path(__file__).parents[2]

_vr = cache(dictionary_VR)


@dataclass(frozen=True, slots=True)
class SliceFile:
    """One file.

    Attributes:
        header: all elements but Pixel Data (7FE0,0010), with the file's transfer syntax in
            ``file_meta``.
        path: the file.
        pixels_at: first byte and number of bytes of native Pixel Data in the file, as far as they
            are there; None if they are compressed.
    """

    header: pydicom.Dataset
    path: Path
    pixels_at: tuple[int, int] | None

    def read_bytes(self, start: int, size: int) -> bytes:
        """Reads native pixels from the file.

        Args:
            start: offset from the first byte of the pixels.
            size: number of bytes; fewer are returned if the file has shrunk meanwhile.

        Raises:
            InputDataError: if the file cannot be read, or the pixels are compressed.
        """
        if self.pixels_at is None:
            raise InputDataError("its pixels are compressed; they do not lie in the file as such.")
        with _faults_in_words(), self.path.open("rb", buffering=0) as file:
            file.seek(self.pixels_at[0] + start)
            return file.read(size)

    def read_whole(self) -> pydicom.Dataset:
        """Reads header and Pixel Data, still compressed if they are (deflated ones are inflated).

        Raises:
            InputDataError: as :meth:`SliceReader.read`.
        """
        with _faults_in_words():
            return _parsed(self.path, defer_bytes=None)[0]


class SliceReader:
    """Reads the files of one series, one after the other.

    Elements that a file has in common with the first one are shared between their headers, so that
    they take memory and conversion once.
    """

    def __init__(self) -> None:
        self._first: Elements = {}  # of the first file, converted where they were used
        self._content: dict[BaseTag, Any] = {}  # the same as read

    def read(self, path: Path) -> SliceFile:
        """Reads the header of one file and finds its pixels, without reading those.

        A file without preamble and file meta information, as old archives hold, is read by the
        encoding of its first element; implicit VR little endian is the default of a data set.

        Args:
            path: the file.

        Returns:
            Header and place of the pixels. A file cut within its pixels has those that are left.

        Raises:
            InputDataError: if the file cannot be opened, is no DICOM, ends within its header, has
                no Pixel Data, or a private transfer syntax. Messages leave naming the file to the
                caller.
        """
        with _faults_in_words():
            dataset, size = _parsed(path, defer_bytes=_WINDOW_BYTES)
            while skipped := _skipped_bytes(dataset):  # such as long functional groups
                dataset, size = _parsed(path, defer_bytes=max(skipped))
            pixels = _pixels_at(dataset, size)
            # The data set of a file would keep the file's bytes.
            header = pydicom.Dataset(self._shared(dataset))
            header.set_original_encoding(*dataset.original_encoding)
            header.file_meta = dataset.file_meta
            return SliceFile(header, path, pixels)

    def _shared(self, dataset: pydicom.Dataset) -> Elements:
        elements: Elements = dict(dataset.items())
        elements.pop(_PIXEL_DATA, None)
        content = {tag: _content(element) for tag, element in elements.items()}
        if not self._first:
            self._first, self._content = elements, content
            return elements
        return {
            tag: self._first.get(tag, element)
            if content[tag] == self._content.get(tag)
            else element
            for tag, element in elements.items()
        }


@contextmanager
def _faults_in_words() -> Iterator[None]:
    """Turns what a damaged file raises in pydicom into an error of ours; lets our faults pass."""
    try:
        yield
    except (InputDataError, MemoryError):
        raise
    except OSError as error:
        raise InputDataError(
            f"it cannot be read ({error.strerror or error}); check the disk and the permissions."
        ) from None
    except RecursionError:
        raise InputDataError(
            "its sequences are nested too deeply to be read; it is damaged."
        ) from None
    except Exception as error:
        innermost = Path(traceback.extract_tb(error.__traceback__)[-1].filename)
        if _OWN_CODE in innermost.parents:
            raise  # raised by our own code: not the file's fault
        kind = "an element is cut" if isinstance(error, struct.error) else type(error).__name__
        raise InputDataError(
            f"it cannot be read ({kind}); it may be cut or no DICOM. Export the series again."
        ) from None


def _parsed(path: Path, *, defer_bytes: int | None) -> tuple[pydicom.FileDataset, int]:
    """Reads a file with its transfer syntax; values of more bytes are skipped. And its size."""
    with path.open("rb", buffering=_WINDOW_BYTES) as file, warnings.catch_warnings():
        warnings.simplefilter("ignore")  # pydicom's warnings quote values of the header
        start = file.read(_PREFIX.stop)
        has_no_prefix = start[_PREFIX] != b"DICM" and start[:2] in _FIRST_GROUPS
        file.seek(0)
        dataset = pydicom.dcmread(file, defer_size=defer_bytes, force=has_no_prefix)
        size = os.fstat(file.fileno()).st_size
    meta = dataset.file_meta
    if not meta.get("TransferSyntaxUID"):
        is_implicit, is_little = dataset.original_encoding
        meta.TransferSyntaxUID = (
            ImplicitVRLittleEndian
            if is_implicit
            else (ExplicitVRLittleEndian if is_little else ExplicitVRBigEndian)
        )
    _require_public(meta.TransferSyntaxUID)
    return dataset, size


def _require_public(syntax: UID) -> None:
    if syntax.is_private:
        raise InputDataError(
            f"its Transfer Syntax UID (0002,0010) {syntax} is private: only its maker says how the "
            "pixels are stored. Export the series in Explicit VR Little Endian (1.2.840.10008.1.2.1"
            ")."
        )


def _skipped_bytes(dataset: pydicom.Dataset) -> list[int]:
    """Returns the next number of bytes from which to skip, if more than Pixel Data was skipped."""
    skipped = {
        tag: element.length
        for tag, element in dataset.items()
        if isinstance(element, RawDataElement)
        and element.value is None
        and element.length > _WINDOW_BYTES
    }
    others = [length for tag, length in skipped.items() if tag != _PIXEL_DATA]
    return [length for length in others if length != _UNDEFINED] or others


def _pixels_at(dataset: pydicom.FileDataset, size: int) -> tuple[int, int] | None:
    """Returns offset and bytes of native Pixel Data in a file of ``size`` bytes."""
    element: Element | None = dataset.get_item(_PIXEL_DATA, keep_deferred=True)
    if element is None:
        raise InputDataError("it has no Pixel Data (7FE0,0010), or ends before it.")
    if not isinstance(element, RawDataElement) or element.length == _UNDEFINED:
        return None
    if dataset.file_meta.TransferSyntaxUID not in _IN_PLACE:
        return None
    return element.value_tell, min(element.length, size - element.value_tell)


def decimal_numbers(dataset: pydicom.Dataset, keyword: str) -> tuple[float, ...]:
    """Returns a decimal element of any VR as numbers; empty if it is absent or empty.

    Raises:
        InputDataError: if the value is no number; names the element and the value.
    """
    tag = _tag(keyword)
    element: DataElement | RawDataElement | None = dataset.get_item(tag)
    if element is None:
        return ()
    try:
        # Not converted by pydicom, which warns of each that is longer than 16 characters.
        if isinstance(element, RawDataElement) and (element.VR or _vr(tag)) in _TEXT_VRS:
            text = (element.value or b"").decode("ascii").strip("\0 ")
            return tuple(map(float, text.split("\\"))) if text else ()
        value = dataset[tag].value
        if value is None or value == "":
            return ()
        many = value if isinstance(value, pydicom.multival.MultiValue | list | tuple) else (value,)
        return tuple(float(one) for one in many)
    except (TypeError, ValueError):
        shown = element.value if not isinstance(element.value, bytes) else element.value[:40]
        raise InputDataError(f"{keyword} {tag} is {shown!r}, which is no number.") from None


@cache
def _tag(name: str | int) -> BaseTag:
    return Tag(name)


def _content(element: Element) -> object:
    """Returns what makes two elements the same before any conversion."""
    if isinstance(element, RawDataElement):
        # The same bytes mean the same only if they are written in the same way.
        return element.value, element.VR, element.is_little_endian
    if element.VR == "SQ":
        return [{tag: _content(inner) for tag, inner in item.items()} for item in element.value]
    return element.value
