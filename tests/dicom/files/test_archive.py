"""Headers are read once; a killed or repeated run reads what is new."""

from __future__ import annotations

import gzip
import os
import shutil
import subprocess
import sys
import time
from pathlib import Path

import pytest

from petct_ext.dicom.files import archive as archive_module
from petct_ext.dicom.files.archive import HeaderCache, read_archive
from petct_ext.dicom.files.headers import UnreadFile
from petct_ext.dicom.files.walk import FileStamp, walk_files
from tests.dicom.slices import write_slices


@pytest.fixture
def dicom(tmp_path: Path) -> Path:
    write_slices(tmp_path / "dicom" / "pet", modality="PT", heights_mm=range(5), series="1")
    write_slices(tmp_path / "dicom" / "ct", heights_mm=range(7), series="2")
    (tmp_path / "dicom" / "notes.txt").write_text("not DICOM")
    return tmp_path / "dicom"


def test_second_run_opens_nothing_and_gives_the_same(dicom: Path, tmp_path: Path) -> None:
    first = read_archive(dicom, tmp_path / "cache")
    second = read_archive(dicom, tmp_path / "cache")
    assert (first.num_read, second.num_read) == (13, 0)
    assert first.headers == second.headers
    assert (second.num_files, second.num_other, len(second.headers)) == (13, 1, 12)


def test_new_changed_and_removed_files_are_noticed(dicom: Path, tmp_path: Path) -> None:
    read_archive(dicom, tmp_path / "cache")
    write_slices(dicom / "more", heights_mm=range(3), series="3")
    write_slices(dicom / "pet", modality="PT", heights_mm=range(2), series="1", PatientWeight=71.5)
    shutil.rmtree(dicom / "ct")
    archive = read_archive(dicom, tmp_path / "cache")
    assert archive.num_read == 5
    assert len(archive.headers) == 8
    assert {h.text("PatientWeight") for h in archive.headers} == {"70.0", "71.5"}
    assert read_archive(dicom, tmp_path / "cache").num_read == 0


def test_damaged_part_is_read_again(
    dicom: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    first = read_archive(dicom, tmp_path / "cache")
    (part,) = (tmp_path / "cache").iterdir()
    part.write_bytes(part.read_bytes()[:50])
    assert read_archive(dicom, tmp_path / "cache").headers == first.headers
    assert "damaged" in caplog.text
    assert read_archive(dicom, tmp_path / "cache").num_read == 0


def test_cache_holds_no_name_and_no_birth_date(dicom: Path, tmp_path: Path) -> None:
    write_slices(dicom / "named", series="4", SeriesDescription="Doe, Jane")
    read_archive(dicom, tmp_path / "cache")
    (part,) = (tmp_path / "cache").iterdir()
    text = gzip.decompress(part.read_bytes()).decode()
    assert "Doe" not in text
    assert "19500102" not in text


def test_processes_give_what_one_gives(
    dicom: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(archive_module, "_CHUNK", 4)
    monkeypatch.setattr(archive_module, "_FEWEST_FOR_POOL", 0)
    alone = read_archive(dicom, tmp_path / "one", workers=1)
    assert read_archive(dicom, tmp_path / "two", workers=2).headers == alone.headers


_SLOW_RUN = """
import sys, time
from pathlib import Path
from petct_ext.dicom.files import archive
from petct_ext.dicom.files.headers import HeaderReader
archive._CHUNK, archive._FLUSH_AFTER_FILES = 2, 2
class Slow(HeaderReader):
    def read(self, path):
        time.sleep(0.3)
        return super().read(path)
archive.HeaderReader = Slow
archive.read_archive(sys.argv[1], Path(sys.argv[2]))
"""


def test_killed_run_goes_on_where_it_stopped(dicom: Path, tmp_path: Path) -> None:
    cache = tmp_path / "cache"
    command = [sys.executable, "-c", _SLOW_RUN, str(dicom), str(cache)]
    with subprocess.Popen(command, env=os.environ | {"OMP_NUM_THREADS": "1"}) as process:
        deadline = time.monotonic() + 60
        while len(list(cache.glob("part_*"))) < 2 and time.monotonic() < deadline:
            time.sleep(0.02)
        process.kill()
    archive = read_archive(dicom, cache)
    assert 0 < archive.num_read < archive.num_files
    assert archive.headers == read_archive(dicom, tmp_path / "fresh").headers


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read every file")
def test_file_without_permission_is_named_and_tried_again(dicom: Path, tmp_path: Path) -> None:
    shut = next((dicom / "ct").iterdir())
    shut.chmod(0)
    archive = read_archive(dicom, tmp_path / "cache")
    assert archive.unread == {f"ct/{shut.name}": "Permission denied"}
    shut.chmod(0o600)
    assert len(read_archive(dicom, tmp_path / "cache").headers) == 12


def test_file_that_vanishes_is_named(dicom: Path, tmp_path: Path) -> None:
    """What fails for a passing reason is not remembered."""
    cache = HeaderCache(tmp_path / "cache")
    stamp = FileStamp("", "gone", 1, 1)
    result = cache.add(stamp, UnreadFile("gone", "Input/output error", is_lasting=False))
    assert isinstance(result, UnreadFile)
    assert cache.get(stamp) is None
    assert len(walk_files(dicom).files) == 13
