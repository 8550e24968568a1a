"""The survival analysis as a group runs it that brings its own list of exams."""

from __future__ import annotations

import runpy
import sys
from datetime import date, timedelta
from pathlib import Path

import pandas as pd
import pytest

from benchmarks.survival_simulation import make_pool, simulate_tables
from petct_ext.files import read_json
from tests.conftest import REPOSITORY
from tests.package_regions import ONTOLOGY


def call(monkeypatch: pytest.MonkeyPatch, *arguments: object, code: int = 0) -> None:
    script = REPOSITORY / "scripts" / "analyze_survival.py"
    monkeypatch.setattr(sys, "argv", [script.name, *map(str, arguments)])
    with pytest.raises(SystemExit, match=rf"^{code}$"):
        runpy.run_path(str(script), run_name="__main__")


@pytest.fixture
def cohort(tmp_path: Path) -> Path:
    """Exams with dates and DICOM ages, and predictions."""
    table, predictions = simulate_tables(
        make_pool(300, seed=4, ontology=ONTOLOGY), num_patients=300, seed=4
    )
    start = date(2015, 1, 1)
    end = [str(start + timedelta(days=int(days))) for days in table["time_days"]]
    exams = table[["exam_id", "patient_id", "split", "indication", "summary_code"]].assign(
        exam_date=str(start),
        death_date=pd.Series(end).where(table["event"] == 1, ""),
        last_contact_date=pd.Series(end).where(table["event"] == 0, ""),
        age=[f"{int(years):03d}Y" for years in table["age_years"]],
    )
    exams.to_csv(tmp_path / "exams.csv", index=False)
    predictions.to_csv(tmp_path / "predictions.csv", index=False)
    return tmp_path


def _arguments(cohort: Path) -> list[object]:
    return [
        *("--exams", cohort / "exams.csv", "--predictions", cohort / "predictions.csv"),
        *("--out", cohort / "out", "--bootstrap", 20, "--regions", "liver", "--min-group", 30),
    ]


def test_list_of_exams_becomes_a_page(cohort: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    call(monkeypatch, *_arguments(cohort), "--ties", "breslow", "--horizon-days", 90, 365)
    summary = read_json(cohort / "out" / "survival_summary.json")
    page = (cohort / "out" / "index.html").read_text()

    assert summary["ties"] == "breslow"
    assert summary["horizons_days"] == [90, 365]
    assert summary["fit"]["n_patients"] == summary["score"]["n_patients"] == 150
    assert "Predictions learned from WEAK labels." in page
    assert "Artificial patients." not in page


@pytest.mark.parametrize(
    ("column", "value", "message"),
    [
        ("age", "old", "age 'old' is no age"),
        ("death_date", "2014-12-01", "death 31 days before the last exam"),
    ],
)
def test_broken_row_ends_with_one_line_unless_it_may_be_left_out(
    cohort: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    *,
    column: str,
    value: str,
    message: str,
) -> None:
    exams = pd.read_csv(cohort / "exams.csv", dtype=str, keep_default_na=False)
    exams.loc[0, ["death_date", "last_contact_date"]] = ["2015-02-01", ""]
    exams.loc[0, column] = value
    exams.to_csv(cohort / "exams.csv", index=False)
    call(monkeypatch, *_arguments(cohort), code=2)
    told = capsys.readouterr().err

    assert message in next(line for line in told.splitlines() if line.startswith("error: "))
    assert "Traceback" not in told


def test_broken_rows_may_be_left_out_and_phantoms_are_known_by_the_folder_of_the_run(
    cohort: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    exams = pd.read_csv(cohort / "exams.csv", dtype=str, keep_default_na=False)
    exams.loc[0, "age"] = "old"
    exams.to_csv(cohort / "exams.csv", index=False)
    (cohort / "cohort.json").write_text('{"artificial": true}')
    call(monkeypatch, *_arguments(cohort), "--leave-out-bad")
    left_out = pd.read_csv(cohort / "out" / "left_out.csv")

    assert left_out["patient_id"].tolist() == [exams.loc[0, "patient_id"]]
    assert "Artificial patients." in (cohort / "out" / "index.html").read_text()


def test_mortality_experiment_is_chosen_by_an_option_of_its_own(
    cohort: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    predictions = pd.read_csv(cohort / "predictions.csv")
    liver = predictions[predictions["task"] == "liver"]
    starts = [
        liver.assign(experiment=f"mortality_from_{start}", task=f"dead_within_{days}_days")
        for start in ("scan_model", "random")
        for days in (90, 365)
    ]
    pd.concat(starts).to_csv(cohort / "mortality.csv", index=False)
    more = ("--mortality-predictions", cohort / "mortality.csv", "--horizon-days", 90)
    call(monkeypatch, *_arguments(cohort), *more, code=2)
    assert "; choose one with --mortality-experiment." in capsys.readouterr().err

    chosen = ("--mortality-experiment", "mortality_from_random")
    call(monkeypatch, *_arguments(cohort), *more, *chosen)
    summary = read_json(cohort / "out" / "survival_summary.json")
    horizons = summary["mortality_model"]["horizons"]
    assert [scored["horizon_days"] for scored in horizons] == [90, 365]
