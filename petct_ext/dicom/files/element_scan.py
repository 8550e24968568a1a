"""The raw elements of a DICOM header, cut apart without interpreting them, for the index.

pydicom takes about a millisecond per header, most of it for elements that nobody asks for. Cutting
takes a tenth, and is enough to recognize further slices of a series by the bytes of chosen
elements. What is unusual (deflated, big endian, odd structure, damaged) is not guessed at: pydicom
reads it, and says what is wrong.

Source: DICOM PS3.5, sections 7.1 (elements), 7.5 (sequences); PS3.10, section 7.1 (file header).
"""

from __future__ import annotations

from collections.abc import Collection, Iterator
from struct import Struct

__all__ = ["scan_elements"]

_PREAMBLE = 132
_IMPLICIT = "1.2.840.10008.1.2"
# Deflated explicit, explicit big-endian.
_UNUSUAL_SYNTAXES = frozenset({"1.2.840.10008.1.2.1.99", "1.2.840.10008.1.2.2"})
_TRANSFER_SYNTAX = 0x0002_0010
_PIXELS = 0x7FE0_0000
_ITEM, _SEQUENCE_END = 0xFFFE_E000, 0xFFFE_E0DD
_UNDEFINED = 0xFFFF_FFFF
_LONG_VRS = frozenset(b"OB OD OF OL OV OW SQ SV UC UN UR UT UV".split())
_SHORT_VRS = frozenset(b"AE AS AT CS DA DS DT FD FL IS LO LT PN SH SL SS ST TM UI UL US".split())
_EXPLICIT_HEAD, _IMPLICIT_HEAD, _LONG = Struct("<HH2sH"), Struct("<HHL"), Struct("<L")
_END_OF_ITEM = b"\xfe\xff\x0d\xe0"
_DEEPEST = 16  # nested sequences; real headers have about four


class _UnusualFileError(Exception):
    """The file is damaged, or written in a way that is left to pydicom."""


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
        syntax, end = _transfer_syntax(data)
        if syntax in _UNUSUAL_SYNTAXES:
            return None
        last = min(max(wanted), _PIXELS)
        elements = _walk_elements(data, end, is_implicit=syntax == _IMPLICIT, last=last)
        for tag, start, stop, end in elements:  # noqa: B007 - where the walk ended
            if tag in wanted:
                found[tag] = data[start:stop]
    except _UnusualFileError:
        return None
    ends_before_next = end + 8 <= len(data)
    return found if ends_before_next or (is_whole_file and end == len(data)) else None


def _transfer_syntax(content: bytes) -> tuple[str, int]:
    """Returns Transfer Syntax UID (0002,0010) and where the data set begins, behind group 0002."""
    if content[128:_PREAMBLE] != b"DICM":
        raise _UnusualFileError
    syntax, end = "", _PREAMBLE
    for tag, start, stop, end in _walk_elements(  # noqa: B007 - where the walk ended
        content, _PREAMBLE, is_implicit=False, last=0x0002_FFFF
    ):
        if tag == _TRANSFER_SYNTAX:
            syntax = content[start:stop].decode("ascii", "replace").strip("\0 ")
    if not syntax:
        raise _UnusualFileError
    return syntax, end


def _walk_elements(
    content: bytes, position: int, *, is_implicit: bool, last: int
) -> Iterator[tuple[int, int, int, int]]:
    """Yields the elements of a data set up to the tag ``last``, without those within sequences.

    Yields:
        Tag as ``0xGGGGEEEE``, where the value starts and stops, and where the next element begins.
        A value that does not end within ``content`` is not an error here; the walk ends behind it.

    Raises:
        _UnusualFileError: if the file ends within an element's head or a sequence, or the elements
            are written in a way that is left to pydicom.
    """
    head = _implicit_head if is_implicit else _explicit_head
    last_head = len(content) - 8
    while position <= last_head:
        tag, is_sequence, length, start = head(content, position)
        if tag > last:
            return
        if length != _UNDEFINED:
            stop = position = start + length
        elif not is_sequence:
            raise _UnusualFileError  # the content of UN is implicit whatever the file is
        else:
            stop = _skip_items(content, start, is_implicit=is_implicit, depth=0)
            position = stop + 8  # the delimiter after the last item
        yield tag, start, stop, position


def _implicit_head(content: bytes, position: int) -> tuple[int, bool, int, int]:
    """Returns tag, whether it may be a sequence, length and start of the value."""
    group, element, length = _IMPLICIT_HEAD.unpack_from(content, position)
    return group << 16 | element, True, length, position + 8


def _explicit_head(content: bytes, position: int) -> tuple[int, bool, int, int]:
    group, element, vr, length = _EXPLICIT_HEAD.unpack_from(content, position)
    tag = group << 16 | element
    if vr in _SHORT_VRS:
        return tag, False, length, position + 8
    if vr not in _LONG_VRS:  # not one that is known; refused, unless the walk ends before it
        return tag, False, _UNDEFINED, position
    if position + 12 > len(content):
        raise _UnusualFileError
    (length,) = _LONG.unpack_from(content, position + 8)
    return tag, vr == b"SQ", length, position + 12


def _skip_items(content: bytes, position: int, *, is_implicit: bool, depth: int) -> int:
    """Returns where the delimiter of a sequence of undefined length begins."""
    if depth > _DEEPEST:
        raise _UnusualFileError
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
    raise _UnusualFileError


def _skip_elements(content: bytes, position: int, *, is_implicit: bool, depth: int) -> int:
    """Returns the position after the delimiter of an item of undefined length."""
    head = _implicit_head if is_implicit else _explicit_head
    while position + 8 <= len(content):
        if content.startswith(_END_OF_ITEM, position):
            return position + 8
        _, is_sequence, length, start = head(content, position)
        if length == _UNDEFINED:
            if not is_sequence:
                raise _UnusualFileError
            position = 8 + _skip_items(content, start, is_implicit=is_implicit, depth=depth + 1)
        else:
            position = start + length
    raise _UnusualFileError
