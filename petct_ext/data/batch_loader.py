"""Batches of exams, read ahead by threads."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any

from monai.data import DataLoader
from torch.utils.data._utils.pin_memory import pin_memory as pinned

__all__ = ["ThreadedDataLoader"]


class ThreadedDataLoader(DataLoader):
    """MONAI's loader with threads in place of worker processes.

    Reading a prepared volume is one system call that lets other threads run, and needs no
    arithmetic. Processes would copy each volume twice more, through shared memory, of which a
    container has little; ``benchmarks/exam_loading.py`` compares. Errors arrive as they are, not
    wrapped in the traceback of a worker.

    The transforms of the data set must not be random: threads come in no fixed order. Random ones
    run in :class:`petct_ext.engines.prepare_exams.PrepareExams`, one exam after the other.

    Args:
        dataset: the exams.
        num_workers: threads that read ahead; 0 reads when a batch is asked for.
        prefetch_batches: how many batches are read ahead.
        pin_memory: put volumes into page-locked memory, from which a GPU copies while it computes.
        **options: as of ``torch.utils.data.DataLoader``, such as ``batch_sampler``, ``collate_fn``.
    """

    def __init__(
        self,
        dataset: Any,
        *,
        num_workers: int = 0,
        prefetch_batches: int = 4,
        pin_memory: bool = False,
        **options: Any,
    ) -> None:
        super().__init__(dataset, num_workers=0, **options)
        self.num_threads = num_workers
        self.prefetch_batches = prefetch_batches
        self.pins = pin_memory

    def __iter__(self) -> Iterator[Any]:  # type: ignore[override]
        """Yields batches in the order of the batch sampler."""
        batches: Any = self.batch_sampler
        if self.num_threads == 0:
            for indices in batches:
                yield self.collate_fn([self._load(index) for index in indices])
            return
        pool = ThreadPoolExecutor(self.num_threads, thread_name_prefix="exams")
        ahead: deque[list[Future[Any]]] = deque()
        try:
            for indices in batches:
                ahead.append([pool.submit(self._load, index) for index in indices])
                if len(ahead) > self.prefetch_batches:
                    yield self._gather(ahead.popleft())
            while ahead:
                yield self._gather(ahead.popleft())
        finally:
            pool.shutdown(cancel_futures=True)

    def _load(self, index: int) -> Any:
        item = self.dataset[index]
        return pinned(item) if self.pins else item

    def _gather(self, items: list[Future[Any]]) -> Any:
        return self.collate_fn([item.result() for item in items])
