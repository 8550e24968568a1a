"""The labelling tool in a real JupyterLab, driven by a real Chromium.

Needs the extras ``notebook`` and ``browser-test`` and an installed Chromium::

    pip install -c constraints.txt -e '.[test,notebook,browser-test]'
    python -m pytest tests/labeler/notebook/test_browser.py
"""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Iterator
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest

from petct_ext.labeler.notebook import Answer, AnswerFile
from tests.reports.phantom_reports import write_phantom_reports

_MISSING = [name for name in ("jupyterlab", "anywidget", "playwright") if find_spec(name) is None]
_CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("chrome")
pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(
        bool(_MISSING), reason=f"not installed: {', '.join(_MISSING)} (see the module's text)"
    ),
    pytest.mark.skipif(_CHROMIUM is None, reason="no Chromium is installed"),
]

TOKEN = "of-this-test-only"
CELL = (
    "from petct_ext.labeler.notebook import open_labeling_tool\n"
    'tool = open_labeling_tool("data", answers="data/answers.jsonl", max_reports=12)\n'
    "tool"
)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A notebook beside a cohort of artificial reports."""
    cohort, _ = write_phantom_reports(tmp_path, num_patients=8)
    (cohort / "annotations.csv").unlink()
    cell: dict[str, Any] = {"cell_type": "code", "id": "one", "metadata": {}, "source": CELL}
    cell |= {"execution_count": None, "outputs": []}
    kernel = {"kernelspec": {"name": "python3", "display_name": "Python 3", "language": "python"}}
    document = {"cells": [cell], "metadata": kernel, "nbformat": 4, "nbformat_minor": 5}
    (tmp_path / "label.ipynb").write_text(json.dumps(document))
    return tmp_path


@pytest.fixture
def server(folder: Path) -> Iterator[str]:
    """Address of a JupyterLab whose settings lie in a folder of this test."""
    own = {f"JUPYTER_{name}_DIR": str(folder / name) for name in ("CONFIG", "DATA", "RUNTIME")}
    own |= {"IPYTHONDIR": str(folder / "ipython"), "OMP_NUM_THREADS": "1"}
    settings = {
        # Widget state is what must not hold text: let JupyterLab save it.
        "@jupyter-widgets/jupyterlab-manager/plugin": {"saveState": True},
        "@jupyterlab/apputils-extension/notification": {"fetchNews": "false"},
    }
    for name, values in settings.items():
        path = folder / "settings" / f"{name}.jupyterlab-settings"
        path.parent.mkdir(parents=True)
        path.write_text(json.dumps(values))
    own["JUPYTERLAB_SETTINGS_DIR"] = str(folder / "settings")
    command = [sys.executable, "-m", "jupyterlab", "--no-browser", "--allow-root"]
    command += ["--ServerApp.ip=127.0.0.1", "--ServerApp.port=0", f"--notebook-dir={folder}"]
    command += [f"--IdentityProvider.token={TOKEN}", "--LabApp.news_url=None"]
    with (folder / "server.log").open("w") as log:
        process = subprocess.Popen(command, env=os.environ | own, stdout=log, stderr=log)
    try:
        yield _address(folder / "RUNTIME", process)
    finally:
        process.terminate()
        process.wait(timeout=30)


@pytest.fixture
def page(server: str) -> Iterator[Any]:
    """A page of Chromium with the notebook open."""
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=_CHROMIUM, args=["--no-sandbox", "--disable-gpu"]
        )
        page = browser.new_page(viewport={"width": 820, "height": 470})
        page.set_default_timeout(60_000)
        page.goto(f"{server}lab/tree/label.ipynb?token={TOKEN}")
        page.wait_for_selector(".jp-Notebook .jp-Cell")
        yield page
        browser.close()


def test_a_reader_labels_by_button_and_key_and_a_killed_kernel_loses_nothing(
    folder: Path, server: str, page: Any
) -> None:
    answers = folder / "data" / "answers.jsonl"
    _run_cell(page)
    tool = page.locator(".petct-tool")
    first = tool.locator(".petct-mention").inner_text()
    tool.get_by_role("button", name="Positive").click()
    _wait_for_turn(page, 1)
    assert _records(answers) == ["answer"]
    for turn, key in enumerate(("2", "3", "4", "1"), start=2):
        page.keyboard.press(key)
        _wait_for_turn(page, turn)
    page.keyboard.press("u")
    _wait_for_turn(page, 6)
    page.keyboard.press("x")  # cuts the cell where the notebook gets it
    assert _records(answers) == ["answer"] * 5 + ["undo"]
    assert page.locator(".jp-Notebook .jp-Cell").count() == 1  # no key became a command
    assert "4 of" in tool.locator(".petct-count").inner_text()
    page.keyboard.press("Control+b")  # still reaches JupyterLab: hides the list of files
    page.locator(".jp-SidePanel:visible, .jp-FileBrowser:visible").wait_for(state="hidden")
    page.locator(".jp-Notebook").screenshot(path=str(folder / "labeling_tool.png"))
    waiting = tool.locator(".petct-text").inner_text()

    os.kill(_kernel_process(folder), signal.SIGKILL)
    page.keyboard.press("1")
    tool.get_by_text("The kernel does not reply").wait_for()
    judged = [one.answer for one in AnswerFile(answers).judgements()]
    neutral, none = Answer.NEUTRAL_OR_NEGATIVE, Answer.NOT_A_MENTION
    assert judged == [Answer.POSITIVE, neutral, none, Answer.SKIP]

    page.reload()
    page.wait_for_selector(".jp-Notebook .jp-Cell")
    _run_cell(page)
    assert tool.locator(".petct-text").inner_text() == waiting
    assert "4 of" in tool.locator(".petct-count").inner_text()
    _undo(page, times=4)
    assert tool.locator(".petct-mention").inner_text() == first
    assert AnswerFile(answers).judgements() == []


def _undo(page: Any, *, times: int) -> None:
    for turn in range(1, times + 1):
        page.locator(".petct-tool").get_by_role("button", name="Undo").click()
        _wait_for_turn(page, turn)


def test_the_saved_notebook_holds_no_report_text(folder: Path, page: Any) -> None:
    _run_cell(page)
    tool = page.locator(".petct-tool")
    sentence = tool.locator(".petct-sentence").inner_text()
    tool.get_by_role("button", name="Skip").click()
    _wait_for_turn(page, 1)
    page.get_by_role("menuitem", name="File").first.click()
    page.get_by_text("Save Notebook", exact=True).first.click()
    notebook = folder / "label.ipynb"
    _wait_until(lambda: "anywidget" in notebook.read_text())
    assert sentence.split(".")[0] not in notebook.read_text()


def _run_cell(page: Any) -> None:
    """Runs the cell; a JupyterLab that is still starting may not hear the first try."""
    _wait_until(lambda: page.locator(".jp-Notebook-ExecutionIndicator[data-status=idle]").count())
    prompt = page.locator(".jp-Cell .jp-InputPrompt").first
    for _ in range(20):
        page.locator(".jp-Cell .cm-content").first.click()
        page.keyboard.press("Control+Enter")
        page.wait_for_timeout(1000)
        if prompt.inner_text().strip() != "[ ]:":
            break
    page.wait_for_selector(".petct-tool[data-turn='0'] .petct-text")


def _wait_for_turn(page: Any, turn: int) -> None:
    page.wait_for_selector(f".petct-tool[data-turn='{turn}']:not(.petct-busy)")


def _records(path: Path) -> list[str]:
    return [json.loads(line)["record"] for line in path.read_text().splitlines()]


def _address(runtime: Path, process: subprocess.Popen[bytes]) -> str:
    def found() -> list[Path]:
        assert process.poll() is None, "JupyterLab has ended; see server.log"
        return list(runtime.glob("jpserver-*.json"))

    _wait_until(lambda: bool(found()))
    address: str = json.loads(found()[0].read_text())["url"]
    request = urllib.request.Request(
        f"{address}api/status", headers={"Authorization": f"token {TOKEN}"}
    )
    with urllib.request.urlopen(request, timeout=30) as reply:
        assert reply.status == 200
    return address


def _kernel_process(folder: Path) -> int:
    """Id of the process whose command line names the kernel's connection file."""
    connections = [str(path) for path in (folder / "RUNTIME").glob("kernel-*.json")]
    for command in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            words = command.read_bytes().decode().split("\0")
        except OSError:
            continue
        if any(path in words for path in connections):
            return int(command.parent.name)
    raise AssertionError("no kernel is running")


def _wait_until(is_so: Callable[[], object], seconds: float = 90) -> None:
    end = time.monotonic() + seconds
    while not is_so():
        assert time.monotonic() < end, "waited in vain"
        time.sleep(0.2)
