"""The scripts around exams: help, and one line with exit code 2 for bad input."""

from __future__ import annotations

import runpy
import sys
from pathlib import Path
from typing import Any

import pytest
import torch

from petct_ext.scan.networks.design import note_design
from tests.conftest import REPOSITORY
from tests.scan.networks.region_networks import GRID, WINDOWS, region_classifier

SCRIPTS = REPOSITORY / "scripts"
CONFIG = REPOSITORY / "bundles" / "scan_model" / "configs" / "inference.json"
MORTALITY = REPOSITORY / "bundles" / "mortality" / "configs" / "inference.json"
EXAMS = "exam_id,patient_id,exam_date,status,reason,pet_series,ct_series\n"
EXAM = "E1,P1,2020-01-02,ok,,S1,S2\n"
PREPARED = "exam_id,status,reason,pet,ct,num_slices\n"
PREDICTIONS = "experiment,seed,split,task,exam_id,target,prob\n"


def call(monkeypatch: pytest.MonkeyPatch, script: str, *arguments: object, code: int = 2) -> None:
    monkeypatch.setattr(sys, "argv", [f"{script}.py", *map(str, arguments)])
    with pytest.raises(SystemExit, match=rf"^{code}$"):
        runpy.run_path(str(SCRIPTS / f"{script}.py"), run_name="__main__")


@pytest.mark.parametrize("script", sorted(path.stem for path in SCRIPTS.glob("*.py")))
def test_help_says_what_the_script_does(
    script: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    call(monkeypatch, script, "--help", code=0)
    told = capsys.readouterr().out
    assert told.startswith(f"usage: {script}.py")
    assert f"scripts/{script}.py" in told  # an example


@pytest.fixture
def work(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with one file of each sort that a user may give by mistake."""
    monkeypatch.chdir(tmp_path)
    tables: dict[str, str] = {
        "file": "",
        "empty/note.txt": "no DICOM",
        "no_column/exams.csv": "exam,patient\n1,2\n",
        "no_rows/exams.csv": EXAMS,
        "no_rows/prepared.csv": PREPARED,
        "indexed/exams.csv": EXAMS + EXAM,
        "indexed/prepared.csv": PREPARED + "E1,ok,,a.nii,b.nii,9\n",
        "indexed/labels.csv": "exam_id,liver\nE1,7\n",
        "indexed/splits.csv": "exam_id,patient_id,split\nE1,P1,training\n",
        "broken/exams.csv": EXAMS + EXAM,
        "broken/private/series_files.json": "{",
        "gone/exams.csv": EXAMS + EXAM,
        "gone/private/series_files.json": '{"dicom": "/absent", "files": '
        '{"S1": ["1.dcm"], "S2": ["2.dcm"]}}',
        "datalist.json": '{"test": []}',
        "broken.json": "{",
        "model.pt": "no weights",
        "predictions.csv": PREDICTIONS,
        "no_reports/dicom/note.txt": "",
        "no_annotations/dicom/note.txt": "",
        "no_annotations/reports.csv": "study_instance_uid,text\n1,a\n",
    }
    for name, text in tables.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text)
    return tmp_path


DRAW = ("--datalist", "datalist.json", "--predictions", "predictions.csv", "--out", "pictures")
BAD: list[tuple[str, tuple[Any, ...], str]] = [
    ("index_exams", ("--work", "w"), "one of the arguments dicom --image-pairs"),
    ("index_exams", ("absent", "--work", "new"), "absent"),
    ("index_exams", ("empty", "--work", "new"), "empty"),
    ("index_exams", ("file", "--work", "new"), "file"),
    ("index_exams", ("empty", "--work", "file"), "file/private cannot be written to"),
    ("index_exams", ("empty", "--work", "new", "--salt-file", "file"), "salt of 0 characters"),
    ("prepare_exams", ("--work", "absent"), "absent/exams.csv does not exist"),
    ("prepare_exams", ("--work", "no_column"), "lacks the column(s) exam_id"),
    ("prepare_exams", ("--work", "no_rows"), "has no rows"),
    ("prepare_exams", ("--work", "indexed"), "series_files.json does not exist"),
    ("prepare_exams", ("--work", "broken"), "series_files.json is not valid JSON"),
    ("prepare_exams", ("--work", "gone", "--workers", "1"), "none of 1 exams could be prepared"),
    (
        "prepare_exams",
        ("--work", "gone", "--suv-overrides", "predictions.csv"),
        "predictions.csv: the SUV overrides table has no rows",
    ),
    (
        "prepare_exams",
        ("--work", "gone", "--cluster", "local", "--jobs", "0"),
        "0 jobs were asked for",
    ),
    ("check_exams", ("--work", "absent"), "absent/exams.csv does not exist"),
    ("check_exams", ("--work", "gone"), "gone/prepared.csv does not exist"),
    ("make_splits", ("--work", "absent"), "absent/exams.csv does not exist"),
    ("make_splits", ("--work", "no_rows"), "has no rows"),
    ("make_splits", ("--work", "indexed"), "1 patient(s) leave no one for"),
    ("make_splits", ("--work", "indexed", "--fractions", "1", "1", "1"), "must be positive"),
    ("make_splits", ("--work", "indexed", "--fractions", "1"), "expected 3 arguments"),
    ("make_datalist", ("--work", "absent"), "absent/prepared.csv does not exist"),
    ("make_datalist", ("--work", "no_rows"), "has no rows"),
    ("make_datalist", ("--work", "indexed"), "column 'liver': '7' is not a probability"),
    ("make_datalist", ("--work", "indexed", "--labels", "absent.csv"), "absent.csv does not exist"),
    (
        "make_datalist",
        ("--work", "indexed", "--no-labels", "--out", "file/datalist.json"),
        "file cannot be written to",
    ),
    (
        "draw_attention",
        ("--config", "absent.json", "--checkpoint", "model.pt", *DRAW),
        "absent.json does not exist",
    ),
    (
        "draw_attention",
        ("--config", CONFIG, "--checkpoint", "absent.pt", *DRAW),
        "absent.pt does not exist",
    ),
    (
        "draw_attention",
        ("--config", CONFIG, "--checkpoint", "model.pt", *DRAW),
        "model.pt is no checkpoint, or is damaged",
    ),
    (
        "draw_attention",
        ("--config", "broken.json", "--checkpoint", "model.pt", *DRAW),
        "broken.json is not valid JSON",
    ),
    (
        "draw_attention",
        ("--config", MORTALITY, "--checkpoint", "model.pt", *DRAW),
        "has no regions; give inference.json of a scan model",
    ),
    ("make_synthetic_data", ("new", "--patients", "0"), "patients"),
    ("make_synthetic_data", ("new", "--size", "huge"), "invalid choice: 'huge'"),
    ("make_synthetic_data", ("file", "--patients", "1"), "file"),
    ("make_synthetic_data", ("indexed", "--patients", "1"), "indexed"),
    ("run_pipeline", (), "required: --out"),
    ("run_pipeline", ("--out", "file"), "file cannot be written to"),
    ("run_pipeline", ("--out", "new", "--data", "absent"), "absent is not a folder"),
    ("run_pipeline", ("--out", "new", "--data", "no_reports"), "lacks reports.csv"),
    ("run_pipeline", ("--out", "new", "--data", "no_annotations"), "lacks annotations.csv"),
]


@pytest.mark.parametrize(("script", "arguments", "message"), BAD)
def test_bad_input_is_told_in_one_line_with_exit_code_2(
    script: str,
    arguments: tuple[str, ...],
    message: str,
    work: Path,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
) -> None:
    call(monkeypatch, script, *arguments)
    errors = [line for line in capfd.readouterr().err.splitlines() if line.startswith("error:")]
    assert len(errors) == 1, errors
    assert message in errors[0]
    assert "Traceback" not in errors[0]


def test_section_that_the_datalist_lacks_is_told_through_monai(
    work: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    network = region_classifier(2, 26, width=0.0625)
    note_design(network, windows=WINDOWS, grid=GRID)
    torch.save(network.state_dict(), work / "model.pt")
    configs = ("--config", CONFIG, "--checkpoint", "model.pt")
    call(monkeypatch, "draw_attention", *configs, *DRAW)
    assert "error: section 'test' of datalist.json is empty" in capsys.readouterr().err


def test_step_of_the_pipeline_that_fails_is_told_in_one_line(
    work: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    options = ("--data", "no_annotations", "--labeler", "rules", "--out", "new", "--workers", "1")
    call(monkeypatch, "run_pipeline", *options)
    last = capsys.readouterr().err.splitlines()[-1]
    assert last.startswith("error: step 'index': ")
    assert "(exit code 2, log " in last
