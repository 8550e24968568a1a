"""Files with one report each: text, web page, RTF, Word, PDF."""

from __future__ import annotations

import logging
import zipfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Final

from petct_ext.errors import InputDataError

__all__ = ["TEXT_SUFFIXES", "decode_text", "read_report_file", "read_report_text"]

_LOGGER = logging.getLogger(__name__)

_EXTRA: Final = "pip install 'petct_ext[documents]', or save it as plain text"


def read_report_text(path: str | Path) -> str:
    """Reads a report from a file; see :func:`read_report_file`.

    Raises:
        InputDataError: if the file is missing, cannot be read as a report, or is empty.
    """
    text, note = read_report_file(path)
    if not text.strip():
        raise InputDataError(f"{path} is empty; give a file with one report.")
    if note:
        _LOGGER.warning("%s: %s", path, note)
    return text


def read_report_file(path: str | Path) -> tuple[str, str]:
    """Reads a report from a file.

    Args:
        path: plain text or a web page (UTF-8, UTF-16 with its mark, or else Windows-1252), or, with
            the extra ``documents``, RTF (striprtf), Word (.docx, python-docx) or PDF that holds
            text (pypdf).

    Returns:
        The text, and what was odd, for people ("" if nothing).

    Raises:
        InputDataError: if the file is missing or cannot be read as a report.
    """
    path = Path(path)
    try:
        data = path.read_bytes()
    except (FileNotFoundError, IsADirectoryError):
        raise InputDataError(f"{path} is no file; give a file with one report.") from None
    except OSError as error:
        raise InputDataError(f"{path} cannot be read: {error.strerror or error}.") from None
    reader = _READERS.get(path.suffix.lower())
    if reader is None:
        text, note = decode_text(data)
    else:
        text, note = reader(path, data), ""
    return text, note


def decode_text(data: bytes) -> tuple[str, str]:
    """Returns text in UTF-8, UTF-16 with its mark, or else Windows-1252, which the note says."""
    if data.startswith((b"\xff\xfe", b"\xfe\xff")):
        return data.decode("utf-16", errors="replace"), ""
    try:
        return data.decode("utf-8-sig"), ""
    except UnicodeDecodeError as error:
        note = f"not UTF-8 (byte {error.start}): read as Windows-1252"
        return data.decode("cp1252", errors="replace"), note


def _rtf(path: Path, data: bytes) -> str:
    try:
        from striprtf.striprtf import rtf_to_text
    except ImportError:  # RTF commands are read as spaces
        return decode_text(data)[0]
    try:
        text = data.decode("ascii", errors="replace")
        return str(rtf_to_text(text, errors="replace"))  # type: ignore[no-untyped-call]
    except (ValueError, IndexError, KeyError, LookupError) as error:
        raise InputDataError(f"{path} is not well formed RTF ({error}).") from None


def _docx(path: Path, data: bytes) -> str:
    try:
        import docx
        from docx.opc.exceptions import PackageNotFoundError
    except ImportError:
        raise InputDataError(f"{path} is a Word document; {_EXTRA}.") from None
    try:
        document = docx.Document(str(path))
    except (PackageNotFoundError, zipfile.BadZipFile, KeyError, ValueError) as error:
        kind = type(error).__name__
        raise InputDataError(f"{path} cannot be opened as a Word document ({kind}).") from None
    lines = [p.text for part in document.sections for p in part.header.paragraphs if p.text]
    for block in document.iter_inner_content():
        if hasattr(block, "rows"):
            lines += [" | ".join(cell.text for cell in row.cells) for row in block.rows]
        else:
            lines.append(block.text)
    return "\n".join(lines)


def _pdf(path: Path, data: bytes) -> str:
    try:
        import pypdf
    except ImportError:
        raise InputDataError(f"{path} is a PDF; {_EXTRA}.") from None
    try:
        reader = pypdf.PdfReader(path)
        text = "\n".join(page.extract_text() for page in reader.pages)
    except (pypdf.errors.PyPdfError, ValueError, KeyError, OSError) as error:
        kind = type(error).__name__
        raise InputDataError(f"{path} cannot be opened as a PDF ({kind}).") from None
    if not text.strip():
        raise InputDataError(f"{path} is a PDF without text (a scan?); export it as text.")
    return text


_READERS: Final[Mapping[str, Callable[[Path, bytes], str]]] = {
    ".docx": _docx,
    ".pdf": _pdf,
    ".rtf": _rtf,
}
TEXT_SUFFIXES: Final = (".txt", ".text", ".html", ".htm", ".xhtml", "", *_READERS)
"""Endings of files that :func:`read_report_file` reads."""
