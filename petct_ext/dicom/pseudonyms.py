"""Pseudonyms: stable ids that cannot be turned back without the project's salt."""

from __future__ import annotations

import hashlib
import hmac
import secrets
from pathlib import Path

from petct_ext.errors import InputDataError
from petct_ext.files import write_text

__all__ = ["load_or_make_salt", "pseudonym"]

_SHORTEST_SALT = 8


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
