"""A network as plain values: its class and the arguments that it was made with.

Definitions lie in files that people hand on, so that they are read with caution: they name classes
of networks only, and hold no expression that anything evaluates.
"""

from __future__ import annotations

import inspect
from collections.abc import Iterator, Mapping, Sequence
from importlib import import_module
from typing import Any, Final

from torch import nn

from petct_ext.errors import InputDataError

__all__ = ["build", "definition_of", "differences", "plain", "require_buildable"]

_TARGET: Final = "_target_"
_ALLOWED: Final = ("petct_ext.", "monai.networks.")


def definition_of(module: nn.Module) -> dict[str, Any]:
    """Returns the definition of a network that keeps its arguments as attributes.

    Args:
        module: each argument of its constructor is an attribute of the same name; those that are
            networks have definitions of their own.

    Returns:
        ``_target_`` (module and class) and the arguments, in plain values as JSON has them.

    Raises:
        InputDataError: if an argument is not kept or has no plain value.
    """
    kind = type(module)
    options = {}
    for name in inspect.signature(kind).parameters:
        if not hasattr(module, name):
            raise InputDataError(
                f"{kind.__name__} does not keep its argument {name!r}: set self.{name} in its "
                "constructor, so that weights can say what network they belong to."
            )
        options[name] = plain(getattr(module, name), f"{kind.__name__}.{name}")
    return {_TARGET: f"{kind.__module__}.{kind.__qualname__}", **options}


def plain(value: Any, where: str) -> Any:
    """Returns a value as JSON has it: numbers, words, lists, dictionaries, true, false and null.

    Args:
        value: may hold tuples, which become lists, and networks, which become definitions.
        where: what it is, for the error.

    Raises:
        InputDataError: if it is anything else.
    """
    if isinstance(value, nn.Module):
        return definition_of(value)
    if value is None or isinstance(value, bool):
        return value
    for kind in (int, float, str):  # also for subclasses, which torch.load would refuse
        if isinstance(value, kind):
            return kind(value)
    if isinstance(value, list | tuple):
        return [plain(item, where) for item in value]
    if isinstance(value, Mapping):
        return {str(key): plain(item, f"{where}.{key}") for key, item in value.items()}
    raise InputDataError(
        f"{where} is {value!r:.80}, which JSON has no form for; use numbers, words, lists or "
        "dictionaries."
    )


def build(definition: Mapping[str, Any], source: str) -> nn.Module:
    """Makes the network of a definition, with random weights.

    Args:
        definition: of :func:`definition_of`, maybe from a file that is not to be trusted.
        source: where it is from, for the error.

    Raises:
        InputDataError: if it names anything but a network of petct_ext or monai.networks, or
            arguments that the network does not take.
    """
    kind = _find_class(definition.get(_TARGET), source)
    options = {
        name: build(value, source) if isinstance(value, Mapping) and _TARGET in value else value
        for name, value in definition.items()
        if name != _TARGET
    }
    try:
        network: nn.Module = kind(**options)
    except TypeError as error:
        raise InputDataError(
            f"{source}: {definition[_TARGET]} cannot be made ({error}); use the petct_ext that "
            "wrote the file, or stamp it anew with scripts/stamp_design.py."
        ) from None
    return network


def require_buildable(definition: Mapping[str, Any]) -> None:
    """Refuses networks that no file may name: their weights could not be used after the training.

    Raises:
        InputDataError: names the class.
    """
    for value in definition.values():
        if isinstance(value, Mapping):
            require_buildable(value)
    target = definition.get(_TARGET, _ALLOWED[0])
    if not str(target).startswith(_ALLOWED):
        raise InputDataError(
            f"{target} is a network of neither petct_ext nor monai.networks, and no other is made "
            "from weights: they could not be used after the training. Put its class into a file of "
            f"{__name__.rpartition('.')[0]}."
        )


def _find_class(target: object, source: str) -> type[nn.Module]:
    name = str(target)
    if not name.startswith(_ALLOWED):
        raise InputDataError(
            f"{source} names {name!r} as a network; only networks of "
            f"{' and '.join(prefix + '*' for prefix in _ALLOWED)} are made from a file. Use "
            "weights from someone you trust."
        )
    place, _, attribute = name.rpartition(".")
    try:
        kind = getattr(import_module(place), attribute)
    except (ImportError, AttributeError):
        raise InputDataError(
            f"{source} belongs to {name}, which this petct_ext does not have; use the one that "
            "wrote the file, or stamp it anew with scripts/stamp_design.py."
        ) from None
    if not isinstance(kind, type) or not issubclass(kind, nn.Module):
        raise InputDataError(
            f"{source} names {name!r} as a network, which is none; use weights from someone you "
            "trust."
        )
    return kind


def differences(
    stored: Mapping[str, Any],
    given: Mapping[str, Any],
    *,
    free: Sequence[str] = (),
    prefix: str = "",
) -> Iterator[str]:
    """Yields in words where given options contradict stored ones.

    Args:
        stored: options of a definition, or of a part of a design.
        given: some or all of the same options; others are told as well.
        free: names of options that may differ.
        prefix: of the names, for the text.
    """
    for name, value in given.items():
        if name in free:
            continue
        told = f"{prefix}{name}"
        if name not in stored:
            yield f"no option {told}"
        elif name == _TARGET:
            # Its place in the package may change.
            ours, theirs = (str(item).rpartition(".")[2] for item in (value, stored[name]))
            if ours != theirs:
                yield f"{prefix.rstrip('.') or 'network'} {theirs} (not {ours})"
        elif isinstance(value, Mapping) and isinstance(stored[name], Mapping):
            yield from differences(stored[name], value, free=free, prefix=f"{told}.")
        elif stored[name] != value:
            yield f"{told} {stored[name]} (not {value})"
