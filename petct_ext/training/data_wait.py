"""Tells how long the device waited for data."""

from __future__ import annotations

import logging
import time
from typing import TYPE_CHECKING, Final

from ignite.engine import Events

if TYPE_CHECKING:
    from ignite.engine import Engine

__all__ = ["WAITED_FOR_DATA", "DataWait"]

_LOGGER = logging.getLogger(__name__)

WAITED_FOR_DATA: Final = "waited_for_data"
"""Name of the metric."""


class DataWait:
    """Ignite handler that measures which share of an epoch goes into waiting for the loader.

    The share stands in ``engine.state.metrics`` as ``waited_for_data`` (in [0, 1]), from where
    MONAI's handlers take it to the log, TensorBoard and MLflow. Time of validation and of other
    handlers at the end of an epoch does not count. On a GPU each step ends when its loss is read,
    so that a batch which is not there yet leaves the device idle. Copies and transforms of a batch
    are part of the step, not of the waiting.
    """

    def __init__(self) -> None:
        self._waited = self._total = self._asked = 0.0

    def attach(self, engine: Engine) -> None:
        """Registers the handler; MONAI calls this for every entry of ``train_handlers``."""
        engine.add_event_handler(Events.EPOCH_STARTED, self._start)
        engine.add_event_handler(Events.GET_BATCH_STARTED, self._ask)
        engine.add_event_handler(Events.GET_BATCH_COMPLETED, self._get)
        engine.add_event_handler(Events.ITERATION_COMPLETED, self._step)
        engine.add_event_handler(Events.EPOCH_COMPLETED, self._tell)

    def _start(self, engine: Engine) -> None:
        self._waited = self._total = 0.0

    def _ask(self, engine: Engine) -> None:
        self._asked = time.perf_counter()

    def _get(self, engine: Engine) -> None:
        self._waited += time.perf_counter() - self._asked

    def _step(self, engine: Engine) -> None:
        self._total += time.perf_counter() - self._asked
        # At every step, so that handlers at the end of the epoch find it whatever their order.
        engine.state.metrics[WAITED_FOR_DATA] = self._waited / self._total

    def _tell(self, engine: Engine) -> None:
        share = self._waited / self._total if self._total else 0.0
        _LOGGER.info(
            "epoch %d waited %.1f %% of %.1f s for data",
            engine.state.epoch,
            100 * share,
            self._total,
        )
