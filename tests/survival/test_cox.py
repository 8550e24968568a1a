"""Facts about Cox models: R's numbers, nested tests, and what is refused."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from lifelines.datasets import load_rossi

from petct_ext.errors import InputDataError
from petct_ext.survival.cox import fit_cox, likelihood_ratio_test
from petct_ext.survival.discrimination import concordance

# coxph(Surv(week, arrest) ~ fin + age + race + wexp + mar + paro + prio, data = Rossi), R survival,
# Efron ties: Fox & Weisberg, "Cox Proportional-Hazards Regression for Survival Data in R" (appendix
# to An R Companion to Applied Regression), section 3: coef, se(coef), z; likelihood-ratio test 33.3
# on 7 df, n = 432, number of events = 114, concordance 0.64.
R_ROSSI = {
    "fin": (-0.3794, 0.1914, -1.983),
    "age": (-0.0574, 0.0220, -2.611),
    "race": (0.3139, 0.3080, 1.019),
    "wexp": (-0.1498, 0.2122, -0.706),
    "mar": (-0.4337, 0.3819, -1.136),
    "paro": (-0.0849, 0.1958, -0.434),
    "prio": (0.0915, 0.0286, 3.194),
}


@pytest.fixture(scope="module")
def rossi() -> pd.DataFrame:
    table: pd.DataFrame = load_rossi()
    return table


def _cohort(num_patients: int = 60) -> tuple[pd.DataFrame, np.ndarray, np.ndarray]:
    generator = np.random.default_rng(0)
    x = pd.DataFrame(
        {"a": generator.normal(size=num_patients), "b": generator.integers(0, 2, num_patients)}
    ).astype(float)
    times = generator.exponential(np.exp(-0.8 * x["a"]) * 100).round()
    return x, np.asarray(times), generator.integers(0, 2, num_patients)


def test_coefficients_equal_those_that_r_publishes(rossi: pd.DataFrame) -> None:
    model = fit_cox(rossi[list(R_ROSSI)], rossi["week"], rossi["arrest"])
    found = model.coefficients.set_index("covariate")

    for name, (effect, error, z) in R_ROSSI.items():
        assert found.loc[name, "log_hazard_ratio"] == pytest.approx(effect, abs=5.1e-5)
        assert found.loc[name, "standard_error"] == pytest.approx(error, abs=5.1e-5)
        assert found.loc[name, "z"] == pytest.approx(z, abs=5.1e-4)
    assert (model.num_patients, model.num_events) == (432, 114)
    assert 2 * (model.log_likelihood - model.log_likelihood_null) == pytest.approx(33.3, abs=0.05)
    risk = model.risk(rossi)
    assert concordance(rossi["week"], rossi["arrest"], risk) == pytest.approx(0.64, abs=0.005)


def test_wald_interval_is_the_estimate_and_its_standard_error(rossi: pd.DataFrame) -> None:
    rows = fit_cox(rossi[["age", "prio"]], rossi["week"], rossi["arrest"]).coefficients

    half = 1.959964 * rows["standard_error"]
    assert rows["ci_low"].tolist() == pytest.approx((rows["log_hazard_ratio"] - half).tolist())
    assert rows["ci_high"].tolist() == pytest.approx((rows["log_hazard_ratio"] + half).tolist())


def test_likelihood_ratio_test_counts_the_further_covariates(rossi: pd.DataFrame) -> None:
    small = fit_cox(rossi[["fin", "age"]], rossi["week"], rossi["arrest"])
    large = fit_cox(rossi[list(R_ROSSI)], rossi["week"], rossi["arrest"])
    test = likelihood_ratio_test(small, large)

    assert test.degrees_of_freedom == 5
    assert test.statistic == pytest.approx(2 * (large.log_likelihood - small.log_likelihood))
    with pytest.raises(InputDataError, match="must be nested"):
        likelihood_ratio_test(large, small)


def test_likelihood_ratio_test_refuses_penalized_models(rossi: pd.DataFrame) -> None:
    small, large = (
        fit_cox(rossi[names], rossi["week"], rossi["arrest"], penalizer=0.1)
        for names in (["fin"], ["fin", "age"])
    )
    with pytest.raises(InputDataError, match="without a penalty"):
        likelihood_ratio_test(small, large)


def test_collinear_covariates_are_named_and_only_a_penalty_accepts_them() -> None:
    x, times, events = _cohort()
    x["c"] = 2 * x["a"] - 3 * x["b"] + 1

    with pytest.raises(InputDataError, match=r"covariate '[abc]' follows from '[abc]', '[abc]'"):
        fit_cox(x, times, events)
    assert "follows from" in fit_cox(x, times, events, penalizer=0.1).notes[0]


def test_covariate_that_separates_the_deaths_is_named() -> None:
    x, times, events = _cohort()
    x["rare"] = 0.0
    x.loc[np.flatnonzero(events == 0)[:5], "rare"] = 1.0

    with pytest.raises(InputDataError, match="'rare' separates the deaths: none of the 5 patients"):
        fit_cox(x, times, events)
    assert np.isfinite(fit_cox(x, times, events, penalizer=0.1).coefficients["p"]).all()


def test_continuous_covariate_that_orders_the_deaths_perfectly_is_refused() -> None:
    times = np.arange(1.0, 21.0)
    with pytest.raises(InputDataError, match=r"--penalizer 0\.1"):
        fit_cox(pd.DataFrame({"oracle": -times}), times, np.ones(20))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"a": 1.0}, "covariate 'a' is the same for all 60 patients"),
        ({"a": np.nan}, "covariate 'a' has missing values"),
    ],
)
def test_unusable_covariates_are_named(change: dict[str, float], message: str) -> None:
    x, times, events = _cohort()
    with pytest.raises(InputDataError, match=message):
        fit_cox(x.assign(**change), times, events)


def test_cohort_without_deaths_or_covariates_is_refused() -> None:
    x, times, events = _cohort()
    with pytest.raises(InputDataError, match="none of 60 patients died"):
        fit_cox(x, times, events * 0)
    with pytest.raises(InputDataError, match="no patients or no covariates"):
        fit_cox(x[[]], times, events)


def test_few_deaths_per_covariate_are_told() -> None:
    x, times, events = _cohort(16)

    assert "deaths per covariate" in fit_cox(x, times, events).notes[-1]


def test_intervals_cover_the_true_effect() -> None:
    generator = np.random.default_rng(1)
    covered = []
    for _ in range(60):
        x = pd.DataFrame(generator.normal(size=(120, 2)), columns=["a", "b"])
        death = generator.exponential(np.exp(-0.7 * x["a"]))
        censoring = generator.exponential(2.0, 120)
        model = fit_cox(x, np.minimum(death, censoring), death <= censoring)
        row = model.coefficients.iloc[0]
        covered.append(row["ci_low"] < 0.7 < row["ci_high"])

    assert np.mean(covered) >= 0.85
