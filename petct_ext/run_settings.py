"""Settings of a bundle as its user gives them, checked before anything slow begins.

MONAI takes any ``--key value`` of the command line, misspelt ones too, and hands words on as texts.
"""

from __future__ import annotations

import math
from typing import Final

from petct_ext.command_words import config_files, given_options, run_words
from petct_ext.errors import InputDataError, did_you_mean
from petct_ext.files import read_json

__all__ = [
    "check_command_line",
    "is_on",
    "require_counts",
    "require_not_negative",
    "require_positive",
    "require_validation",
]

# Options of MONAI's `run` itself.
_OF_MONAI: Final = frozenset(
    {
        *("run_id", "init_id", "final_id", "meta_file", "config_file", "logging_file"),
        *("tracking", "args_file", "tracking_uri", "experiment_name", "run_name"),
    }
)
_NO_RUNS: Final = {"train": "training", "validate": "run"}
"""Sections of a configuration that someone may take for what is run."""


def check_command_line() -> None:
    """Refuses misspelt settings and what cannot be run; does nothing outside ``monai.bundle run``.

    Raises:
        InputDataError: if an option is no key of the configuration files, or ``train`` stands in
            place of ``training``.
    """
    words, options = run_words(), given_options()
    if words is None or "config_file" not in options or "args_file" in options:
        return
    for word in (*words, options.get("run_id", "")):
        if word in _NO_RUNS:
            raise InputDataError(
                f"{word!r} is a section of the configuration, nothing that is run; write "
                f"{_NO_RUNS[word]!r}."
            )
    files = config_files(options["config_file"])
    if any(file.suffix != ".json" for file in files):
        return
    known = {key.lstrip("+") for file in files for key in read_json(file)}
    known |= {key.partition("#")[0] for key in known}
    for option in options:
        name = option.partition("#")[0]
        if name.replace("-", "_") not in known | _OF_MONAI:
            raise InputDataError(
                f"--{option} is no setting of {', '.join(file.name for file in files)}."
                f"{did_you_mean(name, known | _OF_MONAI)}"
            )


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


def require_counts(**values: object) -> None:
    """Refuses settings that are no whole numbers from 1 up.

    Raises:
        InputDataError: names the setting and its value.
    """
    for name, value in values.items():
        if not isinstance(value, int) or isinstance(value, bool) or value < 1:
            raise InputDataError(f"{name} is {value!r}; it must be a whole number from 1 up.")


def require_validation(*, epochs: int, val_interval: int) -> None:
    """Refuses a training that never validates, and so never chooses weights.

    Raises:
        InputDataError: if validation comes only after the last epoch.
    """
    if val_interval > epochs:
        raise InputDataError(
            f"val_interval is {val_interval}, but there are {epochs} epochs: no weights would be "
            "chosen; set it to the number of epochs or less."
        )


def require_not_negative(**values: object) -> None:
    """Refuses settings that are no finite numbers from 0 up.

    Raises:
        InputDataError: names the setting and its value.
    """
    for name, value in values.items():
        if not _is_finite(value) or value < 0:  # type: ignore[operator]
            raise InputDataError(f"{name} is {value!r}; it must be a number from 0 up.")


def require_positive(**values: object) -> None:
    """Refuses settings that are no finite numbers above 0.

    Raises:
        InputDataError: names the setting and its value.
    """
    for name, value in values.items():
        if not _is_finite(value) or value <= 0:  # type: ignore[operator]
            raise InputDataError(f"{name} is {value!r}; it must be a number above 0.")


def _is_finite(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)
