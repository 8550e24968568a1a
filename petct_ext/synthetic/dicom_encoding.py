"""Writing many DICOM files that differ in few elements.

Encoding a slice element by element takes longer than drawing it. Here the elements that all slices
of a series share are encoded once, by pydicom; the few others are plain text. The files are the
same, byte for byte, as those of ``Dataset.save_as(enforce_file_format=True)``.

Source: DICOM PS3.5, section 7.1.2 (Explicit VR Little Endian), PS3.10, section 7.1 (file header).
"""

from __future__ import annotations

import struct
from collections.abc import Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import TypeAlias

from pydicom.datadict import dictionary_VR, tag_for_keyword
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.filebase import DicomBytesIO
from pydicom.filewriter import write_dataset, write_file_meta_info
from pydicom.uid import UID, ExplicitVRLittleEndian

from petct_ext.errors import InputDataError

__all__ = ["SeriesWriter", "Value"]

Value: TypeAlias = str | int | bytes | Sequence[str]
"""Value of an element: text, several texts, a number (US) or bytes (OW)."""

_PREAMBLE = b"\0" * 128 + b"DICM"
_TEXT_VRS = frozenset({"CS", "DA", "DS", "IS", "LO", "SH", "TM", "UI"})


class SeriesWriter:
    """Writes the slices of one series in Explicit VR Little Endian.

    Args:
        base: the elements that all slices share, with ``SOPClassUID``. Those that a slice gives
            as well are replaced.
    """

    def __init__(self, base: Dataset) -> None:
        self._shared = {int(element.tag): _encode_shared(base, element.tag) for element in base}
        self._sop_class_uid = UID(base.SOPClassUID)

    def write(self, path: Path, changed: Mapping[str, Value]) -> None:
        """Writes one file.

        Args:
            path: where to; its folder exists.
            changed: values of the elements of this slice by keyword, among them
                ``SOPInstanceUID`` and ``PixelData``.

        Raises:
            InputDataError: if a keyword is unknown or its VR is not among those supported.
        """
        elements = dict(self._shared)
        for keyword, value in changed.items():
            tag, vr = _tag_and_vr(keyword)
            elements[tag] = _encode(tag, vr, value)
        uid = str(changed["SOPInstanceUID"])
        head = _head(self._sop_class_uid, len(uid)).replace(_placeholder(len(uid)), uid.encode())
        body = b"".join(elements[tag] for tag in sorted(elements))
        path.write_bytes(_PREAMBLE + head + body)


@cache
def _tag_and_vr(keyword: str) -> tuple[int, str]:
    tag = tag_for_keyword(keyword)
    vr = "OW" if keyword == "PixelData" else (dictionary_VR(tag) if tag is not None else "")
    if tag is None or vr not in _TEXT_VRS | {"US", "OW"}:
        raise InputDataError(f"DICOM element {keyword!r} (VR {vr!r}) cannot be set per slice.")
    return tag, vr


def _encode(tag: int, vr: str, value: Value) -> bytes:
    head = struct.pack("<HH2s", tag >> 16, tag & 0xFFFF, vr.encode())
    if isinstance(value, bytes):
        value += b"\0" * (len(value) % 2)
        return head + struct.pack("<HL", 0, len(value)) + value
    if isinstance(value, int):
        return head + struct.pack("<HH", 2, value)
    text = value if isinstance(value, str) else "\\".join(value)
    encoded = text.encode("ascii")
    if len(encoded) % 2:
        encoded += b"\0" if vr == "UI" else b" "
    return head + struct.pack("<H", len(encoded)) + encoded


def _encode_shared(base: Dataset, tag: int) -> bytes:
    alone = Dataset()
    alone.add(base[tag])
    buffer = DicomBytesIO()
    buffer.is_little_endian, buffer.is_implicit_VR = True, False
    write_dataset(buffer, alone, parent_encoding="utf-8")
    return buffer.getvalue()


def _placeholder(length: int) -> bytes:
    return b"1." + b"9" * (length - 2)


@cache
def _head(sop_class_uid: UID, uid_length: int) -> bytes:
    """Returns the file meta information with a placeholder for the instance UID."""
    meta = FileMetaDataset()
    meta.MediaStorageSOPClassUID = sop_class_uid
    meta.MediaStorageSOPInstanceUID = UID(_placeholder(uid_length).decode())
    meta.TransferSyntaxUID = ExplicitVRLittleEndian
    buffer = DicomBytesIO()
    buffer.is_little_endian, buffer.is_implicit_VR = True, False
    write_file_meta_info(buffer, meta, enforce_standard=True)
    return buffer.getvalue()
