"""Yes or no, as a configuration or its user's command line says it."""

from __future__ import annotations

from petct_ext.errors import InputDataError

__all__ = ["is_on"]


def is_on(value: object, name: str) -> bool:
    """Returns what a switch is set to.

    MONAI hands ``--resume false`` on as a text, which Python counts as true.

    Args:
        value: true or false, or the words in any case.
        name: of the switch, for the error.

    Raises:
        InputDataError: if it is neither.

    Example:
        >>> is_on("false", "resume"), is_on(True, "resume")
        (False, True)
    """
    if isinstance(value, bool):
        return value
    word = str(value).strip().lower()
    if word not in ("true", "false"):
        raise InputDataError(f"{name} is {value!r}; write true or false.")
    return word == "true"
