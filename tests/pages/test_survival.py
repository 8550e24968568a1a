"""Facts about the page of a survival analysis."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pandas as pd
import pytest

from benchmarks.survival_simulation import make_pool, simulate_tables
from petct_ext.errors import InputDataError
from petct_ext.files import read_json
from petct_ext.pages.survival import build_survival_page, write_survival_page
from petct_ext.pages.survival_files import write_analysis
from petct_ext.survival.analysis import AnalysisOptions, analyze_survival
from tests.package_regions import ONTOLOGY


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    table, predictions = simulate_tables(
        make_pool(300, seed=2, ontology=ONTOLOGY), num_patients=300, seed=2
    )
    options = AnalysisOptions(regions=("liver",), num_bootstrap=50, min_group=30, ontology=ONTOLOGY)
    analysis = analyze_survival(table, predictions, options=options)
    path = tmp_path_factory.mktemp("survival")
    write_analysis(analysis, None, folder=path, facts={"is_artificial": True})
    return path


def test_page_holds_every_part_and_asks_for_nothing(folder: Path) -> None:
    page = write_survival_page(folder).read_text()

    for title in (
        "What predictions add",
        "Multivariable Cox models",
        "Single variables",
        "Survival by prediction",
        "Discrimination and calibration at x days",
        "Proportional hazards",
        "Patients",
        "How the numbers were made",
    ):
        assert f"<h2>{title}</h2>" in page
    assert not re.findall(r'(?:src|href)="(?!data:|#)', page)
    assert page.count("<img ") == 8


def test_page_says_at_its_head_what_limits_the_numbers(folder: Path) -> None:
    head = build_survival_page(folder).partition("</header>")[0]

    assert "Artificial patients." in head
    assert "Predictions learned from WEAK labels." in head
    assert "do not carry over to another hospital" in head


def test_page_tells_every_horizon_of_the_mortality_model_and_why_an_interval_is_missing(
    folder: Path, tmp_path: Path
) -> None:
    for path in folder.iterdir():
        (tmp_path / path.name).write_bytes(path.read_bytes())
    reason = "no interval: 1 dead and 90 alive, but it needs 5 of each"
    counts = {"n_patients": 91, "n_dead": 1, "n_alive": 90, "n_censored_before": 0}
    areas = {"auroc": 1.0, "auroc_ci": None, "c_index": 0.7, "c_index_ci": None, "note": reason}
    scored = [
        {"task": f"dead_within_{days}_days", "horizon_days": days, **counts, **areas}
        for days in (45, 90)
    ]
    model = {"mortality_model": {**scored[1], "horizons": scored}}
    summary = read_json(folder / "survival_summary.json") | model
    (tmp_path / "survival_summary.json").write_text(json.dumps(summary))
    scores = pd.read_csv(folder / "horizons.csv").assign(note="no interval: told in the table")
    scores.to_csv(tmp_path / "horizons.csv", index=False)
    page = build_survival_page(tmp_path)

    for days in (45, 90):
        assert f"mortality model, AUROC of dead within {days} days" in page
    assert reason in page
    assert "no interval: told in the table" in page
    assert "at quantiles of the prediction" in page
    assert "equal size" not in page


def test_page_of_real_patients_does_not_call_them_artificial(folder: Path, tmp_path: Path) -> None:
    for path in folder.iterdir():
        (tmp_path / path.name).write_bytes(path.read_bytes())
    summary = read_json(folder / "survival_summary.json") | {"is_artificial": False}
    (tmp_path / "survival_summary.json").write_text(json.dumps(summary))

    assert "Artificial patients." not in build_survival_page(tmp_path)


def test_missing_and_malformed_results_are_told(folder: Path, tmp_path: Path) -> None:
    with pytest.raises(InputDataError, match=r"survival_summary\.json"):
        build_survival_page(tmp_path)
    (tmp_path / "survival_summary.json").write_text("{}")
    with pytest.raises(InputDataError, match="lacks or misstates 'regions'"):
        build_survival_page(tmp_path)
    (tmp_path / "survival_summary.json").write_bytes(
        (folder / "survival_summary.json").read_bytes()
    )
    with pytest.raises(InputDataError, match=r"cox_with_regions\.csv does not exist; run scripts/"):
        build_survival_page(tmp_path)
