"""Processes that end with the one that started them, and leave room for others.

A worker whose parent was killed would wait for work forever.
"""

from __future__ import annotations

import ctypes
import os
import signal
import sys
import threading
import time
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context, parent_process
from pathlib import Path
from typing import Any, Final

__all__ = ["end_with", "free_cores", "new_pool"]

_PR_SET_PDEATHSIG: Final = 1
"""From <linux/prctl.h>: the signal that a process gets when its parent ends."""


def new_pool(
    workers: int, initializer: Callable[..., None] | None = None, *arguments: Any
) -> ProcessPoolExecutor:
    """Returns a pool of processes that end with this one.

    They are forked, and find imported what this one has imported, where a fork is safe: on Linux,
    without torch (its threads do not survive one), from a process with a single thread. Elsewhere
    they are fresh ones.

    Args:
        workers: how many.
        initializer: what each calls first.
        *arguments: of ``initializer``.
    """
    is_safe = sys.platform == "linux" and "torch" not in sys.modules
    kind = "fork" if is_safe and threading.active_count() == 1 else "spawn"
    return ProcessPoolExecutor(workers, get_context(kind), _begin, (initializer, *arguments))


def end_with(parent: int) -> None:
    """Lets the kernel end this process with its parent; only Linux takes such an order.

    Args:
        parent: its process number.
    """
    if sys.platform != "linux":
        return
    ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_PDEATHSIG, int(signal.SIGKILL), 0, 0, 0)
    if os.getppid() != parent:  # it ended before the kernel was asked
        os.kill(os.getpid(), signal.SIGKILL)


def free_cores(seconds: float = 0.1) -> float:
    """Returns how many of the cores that this process may use are idle, on average over a moment.

    Elsewhere than on Linux all of them count as idle.

    Args:
        seconds: how long to look.
    """
    if sys.platform != "linux":
        return float(os.cpu_count() or 1)
    before = _idle_ticks()
    time.sleep(seconds)
    free = 0.0
    for core, (idle, total) in _idle_ticks().items():
        if total > before[core][1]:
            free += (idle - before[core][0]) / (total - before[core][1])
    return free


def _idle_ticks() -> dict[str, tuple[int, int]]:
    """Returns idle and all ticks of each core, from proc_stat(5)."""
    ours = {f"cpu{number}" for number in os.sched_getaffinity(0)}
    ticks = {}
    for line in Path("/proc/stat").read_text(encoding="ascii").splitlines():
        name, *numbers = line.split()
        if name in ours:
            counts = list(map(int, numbers[:8]))
            ticks[name] = counts[3] + counts[4], sum(counts)
    return ticks


def _begin(initializer: Callable[..., None] | None, *arguments: Any) -> None:
    threading.Thread(target=_end_with_parent, daemon=True).start()
    if initializer is not None:
        initializer(*arguments)


def _end_with_parent() -> None:
    parent = parent_process()
    if parent is not None:
        parent.join()
        os._exit(1)
