"""Whether hazard ratios stay the same over time: tests on scaled Schoenfeld residuals.

Letters in shapes: N patients, P covariates, D deaths.

A covariate's effect is let to change with a function g of time, effect + slope * g(t). The test is
the score test of slope 0 (Grambsch & Therneau 1994, in the exact form that R's ``cox.zph`` uses
since survival 3.0). g is one minus the Kaplan-Meier estimate just before t by default, so that a
few late deaths do not decide.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final, Literal

import numpy as np
import numpy.typing as npt
import pandas as pd
from scipy import stats

from petct_ext.arrays import Floats
from petct_ext.errors import InputDataError
from petct_ext.survival.cox import CoxModel
from petct_ext.survival.partial_likelihood import DeathTerms, death_terms
from petct_ext.survival.survival_curves import survival_curve

__all__ = ["ProportionalHazards", "check_proportional_hazards", "schoenfeld_residuals"]

TimeTransform = Literal["km", "identity", "log"]

_ALL: Final = "all covariates"
_LEAST_INFORMATION: Final = 1e-10
"""Share of the information about slopes that must be left when effects are estimated too."""


@dataclass(frozen=True, slots=True, eq=False)
class ProportionalHazards:
    """What the check found.

    Attributes:
        tests: one row per group of covariates and one for all: ``group``, ``chi_square``,
            ``degrees_of_freedom``, ``p``, ``trend`` ("rises" or "falls" with time; "" for groups of
            several).
        residuals: one row per death in order of time: ``time_days``, and per covariate the scaled
            Schoenfeld residual plus the estimate, whose smooth course shows how the effect changes.
        notes: one sentence for each group with a p below the level, or without p (NaN, as its
            slopes cannot be told from the effects with these deaths).
    """

    tests: pd.DataFrame
    residuals: pd.DataFrame
    notes: tuple[str, ...]


def check_proportional_hazards(
    model: CoxModel,
    covariates: pd.DataFrame,
    *,
    time_days: npt.ArrayLike,
    event: npt.ArrayLike,
    groups: Mapping[str, Sequence[str]] | None = None,
    transform: TimeTransform = "km",
    level: float = 0.05,
) -> ProportionalHazards:
    """Tests every group of covariates, and all together, for effects that change with time.

    Args:
        model: the model, without a penalty.
        covariates: what it was fitted on (N, P).
        time_days: days to death or last contact (N,).
        event: 1 death, 0 censored (N,).
        groups: covariates that are tested together, by the name of the group, such as all
            indications; each covariate alone if None.
        transform: function of time: ``"km"``, ``"identity"`` or ``"log"`` (needs times above 0).
        level: p below which a note is written.

    Returns:
        Tests, residuals, notes.

    Raises:
        InputDataError: if the model is penalized (its residuals do not add up to 0), was fitted on
            others, if all deaths are of one day, or if a death lies on day 0 while time is
            transformed by the logarithm.
    """
    times, events = np.asarray(time_days, dtype=np.float64), np.asarray(event, dtype=np.float64)
    if model.penalizer or len(covariates) != model.num_patients:
        raise InputDataError(
            "proportional hazards: the check needs a model without a penalty and the patients on "
            f"whom it was fitted; got penalizer {model.penalizer:g} and {len(covariates)} for "
            f"{model.num_patients} patients."
        )
    values = covariates[list(model.covariates)].to_numpy(dtype=np.float64) - model.center
    effects = model.coefficients["log_hazard_ratio"].to_numpy(dtype=np.float64)
    terms = death_terms(values, times, events, coefficients=effects, ties=model.ties)
    clock = _clock(terms.time_days, times, events, transform=transform)
    slope_score = clock @ (values[terms.patient] - terms.mean)
    cross = np.einsum("d,dpq->pq", clock, terms.covariance)
    own = np.einsum("d,dpq->pq", clock**2, terms.covariance)
    adjusted = own - cross @ np.linalg.solve(terms.information, cross)
    groups = groups or {name: [name] for name in model.covariates}
    spread = np.sqrt(np.diag(own))
    tests = _group_tests(model.covariates, groups, slope_score, adjusted=adjusted, spread=spread)
    residuals = schoenfeld_residuals(terms, values) @ model.covariance * len(clock) + effects
    frame = pd.DataFrame(residuals, columns=list(model.covariates))
    frame.insert(0, "time_days", terms.time_days)
    return ProportionalHazards(tests, frame, _notes(tests, level))


def _group_tests(
    covariates: Sequence[str],
    groups: Mapping[str, Sequence[str]],
    slope_score: Floats,
    *,
    adjusted: Floats,
    spread: Floats,
) -> pd.DataFrame:
    rows = []
    for name, members in {**groups, _ALL: list(covariates)}.items():
        chosen = [covariates.index(member) for member in members]
        # Slopes of other groups stay 0, so only this group's part of the matrix counts.
        score = slope_score[chosen]
        chi_square = _chi_square(score, adjusted[np.ix_(chosen, chosen)], spread[chosen])
        is_single = len(chosen) == 1 and name != _ALL and not np.isnan(chi_square)
        trend = ("rises" if score[0] > 0 else "falls") if is_single else ""
        p = float(stats.chi2.sf(chi_square, len(chosen)))
        rows.append((name, chi_square, len(chosen), p, trend))
    return pd.DataFrame(rows, columns=["group", "chi_square", "degrees_of_freedom", "p", "trend"])


def _chi_square(score: Floats, variance: Floats, spread: Floats) -> float:
    """Returns the statistic, or NaN if the deaths do not tell the slopes from the effects."""
    if not bool((spread > 0).all()):
        return float("nan")
    scaled = variance / np.outer(spread, spread)  # 1 on the diagonal if effects were known
    if float(np.linalg.eigvalsh(scaled).min()) < _LEAST_INFORMATION:
        return float("nan")
    return float(score @ np.linalg.solve(variance, score))


def schoenfeld_residuals(terms: DeathTerms, values: Floats) -> Floats:
    """Returns the covariates of who dies less their weighted mean over those at risk (D, P).

    Deaths of one day share the mean of their terms' means, as in R.
    """
    _, first, of_day = np.unique(terms.time_days, return_index=True, return_inverse=True)
    count = np.bincount(of_day)
    means = np.add.reduceat(terms.mean, first, axis=0) / count[:, None]
    return np.asarray(values[terms.patient] - means[of_day])


def _clock(deaths: Floats, times: Floats, events: Floats, *, transform: TimeTransform) -> Floats:
    """Returns g(t) at every death (D,), less its mean."""
    if len(np.unique(deaths)) < 2:
        raise InputDataError(
            f"proportional hazards: all deaths ({len(deaths)}) are of one day, so that a change of "
            "effects over time cannot be told; fit on more patients (--fit-splits)."
        )
    if transform == "km":
        alive = survival_curve(times, events).set_index("time_days")["survival"]
        clock = 1 - alive.shift(1, fill_value=1.0).reindex(deaths).to_numpy(dtype=np.float64)
    elif transform == "log":
        if not bool((deaths > 0).all()):
            raise InputDataError(
                "proportional hazards: a death on day 0 has no logarithm; use another transform."
            )
        clock = np.log(deaths)
    else:
        clock = deaths
    return np.asarray(clock - clock.mean())


def _notes(tests: pd.DataFrame, level: float) -> tuple[str, ...]:
    notes = []
    for row in tests.to_dict("records"):
        if np.isnan(row["p"]):
            notes.append(
                f"Proportional hazards are not tested for {row['group']!r}: with deaths on so few "
                "days a change of effects over time cannot be told."
            )
            continue
        if row["p"] >= level or row["group"] == _ALL:
            continue
        trend = row["trend"]
        how = f"its effect {trend} with time" if trend else "its effect changes with time"
        notes.append(
            f"Proportional hazards are doubtful for {row['group']!r} (scaled Schoenfeld "
            f"residuals, p = {row['p']:.2g}): {how}, so that its hazard ratio is an average over "
            f"the follow-up. One in {round(1 / level)} such tests is positive by chance."
        )
    return tuple(notes)
