"""A cohort to volumes: what is kept, what is made again, and what fails alone."""

from __future__ import annotations

import logging
import os
import subprocess
import sys
import tempfile
from itertools import takewhile
from pathlib import Path

import pytest

from petct_ext.cohort.preparation import prepare_exams, read_suv_overrides
from petct_ext.dicom.volumes.exam_reading import GridChoice
from petct_ext.errors import InputDataError
from petct_ext.files import read_json, write_json
from petct_ext.scan.data.datalist import build_datalist
from tests.dicom.exams import write_cohort
from tests.package_regions import ONTOLOGY

GRID = GridChoice(in_plane=8, field_of_view_mm=40.0)


@pytest.fixture
def work(tmp_path: Path) -> Path:
    """Two good exams."""
    work = write_cohort(tmp_path, {"E1": {}, "E2": {}})
    prepare_exams(work, grid=GRID)
    return work


def times(work: Path) -> dict[str, int]:
    return {p.parent.name: p.stat().st_mtime_ns for p in work.glob("volumes/*/exam.json")}


def made_again(work: Path, *, verify: bool = False) -> set[str]:
    before = times(work)
    prepare_exams(work, grid=GRID, verify=verify)
    return {exam for exam, time in times(work).items() if time != before.get(exam)}


def test_finished_exams_are_kept(work: Path) -> None:
    assert made_again(work) == set()
    assert made_again(work, verify=True) == set()


def test_changed_source_is_made_again(work: Path) -> None:
    path = next((work.parent / "dicom" / "E2" / "ct").iterdir())
    os.utime(path, (1, 1))
    assert made_again(work) == {"E2"}


def test_source_that_was_archived_does_not_matter(work: Path) -> None:
    (work.parent / "dicom").rename(work.parent / "archive")
    assert made_again(work) == set()


def test_cut_volume_is_made_again(work: Path) -> None:
    volume = work / "volumes" / "E1" / "pet.nii"
    volume.write_bytes(volume.read_bytes()[:-1])
    assert made_again(work) == {"E1"}


def test_flipped_byte_is_found_by_the_checksum(
    work: Path, caplog: pytest.LogCaptureFixture
) -> None:
    volume = work / "volumes" / "E1" / "ct.nii"
    content = bytearray(volume.read_bytes())
    content[-1] ^= 1
    volume.write_bytes(content)
    assert made_again(work) == set()
    with caplog.at_level(logging.INFO):
        assert made_again(work, verify=True) == {"E1"}
    assert "exam E1 is made again: ct.nii is damaged: its checksum differs" in caplog.text


@pytest.mark.parametrize("text", ["{", "[]", '{"num_slices": 9}'])
def test_broken_or_old_record_is_made_again(work: Path, text: str) -> None:
    (work / "volumes" / "E1" / "exam.json").write_text(text)
    assert made_again(work) == {"E1"}


def test_volumes_without_record_do_not_count(work: Path) -> None:
    (work / "volumes" / "E1" / "exam.json").unlink()
    assert made_again(work) == {"E1"}


def test_exam_whose_source_became_bad_has_no_record_any_more(work: Path) -> None:
    next((work.parent / "dicom" / "E1" / "pet").iterdir()).write_bytes(b"no DICOM")
    table = prepare_exams(work, grid=GRID).set_index("exam_id")
    assert table.status.to_dict() == {"E1": "quarantined", "E2": "ok"}
    assert not (work / "volumes" / "E1" / "exam.json").exists()


def test_exam_without_suv_is_kept_on_request_and_left_out_of_the_datalist(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    work = write_cohort(tmp_path, {"E1": {}, "E2": {"PatientWeight": None}})
    table = prepare_exams(work, grid=GRID, suv="optional").set_index("exam_id")
    assert table.pet_units.to_dict() == {"E1": "SUVbw", "E2": "BQML"}
    assert table.reason["E2"].startswith("no SUV: ")
    assert build_datalist(work, work / "datalist.json", ontology=ONTOLOGY)["test"] == 1
    assert "1 of 2 prepared exam(s) are left out" in caplog.text
    assert "1 in BQML" in caplog.text
    assert (
        build_datalist(work, work / "datalist.json", any_units=True, ontology=ONTOLOGY)["test"] == 2
    )
    required = prepare_exams(work, grid=GRID).set_index("exam_id")
    assert required.status.to_dict() == {"E1": "ok", "E2": "quarantined"}


def test_overrides_supply_what_one_exam_lacks(tmp_path: Path) -> None:
    work = write_cohort(tmp_path, {"E1": {}, "E2": {"PatientWeight": None}})
    (tmp_path / "weights.csv").write_text("exam_id,weight_kg,injection_time\nE2,70,\n")
    overrides = read_suv_overrides(tmp_path / "weights.csv")
    table = prepare_exams(work, grid=GRID, overrides=overrides)
    assert set(table.status) == {"ok"}
    assert table.suv_bw_factor.nunique() == 1
    record = read_json(work / "volumes" / "E2" / "exam.json")
    assert record["parameters"]["overrides"] == {"weight_kg": 70.0}


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("exam_id,weight\nE1,70\n", r"'weight' is none of weight_kg.*Did you mean 'weight_kg'"),
        ("exam_id,weight_kg\nE1,-70\n", "exam E1: weight_kg is -70; it must be positive"),
        ("exam_id,weight_kg\nE1,heavy\n", "'heavy' is not a number"),
    ],
)
def test_broken_overrides_are_refused(tmp_path: Path, text: str, message: str) -> None:
    (tmp_path / "overrides.csv").write_text(text)
    with pytest.raises(InputDataError, match=message):
        read_suv_overrides(tmp_path / "overrides.csv")


def test_override_of_an_unknown_exam_is_refused(work: Path) -> None:
    (work / "overrides.csv").write_text("exam_id,weight_kg\nE9,70\n")
    overrides = read_suv_overrides(work / "overrides.csv")
    with pytest.raises(InputDataError, match=r"not in exams\.csv, e\.g\. 'E9'"):
        prepare_exams(work, grid=GRID, overrides=overrides)


def test_missing_file_is_one_failed_exam(work: Path) -> None:
    path = next((work.parent / "dicom" / "E1" / "pet").iterdir())
    path.unlink()
    (work / "volumes" / "E1" / "exam.json").unlink()
    table = prepare_exams(work, grid=GRID).set_index("exam_id")
    assert table.status.to_dict() == {"E1": "quarantined", "E2": "ok"}
    assert f"{path.name} cannot be read (No such file" in table.reason["E1"]


_RUN = """
import encodings.utf_8_sig  # another user may not be able to import any more
import os, resource, sys
from pathlib import Path
from petct_ext.cli import run, new_parser
from petct_ext.cohort.preparation import prepare_exams
from petct_ext.dicom.volumes.exam_reading import GridChoice

def main(arguments):
    {before}
    table = prepare_exams(Path({work!r}), grid=GridChoice({in_plane}, 40.0))
    print(table.to_csv())

run(main, new_parser("x"))
"""


def run_apart(work: Path, before: str, *, in_plane: int = 8) -> subprocess.CompletedProcess[str]:
    program = _RUN.format(before=before, work=str(work), in_plane=in_plane)
    return subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)


def test_full_disk_ends_the_run_in_one_line_and_leaves_nothing_half_written(work: Path) -> None:
    # The system refuses to let any file grow beyond 20 kB, as a full disk would.
    limit = "resource.setrlimit(resource.RLIMIT_FSIZE, (20000, 20000))"
    done = run_apart(work, limit, in_plane=64)
    assert done.returncode == 2, done.stderr
    (line,) = [text for text in done.stderr.splitlines() if text.startswith("error:")]
    assert "cannot be written: File too large" in line
    assert "make room or mend the folder, then run the same command again" in line
    assert not list(work.rglob(".partial*"))
    assert times(work).keys() == {"E2"}  # of the first run; E1 is to be made again


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can become another user")
def test_unreadable_file_is_one_failed_exam(work: Path) -> None:
    path = next((work.parent / "dicom" / "E1" / "pet").iterdir())
    path.chmod(0)
    (work / "volumes" / "E1" / "exam.json").unlink()
    for folder in (work, *work.rglob("*")):
        os.chown(folder, 65534, 65534)
    for parent in takewhile(lambda path: path != Path(tempfile.gettempdir()), work.parents):
        parent.chmod(0o755)
    done = run_apart(work, "os.setuid(65534)")
    assert done.returncode == 0, done.stderr
    assert "E1,quarantined" in done.stdout
    assert f"slice file {path.name}: it cannot be read (Permission denied)" in done.stdout
    assert "E2,ok" in done.stdout


def test_index_of_another_run_is_refused(work: Path) -> None:
    write_json(work / "private" / "series_files.json", {"dicom": "x", "files": {}})
    with pytest.raises(InputDataError, match=r"does not fit exams\.csv"):
        prepare_exams(work, grid=GRID)
