"""Facts about the check of proportional hazards."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from petct_ext.errors import InputDataError
from petct_ext.survival.cox import CoxModel, fit_cox
from petct_ext.survival.proportional_hazards import TimeTransform, check_proportional_hazards


def _cohort(
    *, seed: int = 0, size: int = 300, changes: bool = False
) -> tuple[pd.DataFrame, np.ndarray, np.ndarray]:
    """The hazard ratio of a is 3 all the time, or 3 up to day 100 and 1 / 3 after it."""
    generator = np.random.default_rng(seed)
    x = pd.DataFrame(
        {"a": generator.integers(0, 2, size), "b": generator.normal(size=size)}
    ).astype(float)
    early = generator.exponential(200 / np.where(x["a"] == 1, 3, 1))
    late = 100 + generator.exponential(200 / np.where(x["a"] == 1, 1 / 3, 1))
    death = np.where(early < 100, early, late) if changes else early
    contact = generator.uniform(50, 900, size)
    return x, np.minimum(death, contact).round(), (death <= contact).astype(float)


def _score_test_by_hand(
    model: CoxModel, x: pd.DataFrame, times: np.ndarray, events: np.ndarray, column: str
) -> float:
    """Score test of one further covariate x * g(t), by numerical derivatives; g(t) = t."""
    names = list(x.columns)
    start = np.r_[model.coefficients["log_hazard_ratio"].to_numpy(), 0.0]

    def log_likelihood(theta: np.ndarray) -> float:
        total = 0.0
        for patient in np.flatnonzero(events == 1):
            day = times[patient]
            design = np.c_[x.to_numpy(), x[column] * day / 1000]
            at_risk = times >= day
            total += design[patient] @ theta - np.log(np.exp(design[at_risk] @ theta).sum())
        return float(total)

    size, small = len(names) + 1, 1e-4
    steps = small * np.eye(size)
    score = np.array([(log_likelihood(start + s) - log_likelihood(start - s)) for s in steps])
    score /= 2 * small
    curve = np.array(
        [
            [
                log_likelihood(start + s + t) - log_likelihood(start + s - t)
                - log_likelihood(start - s + t) + log_likelihood(start - s - t)
                for t in steps
            ]
            for s in steps
        ]
    ) / (4 * small**2)  # fmt: skip
    return float(score @ np.linalg.solve(-curve, score))


def test_statistic_is_the_score_test_of_a_time_dependent_covariate() -> None:
    x, times, events = _cohort(size=60)
    model = fit_cox(x, times, events, ties="breslow")
    tests = check_proportional_hazards(
        model, x, time_days=times, event=events, transform="identity"
    ).tests.set_index("group")

    for name in ("a", "b"):
        by_hand = _score_test_by_hand(model, x, times, events, name)
        assert tests.loc[name, "chi_square"] == pytest.approx(by_hand, rel=1e-3, abs=1e-4)


def test_effect_that_turns_round_is_told_with_its_trend() -> None:
    x, times, events = _cohort(changes=True)
    found = check_proportional_hazards(fit_cox(x, times, events), x, time_days=times, event=events)
    tests = found.tests.set_index("group")

    assert tests["p"].to_dict()["a"] < 1e-6
    assert tests.loc["a", "trend"] == "falls"
    assert len(found.notes) == 1
    assert "doubtful for 'a'" in found.notes[0]


def test_constant_effects_are_told_in_one_of_twenty_tests() -> None:
    p_values = []
    for seed in range(150):
        x, times, events = _cohort(seed=seed, size=120)
        found = check_proportional_hazards(
            fit_cox(x, times, events), x, time_days=times, event=events
        )
        p_values.append(found.tests["p"].to_numpy())

    assert 0.02 <= (np.array(p_values) < 0.05).mean() <= 0.08


def test_groups_are_tested_together() -> None:
    x, times, events = _cohort()
    found = check_proportional_hazards(
        fit_cox(x, times, events), x, time_days=times, event=events, groups={"both": ["a", "b"]}
    )

    assert found.tests["degrees_of_freedom"].tolist() == [2, 2]
    assert found.tests["chi_square"].nunique() == 1


def test_residuals_average_to_the_estimate() -> None:
    x, times, events = _cohort()
    model = fit_cox(x, times, events)
    residuals = check_proportional_hazards(model, x, time_days=times, event=events).residuals

    assert len(residuals) == events.sum()
    np.testing.assert_allclose(
        residuals[["a", "b"]].mean(), model.coefficients["log_hazard_ratio"], atol=1e-9
    )


def test_penalized_models_and_other_patients_are_refused() -> None:
    x, times, events = _cohort(size=60)
    penalized = fit_cox(x, times, events, penalizer=0.1)
    with pytest.raises(InputDataError, match="without a penalty"):
        check_proportional_hazards(penalized, x, time_days=times, event=events)
    with pytest.raises(InputDataError, match="10 for 60 patients"):
        check_proportional_hazards(
            fit_cox(x, times, events), x[:10], time_days=times[:10], event=events[:10]
        )


def test_death_on_day_zero_has_no_logarithm() -> None:
    x, times, events = _cohort(size=60)
    times[0], events[0] = 0.0, 1.0
    with pytest.raises(InputDataError, match="day 0 has no logarithm"):
        check_proportional_hazards(
            fit_cox(x, times, events), x, time_days=times, event=events, transform="log"
        )


@pytest.mark.parametrize("transform", ["km", "identity", "log"])
@pytest.mark.parametrize("deaths", [1, 12])
def test_deaths_of_one_day_tell_nothing_about_time(deaths: int, transform: TimeTransform) -> None:
    x, times, _ = _cohort(size=60)
    times, events = np.full(60, 40.0), np.zeros(60)
    events[:deaths] = 1
    model = fit_cox(x[["b"]], times, events)
    with pytest.raises(InputDataError, match=rf"all deaths \({deaths}\) are of one day"):
        check_proportional_hazards(
            model, x[["b"]], time_days=times, event=events, transform=transform
        )


def test_group_that_deaths_on_two_days_cannot_test_has_no_number_but_a_note() -> None:
    generator = np.random.default_rng(3)
    x = pd.DataFrame(generator.normal(size=(60, 3)), columns=["a", "b", "c"])
    times, events = np.full(60, 40.0), np.zeros(60)
    times[:3], events[:6] = 20.0, 1
    # Nobody but those at risk on day 20 differs in c, so that only that day tells of it.
    x.loc[3:, "c"] = 0.0
    found = check_proportional_hazards(fit_cox(x, times, events), x, time_days=times, event=events)
    p_values = found.tests.set_index("group")["p"]

    assert p_values.isna().to_dict() == {"a": False, "b": False, "c": True, "all covariates": True}
    assert any("not tested for 'c'" in note for note in found.notes)
