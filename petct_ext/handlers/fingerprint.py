"""What a training is, in a form that two runs can compare."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping
from enum import Enum
from functools import partial
from pathlib import Path
from types import BuiltinFunctionType, FunctionType, MethodType
from typing import Any

import numpy as np
import torch
from torch.optim import Optimizer
from torch.optim.lr_scheduler import LRScheduler
from torch.utils.data import Dataset

__all__ = ["describe", "file_digest", "fingerprint"]

_PLAIN = (bool, int, float, str, Path, torch.dtype, np.generic)
_FUNCTIONS = (type, FunctionType, BuiltinFunctionType, MethodType)


def fingerprint(settings: Mapping[str, Any]) -> dict[str, str]:
    """Returns a hash of each setting, so that a difference can be named.

    Args:
        settings: values, objects (:func:`describe`), or paths of files, whose text counts and not
            their name. A mapping gives one entry for each of its keys, ``name.key``.
    """
    return {name: _hash_setting(value) for name, value in _flat(settings)}


def file_digest(path: Path) -> str | None:
    """Returns the SHA-256 of a file, None if there is none."""
    if not path.is_file():
        return None
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def describe(value: Any) -> str:
    """Returns a text that is equal for objects of equal class and attributes.

    Of transforms, losses and samplers all attributes count, of optimizers the settings of their
    groups, of schedulers their state. The device, data sets and the state of random generators do
    not: they are no settings of a training, or have their own key.

    Args:
        value: an object before its first use, which may change its attributes.
    """
    return _describe(value, ())


def _flat(settings: Mapping[str, Any]) -> Iterator[tuple[str, Any]]:
    for name, value in settings.items():
        if isinstance(value, Mapping):
            yield from ((f"{name}.{key}", item) for key, item in value.items())
        else:
            yield name, value


def _hash_setting(value: Any) -> str:
    if isinstance(value, str | Path) and (digest := file_digest(Path(value))):
        return digest
    return hashlib.sha256(describe(value).encode()).hexdigest()


def _describe(value: Any, outer: tuple[int, ...]) -> str:
    if value is None or isinstance(value, (*_PLAIN, Enum)):
        return repr(value)
    if id(value) in outer:
        return "itself"
    outer = (*outer, id(value))
    if isinstance(value, Mapping):
        items = sorted((str(key), _describe(item, outer)) for key, item in value.items())
        return "{" + ", ".join(f"{key}: {text}" for key, text in items) + "}"
    if isinstance(value, list | tuple):
        return "[" + ", ".join(_describe(item, outer) for item in value) + "]"
    if isinstance(value, set | frozenset):
        return "[" + ", ".join(sorted(_describe(item, outer) for item in value)) + "]"
    if isinstance(value, np.ndarray | torch.Tensor):
        return _describe_array(value)
    if isinstance(value, _FUNCTIONS):
        return f"{value.__module__}.{value.__qualname__}"
    return f"{type(value).__module__}.{type(value).__qualname__}" + _describe(
        _attributes(value), outer
    )


def _describe_array(array: Any) -> str:
    if isinstance(array, torch.Tensor):
        array = array.detach().cpu().double().numpy()
    digest = hashlib.sha256(np.ascontiguousarray(array).tobytes()).hexdigest()
    return f"array {array.shape} {digest}"


def _attributes(value: Any) -> dict[str, Any]:
    if isinstance(value, Optimizer):
        groups = [
            {name: item for name, item in group.items() if name != "params"}
            for group in value.param_groups
        ]
        return {"groups": groups}
    if isinstance(value, LRScheduler):
        return dict(value.state_dict())
    if isinstance(value, partial):
        return {"function": value.func, "args": value.args, "keywords": value.keywords}
    if isinstance(value, Dataset):
        return {}
    return dict(getattr(value, "__dict__", {}))
