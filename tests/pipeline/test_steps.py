"""Steps run once, run again when something changed, and fail in their own words."""

from __future__ import annotations

import json
import signal
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from petct_ext.errors import OutputError
from petct_ext.pipeline.steps import Step, StepError, run_steps

COUNT = """
import pathlib, sys
folder = pathlib.Path(sys.argv[1])
runs = folder / "runs.txt"
runs.write_text((runs.read_text() if runs.exists() else "") + "x")
(folder / "out.txt").write_text((folder / "in.txt").read_text().upper())
print("said something")
"""


@pytest.fixture
def work(tmp_path: Path) -> Path:
    (tmp_path / "in.txt").write_text("a")
    return tmp_path


def counting(work: Path, *options: str) -> Step:
    command = (sys.executable, "-c", COUNT, str(work), *options)
    return Step("count", "Count", command, (work / "in.txt",), (work / "out.txt",))


def python(code: str, *outputs: Path) -> Step:
    return Step("step", "A step", (sys.executable, "-c", code), (), outputs)


def runs(work: Path) -> int:
    return len((work / "runs.txt").read_text())


def manifest(work: Path, name: str) -> Any:
    return json.loads((work / "manifests" / f"{name}.json").read_text())


def test_done_step_is_skipped(work: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for _ in range(3):
        run_steps([counting(work)], work)
    assert runs(work) == 1
    assert capsys.readouterr().err.count("[ 1/1] Count: done before") == 2


def test_manifest_records_what_was_done(work: Path) -> None:
    run_steps([counting(work)], work, facts={"seed": 3})
    record = manifest(work, "count")
    assert record["command"][-1] == "WORK"
    assert list(record["inputs"]) == ["in.txt"]
    assert list(record["outputs"]) == ["out.txt"]
    assert len(record["outputs"]["out.txt"]) == 64
    assert record["seed"] == 3
    assert {"python", "torch", "monai", "petct_ext"} <= set(record["versions"])
    assert (work / "logs" / "count.log").read_text() == "said something\n"


@pytest.mark.parametrize("change", ["input", "command", "output", "lost output", "lost manifest"])
def test_change_makes_the_step_run_again(work: Path, change: str) -> None:
    run_steps([counting(work)], work)
    step = counting(work, "--new") if change == "command" else counting(work)
    if change == "input":
        (work / "in.txt").write_text("b")
    elif change == "output":
        (work / "out.txt").write_text("tampered")
    elif change == "lost output":
        (work / "out.txt").unlink()
    elif change == "lost manifest":
        (work / "manifests" / "count.json").unlink()
    run_steps([step], work)
    assert runs(work) == 2
    assert (work / "out.txt").read_text() == (work / "in.txt").read_text().upper()
    run_steps([step], work)
    assert runs(work) == 2


def test_new_file_in_an_input_folder_makes_the_step_run_again(work: Path) -> None:
    (work / "folder").mkdir()
    step = replace(counting(work), inputs=(work / "folder",))
    run_steps([step], work)
    (work / "folder" / "new.dcm").write_text("")
    run_steps([step], work)
    assert runs(work) == 2


def test_failing_step_is_told_in_its_own_line_and_stops_the_rest(work: Path) -> None:
    code = "import sys; print('loading'); sys.stderr.write('error: no PET; look\\n'); sys.exit(2)"
    with pytest.raises(StepError, match=r"^step 'step': no PET; look \(exit code 2, log .*log\)$"):
        run_steps([python(code), counting(work)], work)
    assert not (work / "runs.txt").exists()
    assert not (work / "manifests" / "step.json").exists()


def test_traceback_is_told_by_its_last_line(work: Path) -> None:
    with pytest.raises(StepError, match=r"^step 'step': ValueError: broken \(exit code 1"):
        run_steps([python("raise ValueError('broken')")], work)


def test_hint_of_monai_behind_a_traceback_does_not_count(work: Path) -> None:
    code = (
        "import sys\n"
        "print('RuntimeError: broken', file=sys.stderr)\n"
        "sys.exit('See also errors above; set `_mode_=debug` to enter the debugging mode.')"
    )
    with pytest.raises(StepError, match=r"^step 'step': RuntimeError: broken \(exit code 1"):
        run_steps([python(code)], work)


def test_step_in_which_some_exams_failed_does_not_stop_the_rest(
    work: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    partial = replace(
        counting(work),
        command=(sys.executable, "-c", COUNT + "sys.exit(3)", str(work)),
        exams_may_fail=True,
    )
    assert run_steps([partial], work) == ["count"]
    assert "some exams failed: see" in capsys.readouterr().err
    assert manifest(work, "count")["exit_code"] == 3
    assert run_steps([partial], work) == ["count"]
    assert runs(work) == 1


def test_silent_failure_is_told_too(work: Path) -> None:
    with pytest.raises(StepError, match=r"no message \(exit code 3"):
        run_steps([python("import sys; sys.exit(3)")], work)


def test_killed_step_has_no_manifest_and_runs_again(work: Path) -> None:
    run_steps([counting(work)], work)
    (work / "in.txt").write_text("b")
    code = "import os; os.kill(os.getpid(), 9)"
    killed = replace(counting(work), command=(sys.executable, "-c", code))
    with pytest.raises(StepError, match=f"exit code -{signal.SIGKILL.value}"):
        run_steps([killed], work)
    assert not (work / "manifests" / "count.json").exists()
    run_steps([counting(work)], work)
    assert runs(work) == 2


def test_step_that_does_not_write_its_output_fails(work: Path) -> None:
    with pytest.raises(StepError, match=r"step 'step' did not write .*absent\.txt; see"):
        run_steps([python("pass", work / "absent.txt")], work)


def test_command_that_does_not_exist_is_told(work: Path) -> None:
    with pytest.raises(StepError, match=r"step 'step' cannot be started: .*No such file"):
        run_steps([replace(python(""), command=("/absent/program",))], work)


def test_step_that_is_left_out_is_recorded_with_its_reason(
    work: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    step = counting(work)
    run_steps([replace(step, skip_because="there is no follow-up")], work, facts={"seed": 3})
    assert manifest(work, "count")["skipped"] == "there is no follow-up"
    assert "Count: left out, there is no follow-up" in capsys.readouterr().err
    run_steps([step], work)  # the reason is gone
    assert runs(work) == 1


def test_later_step_runs_again_when_an_earlier_one_wrote_something_new(work: Path) -> None:
    append = "open({!r}, 'a').write('x')"
    later = Step(
        "later",
        "Later",
        (sys.executable, "-c", append.format(str(work / "later.txt"))),
        (work / "out.txt",),
        (work / "later.txt",),
    )
    run_steps([counting(work), later], work)
    run_steps([counting(work), later], work)
    assert (work / "later.txt").read_text() == "x"
    (work / "in.txt").write_text("b")
    run_steps([counting(work), later], work)
    assert (work / "later.txt").read_text() == "xx"


def test_moved_work_folder_stays_done(work: Path) -> None:
    """Paths below the work folder are recorded relative to it."""
    step = counting(work)
    run_steps([step], work)
    record = manifest(work, "count")
    assert not any(name.startswith("/") for name in (*record["inputs"], *record["outputs"]))


def test_broken_manifest_counts_as_none(work: Path) -> None:
    run_steps([counting(work)], work)
    (work / "manifests" / "count.json").write_text("{")
    run_steps([counting(work)], work)
    assert runs(work) == 2


def test_file_where_the_folder_should_be_is_told(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(OutputError, match="cannot be written to"):
        run_steps([], tmp_path / "file")
