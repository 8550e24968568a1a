"""The raw elements of a DICOM file, cut apart without interpreting them.

pydicom takes about a millisecond per header, most of it for elements that nobody asks for. Cutting
takes a tenth. It serves the index, which recognizes further slices of a series by the bytes of
chosen elements, and the reader of slices, which converts elements when they are used. What is
unusual (deflated, big endian, odd structure) is not guessed at: the caller lets pydicom read it.

Source: DICOM PS3.5, sections 7.1 (elements), 7.5 (sequences); PS3.10, section 7.1 (file header).
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from struct import Struct
from types import MappingProxyType
from typing import TypeAlias

from petct_ext.errors import InputDataError

__all__ = ["PIXEL_DATA", "UnusualFileError", "scan_elements", "transfer_syntax", "walk_elements"]

Element: TypeAlias = tuple[int, str | None, int, int, int]

PIXEL_DATA = 0x7FE0_0010

_PREAMBLE = 132
_IMPLICIT = "1.2.840.10008.1.2"
# Deflated explicit, explicit big-endian.
_UNUSUAL_SYNTAXES = frozenset({"1.2.840.10008.1.2.1.99", "1.2.840.10008.1.2.2"})
_TRANSFER_SYNTAX = 0x0002_0010
_PIXELS = 0x7FE0_0000
_ITEM, _SEQUENCE_END = 0xFFFE_E000, 0xFFFE_E0DD
_UNDEFINED = 0xFFFF_FFFF
_LONG_VRS = {vr: vr.decode() for vr in b"OB OD OF OL OV OW SQ SV UC UN UR UT UV".split()}
_SHORT_VRS = {
    vr: vr.decode()
    for vr in b"AE AS AT CS DA DS DT FD FL IS LO LT PN SH SL SS ST TM UI UL US".split()
}
_EXPLICIT_HEAD, _IMPLICIT_HEAD, _LONG = Struct("<HH2sH"), Struct("<HHL"), Struct("<L")
_END_OF_SEQUENCE = _IMPLICIT_HEAD.pack(0xFFFE, 0xE0DD, 0)
_END_OF_ITEM = b"\xfe\xff\x0d\xe0"
_DEEPEST = 16  # nested sequences; real headers have about four
_NOTHING: Mapping[int, bytes | None] = MappingProxyType({})


class UnusualFileError(Exception):
    """The file is written in a way that is left to pydicom."""


def scan_elements(
    data: bytes, wanted: Collection[int], *, is_whole_file: bool
) -> dict[int, bytes] | None:
    """Finds the raw values of top-level elements.

    Args:
        data: the beginning of a file.
        wanted: tags as ``0xGGGGEEEE``; the scan ends behind the largest.
        is_whole_file: whether ``data`` is all there is, so that its end is the end of the header.

    Returns:
        Value bytes by tag (those of a sequence with all its items), or None if the file is not one
        that this scan understands completely up to the last wanted tag.
    """
    found: dict[int, bytes] = {}
    try:
        syntax, end = transfer_syntax(data)
        if syntax in _UNUSUAL_SYNTAXES:
            return None
        elements = walk_elements(
            data, end, is_implicit=syntax == _IMPLICIT, last=min(max(wanted), _PIXELS)
        )
        for tag, _, start, stop, end in elements:  # noqa: B007 - where the walk ended
            if tag in wanted:
                found[tag] = data[start:stop]
    except (UnusualFileError, InputDataError):
        return None
    ends_before_next = end + 8 <= len(data)
    return found if ends_before_next or (is_whole_file and end == len(data)) else None


def transfer_syntax(content: bytes) -> tuple[str, int]:
    """Returns Transfer Syntax UID (0002,0010) and where the data set begins, behind group 0002.

    Raises:
        UnusualFileError: if the file has no preamble or names no syntax.
        InputDataError: if it ends within group 0002.
    """
    if content[128:_PREAMBLE] != b"DICM":
        raise UnusualFileError
    syntax, end = "", _PREAMBLE
    for tag, _, start, stop, end in walk_elements(  # noqa: B007 - where the walk ended
        content, _PREAMBLE, is_implicit=False, last=0x0002_FFFF
    ):
        if tag == _TRANSFER_SYNTAX:
            syntax = content[start:stop].decode("ascii", "replace").strip("\0 ")
    if not syntax:
        raise UnusualFileError
    return syntax, end


def walk_elements(
    content: bytes,
    position: int,
    *,
    is_implicit: bool,
    last: int = 0xFFFF_FFFF,
    known: Mapping[int, bytes | None] = _NOTHING,
) -> Iterator[Element]:
    """Yields the elements of a data set, without those within sequences.

    Args:
        content: the file or its beginning, little endian.
        position: where the data set begins.
        is_implicit: whether it is written without VRs.
        last: the walk ends before the first larger tag.
        known: values of another file of the series; a sequence that has the same bytes here need
            not be walked through.

    Yields:
        Tag as ``0xGGGGEEEE``, VR (None: by the dictionary), where the value starts and stops, and
        where the next element begins. A value that does not end within ``content`` is not an error
        here; the walk ends behind it.

    Raises:
        UnusualFileError: if the elements are written in a way that is left to pydicom.
        InputDataError: if the file ends within an element's head or a sequence.
    """
    head = _implicit_head if is_implicit else _explicit_head
    last_head = len(content) - 8
    while position <= last_head:
        tag, vr, length, start = head(content, position)
        if tag > last:
            return
        if length != _UNDEFINED:
            stop = position = start + length
        elif tag == PIXEL_DATA or vr not in (None, "SQ"):
            raise UnusualFileError  # fragments; the content of UN is implicit whatever the file is
        else:
            same = (known.get(tag) or b"") + _END_OF_SEQUENCE
            if content.startswith(same, start):
                stop = start + len(same) - 8
            else:
                stop = _skip_items(content, start, is_implicit=is_implicit, depth=0)
            vr, position = "SQ", stop + 8  # the delimiter after the last item
        yield tag, vr, start, stop, position


def _implicit_head(content: bytes, position: int) -> tuple[int, str | None, int, int]:
    """Returns tag, VR (None: by the dictionary), length and start of the value."""
    group, element, length = _IMPLICIT_HEAD.unpack_from(content, position)
    return group << 16 | element, None, length, position + 8


def _explicit_head(content: bytes, position: int) -> tuple[int, str | None, int, int]:
    group, element, code, length = _EXPLICIT_HEAD.unpack_from(content, position)
    tag = group << 16 | element
    vr = _SHORT_VRS.get(code)
    if vr is not None:
        return tag, vr, length, position + 8
    vr = _LONG_VRS.get(code)
    if vr is None:  # not one that is known; refused, unless the walk ends before it
        return tag, "", _UNDEFINED, position
    if position + 12 > len(content):
        raise InputDataError("it ends within its header. The file is cut.")
    (length,) = _LONG.unpack_from(content, position + 8)
    return tag, vr, length, position + 12


def _skip_items(content: bytes, position: int, *, is_implicit: bool, depth: int) -> int:
    """Returns where the delimiter of a sequence of undefined length begins."""
    if depth > _DEEPEST:
        raise InputDataError(f"it has sequences nested deeper than {_DEEPEST}; it is damaged.")
    while position + 8 <= len(content):
        tag, _, length, start = _implicit_head(content, position)
        if tag == _SEQUENCE_END:
            return position
        if tag != _ITEM:
            raise UnusualFileError
        if length != _UNDEFINED:
            position = start + length
            continue
        position = _skip_elements(content, start, is_implicit=is_implicit, depth=depth)
    raise InputDataError("it ends within a sequence of its header. The file is cut.")


def _skip_elements(content: bytes, position: int, *, is_implicit: bool, depth: int) -> int:
    """Returns the position after the delimiter of an item of undefined length."""
    head = _implicit_head if is_implicit else _explicit_head
    while position + 8 <= len(content):
        if content.startswith(_END_OF_ITEM, position):
            return position + 8
        _, vr, length, start = head(content, position)
        if length == _UNDEFINED:
            if vr not in (None, "SQ"):
                raise UnusualFileError
            position = 8 + _skip_items(content, start, is_implicit=is_implicit, depth=depth + 1)
        else:
            position = start + length
    raise InputDataError("it ends within a sequence of its header. The file is cut.")
