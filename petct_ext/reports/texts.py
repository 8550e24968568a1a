"""Text files with one report each."""

from __future__ import annotations

from pathlib import Path

from petct_ext.errors import InputDataError

__all__ = ["read_report_text"]


def read_report_text(path: str | Path) -> str:
    """Reads a report from a UTF-8 text file.

    Raises:
        InputDataError: if the file is missing, is not UTF-8 text, or is empty.
    """
    path = Path(path)
    try:
        text = path.read_text(encoding="utf-8-sig")
    except (FileNotFoundError, IsADirectoryError):
        raise InputDataError(f"{path} is no file; give a text file with one report.") from None
    except UnicodeDecodeError as error:
        raise InputDataError(
            f"{path} is not UTF-8 text (byte {error.start}); save it as plain text in UTF-8."
        ) from None
    except OSError as error:
        raise InputDataError(f"{path} cannot be read: {error.strerror or error}.") from None
    if not text.strip():
        raise InputDataError(f"{path} is empty; give a text file with one report.")
    return text
