"""A process that has imported what commands need, and forks one for each command.

``import monai`` takes longer than most steps of a small cohort, and every step would pay for it.
Here it is paid once: a command is a fork of this process, with its own process number, output,
exit code and end. It runs as ``python script.py``, ``python -m module`` or ``python -c code`` runs;
what is none of these, and everything where a fork is not safe, starts afresh in its place.

The other side is :mod:`petct_ext.pipeline.forked`. This side is a program of its own::

    python -m petct_ext.pipeline.fork_server SOCKET MODULE ...
"""

from __future__ import annotations

import atexit
import gc
import json
import multiprocessing.process
import os
import runpy
import select
import signal
import socket
import struct
import sys
import threading
from contextlib import suppress
from importlib import import_module
from pathlib import Path
from types import TracebackType
from typing import Any, Final, NoReturn

from petct_ext.processes import end_with, free_cores

__all__ = ["LENGTH", "NUM_DESCRIPTORS"]

LENGTH: Final = struct.Struct("!I")
"""Bytes in front of a request that tell how long it is."""

NUM_DESCRIPTORS: Final = 3
"""With each request come stdout and stderr of the command, and the pipe for what became of it."""

_LOOK_FOR_CLIENT_S: Final = 0.5


def _serve(channel: socket.socket) -> dict[str, Any] | None:
    """Forks a process for each request.

    Returns:
        In a forked process the request that it has to run; in the server None, when the client
        has ended.
    """
    reading, writing = os.pipe()
    os.set_blocking(writing, False)
    signal.signal(signal.SIGCHLD, lambda *_: None)
    signal.set_wakeup_fd(writing)
    reports: dict[int, int] = {}
    while True:
        ready, _, _ = select.select([channel.fileno(), reading], [], [])
        if reading in ready:
            os.read(reading, 4096)
            _report_ended(reports)
        if channel.fileno() not in ready:
            continue
        received = _receive(channel)
        if received is None:
            return None
        request, (out, err, report) = received
        server = os.getpid()
        pid = os.fork()
        if pid == 0:
            signal.set_wakeup_fd(-1)
            for descriptor in (reading, writing, *reports.values(), report):
                os.close(descriptor)
            channel.close()
            _become(request, out, err, server)
            return request
        os.close(out)
        os.close(err)
        reports[pid] = report
        _write(report, pid)


def _receive(channel: socket.socket) -> tuple[dict[str, Any], list[int]] | None:
    head, descriptors, _, _ = socket.recv_fds(channel, LENGTH.size, NUM_DESCRIPTORS)
    if len(head) < LENGTH.size:
        return None
    text = b""
    (length,) = LENGTH.unpack(head)
    while len(text) < length:
        part = channel.recv(length - len(text))
        if not part:
            return None
        text += part
    request: dict[str, Any] = json.loads(text)
    return request, descriptors


def _report_ended(reports: dict[int, int]) -> None:
    while reports:
        pid, status = os.waitpid(-1, os.WNOHANG)
        if pid == 0:
            return
        report = reports.pop(pid)
        _write(report, os.waitstatus_to_exitcode(status))
        os.close(report)


def _write(report: int, number: int) -> None:
    with suppress(BrokenPipeError):  # nobody wants to know any more
        os.write(report, b"%d\n" % number)


def _become(request: dict[str, Any], out: int, err: int, server: int) -> None:
    """Makes the forked process what a fresh one would be."""
    end_with(server)
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    signal.signal(signal.SIGINT, signal.default_int_handler)
    nothing = os.open(os.devnull, os.O_RDONLY)
    for descriptor, standard in ((nothing, 0), (out, 1), (err, 2)):
        os.dup2(descriptor, standard)
        os.close(descriptor)
    os.environ.clear()
    os.environ.update(request["environment"])
    os.chdir(request["folder"])
    multiprocessing.process.ORIGINAL_DIR = request["folder"]  # type: ignore[attr-defined]


def _run(request: dict[str, Any]) -> NoReturn:
    """Runs a command as the interpreter runs its main module."""
    command: list[str] = request["command"]
    how = command[1] if command[0] == sys.executable and len(command) > 1 else ""
    is_python = how in ("-m", "-c") or (how.endswith(".py") and Path(how).is_file())
    if not is_python or _is_fork_unsafe():
        os.execvp(command[0], command)
    what, *arguments = command[2:] if how in ("-m", "-c") else command[1:]
    _use_threads()
    sys.argv = [how, *arguments]
    code, interrupted = 0, False
    try:
        if how == "-m":
            sys.path[0] = os.getcwd()  # noqa: PTH109, the interpreter's own
            runpy.run_module(what, run_name="__main__", alter_sys=True)
        elif how == "-c":
            sys.path[0] = ""
            exec(compile(what, "<string>", "exec"), {"__name__": "__main__"})
        else:
            sys.path[0] = str(Path(what).resolve().parent)
            runpy.run_path(what, run_name="__main__")
    except SystemExit as end:
        code = _exit_code(end)
    except BaseException as error:
        trace = _of_command(error.__traceback__)
        sys.excepthook(type(error), error.with_traceback(trace), trace)
        code, interrupted = 1, isinstance(error, KeyboardInterrupt)
    _end(code, interrupted=interrupted)


def _exit_code(end: SystemExit) -> int:
    if end.code is None or isinstance(end.code, int):
        return end.code or 0
    sys.stderr.write(f"{end.code}\n")
    return 1


def _end(code: int, *, interrupted: bool) -> NoReturn:
    """Ends as an interpreter ends, except that it does not take apart what the server imported.

    That takes two seconds and serves nobody. What the command itself has left is collected.
    """
    threading._shutdown()  # type: ignore[attr-defined]  # waits, as multiprocessing does
    atexit._run_exitfuncs()
    gc.collect()
    for stream in (sys.stdout, sys.stderr):
        with suppress(OSError, ValueError):
            stream.flush()
    if interrupted:  # a shell that runs us has to see what ended us
        signal.signal(signal.SIGINT, signal.SIG_DFL)
        os.kill(os.getpid(), signal.SIGINT)
    os._exit(code & 0xFF)


def _is_fork_unsafe() -> bool:
    """Whether a library cannot be used in a fork of a process that imported it.

    Apple's frameworks abort; CUDA refuses if an import has asked it for its devices.
    """
    torch = sys.modules.get("torch")
    return sys.platform != "linux" or (torch is not None and torch.cuda._is_in_bad_fork())


def _use_threads() -> None:
    """Lets torch compute with as many threads as the user says, or as there are idle cores.

    Threads that wait for one that does not get its turn make a busy machine slower than one thread.
    """
    torch, given = sys.modules.get("torch"), os.environ.get("OMP_NUM_THREADS", "")
    if torch is None:
        return
    most = torch.get_num_threads()
    if given.isdigit() and int(given) > 0:
        torch.set_num_threads(int(given))
    elif most > 1 and (number := max(1, round(free_cores()))) < most:
        torch.set_num_threads(number)
        sys.stderr.write(
            f"other processes use this machine: computing with {number} of {most} threads "
            "(OMP_NUM_THREADS sets another number)\n"
        )


def _of_command(trace: TracebackType | None) -> TracebackType | None:
    """Leaves out our own frames and those of runpy, which a fresh interpreter does not have."""
    while trace is not None:
        name = trace.tb_frame.f_code.co_filename
        if name != __file__ and "runpy" not in name:
            break
        trace = trace.tb_next
    return trace


def _import(channel: socket.socket, modules: list[str]) -> None:
    """Imports what it can; leaves at once when the client ends meanwhile."""

    def leave_with_client(*_: object) -> None:
        with suppress(BlockingIOError):
            if not channel.recv(1, socket.MSG_PEEK | socket.MSG_DONTWAIT):
                os._exit(0)

    signal.signal(signal.SIGALRM, leave_with_client)
    signal.setitimer(signal.ITIMER_REAL, _LOOK_FOR_CLIENT_S, _LOOK_FOR_CLIENT_S)
    for module in modules:
        with suppress(Exception):  # the command that needs it says what is wrong
            import_module(module)
    signal.setitimer(signal.ITIMER_REAL, 0)
    signal.signal(signal.SIGALRM, signal.SIG_DFL)
    gc.collect()
    gc.freeze()  # a collection in a fork would look at each object and copy its page


def _main() -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the commands get it too, and the client
    channel = socket.socket(fileno=int(sys.argv[1]))
    if sys.platform == "linux":
        _import(channel, sys.argv[2:])
    request = _serve(channel)
    if request is not None:
        _run(request)


if __name__ == "__main__":
    _main()
