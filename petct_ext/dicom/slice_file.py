"""One DICOM file to its header and its pixels, as fast as a cohort of slices needs it.

pydicom takes about a millisecond per header, most of it for elements that nobody asks for. Here the
elements of uncompressed little endian files are only cut apart; pydicom converts those that are
used, when they are used, and what a slice has in common with the first one is shared. Every other
file (compressed, deflated, big endian, or written in a way that this module does not know) is read
by pydicom itself.

Source: DICOM PS3.5, sections 7.1 (elements), 7.5 (sequences); PS3.10, section 7.1 (file header).
"""

from __future__ import annotations

import struct
import warnings
from collections.abc import MutableMapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import TypeAlias

import pydicom
from pydicom.datadict import dictionary_VR
from pydicom.dataelem import DataElement, RawDataElement
from pydicom.dataset import FileMetaDataset
from pydicom.tag import BaseTag, Tag
from pydicom.uid import UID

from petct_ext.errors import InputDataError

__all__ = ["SliceFile", "SliceReader", "numbers"]

Element: TypeAlias = DataElement | RawDataElement
Elements: TypeAlias = MutableMapping[BaseTag, Element]

_IMPLICIT, _EXPLICIT = "1.2.840.10008.1.2", "1.2.840.10008.1.2.1"
_PIXEL_DATA = 0x7FE00010
_TRANSFER_SYNTAX = 0x00020010
_UNDEFINED = 0xFFFFFFFF
_ITEM, _ITEM_END, _SEQUENCE_END = 0xFFFEE000, 0xFFFEE00D, 0xFFFEE0DD
_END_OF_SEQUENCE = struct.pack("<HHL", 0xFFFE, 0xE0DD, 0)
_LONG_VRS = frozenset(b"OB OD OF OL OV OW SQ SV UC UN UR UT UV".split())
_SHORT_VRS = frozenset(b"AE AS AT CS DA DS DT FD FL IS LO LT PN SH SL SS ST TM UI UL US".split())
_TEXT_VRS = frozenset(["DS", "IS"])
_DEEPEST = 16  # nested sequences; real headers have about four


_vr = cache(dictionary_VR)


class _UnusualFileError(Exception):
    """The file is written in a way that is left to pydicom."""


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
                except _UnusualFileError:
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
        if content[128:132] != b"DICM":
            raise _UnusualFileError
        meta, start = _file_meta(content)
        syntax = str(meta.TransferSyntaxUID)
        if syntax not in (_IMPLICIT, _EXPLICIT):
            raise _UnusualFileError
        is_implicit = syntax == _IMPLICIT
        elements, pixels = _elements(content, start, is_implicit=is_implicit, known=self._values)
        if pixels is None:
            raise InputDataError("it has no Pixel Data (7FE0,0010), or ends before it.")
        shared = self._shared(elements)
        header = pydicom.Dataset(shared)
        header.set_original_encoding(is_implicit, True)
        header.file_meta = meta
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


def _file_meta(content: bytes) -> tuple[FileMetaDataset, int]:
    """Reads group 0002, which is always explicit little endian."""
    position, syntax = 132, b""
    while content[position : position + 2] == b"\x02\x00":
        tag, _, length, value = _explicit_head(content, position)
        if tag == _TRANSFER_SYNTAX:
            syntax = content[value : value + length]
        position = value + length
    if not syntax:
        raise _UnusualFileError
    meta = FileMetaDataset()
    meta.TransferSyntaxUID = UID(syntax.decode("ascii").strip("\0 "))
    return meta, position


def _elements(
    content: bytes, position: int, *, is_implicit: bool, known: dict[int, bytes | None]
) -> tuple[dict[BaseTag, RawDataElement], memoryview | None]:
    elements = {}
    pixels, end = None, len(content)
    head = _implicit_head if is_implicit else _explicit_head
    while position + 8 <= end:
        tag, vr, length, start = head(content, position)
        if length == _UNDEFINED:
            if tag == _PIXEL_DATA:
                raise _UnusualFileError
            same = (known.get(tag) or b"") + _END_OF_SEQUENCE
            if content.startswith(same, start):
                stop = start + len(same) - 8
            else:
                stop = _skip_items(content, start, is_implicit=is_implicit, depth=0)
            vr, position = "SQ", stop + 8  # the delimiter after the last item
        else:
            stop = position = start + length
        if tag == _PIXEL_DATA:
            pixels = memoryview(content)[start : min(stop, end)]
        elif stop > end:
            raise InputDataError(
                f"it ends within element ({tag >> 16:04X},{tag & 0xFFFF:04X}): {end - start} of "
                f"{length} bytes. The file is cut."
            )
        else:
            key = _tag(tag)
            elements[key] = RawDataElement(
                key, vr, stop - start, content[start:stop], start, is_implicit, True
            )
    return elements, pixels


def _implicit_head(content: bytes, position: int) -> tuple[int, str | None, int, int]:
    """Returns tag, VR (None: by the dictionary), length and start of the value."""
    group, element, length = struct.unpack_from("<HHL", content, position)
    return group << 16 | element, None, length, position + 8


def _explicit_head(content: bytes, position: int) -> tuple[int, str | None, int, int]:
    group, element, vr, length = struct.unpack_from("<HH2sH", content, position)
    tag = group << 16 | element
    if vr in _SHORT_VRS:
        return tag, vr.decode(), length, position + 8
    if vr not in _LONG_VRS:
        raise _UnusualFileError
    if position + 12 > len(content):
        raise InputDataError("it ends within its header. The file is cut.")
    (length,) = struct.unpack_from("<L", content, position + 8)
    if vr == b"UN" and length == _UNDEFINED:
        raise _UnusualFileError  # its content is implicit, whatever the file is
    return tag, vr.decode(), length, position + 12


def _skip_items(content: bytes, position: int, *, is_implicit: bool, depth: int) -> int:
    """Returns where the delimiter of a sequence of undefined length begins."""
    if depth > _DEEPEST:
        raise InputDataError(f"it has sequences nested deeper than {_DEEPEST}; it is damaged.")
    while position + 8 <= len(content):
        tag, _, length, start = _implicit_head(content, position)
        if tag == _SEQUENCE_END:
            return position
        if tag != _ITEM:
            raise _UnusualFileError
        if length != _UNDEFINED:
            position = start + length
            continue
        position = _skip_elements(content, start, is_implicit=is_implicit, depth=depth)
    raise InputDataError("it ends within a sequence of its header. The file is cut.")


def _skip_elements(content: bytes, position: int, *, is_implicit: bool, depth: int) -> int:
    """Returns the position after the delimiter of an item of undefined length."""
    head = _implicit_head if is_implicit else _explicit_head
    while position + 8 <= len(content):
        if struct.unpack_from("<HH", content, position) == (_ITEM_END >> 16, _ITEM_END & 0xFFFF):
            return position + 8
        _, _, length, start = head(content, position)
        if length == _UNDEFINED:
            position = 8 + _skip_items(content, start, is_implicit=is_implicit, depth=depth + 1)
        else:
            position = start + length
    raise InputDataError("it ends within a sequence of its header. The file is cut.")
