"""Facts about the survival analysis as a whole, on cohorts with a known hazard."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from petct_ext.errors import InputDataError
from petct_ext.files import read_json
from petct_ext.pages.survival_files import write_analysis
from petct_ext.survival.analysis import AnalysisOptions, analyze_survival, mortality_model_auroc
from petct_ext.survival.patients import select_patients
from petct_ext.survival.performance import why_no_interval
from petct_ext.survival.single_variables import single_variable_models
from tests.package_regions import ONTOLOGY

OPTIONS = AnalysisOptions(regions=("liver", "lungs"), num_bootstrap=200, ontology=ONTOLOGY)


def _cohort(num_patients: int = 300) -> tuple[pd.DataFrame, pd.DataFrame, pd.DataFrame]:
    """Hazard rises with the burden in the liver and with age; the lungs do not matter."""
    generator = np.random.default_rng(0)
    number = np.arange(num_patients)
    age, liver = generator.normal(60, 10, num_patients), generator.normal(size=num_patients)
    death = generator.exponential(400 * np.exp(-1.0 * liver - 0.04 * (age - 60)))
    contact = generator.uniform(50, 1500, num_patients)
    table = pd.DataFrame(
        {
            "patient_id": [f"P{i}" for i in number],
            "exam_id": [f"E{i}" for i in number],
            "split": np.where(number % 2, "validation", "test"),
            "time_days": np.minimum(death, contact).round(),
            "event": (death <= contact).astype(int),
            "age_years": age,
            "sex": "F",
            "indication": generator.choice(["lymphoma", "lung"], num_patients),
            "summary_code": generator.choice(["1", "4"], num_patients),
        }
    )
    probs = {"liver": liver, "lungs": generator.normal(size=num_patients)}
    predictions = _predictions(table, {k: 1 / (1 + np.exp(-v)) for k, v in probs.items()})
    risk = 1 / (1 + np.exp(1 - liver))
    return table, predictions, _predictions(table, {"dead_within_180_days": risk})


def _predictions(table: pd.DataFrame, probs: dict[str, np.ndarray]) -> pd.DataFrame:
    return pd.concat(
        pd.DataFrame({"exam_id": table["exam_id"], "task": task, "seed": seed, "prob": prob})
        for task, prob in probs.items()
        for seed in (1, 2)
    )


def test_region_that_drives_the_hazard_is_found_and_improves_the_index() -> None:
    table, predictions, _ = _cohort()
    analysis = analyze_survival(table, predictions, options=OPTIONS)
    rows = analysis.with_regions.coefficients.set_index("covariate")
    summary = analysis.summary

    liver, lungs = (
        rows.query("index == @name").iloc[0]
        for name in ("predicted liver (per SD)", "predicted lungs (per SD)")
    )
    assert liver["ci_low"] < 1.0 < liver["ci_high"]
    assert lungs["p"] > 0.01
    assert summary["c_index_gain_ci"][0] > 0
    assert summary["likelihood_ratio_test"]["p"] < 1e-6
    assert summary["likelihood_ratio_test"]["degrees_of_freedom"] == 2
    assert (summary["fit"]["splits"], summary["score"]["splits"]) == (["validation"], ["test"])


def test_patients_without_age_or_predictions_are_left_out_and_counted() -> None:
    table, predictions, _ = _cohort()
    table.loc[[1, 2], "age_years"] = np.nan
    predictions = predictions[predictions["exam_id"] != "E3"]
    summary = analyze_survival(table, predictions, options=OPTIONS).summary

    assert summary["fit"]["n_patients"] == 148
    assert summary["fit"]["left_out_because_missing"] == {
        "age (per decade)": 1,
        "predicted liver (per SD)": 1,
        "predicted lungs (per SD)": 1,
    }
    assert summary["score"]["n_patients"] == 149


def test_few_deaths_choose_few_regions() -> None:
    table, predictions, _ = _cohort(50)
    summary = analyze_survival(
        table, predictions, options=AnalysisOptions(num_bootstrap=20, ontology=ONTOLOGY)
    ).summary

    assert summary["regions"] == ["liver"]


def test_penalized_analysis_still_tests_models_without_a_penalty() -> None:
    table, predictions, _ = _cohort()
    options = AnalysisOptions(
        regions=("liver",), penalizer=0.1, num_bootstrap=20, ontology=ONTOLOGY
    )
    plain = AnalysisOptions(regions=("liver",), num_bootstrap=20, ontology=ONTOLOGY)
    first, second = (analyze_survival(table, predictions, options=o) for o in (options, plain))

    shrunk, full = (
        a.with_regions.coefficients["log_hazard_ratio"].abs().iloc[-1] for a in (first, second)
    )
    assert shrunk < full
    assert first.summary["likelihood_ratio_test"] == second.summary["likelihood_ratio_test"]


def test_split_is_never_fitted_and_scored_at_once() -> None:
    table, predictions, _ = _cohort()
    options = AnalysisOptions(fit_splits=("test",), ontology=ONTOLOGY)
    with pytest.raises(InputDataError, match="used to fit and to score"):
        analyze_survival(table, predictions, options=options)


def test_unknown_split_is_named_with_the_known_ones() -> None:
    table, predictions, _ = _cohort()
    with pytest.raises(InputDataError, match=r"split 'valid'; there is test, validation"):
        analyze_survival(
            table, predictions, options=AnalysisOptions(fit_splits=("valid",), ontology=ONTOLOGY)
        )


def test_predictions_of_other_exams_are_refused() -> None:
    table, predictions, _ = _cohort()
    predictions["exam_id"] = "X" + predictions["exam_id"]
    with pytest.raises(InputDataError, match="no patient of split validation has region pred"):
        analyze_survival(table, predictions, options=OPTIONS)


def test_numbers_out_of_range_are_refused() -> None:
    with pytest.raises(InputDataError, match="must be at least 0"):
        AnalysisOptions(penalizer=-1, ontology=ONTOLOGY)


def test_mortality_model_is_scored_without_those_censored_before_the_horizon() -> None:
    table, _, mortality = _cohort()
    numbers, rows = mortality_model_auroc(table, mortality, options=OPTIONS)
    of_test = table[table["split"] == "test"]
    censored = (of_test["event"] == 0) & (of_test["time_days"] < 180)

    assert numbers["horizon_days"] == 180
    assert numbers["n_censored_before"] == censored.sum()
    assert numbers["n_dead"] + numbers["n_alive"] + numbers["n_censored_before"] == len(rows) == 150
    assert 0.5 < numbers["auroc_ci"][0] < numbers["auroc"] < numbers["auroc_ci"][1]


def test_mortality_model_without_deaths_has_no_area_but_a_reason() -> None:
    table, _, mortality = _cohort()
    numbers, _ = mortality_model_auroc(
        table.assign(time_days=500.0, event=0), mortality, options=OPTIONS
    )

    assert numbers["auroc"] is None
    assert numbers["note"] == "AUROC undefined: 0 dead, 150 alive"


def test_predictions_without_an_outcome_task_are_refused() -> None:
    table, predictions, _ = _cohort()
    with pytest.raises(InputDataError, match="no task of the form 'dead_within_<days>_days'"):
        mortality_model_auroc(table, predictions, options=OPTIONS)


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("survival")
    (folder / "survival_by_spleen.svg").write_text("of an earlier run")
    table, predictions, mortality = _cohort()
    analysis = analyze_survival(table, predictions, options=OPTIONS)
    scores = mortality_model_auroc(table, mortality, options=OPTIONS)
    write_analysis(analysis, scores, folder=folder)
    return folder


def test_report_writes_tables_figures_and_summary_and_removes_old_ones(written: Path) -> None:
    tables = {
        *("cox_with_regions", "cox_without_regions", "single_variables", "importance"),
        *("horizons", "calibration", "proportional_hazards", "survival_curves"),
        *("baseline_hazard", "scored_patients", "missing_covariates"),
    }
    figures = {
        *("forest", "single_variables", "importance", "kaplan_meier", "survival_by_liver"),
        *("survival_by_lungs", "horizon_auroc", "calibration", "schoenfeld"),
    }
    assert {path.name for path in written.iterdir()} == {
        "survival_summary.json",
        *(f"{name}.csv" for name in tables),
        *(f"{name}.{suffix}" for name in figures for suffix in ("svg", "png")),
    }
    assert read_json(written / "survival_summary.json")["kaplan_meier"]["log_rank_p"] < 0.001


def test_equal_risks_leave_out_the_curves_with_the_reason(tmp_path: Path) -> None:
    table, predictions, mortality = _cohort()
    analysis = analyze_survival(table, predictions, options=OPTIONS)
    same = mortality_model_auroc(table, mortality.assign(prob=0.5), options=OPTIONS)
    summary = write_analysis(analysis, same, folder=tmp_path)

    assert "all 150 patients have the same risk" in summary["kaplan_meier"]["note"]
    assert not (tmp_path / "kaplan_meier.svg").exists()


def test_region_that_drives_the_hazard_is_the_most_important_and_divides_the_curves(
    written: Path,
) -> None:
    importance = pd.read_csv(written / "importance.csv").set_index("group")["importance"]
    summary = read_json(written / "survival_summary.json")
    curves = {row["region"]: row for row in summary["survival_by_region"]}
    _, predictions, _ = _cohort()
    probs = predictions[(predictions["task"] == "liver") & (predictions["seed"] == 1)]["prob"]

    assert importance["predicted liver"] == importance.drop("all region predictions").max()
    assert importance["predicted lungs"] < 5
    assert curves["liver"]["log_rank_p_holm"] < 0.001
    assert curves["lungs"]["log_rank_p"] > 0.01
    assert curves["liver"]["cut"] == pytest.approx(probs[1::2].median())


def test_horizons_count_everybody_once_and_calibration_is_close() -> None:
    table, predictions, _ = _cohort(1200)
    horizons = analyze_survival(table, predictions, options=OPTIONS).horizons
    scores = horizons.scores
    counted = scores[["n_dead", "n_alive", "n_censored_before"]].sum(axis=1)
    with_ = scores[scores["model"] == "with region predictions"].set_index("horizon_days")
    without = scores[scores["model"] == "without predictions"].set_index("horizon_days")

    assert (counted == 600).all()
    assert scores["horizon_days"].unique().tolist() == [45, 90, 180, 365]
    assert (with_["auroc"] > without["auroc"] + 0.05).all()
    assert with_["observed_to_predicted"].between(0.8, 1.2).all()
    assert (with_["brier_scaled"] > without["brier_scaled"]).all()
    assert horizons.calibration.groupby(["model", "horizon_days"])["n_patients"].sum().eq(600).all()


def test_other_regions_get_models_of_their_own() -> None:
    table, predictions, _ = _cohort()
    options = AnalysisOptions(regions=("liver",), num_bootstrap=20, ontology=ONTOLOGY)
    single = analyze_survival(table, predictions, options=options).single.set_index("variable")

    assert single.loc["predicted lungs", "n_patients"] == 150
    liver = single.loc["predicted liver"]
    assert liver["p_holm"] == pytest.approx(2 * liver["p"], rel=1e-9, abs=0)
    assert np.isnan(single["p_holm"].to_dict()["age"])
    assert liver["c_index"] > 0.65


def test_effects_of_breslow_ties_are_close_and_are_named() -> None:
    table, predictions, _ = _cohort()
    options = AnalysisOptions(
        regions=("liver",), ties="breslow", num_bootstrap=20, ontology=ONTOLOGY
    )
    breslow = analyze_survival(table, predictions, options=options)

    assert breslow.with_regions.ties == breslow.summary["ties"] == "breslow"


def test_penalized_analysis_of_separated_patients_says_what_was_not_tested() -> None:
    table, predictions, _ = _cohort()
    code = np.where((table["event"] == 0) & (table.index % 7 == 0), "1", "4")
    table = table.assign(summary_code=code)
    options = AnalysisOptions(
        regions=("liver",), penalizer=0.1, num_bootstrap=20, ontology=ONTOLOGY
    )
    analysis = analyze_survival(table, predictions, options=options)

    assert analysis.hazards is None
    assert "separates the deaths" in analysis.summary["proportional_hazards"]["note"]
    assert analysis.summary["likelihood_ratio_test"]["p"] is None


def test_horizon_of_no_days_is_refused() -> None:
    with pytest.raises(InputDataError, match="horizons must be at least 1 day, got 0, 90"):
        AnalysisOptions(horizons_days=(0, 90), ontology=ONTOLOGY)


def test_deaths_of_one_day_leave_the_proportional_hazards_untested_with_the_reason() -> None:
    table, predictions, _ = _cohort()
    table = table.assign(time_days=table["time_days"].where(table["event"] == 0, 60.0))
    options = AnalysisOptions(regions=("liver",), num_bootstrap=5, ontology=ONTOLOGY)
    analysis = analyze_survival(table, predictions, options=options)
    hazards = analysis.summary["proportional_hazards"]

    assert analysis.hazards is None
    assert (hazards["tested"], "are of one day" in hazards["note"]) == (False, True)
    assert analysis.summary["likelihood_ratio_test"]["p"] is not None


def test_other_regions_need_no_age_or_code_of_their_own() -> None:
    """Seven patients with a rare indication are the only clinical covariate."""
    table, predictions, _ = _cohort()
    rare = table.index.isin(table.index[table["split"] == "validation"][:7])
    table = table.assign(
        age_years=60.0, summary_code="", indication=np.where(rare, "rare", "lymphoma")
    )
    options = AnalysisOptions(regions=("liver",), min_group=5, num_bootstrap=5, ontology=ONTOLOGY)
    single = analyze_survival(table, predictions, options=options).single.set_index("variable")

    assert single.loc["predicted lungs", "n_patients"] == 150


def test_penalty_reaches_the_models_of_single_variables() -> None:
    table, predictions, _ = _cohort()
    code = np.where((table["event"] == 0) & (table.index % 7 == 0), "1", "4")
    table = table.assign(summary_code=code)
    options = AnalysisOptions(regions=("liver",), penalizer=0.1, num_bootstrap=5, ontology=ONTOLOGY)
    selection = select_patients(table, predictions, options)
    free, penalized = (
        single_variable_models(selection, predictions, penalizer=p).set_index("variable")
        for p in (0.0, 0.1)
    )
    single = analyze_survival(table, predictions, options=options).single.set_index("variable")

    regions = ["predicted liver", "predicted lungs"]
    full, shrunk, reported = (
        t["log_hazard_ratio"].abs().loc[regions].to_numpy(float) for t in (free, penalized, single)
    )

    assert free["p_variable"].isna()["summary code"]
    assert single["log_hazard_ratio"].notna()["summary code"]
    assert "only the ridge penalty keeps" in str(single.loc["summary code", "note"])
    assert (shrunk < full).all()
    np.testing.assert_array_equal(reported, shrunk)


def test_every_horizon_of_the_mortality_predictions_is_scored() -> None:
    table, _, mortality = _cohort()
    days = (90, 180, 365)
    several = pd.concat([mortality.assign(task=f"dead_within_{d}_days") for d in days])
    options = AnalysisOptions(num_bootstrap=20, ontology=ONTOLOGY)
    numbers, rows = mortality_model_auroc(table, several, options=options)

    assert [scored["horizon_days"] for scored in numbers["horizons"]] == [90, 180, 365]
    assert numbers["horizon_days"] == 365
    for scored, day in zip(numbers["horizons"], days, strict=True):
        alone, _ = mortality_model_auroc(
            table, mortality.assign(task=f"dead_within_{day}_days"), options=options
        )
        assert alone["horizons"] == [scored]
    assert len(rows) == 150


def test_area_of_one_death_has_no_interval_but_a_reason() -> None:
    table, predictions, mortality = _cohort()
    last = table.index[table["split"] == "test"][0]
    table["time_days"] = table["time_days"].clip(lower=60)
    table.loc[last, ["time_days", "event"]] = [40.0, 1]
    outcome = mortality.assign(task="dead_within_45_days")
    options = AnalysisOptions(
        regions=("liver",), horizons_days=(45, 180), num_bootstrap=50, ontology=ONTOLOGY
    )
    numbers, _ = mortality_model_auroc(table, outcome, options=options)
    scores = analyze_survival(table, predictions, options=options).horizons.scores
    early, late = (scores[scores["horizon_days"] == days] for days in (45, 180))

    reason = "no interval: 1 dead and 149 alive, but it needs 5 of each"
    assert (numbers["n_dead"], numbers["auroc_ci"], numbers["note"]) == (1, None, reason)
    assert numbers["auroc"] is not None
    assert early["auroc"].notna().all()
    assert early["auroc_ci_low"].isna().all()
    assert set(early["note"]) == {reason}
    assert late["auroc_ci_low"].notna().all()
    assert set(late["note"]) == {""}


def test_area_that_many_draws_lack_has_no_interval() -> None:
    draws = np.r_[np.full(90, 0.8), np.full(10, np.nan)]
    assert why_no_interval(draws, n_dead=9, n_alive=9).endswith("undefined in 10% of the draws of"
                                                                " patients")  # fmt: skip
    assert why_no_interval(draws[5:95], n_dead=9, n_alive=9) != ""
    assert why_no_interval(draws[:94], n_dead=9, n_alive=9) == ""
