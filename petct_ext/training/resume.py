"""Lets a killed training go on with the result of an unbroken one, if it is the same training."""

from __future__ import annotations

import hashlib
import logging
import os
import random
from collections.abc import Iterator, Mapping
from enum import Enum
from functools import partial
from pathlib import Path
from types import BuiltinFunctionType, FunctionType, MethodType
from typing import TYPE_CHECKING, Any

import ignite.distributed as idist
import numpy as np
import torch
from ignite.engine import Events
from monai.data.utils import set_rnd
from torch.optim import Optimizer
from torch.optim.lr_scheduler import LRScheduler
from torch.utils.data import Dataset

from petct_ext.bundle.settings import is_on
from petct_ext.errors import InputDataError
from petct_ext.training.checkpoints import read_checkpoint, write_checkpoint

if TYPE_CHECKING:
    from ignite.engine import Engine

__all__ = [
    "TrainingState",
    "describe",
    "file_digest",
    "fingerprint",
]

_LOGGER = logging.getLogger(__name__)
_LARGEST_SEED = 2**31 - 1
_LEFT_AT_THE_END = ("last.pt",)


class TrainingState:
    """Ignite handler that saves the whole state after each epoch and goes on from it.

    All random numbers of an epoch (samplers, transforms of the data set and of ``prepare_batch``,
    dropout) come from the seed and the epoch's number, so that they do not depend on what ran
    before. It must stand behind validation in ``train_handlers``, to save after it.

    Of several processes the first one writes, all read, so they must see the same file. Samplers
    draw alike in all of them, the rest does not.

    A file of another training (other settings or data), its best and its last weights are kept as
    ``*.previous.pt``, with a warning: weights of two trainings are never mixed, and none are lost.
    So is a file whose best weights are gone or were changed since: only a new training can give
    them.

    Args:
        path: the file, e.g. ``training_state.pt`` in the folder of checkpoints.
        objects: what has ``state_dict`` and ``load_state_dict``: network, optimizer, scheduler,
            the saver of the best weights, whose ``best_path`` is watched.
        evaluator: its best metric is kept too.
        seed: of the training.
        settings: what makes this training what it is, see
            :func:`petct_ext.training.resume.fingerprint`; objects are described here, before
            their first use.
        resume: go on from ``path`` if it is there.
    """

    def __init__(
        self,
        path: str,
        objects: Mapping[str, Any],
        *,
        evaluator: Engine,
        seed: int = 0,
        settings: Mapping[str, Any] | None = None,
        resume: bool = True,
    ) -> None:
        self.path = Path(path)
        # A handler that was switched off is None.
        self.objects = {name: item for name, item in objects.items() if item is not None}
        self.evaluator = evaluator
        self.seed = seed
        self.resume = is_on(resume, "resume")
        shapes = {}
        if (network := self.objects.get("network")) is not None:
            shapes = {name: tuple(item.shape) for name, item in network.state_dict().items()}
        tensors = [f"{name}: {shape}" for name, shape in shapes.items()]
        self.settings: dict[str, str] = fingerprint(
            {**(settings or {}), "seed": seed, "tensors": tensors}
        )

    def attach(self, engine: Engine) -> None:
        """Registers the handler; MONAI calls this for every entry of ``train_handlers``."""
        engine.add_event_handler(Events.STARTED, self.load)
        engine.add_event_handler(Events.EPOCH_STARTED, self.seed_epoch)
        engine.add_event_handler(Events.EPOCH_COMPLETED, self.save)

    def load(self, engine: Engine) -> None:
        """Goes on where an earlier run of the same training stopped.

        Raises:
            InputDataError: if the file is damaged.
        """
        state = _read(self.path) if self.path.is_file() else None
        why_not = None if state is None else self._why_not(state, engine)
        idist.barrier()  # read by all before it is moved
        if state is None:
            return
        if why_not is not None:
            if idist.get_rank() == 0:
                _LOGGER.warning("%s %s", self.path.name, why_not)
                self._put_aside(state)
            return
        for name, item in self.objects.items():
            item.load_state_dict(state["objects"][name])
        engine.state.epoch, engine.state.iteration = state["epoch"], state["iteration"]
        for kept, best in ((engine, state["best"]), (self.evaluator, state["best_validation"])):
            best_so_far: Any = kept.state
            best_so_far.best_metric, best_so_far.best_metric_epoch = best
        _LOGGER.info("goes on after epoch %d of an earlier run", state["epoch"])

    def seed_epoch(self, engine: Engine) -> None:
        """Makes the random numbers of an epoch depend on nothing but seed and epoch."""
        shared = (self.seed * 1_000_003 + engine.state.epoch) % _LARGEST_SEED
        seed = (shared + 7919 * idist.get_rank()) % _LARGEST_SEED
        random.seed(seed)
        np.random.seed(seed)  # noqa: NPY002 - MONAI and libraries draw from it
        torch.manual_seed(seed)
        loader: Any = engine.state.dataloader
        set_rnd(loader.dataset, seed)
        set_rnd(getattr(engine, "prepare_batch", None), seed)
        for number, generator in enumerate(_generators(loader)):
            generator.manual_seed(shared + number)

    def save(self, engine: Engine) -> None:
        """Writes the state in one step.

        Raises:
            OutputError: if the file cannot be written.
        """
        if idist.get_rank() > 0:
            return
        state = {
            "fingerprint": self.settings,
            "epoch": engine.state.epoch,
            "iteration": engine.state.iteration,
            "objects": {name: item.state_dict() for name, item in self.objects.items()},
            "best": _best(engine),
            "best_validation": _best(self.evaluator),
            "best_weights": self._digest_of_best(),
        }
        write_checkpoint(state, self.path)

    def _put_aside(self, state: Mapping[str, Any]) -> None:
        """Renames what the other training has left, so that this one does not overwrite it.

        The state comes last: after a kill in between, the next start finds it and goes on.
        """
        best = state.get("best_weights")
        names = [*([best[0]] if best else []), *_LEFT_AT_THE_END, self.path.name]
        for name in names:
            path = self.path.parent / name
            if path.is_file():
                aside = _free_path(path)
                path.replace(aside)
                _LOGGER.warning("%s is kept as %s", name, aside.name)

    def _why_not(self, state: Mapping[str, Any], engine: Engine) -> str | None:
        """Returns why the training cannot go on from a state, None if it can."""
        if not self.resume:
            return "is not resumed"
        if (kept := state["fingerprint"]) != self.settings:
            return f"is of another training ({_differences(kept, self.settings)})"
        if self._has_best_weights(state, engine):
            return None
        return "belongs to best weights that are gone or were changed; the training starts anew"

    def _has_best_weights(self, state: Mapping[str, Any], engine: Engine) -> bool:
        expected = state["best_weights"]
        if expected is None:
            return True
        name, digest = expected
        path = self.path.parent / name
        if file_digest(path) == digest:
            return True
        # A kill between the saver and this handler leaves the weights of the epoch that now runs
        # again. After the last epoch none does.
        was_in_epoch = state["epoch"] < (engine.state.max_epochs or 0)
        is_newer = path.is_file() and path.stat().st_mtime_ns >= self.path.stat().st_mtime_ns
        return was_in_epoch and is_newer and _is_loadable(path)

    def _digest_of_best(self) -> tuple[str, str] | None:
        path: Path | None = getattr(self.objects.get("best_weights"), "best_path", None)
        digest = None if path is None else file_digest(path)
        if path is None or digest is None:
            return None
        return os.path.relpath(path, self.path.parent), digest


def _free_path(path: Path) -> Path:
    """Returns a path beside another one that nothing is at: model.previous.pt, ..."""
    number, aside = 1, path.with_name(f"{path.stem}.previous{path.suffix}")
    while aside.exists():
        number += 1
        aside = path.with_name(f"{path.stem}.previous{number}{path.suffix}")
    return aside


def _differences(kept: Any, now: Mapping[str, str]) -> str:
    if not isinstance(kept, dict):
        return "of an older version"
    names = sorted(name for name in kept.keys() | now.keys() if kept.get(name) != now.get(name))
    return f"{', '.join(names)} differ"


def _is_loadable(path: Path) -> bool:
    try:
        read_checkpoint(path, remedy="")
    except InputDataError:
        return False
    return True


def _generators(loader: Any) -> Iterator[torch.Generator]:
    """Yields the generators of what draws exams."""
    batches = getattr(loader, "batch_sampler", None)
    for source in (getattr(loader, "sampler", None), batches, getattr(batches, "sampler", None)):
        generator = getattr(source, "generator", None)
        if generator is not None:
            yield generator


def _best(engine: Engine) -> tuple[float, int]:
    state: Any = engine.state
    return float(getattr(state, "best_metric", -1)), int(getattr(state, "best_metric_epoch", -1))


def _read(path: Path) -> dict[str, Any]:
    state = read_checkpoint(path, remedy="remove it to start the training anew")
    if not isinstance(state, dict) or "fingerprint" not in state:
        raise InputDataError(f"{path} is no state of a training; choose another ckpt_dir.")
    return state


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
