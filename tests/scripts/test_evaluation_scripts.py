"""The scripts for evaluation, survival and the page, run as a user runs them."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from petct_ext.files import read_json
from tests.conftest import REPOSITORY
from tests.forks import LIGHT, run_forked

SCRIPTS = REPOSITORY / "scripts"
DAY = pd.Timestamp("2020-01-01")
REGIONS = ("full", "liver", "lungs")


def _run(script: str, *arguments: object) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, str(SCRIPTS / script), *map(str, arguments)]
    return run_forked(command, modules=LIGHT)


def _write(rows: Sequence[Sequence[object]], columns: str, path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    pd.DataFrame(rows, columns=columns.split()).to_csv(path, index=False)


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """A made-up cohort of 160 patients and its run up to the predictions."""
    data, work = tmp_path_factory.mktemp("data"), tmp_path_factory.mktemp("work")
    generator = np.random.default_rng(0)
    ids, exams, prepared, splits, reports, outcomes, hand, predictions, mortality = (
        list[tuple[object, ...]]() for _ in range(9)
    )
    for i in range(160):
        exam, patient, uid = f"E{i}", f"P{i}", f"1.2.{i}"
        split = ("training", "training", "validation", "test")[i % 4]
        burden, age = generator.normal(), 60 + 10 * generator.normal()
        death = int(generator.exponential(400 * np.exp(-burden)))
        contact = int(generator.uniform(100, 1500))
        end = (DAY + pd.Timedelta(days=min(death, contact))).date()
        ids.append((exam, patient, uid, f"MRN{i}"))
        exams.append((exam, patient, DAY.date(), "ok", "F", round(age)))
        prepared.append((exam, "ok", f"volumes/{exam}/pet.nii.gz", f"volumes/{exam}/ct.nii.gz"))
        splits.append((exam, patient, split))
        reports.append((uid, "", ["lymphoma", "lung"][i % 2], [1, 4][int(burden > 0)]))
        dead = death <= contact
        outcomes.append((f"MRN{i}", end if dead else "", "" if dead else end))
        latent = burden + generator.normal(size=len(REGIONS))
        hand.append((uid, *(latent > 0.4).astype(int)))
        for task, value in zip(REGIONS, latent, strict=True):
            prob = 1 / (1 + np.exp(-value))
            predictions.append(("scan_model", 0, split, task, exam, float(value > 0.5), prob))
        prob = 1 / (1 + np.exp(-burden))
        mortality.append(("mortality", 0, split, "dead_within_180_days", exam, 0, prob))
    _write(ids, "exam_id patient_id study_instance_uid raw_patient_id", _ids(work))
    _write(exams, "exam_id patient_id exam_date status sex age_years", work / "exams.csv")
    _write(prepared, "exam_id status pet ct", work / "prepared.csv")
    prepared_table = pd.read_csv(work / "prepared.csv").assign(num_slices=96)
    prepared_table.to_csv(work / "prepared.csv", index=False)
    _write(splits, "exam_id patient_id split", work / "splits.csv")
    _write(reports, "study_instance_uid text indication summary_code", data / "reports.csv")
    _write(outcomes, "patient_id death_date last_contact_date", data / "outcomes.csv")
    _write(hand, f"study_instance_uid {' '.join(REGIONS)}", data / "hand_labels.csv")
    columns = "experiment seed split task exam_id target prob"
    _write(predictions, columns, work / "predictions.csv")
    _write(mortality, columns, work / "mortality" / "predictions.csv")
    return data, work


def _ids(work: Path) -> Path:
    return work / "private" / "identifiers.csv"


@pytest.mark.slow
def test_chain_ends_in_a_page(run: tuple[Path, Path]) -> None:
    data, work = run
    table = work / "survival" / "survival_table.csv"
    steps = [
        ("make_survival_table.py", "--cohort", data, "--work", work),
        (
            *("evaluate_predictions.py", work / "predictions.csv", "--out", work / "evaluation"),
            *("--hand-labels", data / "hand_labels.csv", "--identifiers", _ids(work)),
            *("--bootstrap", 100),
        ),
        (
            *("analyze_survival.py", "--survival-table", table, "--out", work / "survival"),
            *("--predictions", work / "predictions.csv", "--bootstrap", 100),
            *("--mortality-predictions", work / "mortality" / "predictions.csv"),
        ),
        ("make_page.py", "--work", work, "--title", "Made-up run"),
    ]
    for script, *arguments in steps:
        done = _run(str(script), *arguments)
        assert done.returncode == 0, done.stderr

    metrics = pd.read_csv(work / "evaluation" / "metrics.csv")
    assert metrics["target_kind"].tolist() == ["hand"] * 3
    assert metrics["auroc"].min() > 0.9
    summary = read_json(work / "survival" / "survival_summary.json")
    assert summary["c_index_with_regions"] > 0.55
    assert len(read_json(work / "mortality" / "datalist.json")["test"]) == 40
    page = (work / "index.html").read_text()
    assert "Made-up run" in page
    assert page.count("data:image/svg+xml") == 5
    assert "MRN" not in page


def test_evaluation_without_hand_labels_says_so_everywhere(
    run: tuple[Path, Path], tmp_path: Path
) -> None:
    done = _run(
        *("evaluate_predictions.py", run[1] / "predictions.csv", "--out", tmp_path),
        *("--bootstrap", 50, "--tasks", "liver", "--patients", run[1] / "splits.csv"),
    )

    assert "evaluated on WEAK labels" in done.stdout
    assert "draws of patients" in done.stdout
    assert set(pd.read_csv(tmp_path / "metrics.csv")["target_kind"]) == {"weak"}


def test_several_tables_are_compared(run: tuple[Path, Path], tmp_path: Path) -> None:
    table = pd.read_csv(run[1] / "predictions.csv")
    other = table.assign(experiment="other", prob=1 - table["prob"])
    other.to_csv(tmp_path / "other.csv", index=False)
    done = _run(
        *("evaluate_predictions.py", run[1] / "predictions.csv", tmp_path / "other.csv"),
        *("--out", tmp_path / "out", "--reference", "other", "--bootstrap", 50, "--rounds", 50),
        *("--patients", run[1] / "splits.csv", "--sensitivity", 0.9),
    )

    assert done.returncode == 0, done.stderr
    assert "scan_model minus other: macro AUROC +" in done.stdout
    rows = pd.read_csv(tmp_path / "out" / "comparisons.csv")
    assert rows["task"].tolist() == [*REGIONS, "all tasks"]
    assert set(rows["target_kind"]) == {"weak"}
    metrics = pd.read_csv(tmp_path / "out" / "metrics.csv")
    assert set(metrics["threshold_rule"]) == {"sensitivity 0.9 on split validation (weak labels)"}
    assert "Evaluated on WEAK labels" in (tmp_path / "out" / "index.html").read_text()


BAD_INPUT = {
    "missing predictions": (
        "evaluate_predictions.py {w}/no.csv --out {t}",
        "no.csv does not exist",
    ),
    "wrong column": ("evaluate_predictions.py {w}/splits.csv --out {t}", "lacks the column"),
    "empty table": ("evaluate_predictions.py {t}/empty.csv --out {t}", "empty.csv is empty"),
    "unknown task": (
        "evaluate_predictions.py {w}/predictions.csv --out {t} --tasks livr",
        "Did you mean 'liver'?",
    ),
    "labels without link": (
        "evaluate_predictions.py {w}/predictions.csv --out {t} --hand-labels {d}/hand_labels.csv",
        "--hand-labels needs --identifiers",
    ),
    "no draws": (
        "evaluate_predictions.py {w}/predictions.csv --out {t} --bootstrap 0",
        "at least 1",
    ),
    "no rounds": (
        "evaluate_predictions.py {w}/predictions.csv {t}/q.csv --out {t} --rounds 0 --bootstrap 9",
        "rounds (0) must be at least 1",
    ),
    "unequal exams": (
        "evaluate_predictions.py {w}/predictions.csv {t}/few.csv --out {t}",
        "--common-exams",
    ),
    "unknown reference": (
        "evaluate_predictions.py {w}/predictions.csv --out {t} --bootstrap 9 --reference scan_modl",
        "Did you mean 'scan_model'?",
    ),
    "no such split for thresholds": (
        (
            "evaluate_predictions.py {w}/predictions.csv --out {t} --sensitivity 0.9 "
            "--threshold-split valid"
        ),
        "Did you mean 'validation'?",
    ),
    "unwritable output": (
        "evaluate_predictions.py {w}/predictions.csv --out {t}/empty.csv/x",
        "cannot be written to",
    ),
    "missing cohort": ("make_survival_table.py --cohort {t} --work {w}", "outcomes.csv does not"),
    "no horizon": (
        "make_survival_table.py --cohort {d} --work {w} --horizon-days 0",
        "not a positive number of days",
    ),
    "unknown region": (
        (
            "analyze_survival.py --survival-table {t}/survival.csv "
            "--predictions {w}/predictions.csv --out {t} --regions lung"
        ),
        "no prediction of region 'lung'",
    ),
    "wrong table": (
        (
            "analyze_survival.py --survival-table {w}/splits.csv --predictions {w}/predictions.csv "
            "--out {t}"
        ),
        "survival table table lacks",
    ),
    "unknown experiment": (
        (
            "analyze_survival.py --survival-table {t}/survival.csv "
            "--predictions {w}/predictions.csv --out {t} --experiment other"
        ),
        "there is no 'other'",
    ),
    "no such run": ("make_page.py --work {t}/none", "is not a folder"),
    "no results": ("make_page.py --work {t}", "holds no result"),
    "missing option": ("make_page.py", "required: --work"),
}


@pytest.fixture(scope="module")
def complaints(
    run: tuple[Path, Path], tmp_path_factory: pytest.TempPathFactory
) -> dict[str, tuple[int, str, str]]:
    """What each of ``BAD_INPUT`` answers: exit code, stdout, stderr."""
    commands = []
    for command, _ in BAD_INPUT.values():
        folder = tmp_path_factory.mktemp("bad")
        (folder / "empty.csv").touch()
        other = pd.read_csv(run[1] / "predictions.csv").assign(experiment="other")
        other.to_csv(folder / "q.csv", index=False)
        other.iloc[12:].to_csv(folder / "few.csv", index=False)
        (folder / "survival.csv").write_text(
            "patient_id,exam_id,split,time_days,event,age_years,sex,indication,summary_code\n"
            "P2,E2,validation,9,1,60,F,,\nP3,E3,test,9,1,60,F,,\n"
        )
        commands.append(command.format(d=run[0], w=run[1], t=folder).split())
    ended = [_run(*command) for command in commands]
    answers = [(done.returncode, done.stdout, done.stderr) for done in ended]
    return dict(zip(BAD_INPUT, answers, strict=True))


@pytest.mark.parametrize("name", BAD_INPUT)
def test_bad_input_is_one_line_and_exit_code_2(
    complaints: dict[str, tuple[int, str, str]], name: str
) -> None:
    code, out, err = complaints[name]

    assert code == 2
    assert out == ""
    assert BAD_INPUT[name][1] in err
    # What is logged before goes elsewhere: the handler has the first stderr of the process.
    assert len([line for line in err.splitlines() if line.startswith("error: ")]) == 1
    assert "Traceback" not in err


def test_help_tells_what_the_step_does() -> None:
    names = ("evaluate_predictions", "make_survival_table", "analyze_survival", "make_page")
    for name in names:
        done = _run(f"{name}.py", "--help")
        assert done.returncode == 0
        assert "Example:" in done.stdout


def test_error_is_all_that_a_user_sees(tmp_path: Path) -> None:
    done = _run("make_page.py", "--work", tmp_path)

    assert done.returncode == 2
    assert done.stdout == ""
    assert len(done.stderr.splitlines()) == 1
