"""Runs commands in forks of a process that has imported already what they need.

Example:
    >>> with open("/dev/null", "wb") as nowhere:
    ...     process = start_command(
    ...         [sys.executable, "-c", "raise SystemExit(3)"],
    ...         stdout=nowhere.fileno(),
    ...         stderr=nowhere.fileno(),
    ...         environment=dict(os.environ),
    ...     )
    ...     process.wait()
    3
"""

from __future__ import annotations

import atexit
import errno
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Final

from petct_ext.pipeline.fork_server import LENGTH

__all__ = ["LIGHT", "WITH_TORCH", "ForkedProcess", "prepare_server", "start_command"]

LIGHT: Final = (
    *("jinja2", "lifelines", "matplotlib.figure", "matplotlib.backends.backend_agg"),
    *("matplotlib.backends.backend_svg", "nibabel", "pandas", "pydicom", "scipy.ndimage"),
)
"""Libraries of the steps without deep learning."""

WITH_TORCH: Final = ("monai", "monai.bundle", "monai.handlers", "ignite", "tensorboard")
"""Libraries of the bundles; MONAI imports torch and transformers."""

_MAX_SPINS: Final = "100000"
"""How often a thread of GNU OpenMP looks for work before it sleeps.

Its own default spins three times as long, and lets nobody else compute meanwhile. With this many an
idle machine loses nothing (with a tenth, a third); beside busy loops times vary too much from
run to run to tell (``benchmarks/thread_waiting.py``), hence fewer threads on a busy machine
(:mod:`petct_ext.pipeline.fork_server`).
"""

_INTERRUPT_AFTER_S: Final = 1.0
_KILL_AFTER_S: Final = 15.0

_LOCK: Final = threading.Lock()
_SERVERS: Final[dict[tuple[str, ...], _Server]] = {}


class ForkedProcess:
    """A command that runs.

    Attributes:
        pid: its process number.
    """

    def __init__(self, report: int) -> None:
        self._report = os.fdopen(report, "r")
        self.pid = self._read()
        self._code: int | None = None

    def wait(self) -> int:
        """Waits for the end and returns the exit code, negative if a signal ended it.

        Raises:
            OSError: if the process that forked it was ended, and it with it.
        """
        if self._code is None:
            self._code = self._read()
            self._report.close()
        return self._code

    def interrupt(self) -> None:
        """Ends it as Ctrl-C does; kills it if it does not end within some seconds.

        A terminal has sent it the same signal already, hence the wait before.
        """
        done = threading.Event()

        def end() -> None:
            for seconds, number in (
                (_INTERRUPT_AFTER_S, signal.SIGINT),
                (_KILL_AFTER_S, signal.SIGKILL),
            ):
                if done.wait(seconds):
                    return
                with suppress(ProcessLookupError):
                    os.kill(self.pid, number)

        watch = threading.Thread(target=end, daemon=True)
        watch.start()
        with suppress(OSError):
            self.wait()
        done.set()
        watch.join()

    def _read(self) -> int:
        line = self._report.readline()
        if not line:
            self._report.close()
            raise OSError(errno.ECHILD, "the process that starts the commands was ended")
        return int(line)


class _Server:
    """Our side of :mod:`petct_ext.pipeline.fork_server`."""

    def __init__(self, modules: Sequence[str], environment: Mapping[str, str]) -> None:
        self._channel, theirs = socket.socketpair()
        command = [sys.executable, "-m", "petct_ext.pipeline.fork_server", str(theirs.fileno())]
        with theirs:
            self._process = subprocess.Popen(
                [*command, *modules],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
                pass_fds=[theirs.fileno()],
                env=dict(environment),
            )

    def is_alive(self) -> bool:
        return self._process.poll() is None

    def close(self) -> None:
        self._channel.close()
        self._process.wait()

    def start(self, request: Mapping[str, object], stdout: int, stderr: int) -> ForkedProcess:
        text = json.dumps(request).encode()
        reading, writing = os.pipe()
        try:
            with _LOCK:
                head, descriptors = LENGTH.pack(len(text)), [stdout, stderr, writing]
                socket.send_fds(self._channel, [head], descriptors)
                self._channel.sendall(text)
        finally:
            os.close(writing)
        return ForkedProcess(reading)


def start_command(
    command: Sequence[str],
    *,
    stdout: int,
    stderr: int,
    environment: Mapping[str, str],
    folder: Path | None = None,
    modules: Sequence[str] = LIGHT,
) -> ForkedProcess:
    """Starts a command in a process of its own; it ends with this process, however this ends.

    Args:
        command: program and arguments. ``sys.executable`` with a script, ``-m`` or ``-c`` is forked
            and finds ``modules`` imported; any other program starts as usual.
        stdout: descriptor of the file, pipe or terminal that takes what the command says.
        stderr: the same for what it says of errors.
        environment: variables. Libraries in ``modules`` saw those of the first call.
        folder: working directory; default: ours.
        modules: what is imported already; one process per set of modules does it, once.

    Raises:
        OSError: if the program does not exist, or no process can be started.
    """
    if shutil.which(command[0]) is None:
        raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), command[0])
    request = {
        "command": list(command),
        "environment": _with_short_spins(environment),
        "folder": str(folder or Path.cwd()),
    }
    return _server(modules, environment).start(request, stdout, stderr)


def prepare_server(modules: Sequence[str], environment: Mapping[str, str]) -> None:
    """Lets modules be imported in the background, for commands that come later.

    Args:
        modules: as in :func:`start_command`.
        environment: variables.
    """
    _server(modules, environment)


def _server(modules: Sequence[str], environment: Mapping[str, str]) -> _Server:
    with _LOCK:
        server = _SERVERS.get(tuple(modules))
        if server is not None and not server.is_alive():
            server.close()
            server = None
        if server is None:
            server = _SERVERS[tuple(modules)] = _Server(modules, _with_short_spins(environment))
        return server


def _with_short_spins(environment: Mapping[str, str]) -> dict[str, str]:
    """Returns variables that let OpenMP's threads sleep early; the user's own choice stands."""
    if {"GOMP_SPINCOUNT", "OMP_WAIT_POLICY"} & environment.keys():
        return dict(environment)
    return {**environment, "GOMP_SPINCOUNT": _MAX_SPINS}


def _close_all() -> None:
    for server in _SERVERS.values():
        server.close()


atexit.register(_close_all)
