"""Settings of a bundle as given on the command line, checked before anything slow begins.

MONAI takes any ``--key value`` of the command line, misspelt ones too, and hands words on as texts.
"""

from __future__ import annotations

import inspect
import math
import re
import sys
from collections.abc import Mapping, Sequence
from importlib import import_module
from pathlib import Path
from typing import Any, Final

from petct_ext.errors import InputDataError, did_you_mean
from petct_ext.files import read_json

__all__ = [
    "check_command_line",
    "config_files",
    "given_options",
    "is_monai_command",
    "is_on",
    "require_counts",
    "require_not_negative",
    "require_positive",
    "require_validation",
    "run_words",
]

# Options of MONAI's `run` itself.
_OF_MONAI: Final = frozenset(
    {
        *("run_id", "init_id", "final_id", "meta_file", "config_file", "logging_file"),
        *("tracking", "args_file", "tracking_uri", "experiment_name", "run_name"),
        *("save_execute_config", "is_not_rank0"),
    }
)
_WORDS: Final = {"true": True, "1": True, "false": False, "0": False}
_NO_RUNS: Final = {"train": "training", "validate": "run"}
"""Sections of a configuration that someone may take for what is run."""


def check_command_line() -> None:
    """Refuses misspelt settings and what cannot be run; does nothing outside ``monai.bundle run``.

    Raises:
        InputDataError: if an option is no key of the configuration files, has a number where it
            has a name, or if ``train`` stands in place of ``training``.
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
    # A plus adds to the list of a file below.
    documents = [{key.lstrip("+"): item for key, item in read_json(f).items()} for f in files]
    known = {_parts(key)[0] for document in documents for key in document} | _OF_MONAI
    for option in options:
        name = _parts(option)[0]
        for document in documents:
            _refuse_behind_macro(option, document)
        is_known = any(_has(document, _parts(option)) for document in documents)
        if name in _OF_MONAI or name.startswith("_meta_") or is_known:
            continue
        hint = _meant(option, documents) if name in known else did_you_mean(name, known)
        raise InputDataError(
            f"--{option} is no setting of {', '.join(file.name for file in files)}.{hint}"
        )


def _parts(key: str) -> list[str]:
    return re.split("#|::", key.lstrip("+"))


def _refuse_behind_macro(option: str, document: Mapping[str, Any]) -> None:
    """Refuses ``train#handlers#2#x`` where the entry is ``%train#named_handlers#stats``."""
    node: Any = document
    parts = _parts(option)
    for number, part in enumerate(parts):
        if isinstance(node, str) and node.startswith("%"):
            meant = "#".join([node[1:], *parts[number:]])
            raise InputDataError(f"--{option} has a name; write --{meant}.")
        if isinstance(node, list) and part.isdigit() and int(part) < len(node):
            node = node[int(part)]
        elif isinstance(node, Mapping) and part in node:
            node = node[part]
        else:
            return


def _has(document: Mapping[str, Any], parts: Sequence[str]) -> bool:
    """Whether a configuration has a key, or may have it: arguments of a component are its own."""
    if any(_parts(key) == list(parts[: len(_parts(key))]) and "#" in key for key in document):
        return True
    node: Any = document
    for part in parts:
        if isinstance(node, list) and part.isdigit():
            if int(part) >= len(node):
                return False
            node = node[int(part)]
        elif isinstance(node, Mapping) and part in node:
            node = node[part]
        elif isinstance(node, Mapping):
            return _takes(node, part)
        else:
            return isinstance(node, str)  # a reference or an expression
    return True


def _takes(component: Mapping[str, Any], argument: str) -> bool:
    """Whether a component has an argument, or may have it; ``{}`` is there to be filled."""
    if not component or argument.startswith("_"):
        return True
    arguments = _arguments_of(component.get("_target_"))
    return "_target_" in component and (arguments is None or argument in arguments)


def _arguments_of(target: object) -> list[str] | None:
    """Returns the arguments of a component of ours; None if others are possible."""
    place, _, name = str(target).rpartition(".")
    if not place.startswith("petct_ext."):
        return None
    parameters = inspect.signature(getattr(import_module(place), name)).parameters
    takes_any = any(p.kind is inspect.Parameter.VAR_KEYWORD for p in parameters.values())
    return None if takes_any else list(parameters)


def _meant(option: str, documents: Sequence[Mapping[str, Any]]) -> str:
    """Tells where an argument stands that was looked for one level too high, or its spelling."""
    *path, last = _parts(option)
    for document in documents:
        node: Any = document
        for part in path:
            node = node.get(part) if isinstance(node, Mapping) else None
        for key, child in node.items() if path and isinstance(node, Mapping) else ():
            target = child.get("_target_") if isinstance(child, Mapping) else None
            if target and last in (_arguments_of(target) or ()):
                return f" Write --{'#'.join([*path, key, last])}."
        if path and isinstance(node, Mapping):
            known = [*node, *(_arguments_of(node.get("_target_")) or ())]
            if hint := did_you_mean(last, known):
                return hint
    return ""


def is_on(value: object, name: str) -> bool:
    """Returns what a switch is set to.

    MONAI hands ``--resume false`` on as a text, which Python counts as true.

    Args:
        value: true or false, the words in any case, or 1 and 0.
        name: of the switch, for the error.

    Raises:
        InputDataError: if it is neither.

    Example:
        >>> is_on("false", "resume"), is_on(True, "resume")
        (False, True)
    """
    word = str(value).strip().lower()
    if word not in _WORDS:
        raise InputDataError(f"{name} is {value!r}; write true or false.")
    return _WORDS[word]


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
