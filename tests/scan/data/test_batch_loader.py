"""Threads read ahead, in order, and pass errors on as they are."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from typing import Any

import pytest
from torch.utils.data import BatchSampler, SequentialSampler

from petct_ext.errors import InputDataError
from petct_ext.scan.data.batches import ThreadedDataLoader


class Exams:
    """Counts what is read; the first ones take longest."""

    def __init__(self, size: int, *, broken: int = -1) -> None:
        self.size, self.broken = size, broken
        self.read: list[int] = []
        self.threads: set[str] = set()

    def __len__(self) -> int:
        return self.size

    def __getitem__(self, index: int) -> int:
        if index == self.broken:
            raise InputDataError(f"exam E{index}: damaged")
        time.sleep(0.002 if index < 2 else 0.0)
        self.read.append(index)
        self.threads.add(threading.current_thread().name)
        return index


def loader(exams: Exams, **options: Any) -> ThreadedDataLoader:
    batches = BatchSampler(SequentialSampler(exams), 2, drop_last=False)
    return ThreadedDataLoader(exams, batch_sampler=batches, collate_fn=list, **options)


@pytest.mark.parametrize("num_workers", [0, 1, 3])
def test_every_epoch_has_all_batches_in_order(num_workers: int) -> None:
    batches = loader(Exams(7), num_workers=num_workers)
    assert len(batches) == 4
    for _ in range(2):
        assert list(batches) == [[0, 1], [2, 3], [4, 5], [6]]


def test_no_more_is_read_ahead_than_asked_for() -> None:
    exams = Exams(100)
    batches: Iterator[Any] = iter(loader(exams, num_workers=2, prefetch_batches=3))
    next(batches)
    time.sleep(0.05)
    assert len(exams.read) == 2 * 4
    batches.close()  # type: ignore[attr-defined]


def test_threads_read_and_none_stays() -> None:
    before, exams = threading.active_count(), Exams(20)
    list(loader(exams, num_workers=2))
    assert all(name.startswith("exams") for name in exams.threads)
    assert threading.active_count() == before


@pytest.mark.parametrize("num_workers", [0, 2])
def test_error_of_an_exam_arrives_as_it_is(num_workers: int) -> None:
    with pytest.raises(InputDataError, match=r"^exam E5: damaged$"):
        list(loader(Exams(20, broken=5), num_workers=num_workers))
