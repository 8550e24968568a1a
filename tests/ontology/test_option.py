"""``--ontology``: commands that read regions take it and refuse a wrong file at the door."""

from __future__ import annotations

import argparse
import ast
import importlib
import json
from pathlib import Path

import pytest

from petct_ext.ontology.option import add_ontology_option, ontology_arguments
from tests.conftest import REPOSITORY
from tests.package_regions import ONTOLOGY

PACKAGE = REPOSITORY / "petct_ext"
COMMANDS = sorted(p.stem for p in (PACKAGE / "commands").glob("*.py") if p.stem != "__init__")
WITHOUT_REGIONS = {
    "build_bundles",
    "check_exams",
    "check_suv",
    "export_model",
    "index_exams",
    "make_splits",
    "make_survival_table",
    "prepare_exams",
    "stamp_design",
}
DOORS = {"ontology/regions.py", "labeler/notebook/tool.py"}
"""Who may read the package's regions of its own accord; configurations do as well."""

LUNGS = {"name": "lungs", "within": ["chest"]}
WRONG = {
    "no JSON": ("{", "is not valid JSON"),
    "no list": ('{"regions": {}}', "it has no list 'regions'"),
    "no object": ([["lungs"]], "has no name; add 'name'"),
    "no name": ([{"within": []}], "has no name; add 'name'"),
    "cycle": ([{"name": "chest", "within": ["lungs"]}, LUNGS], "containment has a cycle"),
    "unknown container": ([LUNGS], "lies within 'chest', which is not defined"),
    "bad pattern": ([{"name": "lungs", "patterns": ["lung("]}], "'lung(' of region 'lungs' does"),
    "unexpected key": ([{"name": "lungs", "inside": []}], "the unexpected keys ['inside']"),
    "text for a list": ([{"name": "lungs", "within": "chest"}], "'within' of region 'lungs' is"),
    "text for a switch": ([{"name": "lungs", "main": "yes"}], "give true or false"),
    "twice": ([{"name": "lungs"}, {"name": "lungs"}], "'lungs' is defined twice"),
    "name": ([{"name": "Left lung"}], "is not a lower snake case name"),
}


def refusal(
    command: str, path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> str:
    """Returns the only line that a command says about a file of regions."""
    monkeypatch.setattr("sys.argv", [f"{command}.py", "--ontology", str(path)])
    with pytest.raises(SystemExit, match=r"^2$"):
        importlib.import_module(f"petct_ext.commands.{command}").main()
    (line,) = capsys.readouterr().err.splitlines()
    return str(line)


@pytest.mark.parametrize("command", [c for c in COMMANDS if c not in WITHOUT_REGIONS])
def test_every_command_with_regions_refuses_a_wrong_file_first(
    command: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    absent = refusal(command, tmp_path / "absent.json", monkeypatch, capsys)
    assert absent.startswith("error: argument --ontology: ")
    assert "absent.json does not exist; give a regions.json" in absent
    path = tmp_path / "mine.json"
    path.write_text(json.dumps({"regions": [LUNGS]}))
    assert "lies within 'chest', which is not" in refusal(command, path, monkeypatch, capsys)


@pytest.mark.parametrize(("content", "message"), WRONG.values(), ids=WRONG)
def test_every_mistake_in_the_file_is_told_in_one_line(
    content: object,
    message: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    path = tmp_path / "mine.json"
    path.write_text(content if isinstance(content, str) else json.dumps({"regions": content}))
    assert message in refusal("draw_ontology", path, monkeypatch, capsys)


def test_without_the_option_it_is_the_package_and_a_file_is_handed_on(own_regions: Path) -> None:
    parser = argparse.ArgumentParser()
    add_ontology_option(parser)
    assert list(parser.parse_args([]).ontology) == list(ONTOLOGY)
    own = parser.parse_args(["--ontology", str(own_regions)]).ontology
    assert set(own) - set(ONTOLOGY) == {"left_breast"}
    assert own.main_regions() == (*ONTOLOGY.main_regions(), "left_breast")
    assert ontology_arguments(own) == ("--ontology", str(own_regions))


@pytest.mark.parametrize("path", sorted(PACKAGE.rglob("*.py")), ids=lambda p: p.stem)
def test_no_room_fetches_the_regions_of_the_package_itself(path: Path) -> None:
    if path.relative_to(PACKAGE).as_posix() in DOORS:
        return
    names = (
        {"load_ontology", "REGIONS_FILE"}
        if path.parent.name not in ("commands", "ontology")
        else set()
    )
    for node in ast.walk(ast.parse(path.read_text())):
        if (
            isinstance(node, ast.Attribute)
            and node.attr == "default"
            and isinstance(node.value, ast.Name)
        ):
            assert node.value.id != "RegionOntology", f"{path}, line {node.lineno}"
        if isinstance(node, ast.Name | ast.alias):
            assert (node.id if isinstance(node, ast.Name) else node.name) not in names, path
