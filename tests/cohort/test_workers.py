"""Work in many processes, of which some are killed."""

from __future__ import annotations

import os
import signal
from pathlib import Path

import pytest

from petct_ext.cohort.workers import Cluster, run_in_processes, run_on_cluster
from petct_ext.errors import InputDataError, OutputError


def square(number: int) -> str:
    """Is killed at 3, fails below 0, finds the disk full at 99."""
    if number == 3:
        os.kill(os.getpid(), signal.SIGKILL)
    if number < 0:
        raise ZeroDivisionError
    if number == 99:
        raise OutputError("the disk is full.")
    return str(number**2)


def lost(number: int, reason: str) -> str:
    return f"{number} {reason}"


def test_killed_process_takes_no_other_exam_with_it(caplog: pytest.LogCaptureFixture) -> None:
    found = sorted(run_in_processes(square, range(6), workers=2, lost=lost))
    assert [text for text in found if text.isdecimal()] == ["0", "1", "16", "25", "4"]
    (bad,) = (text for text in found if not text.isdecimal())
    assert bad.startswith("3 its process was killed, most likely for lack of memory")
    assert "Fewer --workers need less memory" in caplog.text


def test_full_disk_ends_the_run() -> None:
    with pytest.raises(OutputError, match="the disk is full"):
        list(run_in_processes(square, [99, 1, 2], workers=1, lost=lost))


def test_jobs_of_a_cluster_give_the_same_results_and_a_lost_one_its_exams(tmp_path: Path) -> None:
    pytest.importorskip("submitit")
    cluster = Cluster("local", tmp_path / "logs", num_jobs=2, options=("timeout_min=5",))
    # divided in turn: 0, 2, 5 and 1, -1; a job that ends with an error has no results
    found = run_on_cluster(square, [0, 1, 2, -1, 5], cluster=cluster, workers=0, lost=lost)
    assert sorted(text for text in found if text.isdecimal()) == ["0", "25", "4"]


@pytest.mark.parametrize(
    ("num_jobs", "options", "message"),
    [(0, (), "0 jobs"), (1, ("timeout_min",), "not NAME=VALUE")],
)
def test_impossible_clusters_are_refused(
    tmp_path: Path, num_jobs: int, options: tuple[str, ...], message: str
) -> None:
    with pytest.raises(InputDataError, match=message):
        Cluster("local", tmp_path, num_jobs, options)


def test_option_that_submitit_does_not_know_is_refused(tmp_path: Path) -> None:
    pytest.importorskip("submitit")
    cluster = Cluster("local", tmp_path, 1, ("speed=9",))
    with pytest.raises(InputDataError, match="local cannot be used"):
        list(run_on_cluster(square, [1], cluster=cluster, workers=0, lost=lost))


def test_cluster_that_is_not_there_is_told(tmp_path: Path) -> None:
    pytest.importorskip("submitit")
    with pytest.raises(InputDataError, match="slurm cannot be used"):
        list(
            run_on_cluster(square, [1], cluster=Cluster("slurm", tmp_path, 1), workers=0, lost=lost)
        )
