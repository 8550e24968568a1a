"""What all handlers that write one file per epoch have in common."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Generic, TypeVar

from ignite.engine import Events

if TYPE_CHECKING:
    from ignite.engine import Engine

__all__ = ["EpochSaver"]

_Item = TypeVar("_Item")


class EpochSaver(ABC, Generic[_Item]):
    """Ignite handler that collects items of every batch and writes them when the epoch is complete.

    An epoch that fails writes nothing and leaves an earlier file as it is, provided that
    :meth:`write` is atomic. The engine must run in a single process.

    Args:
        path: the file; its folder is created and an existing file is replaced.
    """

    def __init__(self, path: str | Path) -> None:
        self.path = Path(path)
        self._items: list[_Item] = []

    def attach(self, engine: Engine) -> None:
        """Registers the handler; MONAI calls this for every entry of ``val_handlers``."""
        engine.add_event_handler(Events.EPOCH_STARTED, self._start)
        engine.add_event_handler(Events.ITERATION_COMPLETED, self._collect)
        engine.add_event_handler(Events.EPOCH_COMPLETED, self._finish)

    @abstractmethod
    def collect(self, batch: Any, output: Any) -> Iterable[_Item]:
        """Returns the items of one batch, given the batch and the output of the engine."""

    @abstractmethod
    def write(self, items: Sequence[_Item]) -> None:
        """Writes the items of the whole epoch, in the order of the batches, to ``self.path``."""

    def _start(self, engine: Engine) -> None:
        self._items = []

    def _collect(self, engine: Engine) -> None:
        self._items.extend(self.collect(engine.state.batch, engine.state.output))

    def _finish(self, engine: Engine) -> None:
        self.write(self._items)
