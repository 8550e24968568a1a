"""Runs steps in order, skips what is done, and keeps a record of each.

A step is a command with the files that it reads and writes. After it has succeeded, a manifest in
``manifests/`` records what decides its result (:mod:`petct_ext.pipeline.records`), versions and
seconds. A later run skips the step if the manifest still tells the truth: same version of the step,
same command, same inputs, outputs unchanged. A step that failed or was killed has no manifest and
is run again.
"""

from __future__ import annotations

import importlib.metadata
import os
import pty
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from petct_ext.errors import SOME_FAILED, InputDataError
from petct_ext.files import make_folder, read_json, write_json
from petct_ext.pipeline.forked import LIGHT, WITH_TORCH, prepare_server, start_command
from petct_ext.pipeline.records import RunFolders, path_hashes, repository_state, why_not_done

__all__ = ["Step", "StepError", "bundle_command", "plan_steps", "run_steps"]

_PACKAGES = ("petct_ext", "torch", "monai", "pytorch-ignite", "transformers", "lifelines", "numpy")
_TAIL_BYTES = 20_000
_MONAI_HINT = "_mode_=debug"
"""Of MONAI's last line behind a traceback, which says nothing about the error."""


@dataclass(frozen=True, slots=True)
class Step:
    """One command of the pipeline.

    Attributes:
        name: short, unique, a file name.
        title: what it does, for people.
        command: arguments of the process.
        inputs: files and folders that it reads.
        outputs: files that it writes.
        skip_because: if not empty, the step is left out and this is the reason.
        exams_may_fail: exit code 3, "done, but some exams failed", does not stop the pipeline.
        needs_torch: whether it computes with torch and MONAI, as every bundle does.
        version: of its result; raised when the same inputs give another one, unlike the version of
            the package, which would make each exam anew with each release.
        keeps_place: the place of this folder stands in what it writes, so that the step is run
            again where the folder has moved.
    """

    name: str
    title: str
    command: tuple[str, ...]
    inputs: tuple[Path, ...]
    outputs: tuple[Path, ...]
    skip_because: str = field(default="")
    exams_may_fail: bool = field(default=False)
    needs_torch: bool = field(default=False)
    version: int = field(default=1)
    keeps_place: Path | None = field(default=None)

    @property
    def libraries(self) -> tuple[str, ...]:
        """What should be imported before it is started."""
        is_bundle = self.command[1:3] == ("-m", "monai.bundle")
        return WITH_TORCH if self.needs_torch or is_bundle else LIGHT


class StepError(InputDataError):
    """A step ended with an error; the message is the step's own."""


def bundle_command(
    configs: Sequence[Path], options: Mapping[str, object], *, run_id: str = "run"
) -> tuple[str, ...]:
    """Returns the command that runs a bundle in a process of its own.

    Args:
        configs: configuration files; later ones win.
        options: keys of the configuration and their values, which win over all files.
        run_id: ``training`` or ``run``.
    """
    files = ",".join(f"'{config}'" for config in configs)
    given = (f"--{key}={value}" for key, value in options.items())
    start = (sys.executable, "-m", "monai.bundle", "run", run_id, f"--config_file=[{files}]")
    return (*start, *given)


def run_steps(
    steps: Sequence[Step],
    work: Path,
    *,
    facts: Mapping[str, Any] | None = None,
    quiet: bool = False,
    data: Path | None = None,
) -> list[str]:
    """Runs the steps in order.

    Args:
        steps: the steps.
        work: the work folder; manifests, logs and outputs lie in it.
        facts: further entries of every manifest, e.g. the seed.
        quiet: what the steps say goes to their logs only, as when several runs share a screen.
        data: folder of the cohort, whose place changes no result.

    Returns:
        The names of the steps in which some exams failed, now or in an earlier run.

    Raises:
        StepError: if a step fails; names the step, its own error and its log.
        OutputError: if ``work`` cannot be written to.
    """
    make_folder(work / "manifests")
    make_folder(work / "logs")
    places = RunFolders(work, data)
    began = time.monotonic()
    incomplete = []
    for number, step in enumerate(steps, start=1):
        label = f"[{number:2d}/{len(steps)}] {step.title}"
        manifest = work / "manifests" / f"{step.name}.json"
        if step.skip_because:
            _say(f"{label}: left out, {step.skip_because}")
            skipped = {"step": step.name, "title": step.title, "skipped": step.skip_because}
            write_json(manifest, skipped | dict(facts or {}))
            continue
        wanted = _wanted(step, places)
        if not why_not_done(manifest, wanted, step.outputs, places):
            _say(f"{label}: done before")
            if read_json(manifest).get("exit_code") == SOME_FAILED:
                incomplete.append(step.name)
            continue
        _say(f"{label} ...")
        manifest.unlink(missing_ok=True)
        _prepare_servers(steps[number - 1 :])
        record = {**wanted, **_record(step, places, quiet=quiet), **(facts or {})}
        write_json(manifest, record)
        failed = ""
        if record["exit_code"]:
            incomplete.append(step.name)
            failed = f", some exams failed: see {_log_of(step, work)}"
        _say(f"{'':7s} {record['seconds']} s{failed}")
    _say(f"all steps done in {time.monotonic() - began:.0f} s")
    return incomplete


def _prepare_servers(steps: Sequence[Step]) -> None:
    """Imports what the steps to come need, beside the step that is run now."""
    for libraries in {step.libraries for step in steps if not step.skip_because}:
        prepare_server(libraries, _environment())


def plan_steps(steps: Sequence[Step], work: Path, *, data: Path | None = None) -> list[str]:
    """Returns a line per step: what a run would do with it, and why. Nothing is run or written.

    A step whose inputs would be written anew is run only if they come out different.
    """
    places, to_come, lines = RunFolders(work, data), set[Path](), []
    for number, step in enumerate(steps, start=1):
        label = f"[{number:2d}/{len(steps)}] {step.name}"
        if step.skip_because:
            lines.append(f"{label}: left out, {step.skip_because}")
            continue
        manifest = work / "manifests" / f"{step.name}.json"
        if why := why_not_done(manifest, _wanted(step, places), step.outputs, places):
            lines.append(f"{label}: to run, {why}")
        elif waiting := sorted(path.name for path in to_come.intersection(step.inputs)):
            lines.append(f"{label}: to run if this comes out different: {', '.join(waiting)}")
        else:
            lines.append(f"{label}: done before")
            continue
        to_come.update(step.outputs)
    return lines


def _wanted(step: Step, places: RunFolders) -> dict[str, Any]:
    """Returns what decides the result of a step."""
    place = {} if step.keeps_place is None else {"place": str(step.keeps_place.resolve())}
    return {
        "version": step.version,
        "command": places.command(step.command),
        "inputs": path_hashes(step.inputs, places),
        **place,
    }


def _record(step: Step, places: RunFolders, *, quiet: bool) -> dict[str, Any]:
    """Runs a step and returns what its manifest says of it."""
    started, start = datetime.now(UTC), time.monotonic()
    code = _run(step, _log_of(step, places.work), quiet=quiet)
    return {
        "step": step.name,
        "title": step.title,
        "exit_code": code,
        "started": started.isoformat(timespec="seconds"),
        "seconds": round(time.monotonic() - start, 1),
        "outputs": path_hashes(step.outputs, places),
        "versions": _versions(),
    }


def _log_of(step: Step, work: Path) -> Path:
    return work / "logs" / f"{step.name}.log"


def _say(text: str) -> None:
    sys.stderr.write(text + "\n")
    sys.stderr.flush()


def _run(step: Step, log: Path, *, quiet: bool) -> int:
    """Runs a step, copies what it says to the log and, on a terminal, to the screen.

    Returns:
        The exit code, 0 or 3.
    """
    with log.open("wb") as file:
        try:
            code = _run_on_terminal(step, file, quiet=quiet)
        except OSError as error:
            raise StepError(f"step {step.name!r} cannot be started: {error}.") from None
    missing = [path for path in step.outputs if not path.exists()]
    accepted = code == 0 or (code == SOME_FAILED and step.exams_may_fail)
    if accepted and not missing:
        return code
    if accepted:
        raise StepError(f"step {step.name!r} did not write {missing[0]}; see {log}.")
    raise StepError(f"step {step.name!r}: {_reason(log)} (exit code {code}, log {log})")


def _environment() -> dict[str, str]:
    return os.environ | {"PYTHONUNBUFFERED": "1", "HF_HUB_OFFLINE": "1"}


def _run_on_terminal(step: Step, log: Any, *, quiet: bool) -> int:
    """Gives the child a terminal if we have one, so that its progress bars are drawn."""
    on_screen = sys.stderr.isatty() and not quiet
    reading, writing = pty.openpty() if on_screen else os.pipe()
    try:
        process = start_command(
            step.command,
            stdout=writing,
            stderr=writing,
            environment=_environment(),
            modules=step.libraries,
        )
    except BaseException:
        os.close(reading)
        raise
    finally:
        os.close(writing)
    try:
        for chunk in _chunks(reading):
            log.write(chunk)
            log.flush()
            if on_screen:
                sys.stderr.buffer.write(chunk)
                sys.stderr.flush()
        return process.wait()
    except BaseException:
        process.interrupt()
        raise
    finally:
        os.close(reading)


def _chunks(descriptor: int) -> Iterator[bytes]:
    while True:
        try:
            chunk = os.read(descriptor, 65536)
        except OSError:  # a terminal whose other side was closed
            return
        if not chunk:
            return
        yield chunk


def _reason(log: Path) -> str:
    """Returns the step's own one-line error, or else the last line of its log."""
    tail = log.read_bytes()[-_TAIL_BYTES:].decode("utf-8", errors="replace")
    lines = [line.strip() for line in tail.replace("\r", "\n").splitlines() if line.strip()]
    errors = [line.removeprefix("error: ") for line in lines if line.startswith("error: ")]
    others = [line for line in lines if _MONAI_HINT not in line]
    return (errors or others or ["no message"])[-1]


def _versions() -> dict[str, str]:
    commit = repository_state()
    return {
        "python": sys.version.split()[0],
        **{package: importlib.metadata.version(package) for package in _PACKAGES},
        **({"commit": commit} if commit else {}),
    }
