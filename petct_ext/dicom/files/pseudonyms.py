"""Pseudonyms: stable ids that cannot be turned back without the project's salt."""

from __future__ import annotations

import hashlib
import hmac
import re
import secrets
from dataclasses import dataclass
from pathlib import Path

from petct_ext.errors import InputDataError
from petct_ext.files import write_text

__all__ = ["Pseudonyms", "date_shift_days", "load_or_make_salt", "pseudonym"]

_SHORTEST_SALT = 8
_LARGEST_SHIFT_DAYS = 365
_SAFE_NAME = re.compile(r"[0-9A-Za-z][0-9A-Za-z._-]{0,63}")


def pseudonym(prefix: str, raw: str, *, salt: str) -> str:
    """Returns ``prefix`` and 12 hexadecimal digits of HMAC-SHA256(salt, raw).

    Args:
        prefix: kind of the id, e.g. ``"E"`` for exams; equal raw values of two kinds differ.
        raw: the identifier as in the DICOM header.
        salt: secret of the project; whoever has it can test guesses of ``raw``.

    Raises:
        InputDataError: if ``raw`` is empty, since all nameless patients would become one.

    Example:
        >>> pseudonym("P", "12345", salt="secret of the project")
        'Pbeb82e95e602'
    """
    if not raw.strip():
        raise InputDataError(f"an identifier of kind {prefix!r} is empty; it cannot be hashed.")
    digest = hmac.new(salt.encode(), f"{prefix}:{raw.strip()}".encode(), hashlib.sha256)
    return prefix + digest.hexdigest()[:12]


def date_shift_days(raw: str, *, salt: str) -> int:
    """Returns by how many days all dates of a patient are shifted, -365 to 365, never 0.

    The same for all exams of a patient, so that intervals between dates stay true.

    Args:
        raw: Patient ID as in the DICOM header.
        salt: secret of the project.

    Raises:
        InputDataError: if ``raw`` is empty.
    """
    number = int(pseudonym("D", raw, salt=salt)[1:], 16) % (2 * _LARGEST_SHIFT_DAYS)
    return number - _LARGEST_SHIFT_DAYS + (number >= _LARGEST_SHIFT_DAYS)


@dataclass(frozen=True, slots=True)
class Pseudonyms:
    """How a project names exams, patients and series in its tables.

    Attributes:
        salt: secret of the project.
        keep_ids: whether identifiers stay as in the headers, for groups that may keep them. One
            that cannot be a file name is hashed all the same.
        shift_dates: whether dates are shifted; see :func:`date_shift_days`.
    """

    salt: str
    keep_ids: bool = False
    shift_dates: bool = False

    def name(self, prefix: str, raw: str) -> str:
        """Returns the id of an exam (prefix E), patient (P) or series (S).

        Raises:
            InputDataError: if ``raw`` is empty.
        """
        kept = raw.strip().replace("#", "_")
        if self.keep_ids and _SAFE_NAME.fullmatch(kept):
            return kept
        return pseudonym(prefix, raw, salt=self.salt)

    def shift_days(self, raw_patient_id: str) -> int | None:
        """Returns the shift of a patient's dates in days, None if dates are kept."""
        return date_shift_days(raw_patient_id, salt=self.salt) if self.shift_dates else None


def load_or_make_salt(path: str | Path) -> str:
    """Reads the project's salt; makes a random one (file mode 0600) if there is none.

    Raises:
        InputDataError: if the file holds fewer than 8 characters.
    """
    path = Path(path)
    if not path.is_file():
        write_text(path, secrets.token_hex(16) + "\n")
        path.chmod(0o600)
    salt = path.read_text(encoding="utf-8", errors="replace").strip()
    if len(salt) < _SHORTEST_SALT:
        raise InputDataError(
            f"{path} holds a salt of {len(salt)} characters; it needs {_SHORTEST_SALT} or more. "
            "Delete the file to have a random one made."
        )
    return salt
