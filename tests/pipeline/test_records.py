"""What is done stays done where places and workers changed; what changed is redone, and why."""

from __future__ import annotations

import shutil
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from petct_ext.bundle.root import REPOSITORY
from petct_ext.pipeline.records import RunFolders
from petct_ext.pipeline.steps import Step, plan_steps, run_steps

COPY = """
import pathlib, sys
source, target = map(pathlib.Path, sys.argv[1:3])
target.parent.mkdir(exist_ok=True)
target.write_text(source.read_text())
log = target.with_suffix(".runs")
log.write_text((log.read_text() if log.exists() else "") + "x")
"""
NAMES = ("first", "second", "third")


@pytest.fixture
def run(tmp_path: Path) -> Path:
    (tmp_path / "data").mkdir()
    (tmp_path / "work").mkdir()
    (tmp_path / "data" / "reports.csv").write_text("reports")
    (tmp_path / "data" / "regions.json").write_text("regions")
    return tmp_path


def steps(run: Path, *, workers: int = 1, seed: int = 0) -> list[Step]:
    """A chain: reports, regions and the first step's result to three files."""
    work, data = run / "work", run / "data"
    files = [data / "reports.csv", *(work / f"{name}.txt" for name in NAMES)]
    made = []
    for name, source, target in zip(NAMES, files, files[1:], strict=False):
        command = (sys.executable, "-c", COPY, str(source), str(target))
        options = ("--workers", str(workers), "--seed", str(seed))
        made.append(Step(name, name, (*command, *options), (source,), (target,)))
    regions = (*made[1].inputs, data / "regions.json")
    return [made[0], replace(made[1], inputs=regions), made[2]]


def counts(run: Path) -> dict[str, int]:
    return {name: len((run / "work" / f"{name}.runs").read_text()) for name in NAMES}


def go(run: Path, made: list[Step] | None = None) -> None:
    run_steps(made or steps(run), run / "work", data=run / "data", quiet=True)


def change(run: Path, what: str) -> tuple[Path, list[Step]]:
    made = steps(run)
    if what == "workers":
        made = steps(run, workers=2)
    elif what == "copied work folder":
        shutil.copytree(run, run / "copy", ignore=shutil.ignore_patterns("copy"))
        run = run / "copy"
        made = steps(run)
    elif what == "reports.csv":
        (run / "data" / "reports.csv").write_text("other reports")
    elif what == "reports.csv, same text":
        (run / "data" / "reports.csv").write_text("reports")
    elif what == "regions.json":
        (run / "data" / "regions.json").write_text("other regions")
    elif what == "seed":
        made = steps(run, seed=1)
    elif what == "version":
        made[1] = replace(made[1], version=2)
    elif what == "result":
        (run / "work" / "second.txt").write_text("tampered")
    return run, made


@pytest.mark.parametrize(
    ("what", "again"),
    [
        ("workers", ""),
        ("copied work folder", ""),
        ("reports.csv, same text", ""),
        ("reports.csv", "first second third"),
        ("regions.json", "second"),  # its result is the same: the third has nothing to do
        ("seed", "first second third"),
        ("version", "second"),
        ("result", "second"),
    ],
)
def test_exactly_the_right_steps_run_again(run: Path, what: str, again: str) -> None:
    go(run)
    run, made = change(run, what)
    go(run, made)
    assert [name for name, count in counts(run).items() if count > 1] == again.split()
    go(run, made)
    assert sum(counts(run).values()) == len(NAMES) + len(again.split())


@pytest.mark.parametrize(
    ("what", "first", "second"),
    [
        ("nothing", "done before", "done before"),
        ("reports.csv", "to run, changed: DATA/reports.csv", "comes out different: first.txt"),
        ("seed", "to run, its command changed: 0 -> 1", "to run, its command changed: 0 -> 1"),
        ("version", "done before", "to run, its version 2 gives another result than 1"),
        ("result", "done before", "to run, no longer what it wrote: second.txt"),
    ],
)
def test_dry_run_says_why_and_runs_nothing(run: Path, what: str, first: str, second: str) -> None:
    go(run)
    run, made = change(run, what)
    before = sorted(path.name for path in (run / "work").rglob("*"))
    lines = plan_steps(made, run / "work", data=run / "data")
    assert first in lines[0]
    assert second in lines[1]
    assert counts(run) == dict.fromkeys(NAMES, 1)
    assert sorted(path.name for path in (run / "work").rglob("*")) == before


def test_step_that_keeps_the_place_of_the_cohort_runs_again_where_it_moved(run: Path) -> None:
    def made(data: Path) -> list[Step]:
        first = replace(steps(run)[0], inputs=(data / "reports.csv",), keeps_place=data)
        command = [word.replace(str(run / "data"), str(data)) for word in first.command]
        return [replace(first, command=tuple(command))]

    go(run, made(run / "data"))
    shutil.move(run / "data", run / "moved")
    run_steps(made(run / "moved"), run / "work", data=run / "moved", quiet=True)
    assert len((run / "work" / "first.runs").read_text()) == 2


def _moved(command: str) -> str:
    return command.replace("/a/work", "/b/c").replace("/a/data", "/d")


@pytest.mark.parametrize("form", [str, _moved])
def test_places_of_a_command_do_not_count(form: Callable[[str], str]) -> None:
    folders = RunFolders(Path(form("/a/work")), Path(form("/a/data")))
    words = [
        "/some/python",
        f"{REPOSITORY}/scripts/x.py",
        form("/a/data/reports.csv"),
        form("--config_file=['/a/work/scan_model/x.json']"),
        form("/a/work"),
        "--workers=7",
        "/a/workshop/file",
    ]
    assert folders.command(words) == [
        "REPOSITORY/scripts/x.py",
        "DATA/reports.csv",
        "--config_file=['WORK/scan_model/x.json']",
        "WORK",
        "/a/workshop/file",
    ]


def test_record_names_the_commit_and_no_place(run: Path) -> None:
    go(run)
    text = (run / "work" / "manifests" / "first.json").read_text()
    assert str(run) not in text
    assert ('"commit"' in text) == (REPOSITORY / ".git").exists()
