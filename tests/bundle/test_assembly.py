"""What the bundles ship follows from one source, by rules that are MONAI's where it has them."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from monai.bundle import ConfigParser

from petct_ext.bundle.assembly import SOURCES, assemble, build_bundles
from petct_ext.errors import InputDataError
from tests.conftest import REPOSITORY

BUNDLES = REPOSITORY / "bundles"


def make(folder: Path, *, own: dict[str, Any], config: dict[str, Any], part: object = None) -> Any:
    """Returns ``x.json`` of a bundle ``b`` that has one configuration and one part."""
    for name, document in (("b", own), ("configs/x", config), ("parts/p", part)):
        path = folder / SOURCES / f"{name}.json"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps(document))
    (folder / "LICENSE").write_text("free")
    return json.loads(assemble("b", folder)["configs/x.json"])


def test_what_ships_follows_from_the_source() -> None:
    """Fails when someone edits a shipped file: change petct_ext/bundle/sources instead."""
    build_bundles(REPOSITORY, check=True)


def test_every_bundle_has_a_source_and_all_that_is_equal_comes_from_it() -> None:
    for bundle in (path for path in BUNDLES.iterdir() if path.is_dir()):
        built = assemble(bundle.name, REPOSITORY)
        assert {"LICENSE", "configs/logging.conf", "eval/schema.json"} < built.keys()
        for path in bundle.glob("configs/*"):
            others = [p for p in BUNDLES.glob(f"*/configs/{path.name}") if p != path]
            if any(other.read_bytes() == path.read_bytes() for other in others):
                assert f"configs/{path.name}" in built, path


def test_shipped_files_are_complete_and_ascii() -> None:
    """MONAI reads them without the source: no reference to a file of it is left."""
    for path in BUNDLES.glob("*/configs/*.json"):
        text = path.read_bytes().decode("ascii")
        assert '"%own.json' not in text
        assert ".json#" not in text, path


def test_edit_by_hand_is_named_and_undone(tmp_path: Path) -> None:
    for name in (SOURCES, "bundles/mortality/configs", "bundles/mortality/eval"):
        shutil.copytree(REPOSITORY / name, tmp_path / name)
    shutil.copy(REPOSITORY / "LICENSE", tmp_path)
    assert tmp_path / "bundles/scan_model/LICENSE" in build_bundles(tmp_path)
    edited = tmp_path / "bundles" / "mortality" / "configs" / "train.json"
    shipped = edited.read_text()
    edited.write_text(shipped.replace('"epochs": 25', '"epochs": 26'))
    with pytest.raises(InputDataError, match=r"^bundles/mortality/configs/train\.json: not what"):
        build_bundles(tmp_path, check=True)
    assert edited.read_text() != shipped
    assert build_bundles(tmp_path) == [edited]
    assert edited.read_text() == shipped


def test_script_checks(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, str(REPOSITORY / "scripts" / "build_bundles.py"), "--check"],
        capture_output=True,
        text=True,
        check=False,
        cwd=tmp_path,
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


def test_parts_stand_for_values_and_for_members(tmp_path: Path) -> None:
    made = make(
        tmp_path,
        own={"configs": {"x": {}}, "list": ["b", {"c": "%p.json#a#deep"}], "name": "n"},
        config={
            "value": "%p.json#a",
            "%p.json#a": "why",
            "list": ["a", "%own.json#list", {"%own.json#configs": "why"}, "%p.json#a"],
            "name": "%own.json#name",
            "of_monai": "%train#handlers",
        },
        part={"a": {"deep": 1, "also": "%own.json#name"}},
    )
    assert made == {
        "value": {"deep": 1, "also": "n"},
        "deep": 1,
        "also": "n",
        "list": ["a", "b", {"c": 1}, {"x": {}}, {"deep": 1, "also": "n"}],
        "name": "n",
        "of_monai": "%train#handlers",
    }
    assert list(made) == ["value", "deep", "also", "list", "name", "of_monai"]


def test_outputs_get_numbers(tmp_path: Path) -> None:
    config = {"channels": "%own.json#channel_def", "count": "%own.json#num_channels"}
    made = make(tmp_path, own={"configs": {"x": {}}, "channels": ["liver", "spine"]}, config=config)
    assert made == {"channels": {"0": "liver", "1": "spine"}, "count": 2}


def test_own_changes_come_on_top_as_in_monai(tmp_path: Path) -> None:
    below = {"a": {"b": {"c": 1}}, "items": [1], "more": {"d": 1}, "plain": 0}
    on_top = {"a#b#c": 2, "a#b#new": 3, "+items": [2], "+more": {"e": 2}, "plain": 1, "late": 4}
    made = make(tmp_path, own={"configs": {"x": on_top}}, config=below)
    files = [tmp_path / "below.json", tmp_path / "top.json"]
    for path, document in zip(files, (below, on_top), strict=True):
        path.write_text(json.dumps(document))
    assert made == ConfigParser.load_config_files(files)


def test_key_for_a_file_below_stays_a_key(tmp_path: Path) -> None:
    own = {"configs": {"x": {"train#loss#weight": 1}}}
    assert make(tmp_path, own=own, config={"a": 0}) == {"a": 0, "train#loss#weight": 1}


@pytest.mark.parametrize("entry", ["%absent.json", "%p.json#absent", "%p.json#a#b", "%own.json#z"])
def test_unknown_part_is_named(entry: str, tmp_path: Path) -> None:
    with pytest.raises(InputDataError, match=f"^{entry} of bundle b does not exist"):
        make(tmp_path, own={"configs": {"x": {}}}, config={"k": entry}, part={"a": 1})
