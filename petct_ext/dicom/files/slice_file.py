"""One DICOM file to its header and its pixels, read by pydicom.

pydicom converts elements when they are used. What a slice has in common with the first one of its
series is shared between their headers, so that it is converted once.
"""

from __future__ import annotations

import struct
import warnings
from collections.abc import MutableMapping
from dataclasses import dataclass
from functools import cache
from io import BytesIO
from pathlib import Path
from typing import Any, TypeAlias

import pydicom
from pydicom.datadict import dictionary_VR
from pydicom.dataelem import DataElement, RawDataElement
from pydicom.tag import BaseTag, Tag

from petct_ext.errors import InputDataError

__all__ = ["SliceFile", "SliceReader", "decimal_numbers"]

Element: TypeAlias = DataElement | RawDataElement
Elements: TypeAlias = MutableMapping[BaseTag, Element]

_TEXT_VRS = frozenset(["DS", "IS"])
_PIXEL_DATA = Tag("PixelData")

_vr = cache(dictionary_VR)


@dataclass(frozen=True, slots=True)
class SliceFile:
    """One file.

    Attributes:
        header: all elements but Pixel Data (7FE0,0010), with the file's transfer syntax in
            ``file_meta``; for an encapsulated syntax with Pixel Data.
        pixels: native Pixel Data as bytes, None if the syntax is encapsulated.
    """

    header: pydicom.Dataset
    pixels: bytes | None


class SliceReader:
    """Reads the files of one series, one after the other.

    Elements that a file has in common with the first one are shared between their headers, so that
    they take memory and conversion once.
    """

    def __init__(self) -> None:
        self._first: Elements = {}  # of the first file, converted where they were used
        self._content: dict[BaseTag, Any] = {}  # the same as read

    def read(self, path: Path) -> SliceFile:
        """Reads one file without decoding its pixels.

        Args:
            path: the file.

        Returns:
            Header and pixels. A file cut within its pixels is returned with those that are left.

        Raises:
            InputDataError: if the file cannot be opened, is no DICOM, ends within its header, or
                has no Pixel Data. Messages leave naming the file to the caller.
        """
        try:
            content = path.read_bytes()
        except OSError as error:
            raise InputDataError(
                f"it cannot be read ({error.strerror or error}); check the disk and the "
                "permissions."
            ) from None
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")  # pydicom's warnings quote values of the header
                dataset = pydicom.dcmread(BytesIO(content))
                # The data set of a file would keep the file's bytes, pixels and all.
                header = pydicom.Dataset(self._shared(dataset))
                header.set_original_encoding(*dataset.original_encoding)
                header.file_meta = dataset.file_meta
                return _slice(header)
        except InputDataError:
            raise
        except RecursionError:
            raise InputDataError(
                "its sequences are nested too deeply to be read; it is damaged."
            ) from None
        except Exception as error:
            kind = "an element is cut" if isinstance(error, struct.error) else type(error).__name__
            raise InputDataError(
                f"it cannot be read ({kind}); it may be cut or no DICOM. Export the series again."
            ) from None

    def _shared(self, dataset: pydicom.Dataset) -> Elements:
        elements: Elements = dict(dataset.items())
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


def _slice(header: pydicom.Dataset) -> SliceFile:
    if _PIXEL_DATA not in header:
        raise InputDataError("it has no Pixel Data (7FE0,0010), or ends before it.")
    if header.file_meta.TransferSyntaxUID.is_encapsulated:
        return SliceFile(header, None)
    pixels = header.PixelData
    del header.PixelData
    return SliceFile(header, pixels)
