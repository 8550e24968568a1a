"""What stands on the command line of ``python -m monai.bundle run``."""

from __future__ import annotations

import re
import sys
from pathlib import Path

__all__ = ["config_files", "given_options", "is_monai_command", "run_words"]


def config_files(given: object) -> list[Path]:
    """Returns the paths that a value of ``--config_file`` holds.

    Args:
        given: a path, a list of paths, or fire's spelling of a list, ``"['a.json','b.json']"``.
    """
    files = given if isinstance(given, list | tuple) else str(given).strip("[]() ").split(",")
    return [Path(str(file).strip("'\" ")) for file in files]


def given_options() -> dict[str, str]:
    """Returns the options of this process's command line, without the dashes, and their values."""
    words, options = sys.argv[1:], {}
    for i, word in enumerate(words):
        if _is_option(word):
            key, equals, value = word.lstrip("-").partition("=")
            # Fire takes a hyphen for an underscore.
            options[key.replace("-", "_")] = value if equals else "".join(words[i + 1 : i + 2])
    return options


def is_monai_command() -> bool:
    """Whether this process is ``python -m monai.bundle``."""
    return Path(sys.argv[0]).parts[-3:] == ("monai", "bundle", "__main__.py")


def run_words() -> list[str] | None:
    """Returns the words behind ``monai.bundle run`` that are no options, None if it is not run."""
    if not is_monai_command() or sys.argv[1:2] != ["run"]:
        return None
    words, is_value = [], False
    for word in sys.argv[2:]:
        if _is_option(word):
            is_value = "=" not in word
        elif not is_value:
            words.append(word)
        else:
            is_value = False
    return words


def _is_option(word: str) -> bool:
    """Whether fire takes a word for an option: one dash or two, and no number behind."""
    return re.match(r"--?[A-Za-z_+]", word) is not None
