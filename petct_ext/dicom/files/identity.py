"""What names a patient: pseudonyms for ids, and free text of headers without it.

Descriptions are typed by people, who write names, dates of birth and record numbers into them. Of a
text that holds any such word of its own header, the usual words of the trade alone are kept: they
tell a projection from a stack, and an uncorrected PET from a corrected one.
"""

from __future__ import annotations

import hashlib
import hmac
import re
import secrets
import unicodedata
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import pydicom

from petct_ext.errors import InputDataError
from petct_ext.files import write_text

__all__ = [
    "IDENTITY_CODES",
    "IDENTITY_NAMES",
    "REMOVED",
    "Pseudonyms",
    "date_shift_days",
    "header_identity",
    "identity_words",
    "load_or_make_salt",
    "pseudonym",
    "without_dates",
    "without_identity",
]

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


REMOVED = "[removed]"
"""Stands for what was taken out of a text that held a part of the patient's identity."""

_USUAL = frozenset(
    """
    ac arms axial body bone brain contrast coronal corrected ct dose extremities fdg feet fused
    fusion gated head legs localizer low lower lung mac mip nac neck no non pet plain protocol
    report sagittal scout skull soft surview thigh to toes topogram torso uncorrected wb whole
    """.split()  # noqa: SIM905 - sixty quoted words are hard to read
)

_SHORTEST_INSIDE = 4  # shorter words count as whole words only, or half of all texts would go
_DATE = re.compile(
    r"(?<!\d)(?:\d{1,4}[./-]\d{1,2}[./-]\d{2,4}|(?:19|20)\d{6}|\d{1,2}[./-](?:19|20)\d{2})(?!\d)"
)


def identity_words(names: Iterable[str], codes: Iterable[str], birth_date: str) -> frozenset[str]:
    """Returns what must not stand in a free text.

    Args:
        names: person names in DICOM form, ``Family^Given=ideographic=phonetic``.
        codes: patient ids, accession numbers.
        birth_date: ``YYYYMMDD`` or ``""``.

    Returns:
        Lower-case words without accents, of at least two letters.

    Example:
        >>> sorted(identity_words(["Müller^Jo"], [], "19500102"))
        ['01021950', '02011950', '19500102', 'jo', 'muller']
    """
    words = {w for name in names for w in re.split(r"[\W_]+", _folded(name))}
    words |= {_folded(code).strip() for code in codes}
    if re.fullmatch(r"\d{8}", birth_date):
        year, month, day = birth_date[:4], birth_date[4:6], birth_date[6:]
        words |= {year + month + day, day + month + year, month + day + year}
    return frozenset(w for w in words if len(w) >= 2)


IDENTITY_NAMES: Final = (
    "PatientName",
    "OtherPatientNames",
    "PatientMotherBirthName",
    "ReferringPhysicianName",
)
"""Elements that hold names of persons."""

IDENTITY_CODES: Final = ("PatientID", "OtherPatientIDs", "AccessionNumber")
"""Elements that hold numbers of a patient."""


def header_identity(header: pydicom.Dataset) -> frozenset[str]:
    """Returns the words of a header that must not stand in a free text."""
    return identity_words(
        [_element(header, key) for key in IDENTITY_NAMES],
        [_element(header, key) for key in IDENTITY_CODES],
        _element(header, "PatientBirthDate"),
    )


def _element(header: pydicom.Dataset, keyword: str) -> str:
    try:
        value = header.get(keyword)
    except (ValueError, TypeError, LookupError, NotImplementedError):
        return ""
    if isinstance(value, pydicom.multival.MultiValue | list | tuple):
        return "\\".join(map(str, value))
    return "" if value is None else str(value).strip("\0 ")


def without_identity(text: str, words: frozenset[str]) -> str:
    """Returns the text; if it holds one of the words, ``[removed]`` and the usual words in it.

    Example:
        >>> without_identity("PET/CT Mueller 4711 whole body", frozenset({"mueller"}))
        '[removed] pet ct whole body'
    """
    folded = _folded(text)
    parts = re.split(r"[\W_]+", folded)
    digits = re.sub(r"(?<=\d)[./ -](?=\d)", "", folded)  # 02.01.1950 as one number
    for word in words:
        inside = len(word) >= _SHORTEST_INSIDE and (word in folded or word in digits)
        if inside or word in parts:
            return " ".join([REMOVED, *(p for p in parts if p in _USUAL - words)])
    return text


def without_dates(text: str) -> str:
    """Returns the text with calendar dates replaced, for tables whose dates are shifted.

    Example:
        >>> without_dates("PET/CT 12.03.2019 whole body")
        'PET/CT [date] whole body'
    """
    return _DATE.sub("[date]", text)


def _folded(text: str) -> str:
    plain = unicodedata.normalize("NFKD", text)
    return "".join(c for c in plain if not unicodedata.combining(c)).casefold()
