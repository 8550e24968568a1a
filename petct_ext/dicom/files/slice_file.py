"""One DICOM file to its header and its pixels, as fast as a cohort of slices needs it.

The elements of uncompressed little endian files are only cut apart (:mod:`.element_scan`); pydicom
converts those that are used, when they are used, and what a slice has in common with the first one
is shared. Every other file (compressed, deflated, big endian, or written in a way that is not known
there) is read by pydicom itself.
"""

from __future__ import annotations

import warnings
from collections.abc import Mapping, MutableMapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import TypeAlias

import pydicom
from pydicom.datadict import dictionary_VR
from pydicom.dataelem import DataElement, RawDataElement
from pydicom.dataset import FileMetaDataset
from pydicom.tag import BaseTag, Tag
from pydicom.uid import UID, ExplicitVRLittleEndian, ImplicitVRLittleEndian

from petct_ext.dicom.files.element_scan import (
    PIXEL_DATA,
    UnusualFileError,
    transfer_syntax,
    walk_elements,
)
from petct_ext.errors import InputDataError

__all__ = ["SliceFile", "SliceReader", "numbers"]

Element: TypeAlias = DataElement | RawDataElement
Elements: TypeAlias = MutableMapping[BaseTag, Element]

_TEXT_VRS = frozenset(["DS", "IS"])

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
    pixels: memoryview | bytes | None


class SliceReader:
    """Reads the files of one series, one after the other.

    Elements that a file has in common with the first one are shared between their headers, so that
    they take memory and conversion once.
    """

    def __init__(self) -> None:
        self._first: Elements = {}  # of the first file, converted where they were used
        self._values: dict[int, bytes | None] = {}

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
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")  # pydicom's warnings quote values of the header
                try:
                    return self._read_native(content)
                except UnusualFileError:
                    return _read_by_pydicom(path)
        except InputDataError:
            raise
        except OSError as error:
            raise InputDataError(
                f"it cannot be read ({error.strerror or error}); check the disk and the "
                "permissions."
            ) from None
        except Exception as error:
            raise InputDataError(
                f"it cannot be read ({type(error).__name__}); it may be cut or no DICOM. Export "
                "the series again."
            ) from None

    def _read_native(self, content: bytes) -> SliceFile:
        syntax, start = transfer_syntax(content)
        if syntax not in (ImplicitVRLittleEndian, ExplicitVRLittleEndian):
            raise UnusualFileError
        is_implicit = syntax == ImplicitVRLittleEndian
        elements, pixels = _elements(content, start, is_implicit=is_implicit, known=self._values)
        if pixels is None:
            raise InputDataError("it has no Pixel Data (7FE0,0010), or ends before it.")
        shared = self._shared(elements)
        header = pydicom.Dataset(shared)
        header.set_original_encoding(is_implicit, True)
        header.file_meta = FileMetaDataset()
        header.file_meta.TransferSyntaxUID = UID(syntax)
        if not self._first:
            self._first = shared
            self._values = {tag: element.value for tag, element in elements.items()}
        return SliceFile(header, pixels)

    def _shared(self, elements: dict[BaseTag, RawDataElement]) -> Elements:
        return {
            tag: self._first.get(tag, element)
            if self._values.get(tag) == element.value
            else element
            for tag, element in elements.items()
        }


def numbers(dataset: pydicom.Dataset, keyword: str) -> tuple[float, ...]:
    """Returns a decimal element of any VR as numbers; empty if it is absent or empty.

    Raises:
        InputDataError: if the value is no number; names the element and the value.
    """
    tag = _tag(keyword)
    element: DataElement | RawDataElement | None = dataset.get_item(tag)
    if element is None:
        return ()
    try:
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


def _read_by_pydicom(path: Path) -> SliceFile:
    dataset = pydicom.dcmread(path)
    if "PixelData" not in dataset:
        raise InputDataError("it has no Pixel Data (7FE0,0010).")
    if dataset.file_meta.TransferSyntaxUID.is_encapsulated:
        return SliceFile(dataset, None)
    pixels = dataset.PixelData
    del dataset.PixelData
    return SliceFile(dataset, pixels)


def _elements(
    content: bytes, position: int, *, is_implicit: bool, known: Mapping[int, bytes | None]
) -> tuple[dict[BaseTag, RawDataElement], memoryview | None]:
    elements = {}
    pixels, end = None, len(content)
    for tag, vr, start, stop, _ in walk_elements(
        content, position, is_implicit=is_implicit, known=known
    ):
        if tag == PIXEL_DATA:
            pixels = memoryview(content)[start : min(stop, end)]
        elif stop > end:
            raise InputDataError(
                f"it ends within element ({tag >> 16:04X},{tag & 0xFFFF:04X}): {end - start} of "
                f"{stop - start} bytes. The file is cut."
            )
        else:
            key = _tag(tag)
            elements[key] = RawDataElement(
                key, vr, stop - start, content[start:stop], start, is_implicit, True
            )
    return elements, pixels
