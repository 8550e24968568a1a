"""Files are written whole or not at all."""

from __future__ import annotations

import math
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from petct_ext.errors import InputDataError, OutputError
from petct_ext.files import (
    atomic_path,
    make_folder,
    read_json,
    require_file,
    write_json,
    write_text,
)


def write_half(target: Path) -> None:
    with atomic_path(target) as partial:
        partial.write_text("half")
        raise ZeroDivisionError("broken")


def write_to_full_disk(target: Path) -> None:
    with atomic_path(target) as partial:
        partial.symlink_to("/dev/full")
        partial.write_text("x")


def test_error_leaves_the_old_file_and_no_litter(tmp_path: Path) -> None:
    target = write_text(tmp_path / "a.txt", "old")
    with pytest.raises(ZeroDivisionError, match="broken"):
        write_half(target)
    assert target.read_text() == "old"
    assert list(tmp_path.iterdir()) == [target]


def test_partial_file_lies_beside_with_the_same_suffixes(tmp_path: Path) -> None:
    with atomic_path(tmp_path / "new" / "pet.nii.gz") as partial:
        assert partial.parent == tmp_path / "new"
        assert partial.suffixes[-2:] == [".nii", ".gz"]
        partial.write_bytes(b"x")
    assert [path.name for path in (tmp_path / "new").iterdir()] == ["pet.nii.gz"]


def test_block_that_writes_nothing_is_told(tmp_path: Path) -> None:
    told = r"a\.txt cannot be written: No such file"
    with pytest.raises(OutputError, match=told), atomic_path(tmp_path / "a.txt"):
        pass


def test_folder_where_the_file_should_be_is_told(tmp_path: Path) -> None:
    (tmp_path / "a.txt").mkdir()
    with pytest.raises(OutputError, match=r"a\.txt cannot be written: Is a directory"):
        write_text(tmp_path / "a.txt", "x")
    assert [path.name for path in tmp_path.iterdir()] == ["a.txt"]


def test_full_disk_is_told(tmp_path: Path) -> None:
    if not Path("/dev/full").exists():
        pytest.skip("needs Linux's /dev/full")
    with pytest.raises(OutputError, match="No space left on device"):
        write_to_full_disk(tmp_path / "a.txt")
    assert list(tmp_path.iterdir()) == []


def test_file_where_a_folder_should_be_is_told(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    for path in (tmp_path / "file", tmp_path / "file" / "below"):
        with pytest.raises(OutputError, match=r"cannot be written to .*choose another output"):
            make_folder(path)


def test_folder_may_exist_and_stays_empty(tmp_path: Path) -> None:
    assert make_folder(make_folder(tmp_path / "a" / "b")) == tmp_path / "a" / "b"
    assert list((tmp_path / "a" / "b").iterdir()) == []


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)


@given(document=JSON.filter(lambda d: "inf" not in str(d)))
def test_json_comes_back(tmp_path_factory: pytest.TempPathFactory, document: object) -> None:
    path = tmp_path_factory.getbasetemp() / "document.json"
    assert read_json(write_json(path, document)) == document


def test_nan_is_no_json(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="not JSON compliant"):
        write_json(tmp_path / "a.json", {"auroc": math.nan})
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("content", [b"{", b"\xff\xfe", b""])
def test_broken_json_is_told(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "a.json").write_bytes(content)
    with pytest.raises(InputDataError, match=r"a\.json is not valid JSON: "):
        read_json(tmp_path / "a.json")


def test_missing_json_is_told(tmp_path: Path) -> None:
    with pytest.raises(InputDataError, match=r"a\.json does not exist; run the step"):
        read_json(tmp_path / "a.json")


def test_folder_in_place_of_json_is_told(tmp_path: Path) -> None:
    with pytest.raises(InputDataError, match="cannot be read: Is a directory"):
        read_json(tmp_path)


def test_required_file_must_exist(tmp_path: Path) -> None:
    path = write_text(tmp_path / "model.pt", "x")
    assert require_file(path) == str(path)
    with pytest.raises(InputDataError, match="does not exist; check the path or run the step"):
        require_file(tmp_path / "absent.pt")


def test_folder_in_place_of_a_file_is_told(tmp_path: Path) -> None:
    with pytest.raises(InputDataError, match="is a folder; give a file in it"):
        require_file(tmp_path)
