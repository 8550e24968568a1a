"""A forked command is what a fresh one is: output, exit code, arguments, signals, end."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest

from petct_ext.pipeline.forked import ForkedProcess, prepare_server, start_command

MODULES = ("json", "decimal")


def start(
    command: Sequence[str], folder: Path, *, modules: Sequence[str] = MODULES, **variables: str
) -> ForkedProcess:
    with (folder / "out").open("wb") as out, (folder / "err").open("wb") as err:
        return start_command(
            command,
            stdout=out.fileno(),
            stderr=err.fileno(),
            environment=os.environ | variables,
            folder=folder,
            modules=modules,
        )


def fresh(command: Sequence[str], folder: Path, **variables: str) -> tuple[int, str, str]:
    done = subprocess.run(
        command, cwd=folder, env=os.environ | variables, capture_output=True, text=True, check=False
    )
    return done.returncode, done.stdout, done.stderr


def forked(command: Sequence[str], folder: Path, **variables: str) -> tuple[int, str, str]:
    code = start(command, folder, **variables).wait()
    return code, (folder / "out").read_text(), (folder / "err").read_text()


def python(code: str, *arguments: str) -> list[str]:
    return [sys.executable, "-c", code, *arguments]


def wait_until(condition: Callable[[], bool], seconds: float = 20) -> None:
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "it did not happen in time"
        time.sleep(0.02)


def is_running(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


THREAD = """
import threading, time
threading.Thread(target=lambda: (time.sleep(0.3), print("late"))).start()
"""
OPEN_FILES = """
import os, signal
print(signal.getsignal(signal.SIGCHLD), signal.getsignal(signal.SIGINT))
print(sum(os.path.exists(f"/proc/self/fd/{number}") for number in range(3, 64)))
"""


@pytest.mark.parametrize(
    "code",
    [
        "import sys; print(sys.argv); print(__name__)",
        "import sys; sys.exit(3)",
        "import sys; sys.exit('told in words')",
        "import sys; sys.exit(-1)",
        "raise SystemExit",
        "raise KeyboardInterrupt",
        "import os; print(os.environ['VARIABLE'], os.getcwd())",
        "import os; os.kill(os.getpid(), 9)",
        "import os; os.kill(os.getpid(), 11)",
        "import sys; print(repr(sys.stdin.read()))",
        "import atexit; atexit.register(print, 'last words')",
        "import sys; file = open('left_open', 'w'); file.write('x'); print('done')",
        "import warnings; warnings.warn('once')",
        THREAD,
        OPEN_FILES,
    ],
)
def test_code_ends_as_in_a_fresh_process(code: str, tmp_path: Path) -> None:
    command = python(code, "--flag", "a word")
    assert forked(command, tmp_path, VARIABLE="x") == fresh(command, tmp_path, VARIABLE="x")
    if "left_open" in code:
        assert (tmp_path / "left_open").read_text() == "x"


SCRIPT = """
import pathlib, sys
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
import beside

def square(x):
    return x * x

if __name__ == "__main__":
    with ProcessPoolExecutor(2, get_context("spawn")) as pool:
        print(list(pool.map(square, range(4))), beside.NAME, sys.argv, pathlib.Path(__file__).name)
"""


def test_script_has_its_folder_and_workers(tmp_path: Path) -> None:
    (tmp_path / "beside.py").write_text("NAME = 'beside'")
    (tmp_path / "script.py").write_text(SCRIPT)
    command = [sys.executable, "script.py", "--one"]
    found = forked(command, tmp_path)
    assert found == fresh(command, tmp_path)
    assert found[0] == 0


def test_module_is_run_as_main(tmp_path: Path) -> None:
    (tmp_path / "tool").mkdir()
    (tmp_path / "tool" / "__init__.py").write_text("")
    (tmp_path / "tool" / "__main__.py").write_text(
        "import sys, pathlib\nprint(pathlib.Path(sys.argv[0]).parts[-2:], sys.argv[1:], __name__)"
    )
    command = [sys.executable, "-m", "tool", "x"]
    assert forked(command, tmp_path) == fresh(command, tmp_path)
    command = [sys.executable, "-m", "no_such_module"]
    assert forked(command, tmp_path)[0] == fresh(command, tmp_path)[0] == 1
    assert "No module named no_such_module" in (tmp_path / "err").read_text()


def test_traceback_holds_the_command_only(tmp_path: Path) -> None:
    (tmp_path / "script.py").write_text("def fail():\n    1 / 0\n\nfail()\n")
    command = [sys.executable, "script.py"]
    code, _, text = forked(command, tmp_path)
    expected = fresh(command, tmp_path)[2]

    def names(told: str) -> str:
        return re.sub(r'File ".*?(\w+\.py)"', r"\1", told)

    assert code == 1
    assert names(text) == names(expected)


def test_other_programs_are_run_too(tmp_path: Path) -> None:
    command = ["/bin/sh", "-c", "echo said; exit 4"]
    assert forked(command, tmp_path) == (4, "said\n", "")


def test_modules_are_there_and_one_commands_changes_are_not_the_next_ones(tmp_path: Path) -> None:
    code = "import sys; print('decimal' in sys.modules, hasattr(sys, 'mark')); sys.mark = 1"
    for _ in range(2):
        assert forked(python(code), tmp_path)[1] == "True False\n"


def test_module_that_cannot_be_imported_is_told_by_the_command(tmp_path: Path) -> None:
    process = start(python("import absent_module"), tmp_path, modules=("absent_module",))
    assert process.wait() == 1
    assert "No module named 'absent_module'" in (tmp_path / "err").read_text()


def test_a_killed_command_takes_no_other_down(tmp_path: Path) -> None:
    (tmp_path / "a").mkdir()
    (tmp_path / "b").mkdir()
    slow = start(python("import time; time.sleep(1.5); print('done')"), tmp_path / "a")
    killed = start(python("import time; time.sleep(60)"), tmp_path / "b")
    os.kill(killed.pid, signal.SIGKILL)
    assert killed.wait() == -signal.SIGKILL
    assert slow.wait() == 0
    assert (tmp_path / "a" / "out").read_text() == "done\n"


def test_a_killed_server_is_told_and_replaced(tmp_path: Path) -> None:
    process = start(python("import time; time.sleep(60)"), tmp_path, modules=("fractions",))
    server = int(Path(f"/proc/{process.pid}/stat").read_text().rpartition(")")[2].split()[1])
    os.kill(server, signal.SIGKILL)
    with pytest.raises(OSError, match="process that starts the commands was ended"):
        process.wait()
    wait_until(lambda: not is_running(process.pid))
    assert start(python("pass"), tmp_path, modules=("fractions",)).wait() == 0


def test_interrupt_lets_the_command_say_its_last_words(tmp_path: Path) -> None:
    code = (
        "import time\nprint('ready', flush=True)\n"
        "try:\n    time.sleep(60)\nexcept KeyboardInterrupt:\n    print('kept')"
    )
    process = start(python(code), tmp_path)
    wait_until(lambda: (tmp_path / "out").read_text() != "")
    process.interrupt()
    assert (tmp_path / "out").read_text() == "ready\nkept\n"
    assert process.wait() == 0


PIPELINE = """
import pathlib, sys
from petct_ext.pipeline.steps import Step, run_steps
step = Step("slow", "Slow", (sys.executable, sys.argv[1], sys.argv[2]), (), ())
run_steps([step], pathlib.Path(sys.argv[2]))
"""
WITH_WORKERS = """
import os, pathlib, sys, time
from petct_ext.processes import new_pool

def work(folder):
    (pathlib.Path(folder) / f"pid_{os.getpid()}").write_text("")
    time.sleep(60)

if __name__ == "__main__":
    (pathlib.Path(sys.argv[1]) / f"pid_{os.getpid()}").write_text("")
    with new_pool(2) as pool:
        list(pool.map(work, [sys.argv[1]] * 2))
"""


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux ends a process with its parent")
@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM, signal.SIGINT])
def test_end_of_the_pipeline_leaves_no_process(number: signal.Signals, tmp_path: Path) -> None:
    (tmp_path / "step.py").write_text(WITH_WORKERS)
    command = [sys.executable, "-c", PIPELINE, str(tmp_path / "step.py"), str(tmp_path)]
    with subprocess.Popen(command, stderr=subprocess.DEVNULL, start_new_session=True) as pipeline:
        wait_until(lambda: len(list(tmp_path.glob("pid_*"))) == 3)
        pids = [int(path.name.removeprefix("pid_")) for path in tmp_path.glob("pid_*")]
        servers = [int(pid) for pid in _children(pipeline.pid)]
        assert all(map(is_running, [*pids, *servers]))
        if number == signal.SIGINT:
            os.killpg(pipeline.pid, number)  # as a terminal does
        else:
            pipeline.send_signal(number)
        pipeline.wait(timeout=30)
    wait_until(lambda: not any(map(is_running, [*pids, *servers])))


def _children(pid: int) -> list[str]:
    return Path(f"/proc/{pid}/task/{pid}/children").read_text().split()


def test_servers_are_prepared_once(tmp_path: Path) -> None:
    prepare_server(("statistics",), os.environ)
    parent = "import os; print(os.getppid())"
    answers = set()
    for _ in range(2):
        assert start(python(parent), tmp_path, modules=("statistics",)).wait() == 0
        answers.add((tmp_path / "out").read_text())
    assert len(answers) == 1


THREADS = """
import os
from petct_ext.pipeline.forked import WITH_TORCH, start_command
environment = {k: v for k, v in os.environ.items() if k != "OMP_NUM_THREADS"}
code = "import torch; print(torch.get_num_threads())"
command = [__import__("sys").executable, "-c", code]
start = lambda **more: start_command(
    command, stdout=1, stderr=2, environment=environment | more, modules=WITH_TORCH
).wait()
start(OMP_NUM_THREADS="2")
start(OMP_NUM_THREADS="1")
others = [os.spawnlp(os.P_NOWAIT, "sh", "sh", "-c", "while :; do :; done") for _ in range(8)]
try:
    start()
finally:
    for other in others:
        os.kill(other, 9)
"""


@pytest.mark.slow
def test_a_busy_machine_gets_fewer_threads_unless_the_user_says_how_many(tmp_path: Path) -> None:
    cores = len(os.sched_getaffinity(0)) if sys.platform == "linux" else 1
    if not 2 <= cores <= 4:
        pytest.skip("needs 2 to 4 cores, which 8 busy loops fill")
    code, out, err = fresh(python(THREADS), tmp_path)
    assert code == 0, err
    assert out.splitlines() == ["2", "1", "1"]
    assert f"computing with 1 of {cores} threads" in err


def test_threads_spin_shortly_unless_the_user_says_otherwise(tmp_path: Path) -> None:
    code = "import os; print(os.environ.get('GOMP_SPINCOUNT'), os.environ.get('OMP_WAIT_POLICY'))"
    assert re.fullmatch(r"\d+ None\n", forked(python(code), tmp_path)[1])
    passive = forked(python(code), tmp_path, OMP_WAIT_POLICY="passive")[1]
    assert passive == "None passive\n"
    assert forked(python(code), tmp_path, GOMP_SPINCOUNT="7")[1] == "7 None\n"
