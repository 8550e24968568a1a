"""Runs one function over many exams: in several processes, or as jobs of a cluster.

On a cluster, submitit hands the work to SLURM. Exams need nothing from each other, so that a shared
folder is all that jobs must have in common; Dask would add a scheduler, open ports between nodes
and workers that outlive the work.
"""

from __future__ import annotations

import logging
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, wait
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

from petct_ext.errors import InputDataError, OutputError
from petct_ext.processes import new_pool

__all__ = ["Cluster", "run_in_processes", "run_on_cluster"]

Job = TypeVar("Job")
Row = TypeVar("Row")

_LOGGER = logging.getLogger(__name__)
_KILLED = (
    "its process was killed, most likely for lack of memory; run the same command again with fewer "
    "--workers or on a machine with more memory."
)


@dataclass(frozen=True, slots=True)
class Cluster:
    """Where and how jobs run.

    Attributes:
        kind: ``slurm``, or ``local`` for processes of this machine, to try the same way.
        folder: for submitit's files and the jobs' output; all nodes must see it.
        num_jobs: into how many jobs the exams are divided.
        options: of ``submitit.AutoExecutor.update_parameters``, as ``NAME=VALUE``, for example
            ``timeout_min=240``, ``mem_gb=16`` or ``slurm_partition=long``.

    Raises:
        InputDataError: if there is not at least one job, or an option has another form.
    """

    kind: str
    folder: Path
    num_jobs: int
    options: tuple[str, ...] = field(default=())

    def __post_init__(self) -> None:
        if self.num_jobs < 1:
            raise InputDataError(f"{self.num_jobs} jobs were asked for; at least 1 is needed.")
        for option in self.options:
            if not all(option.partition("=")):
                raise InputDataError(f"cluster option {option!r} is not NAME=VALUE.")

    def parameters(self) -> dict[str, str | int]:
        """Returns the options by name, whole numbers as such."""
        pairs = (option.split("=", 1) for option in self.options)
        return {name: int(v) if v.isdecimal() else v for name, v in pairs}


def run_in_processes(
    function: Callable[[Job], Row],
    jobs: Sequence[Job],
    *,
    workers: int,
    lost: Callable[[Job, str], Row],
) -> Iterator[Row]:
    """Yields the result of each job as it comes.

    A process that is killed, which is what the kernel does when memory runs out, takes no other
    job with it: jobs that were in work then are repeated one at a time, and one that is killed even
    so is reported through ``lost``.

    Args:
        function: can be pickled; its exceptions end the run.
        jobs: its arguments.
        workers: processes; 0 runs in this one.
        lost: makes the result of a job whose process was killed, from the job and a reason.
    """
    if workers == 0:
        yield from map(function, jobs)
        return
    waiting = deque(jobs)
    while waiting:
        suspects: list[Job] = []
        yield from _until_killed(function, waiting, suspects, workers)
        if suspects:
            _LOGGER.warning(
                "a process was killed (lack of memory?) while %d exam(s) were in work; they are "
                "repeated one at a time. Fewer --workers need less memory.",
                len(suspects),
            )
        for job in suspects:
            yield _alone(function, job, lost)


def run_on_cluster(
    function: Callable[[Job], Row],
    jobs: Sequence[Job],
    *,
    cluster: Cluster,
    workers: int,
    lost: Callable[[Job, str], Row],
) -> Iterator[Row]:
    """Yields the results of jobs that ran on a cluster; see :func:`run_in_processes`.

    Args:
        function: as there.
        jobs: as there.
        cluster: where to run.
        workers: processes of each job, for which it asks for as many cores.
        lost: as there; also called if a job of the cluster ends without a result.

    Raises:
        InputDataError: if submitit or the cluster is not there, or it refuses an option.
        OutputError: if a job could not write.
    """
    num_jobs = min(cluster.num_jobs, len(jobs))
    parts = [list(jobs[first::num_jobs]) for first in range(num_jobs)]
    executor = _executor(cluster, workers)
    try:
        with executor.batch():
            submitted = [
                executor.submit(_run_part, function, part, workers, lost) for part in parts
            ]
    except Exception as error:
        raise InputDataError(
            f"{cluster.kind} takes no job ({type(error).__name__}: {error}); check the cluster "
            "options."
        ) from None
    _LOGGER.info("%d exams in %d jobs, output in %s", len(jobs), num_jobs, cluster.folder)
    for job, part in zip(submitted, parts, strict=True):
        yield from _collect(job, part, cluster, lost)


def _until_killed(
    function: Callable[[Job], Row], waiting: deque[Job], suspects: list[Job], workers: int
) -> Iterator[Row]:
    """Works on ``waiting`` until it is empty or a process is killed; then fills ``suspects``."""
    running: dict[Future[Row], Job] = {}
    with new_pool(workers) as pool:
        try:
            while waiting or running:
                while waiting and len(running) < workers:
                    running[pool.submit(function, waiting[0])] = waiting[0]
                    waiting.popleft()
                for future in wait(running, return_when=FIRST_COMPLETED).done:
                    result = future.result()
                    del running[future]
                    yield result
        except BrokenProcessPool:
            suspects += running.values()


def _alone(function: Callable[[Job], Row], job: Job, lost: Callable[[Job, str], Row]) -> Row:
    with new_pool(1) as pool:
        try:
            return pool.submit(function, job).result()
        except BrokenProcessPool:
            return lost(job, _KILLED)


def _executor(cluster: Cluster, workers: int) -> Any:
    try:
        import submitit
    except ImportError:
        raise InputDataError(
            "a cluster needs submitit; install it with: pip install 'petct_ext[slurm]'"
        ) from None
    try:
        executor = submitit.AutoExecutor(folder=cluster.folder, cluster=cluster.kind)
        executor.update_parameters(cpus_per_task=max(workers, 1), name="petct_exams")
        executor.update_parameters(**cluster.parameters())
    except Exception as error:  # submitit raises what it likes
        raise InputDataError(
            f"{cluster.kind} cannot be used ({type(error).__name__}: {error}); run this on a node "
            "that can submit jobs, and check the cluster options."
        ) from None
    return executor


def _run_part(
    function: Callable[[Job], Row], part: list[Job], workers: int, lost: Callable[[Job, str], Row]
) -> list[Row] | OutputError:
    try:
        return list(run_in_processes(function, part, workers=workers, lost=lost))
    except OutputError as error:
        return error  # submitit would hand over its traceback as text


def _collect(
    job: Any, part: list[Job], cluster: Cluster, lost: Callable[[Job, str], Row]
) -> list[Row]:
    try:
        result: list[Row] | OutputError = job.result()
    except Exception as error:
        _LOGGER.warning("job %s: %s", job.job_id, str(error).splitlines()[0])
        reason = (
            f"job {job.job_id} of the cluster ended without a result (killed, out of memory or out "
            f"of time); see {cluster.folder} and run the same command again."
        )
        return [lost(one, reason) for one in part]
    if isinstance(result, OutputError):
        raise result
    return result
