"""A walk finds every file once and is not stopped by links or missing permission."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from petct_ext.dicom.files.walk import walk_files
from petct_ext.errors import InputDataError


def make(path: Path, content: bytes = b"x") -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)
    return path


def test_files_are_found_with_size_and_time(tmp_path: Path) -> None:
    file = make(tmp_path / "a" / "b" / "IM0001", b"abc")
    make(tmp_path / "top")
    (stamp, top) = sorted(walk_files(tmp_path).files, reverse=True)
    assert (stamp.path, stamp.size) == ("a/b/IM0001", 3)
    assert stamp.mtime_ns == file.stat().st_mtime_ns
    assert top.path == "top"


def test_hidden_files_and_folders_are_left_out(tmp_path: Path) -> None:
    make(tmp_path / ".trash" / "one")
    make(tmp_path / "two" / ".three")
    make(tmp_path / "two" / "four")
    assert [f.path for f in walk_files(tmp_path).files] == ["two/four"]


def test_loop_of_links_is_entered_once(tmp_path: Path) -> None:
    make(tmp_path / "a" / "one")
    (tmp_path / "a" / "again").symlink_to(tmp_path, target_is_directory=True)
    assert [f.path for f in walk_files(tmp_path).files] == ["a/one"]


def test_linked_folder_outside_is_followed_and_dead_link_is_named(tmp_path: Path) -> None:
    make(tmp_path / "elsewhere" / "one")
    (tmp_path / "root").mkdir()
    (tmp_path / "root" / "link").symlink_to(tmp_path / "elsewhere", target_is_directory=True)
    (tmp_path / "root" / "dead").symlink_to(tmp_path / "nowhere")
    walk = walk_files(tmp_path / "root")
    assert [f.path for f in walk.files] == ["link/one"]
    assert walk.unread == {"dead": "a link that leads nowhere"}


@pytest.mark.skipif(os.geteuid() == 0, reason="root may enter every folder")
def test_folder_without_permission_is_named(tmp_path: Path) -> None:
    make(tmp_path / "open" / "one")
    make(tmp_path / "shut" / "two")
    (tmp_path / "shut").chmod(0)
    try:
        assert walk_files(tmp_path).unread == {"shut": "Permission denied"}
    finally:
        (tmp_path / "shut").chmod(0o700)


def test_missing_and_empty_folders_are_refused(tmp_path: Path) -> None:
    with pytest.raises(InputDataError, match="not a folder"):
        walk_files(tmp_path / "nowhere")
    with pytest.raises(InputDataError, match="holds no file"):
        walk_files(tmp_path)
