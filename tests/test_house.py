"""Facts about the code as a whole: the limits of CONTRIBUTING.md, and one name for one thing."""

from __future__ import annotations

import ast
import importlib
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.conftest import REPOSITORY

MOST_LINES_OF_A_FUNCTION = 40
MOST_LINES_OF_A_FILE = 400

PACKAGE = sorted((REPOSITORY / "petct_ext").rglob("*.py"))
FILES = [
    *PACKAGE,
    *(
        path
        for room in ("scripts", "benchmarks", "tests")
        for path in REPOSITORY.glob(f"{room}/**/*.py")
    ),
]
Function = ast.FunctionDef | ast.AsyncFunctionDef


def name_of(path: Path) -> str:
    return path.relative_to(REPOSITORY).as_posix()


def functions(path: Path) -> Iterator[Function]:
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, Function):
            yield node


def num_lines(function: Function) -> int:
    """Lines of code, without the docstring."""
    lines = (function.end_lineno or 0) - function.lineno + 1
    if ast.get_docstring(function) is not None:
        first = function.body[0]
        lines -= (first.end_lineno or 0) - first.lineno + 1
    return lines


def public_names(path: Path) -> Iterator[str]:
    for node in ast.parse(path.read_text(encoding="utf-8")).body:
        if isinstance(node, Function | ast.ClassDef):
            yield node.name
        elif isinstance(node, ast.Assign):
            yield from (t.id for t in node.targets if isinstance(t, ast.Name))
        elif isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name):
            yield node.target.id


@pytest.mark.parametrize("path", FILES, ids=name_of)
def test_file_and_its_functions_are_short(path: Path) -> None:
    assert len(path.read_text(encoding="utf-8").splitlines()) <= MOST_LINES_OF_A_FILE
    long = {
        f.name: num_lines(f) for f in functions(path) if num_lines(f) > MOST_LINES_OF_A_FUNCTION
    }
    assert not long


def test_public_name_stands_once() -> None:
    places: dict[str, list[str]] = defaultdict(list)
    for path in PACKAGE:
        of_command = path.parent.name == "commands"
        for name in public_names(path):
            if not name.startswith("_") and not (of_command and name in {"command", "main"}):
                places[name].append(name_of(path))
    assert {name: found for name, found in places.items() if len(found) > 1} == {}


def test_room_says_its_idea_in_one_sentence() -> None:
    rooms = [path for path in PACKAGE if path.name == "__init__.py"]
    silent = [
        name_of(path)
        for path in rooms
        if not (ast.get_docstring(ast.parse(path.read_text(encoding="utf-8"))) or "").endswith(".")
    ]
    assert silent == []


def test_logger_has_one_spelling() -> None:
    for path in PACKAGE:
        for line in path.read_text(encoding="utf-8").splitlines():
            if "= logging.getLogger(__name__)" in line:
                assert line == "_LOGGER = logging.getLogger(__name__)", name_of(path)


@pytest.mark.parametrize("path", FILES, ids=name_of)
def test_what_is_imported_from_the_package_exists(path: Path) -> None:
    """Benchmarks import inside of functions, where neither mypy nor another test looks."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("petct_ext"):
            module = importlib.import_module(str(node.module))
            for name in (alias.name for alias in node.names):
                if not hasattr(module, name):
                    importlib.import_module(f"{node.module}.{name}")
