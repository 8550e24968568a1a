"""Facts about importance and models of single variables."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from lifelines.datasets import load_rossi

from petct_ext.errors import InputDataError
from petct_ext.statistics.permutation import holm
from petct_ext.survival.cox import CoxModel, fit_cox
from petct_ext.survival.single_variables import wald_importance


@pytest.fixture(scope="module")
def model() -> CoxModel:
    rossi = load_rossi()
    return fit_cox(rossi[["fin", "age", "prio"]], rossi["week"], rossi["arrest"])


def test_chi_square_of_one_covariate_is_its_z_squared(model: CoxModel) -> None:
    rows = wald_importance(model, {name: [name] for name in model.covariates})

    np.testing.assert_allclose(rows["chi_square"], model.coefficients["z"] ** 2)
    np.testing.assert_allclose(rows["p"], model.coefficients["p"])
    np.testing.assert_allclose(rows["importance"], rows["chi_square"] - 1)


def test_group_of_all_is_the_wald_test_of_the_model(model: CoxModel) -> None:
    effects = model.coefficients["log_hazard_ratio"].to_numpy()
    rows = wald_importance(model, {"all": list(model.covariates)})

    expected = effects @ np.linalg.inv(model.covariance) @ effects
    assert rows["chi_square"].iloc[0] == pytest.approx(expected)
    assert rows["degrees_of_freedom"].iloc[0] == 3


def test_importance_of_a_group_does_not_depend_on_its_coding() -> None:
    generator = np.random.default_rng(0)
    kind = generator.integers(0, 3, 200)
    times = generator.exponential(np.exp(-0.5 * kind))
    values = []
    for reference in range(3):
        others = [k for k in range(3) if k != reference]
        x = pd.DataFrame({f"k{k}": (kind == k).astype(float) for k in others})
        fitted = fit_cox(x, times, np.ones(200))
        values.append(wald_importance(fitted, {"kind": list(x.columns)})["chi_square"].iloc[0])

    np.testing.assert_allclose(values, values[0], rtol=1e-6)


def test_unknown_covariate_and_empty_group_are_refused(model: CoxModel) -> None:
    with pytest.raises(InputDataError, match=r"no covariate 'agee'.* Did you mean 'age'"):
        wald_importance(model, {"age": ["agee"]})
    with pytest.raises(InputDataError, match="group 'none' has no covariate"):
        wald_importance(model, {"none": []})


def test_holm_corrects_what_is_known_and_never_falls() -> None:
    np.testing.assert_allclose(holm([0.01, np.nan, 0.5, 0.02, 0.6]), [0.04, np.nan, 1.0, 0.06, 1.0])
