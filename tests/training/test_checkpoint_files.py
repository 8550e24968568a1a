"""A checkpoint is read as it was written, or refused."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import pytest
import torch

from petct_ext.errors import InputDataError, OutputError
from petct_ext.training.checkpoints import read_checkpoint, write_checkpoint


def test_what_was_written_is_read(tmp_path: Path) -> None:
    write_checkpoint({"a": torch.arange(3)}, tmp_path / "model.pt")
    assert read_checkpoint(tmp_path / "model.pt", remedy="")["a"].tolist() == [0, 1, 2]


def test_flipped_bits_are_found(tmp_path: Path) -> None:
    """Torch itself takes them for weights."""
    path = tmp_path / "model.pt"
    write_checkpoint({"a": torch.zeros(1000)}, path)
    content = bytearray(path.read_bytes())
    place = content.index(bytes(4000)) + 2000
    content[place : place + 4] = b"\x00\x00\x80\x3f"
    path.write_bytes(content)
    assert torch.load(path, weights_only=True)["a"].max() > 0
    with pytest.raises(
        InputDataError, match=r"model\.pt is no checkpoint, or is damaged \(Bad.*again"
    ):
        read_checkpoint(path, remedy="copy it again")


@pytest.mark.skipif(
    os.name != "posix" or os.geteuid() != 0 or shutil.which("mount") is None,
    reason="a full disk is made with mount, as root",
)
def test_full_disk_is_told(tmp_path: Path) -> None:
    mounted = ["mount", "-t", "tmpfs", "-o", "size=64k", "tmpfs", str(tmp_path)]
    if subprocess.run(mounted, check=False, capture_output=True).returncode:
        pytest.skip("mounting is not allowed here")
    try:
        with pytest.raises(OutputError, match=r"model\.pt cannot be written"):
            write_checkpoint({"a": torch.zeros(100_000)}, tmp_path / "model.pt")
        assert list(tmp_path.iterdir()) == []
    finally:
        subprocess.run(["umount", str(tmp_path)], check=True)
