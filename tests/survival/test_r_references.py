"""Our numbers equal those that R's survival package prints, each with where it was read.

No R runs here: values were looked up in published output. Two tests take exact algebra instead,
from the appendix of Therneau & Grambsch (2000), which is also the test suite of R's package.
"""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from lifelines import CoxPHFitter
from lifelines.datasets import load_gbsg2, load_larynx, load_lung, load_rossi

from petct_ext.survival.cox import fit_cox, likelihood_ratio_test
from petct_ext.survival.discrimination import concordance
from petct_ext.survival.partial_likelihood import (
    Ties,
    baseline_hazard,
    death_terms,
    maximize,
)
from petct_ext.survival.proportional_hazards import schoenfeld_residuals
from petct_ext.survival.survival_curves import log_rank, survival_at

# coxph(Surv(week, arrest) ~ fin + age + race + wexp + mar + paro + prio, data = Rossi), Efron ties:
# Fox & Weisberg, "Cox Proportional-Hazards Regression for Survival Data in R" (appendix to An R
# Companion to Applied Regression), as printed with five digits by the documentation of R's package
# concurve (https://data.lesslikely.com/concurve/): coef, se(coef), z. race and mar are coded the
# other way round there, so that their signs differ. Likelihood-ratio test 33.27 on 7 df.
ROSSI = {
    "fin": (-0.37942, 0.19138, -1.983),
    "age": (-0.05744, 0.02200, -2.611),
    "race": (0.31390, 0.30799, 1.019),
    "wexp": (-0.14980, 0.21222, -0.706),
    "mar": (-0.43370, 0.38187, -1.136),
    "paro": (-0.08487, 0.19576, -0.434),
    "prio": (0.09150, 0.02865, 3.194),
}

# The same with ridge(fin, ..., prio, theta = 1, scale = FALSE): coefficients rounded to four digits
# in the R code of lifelines' own tests (CamDavidsonPilon/lifelines, test_estimation.py,
# test_penalized_output_against_R).
ROSSI_RIDGE = (-0.3641, -0.0580, 0.2894, -0.1496, -0.3837, -0.0822, 0.0913)

# summary(coxph(Surv(time, status) ~ age + sex + ph.ecog, data = lung)), R 4.6.0, Efron ties, "byte
# for byte what summary(coxph(...)) printed" (coxph-presets.js of a public R teaching site): coef,
# se(coef), z, lower .95 and upper .95 of exp(coef); n = 227, 164 events; concordance 0.637,
# likelihood-ratio test 30.5. The first three digits also stand at
# http://www.sthda.com/english/wiki/cox-proportional-hazards-model
LUNG = {
    "age": (0.011067, 0.009267, 1.194, 0.9929, 1.0297),
    "sex": (-0.552612, 0.167739, -3.294, 0.4142, 0.7994),
    "ph.ecog": (0.463728, 0.113577, 4.083, 1.2727, 1.9864),
}

# The same with ties = "breslow": README of jeanfeydy/survivalGPU, whose coxphGPU() is tested there
# for equality with survival::coxph(): coef, se(coef), z.
LUNG_BRESLOW = {
    "age": (0.011041, 0.009267, 1.191),
    "sex": (-0.551890, 0.167742, -3.290),
    "ph.ecog": (0.462947, 0.113574, 4.076),
}

# coxph on GBSG2 of TH.data, Efron ties, R 4.5.2 with survival 3.8.6, six significant digits:
# column "R" of the agreement report of kangk1204/SurvStudio (validation/agreement). coef, se(coef),
# and the chi-square of the classic test of Grambsch & Therneau (1994) with log(time).
GBSG2 = {
    "age": (-0.00945924, 0.00930059, 2.43355),
    "tsize": (0.00779608, 0.00393902, 0.321678),
    "pnodes": (0.0487886, 0.00744709, 0.456075),
    "progrec": (-0.00221724, 0.000573529, 0.696063),
    "estrec": (0.000197311, 0.000450368, 1.61847),
    "horTh": (-0.346278, 0.129075, 0.119788),
    "Pre": (-0.258445, 0.183476, 9.08672e-05),
    "grade II": (0.636112, 0.249202, 1.51883),
    "grade III": (0.779654, 0.26848, 5.27694),
}

# Same source: age + tsize + pnodes + progrec + strata(menostat): coef, se(coef), log-likelihood.
GBSG2_STRATIFIED = {
    "efron": (
        (-0.0108121, 0.00759116, 0.0515414, -0.00256219),
        (0.00912524, 0.00386639, 0.00758399, 0.000564043),
        -1544.68,
    ),
    "breslow": (
        (-0.0107989, 0.0075977, 0.0515278, -0.00256213),
        (0.00912488, 0.00386634, 0.00758493, 0.000563952),
        -1544.77,
    ),
}

# Klein & Moeschberger, Survival Analysis, 2nd edition, table 8.1 (Breslow ties), cited in tests of
# lifelines (test_se_against_Survival_Analysis_by_John_Klein...): standard errors and p values.
LARYNX_BRESLOW = {
    "age": (0.0143, 0.1847),
    "Stage_II": (0.4623, 0.7644),
    "Stage_III": (0.3561, 0.0730),
    "Stage_IV": (0.4222, 0.0001),
}


@pytest.fixture(scope="module")
def rossi() -> pd.DataFrame:
    table: pd.DataFrame = load_rossi()
    return table


@pytest.fixture(scope="module")
def lung() -> pd.DataFrame:
    table: pd.DataFrame = load_lung().dropna(subset=list(LUNG))
    return table


@pytest.fixture(scope="module")
def gbsg2() -> pd.DataFrame:
    table: pd.DataFrame = load_gbsg2()
    return table.assign(
        Pre=table["menostat"] == "Pre",
        **{f"grade {grade}": table["tgrade"] == grade for grade in ("II", "III")},
        horTh=table["horTh"] == "yes",
    )


def test_rossi_with_efron_ties(rossi: pd.DataFrame) -> None:
    model = fit_cox(rossi[list(ROSSI)], rossi["week"], rossi["arrest"])
    found = model.coefficients.set_index("covariate")

    for name, (effect, error, z) in ROSSI.items():
        assert found.loc[name, "log_hazard_ratio"] == pytest.approx(effect, abs=5.1e-6)
        assert found.loc[name, "standard_error"] == pytest.approx(error, abs=5.1e-6)
        assert found.loc[name, "z"] == pytest.approx(z, abs=5.1e-4)
    assert 2 * (model.log_likelihood - model.log_likelihood_null) == pytest.approx(33.27, abs=5e-3)


def test_rossi_with_a_ridge_penalty(rossi: pd.DataFrame) -> None:
    values = rossi[list(ROSSI)].to_numpy(float)
    times, events = rossi["week"].to_numpy(float), rossi["arrest"].to_numpy(float)
    found = maximize(values - values.mean(axis=0), times, events, ridge=1.0)

    np.testing.assert_allclose(found.coefficients, ROSSI_RIDGE, atol=5.1e-5)


def test_lung_with_efron_ties(lung: pd.DataFrame) -> None:
    model = fit_cox(lung[list(LUNG)], lung["time"], lung["status"])
    found = model.coefficients.set_index("covariate")

    for name, (effect, error, z, low, high) in LUNG.items():
        assert found.loc[name, "log_hazard_ratio"] == pytest.approx(effect, abs=5.1e-7)
        assert found.loc[name, "standard_error"] == pytest.approx(error, abs=5.1e-7)
        assert found.loc[name, "z"] == pytest.approx(z, abs=5.1e-4)
        assert found.loc[name, "hazard_ratio_ci_low"] == pytest.approx(low, abs=5.1e-5)
        assert found.loc[name, "hazard_ratio_ci_high"] == pytest.approx(high, abs=5.1e-5)
    assert (model.num_patients, model.num_events) == (227, 164)
    assert 2 * (model.log_likelihood - model.log_likelihood_null) == pytest.approx(30.5, abs=5e-2)
    risk = model.risk(lung)
    assert concordance(lung["time"], lung["status"], risk) == pytest.approx(0.637, abs=5e-4)


def test_lung_with_breslow_ties(lung: pd.DataFrame) -> None:
    model = fit_cox(lung[list(LUNG)], lung["time"], lung["status"], ties="breslow")
    found = model.coefficients.set_index("covariate")

    for name, (effect, error, z) in LUNG_BRESLOW.items():
        assert found.loc[name, "log_hazard_ratio"] == pytest.approx(effect, abs=5.1e-7)
        assert found.loc[name, "standard_error"] == pytest.approx(error, abs=5.1e-7)
        assert found.loc[name, "z"] == pytest.approx(z, abs=5.1e-4)
    assert 2 * (model.log_likelihood - model.log_likelihood_null) == pytest.approx(30.41, abs=5e-3)


def test_gbsg2_with_efron_ties(gbsg2: pd.DataFrame) -> None:
    values = gbsg2[list(GBSG2)].astype(float)
    model = fit_cox(values, gbsg2["time"], gbsg2["cens"])
    found = model.coefficients.set_index("covariate")

    for name, (effect, error, _) in GBSG2.items():
        assert found.loc[name, "log_hazard_ratio"] == pytest.approx(effect, rel=5.1e-6)
        assert found.loc[name, "standard_error"] == pytest.approx(error, rel=5.1e-6)
    assert model.log_likelihood == pytest.approx(-1735.73, abs=5e-3)
    ratio = 2 * (model.log_likelihood - model.log_likelihood_null)
    assert ratio == pytest.approx(104.745, abs=5e-4)
    risk = model.risk(values)
    assert concordance(gbsg2["time"], gbsg2["cens"], risk) == pytest.approx(0.691851, abs=5.1e-7)


@pytest.mark.parametrize("ties", ["efron", "breslow"])
def test_gbsg2_in_strata(gbsg2: pd.DataFrame, ties: Ties) -> None:
    """A stratified likelihood is the sum over strata, so R's estimate must need no further step."""
    effects, errors, log_likelihood = GBSG2_STRATIFIED[ties]
    columns = ["age", "tsize", "pnodes", "progrec"]
    terms = [
        death_terms(
            rows[columns].to_numpy(float), rows["time"].to_numpy(float),
            rows["cens"].to_numpy(float), coefficients=np.array(effects), ties=ties,
        )
        for _, rows in gbsg2.groupby("menostat")
    ]  # fmt: skip
    information = sum(part.information for part in terms)
    covariance = np.linalg.inv(information)
    step = covariance @ sum(part.score for part in terms)

    np.testing.assert_allclose(step / np.abs(effects), 0, atol=5.1e-6)
    np.testing.assert_allclose(np.sqrt(np.diag(covariance)), errors, rtol=6e-6)
    assert sum(part.log_likelihood for part in terms) == pytest.approx(log_likelihood, abs=5e-3)


def test_larynx_with_breslow_ties() -> None:
    larynx = load_larynx()
    model = fit_cox(
        larynx[list(LARYNX_BRESLOW)], larynx["time"], larynx["death"], ties="breslow"
    )  # fmt: skip
    found = model.coefficients.set_index("covariate")

    for name, (error, p) in LARYNX_BRESLOW.items():
        assert found.loc[name, "standard_error"] == pytest.approx(error, abs=5.1e-5)
        assert found.loc[name, "p"] == pytest.approx(p, abs=1.1e-4)


def _book() -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Data set 1 of the appendix of Therneau & Grambsch: x, time, status."""
    x = np.array([[0.0], [1.0], [1.0], [1.0], [0.0], [0.0]])
    return x, np.array([9.0, 1, 1, 6, 6, 8]), np.array([1.0, 1, 0, 1, 1, 0])


def test_breslow_ties_are_exact_algebra() -> None:
    """therneau/survival, tests/book1.R: coef, loglik, 1 / var, hazard steps, residuals."""
    x, times, events = _book()
    found = maximize(x, times, events, ties="breslow")
    beta = np.log(1.5 + np.sqrt(33) / 2)
    r = np.exp(beta)
    terms = death_terms(x, times, events, coefficients=np.array([beta]), ties="breslow")
    _, hazard = baseline_hazard(terms)

    assert found.coefficients[0] == pytest.approx(beta, abs=1e-9)
    assert found.log_likelihood == pytest.approx(2 * beta - np.log(3 * r + 3) - 2 * np.log(r + 3))
    assert 1 / found.covariance[0, 0] == pytest.approx(r / (r + 1) ** 2 + 6 * r / (r + 3) ** 2)
    assert np.diff([0, *hazard]) == pytest.approx([1 / (3 * r + 3), 2 / (r + 3), 1])
    residuals = schoenfeld_residuals(terms, x)[:, 0]
    np.testing.assert_allclose(
        sorted(residuals), [-0.5930703, 0.0, 0.1861407, 0.4069297], atol=5e-8
    )


def test_efron_ties_are_exact_algebra() -> None:
    """therneau/survival, tests/book2.R."""
    x, times, events = _book()
    found = maximize(x, times, events, ties="efron")
    beta = np.log(np.cos(np.arccos(45 / 23 * np.sqrt(3 / 23)) / 3) * 2 * np.sqrt(23 / 3))
    r = np.exp(beta)
    terms = death_terms(x, times, events, coefficients=np.array([beta]), ties="efron")

    assert found.coefficients[0] == pytest.approx(beta, abs=1e-9)
    assert found.log_likelihood == pytest.approx(
        2 * beta - np.log(3 * r + 3) - np.log((r + 5) / 2) - np.log(r + 3)
    )
    shares = np.array([r / (r + 1), r / (r + 5), r / (r + 3)])
    assert 1 / found.covariance[0, 0] == pytest.approx((shares - shares**2).sum())
    survival = np.exp(-baseline_hazard(terms)[1])
    # summary(survfit(fit)) is at the mean of x, one half here.
    np.testing.assert_allclose(survival ** np.sqrt(r), [0.8857, 0.4294, 0.0425], atol=5.1e-5)
    residuals = schoenfeld_residuals(terms, x)[:, 0]
    np.testing.assert_allclose(sorted(residuals), [-0.578756, 0.0, 0.157512, 0.421244], atol=5e-7)


def test_schoenfeld_residuals_give_the_classic_test(gbsg2: pd.DataFrame) -> None:
    values = gbsg2[list(GBSG2)].astype(float)
    times, events = gbsg2["time"].to_numpy(float), gbsg2["cens"].to_numpy(float)
    model = fit_cox(values, times, events)
    effects = model.coefficients["log_hazard_ratio"].to_numpy()
    terms = death_terms(values.to_numpy(), times, events, coefficients=effects)
    residuals = schoenfeld_residuals(terms, values.to_numpy())
    clock = np.log(terms.time_days) - np.log(terms.time_days).mean()
    slope = clock @ residuals @ model.covariance * len(clock)
    classic = slope**2 / (len(clock) * np.diag(model.covariance) * (clock**2).sum())

    np.testing.assert_allclose(classic, [chi for *_, chi in GBSG2.values()], rtol=1e-5)


def test_concordance_of_lung_counts_the_pairs_that_r_counts() -> None:
    """therneau/survival, tests/concordance.R, fit4: 8392 concordant, 4258 discordant, 7137 tied."""
    lung = load_lung().dropna(subset=["ph.ecog"])
    expected = (8392 + 7137 / 2) / (8392 + 4258 + 7137)

    assert concordance(lung["time"], lung["status"], lung["ph.ecog"]) == pytest.approx(expected)


@pytest.mark.parametrize(
    ("therapy", "day", "expected"),
    [
        (False, 365, (0.896619, 0.863582, 0.922018)),
        (False, 1825, (0.436806, 0.37792, 0.494104)),
        (True, 1095, (0.707733, 0.643235, 0.76275)),
    ],
)
def test_kaplan_meier_of_gbsg2(
    gbsg2: pd.DataFrame, therapy: bool, day: int, expected: tuple[float, float, float]
) -> None:
    """Same source as GBSG2: survfit with conf.type = "log-log"."""
    rows = gbsg2[gbsg2["horTh"] == therapy]
    found = survival_at(rows["time"], rows["cens"], horizon_days=day)

    assert found == pytest.approx(expected, abs=5.1e-7)


def test_log_rank_of_gbsg2(gbsg2: pd.DataFrame) -> None:
    """Same source: survdiff."""
    chi_square, p = log_rank(gbsg2["time"], gbsg2["cens"], gbsg2["horTh"])

    assert chi_square == pytest.approx(8.56478, abs=5.1e-6)
    assert p == pytest.approx(0.003, abs=5e-4)


@pytest.mark.parametrize("penalizer", [0.0, 0.1])
def test_efron_ties_equal_those_of_lifelines(rossi: pd.DataFrame, penalizer: float) -> None:
    fitter = CoxPHFitter(penalizer=penalizer)
    columns = [*ROSSI, "week", "arrest"]
    fitter.fit(rossi[columns], "week", "arrest", fit_options={"precision": 1e-10})
    model = fit_cox(rossi[list(ROSSI)], rossi["week"], rossi["arrest"], penalizer=penalizer)
    summary = fitter.summary.loc[list(ROSSI)]

    np.testing.assert_allclose(model.coefficients["log_hazard_ratio"], summary["coef"], rtol=1e-5)
    np.testing.assert_allclose(model.coefficients["standard_error"], summary["se(coef)"], rtol=1e-5)
    if penalizer == 0:
        hazard = fitter.baseline_cumulative_hazard_.iloc[:, 0]
        at_deaths = hazard.loc[model.baseline["time_days"]]
        np.testing.assert_allclose(model.baseline["cumulative_hazard"], at_deaths, rtol=1e-5)


def test_likelihood_ratio_of_nested_models(rossi: pd.DataFrame) -> None:
    small, large = (
        fit_cox(rossi[names], rossi["week"], rossi["arrest"], ties="breslow")
        for names in (["fin", "age", "prio"], list(ROSSI))
    )
    test = likelihood_ratio_test(small, large)

    assert test.degrees_of_freedom == 4
    assert test.statistic == pytest.approx(2 * (large.log_likelihood - small.log_likelihood))
