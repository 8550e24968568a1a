"""How much each group of covariates adds to a Cox model."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd
from scipy import stats

from petct_ext.errors import InputDataError, did_you_mean
from petct_ext.survival.cox import CoxModel

__all__ = ["wald_importance"]


def wald_importance(model: CoxModel, groups: Mapping[str, Sequence[str]]) -> pd.DataFrame:
    """Computes Wald's chi-square of each group less its degrees of freedom.

    The chi-square tests that all effects of the group are 0, given the other covariates. Less its
    degrees of freedom (its expectation under that hypothesis) it can be compared between groups of
    different size (Harrell, Regression Modeling Strategies, section 5.4); 0 or below means no sign
    of an effect. Groups that carry the same information share it and may both look unimportant.

    Args:
        model: the model; with a penalty the values are approximate.
        groups: names of covariates by the name of their group; groups may overlap.

    Returns:
        One row per group, in the order given: ``group``, ``covariates``, ``chi_square``,
        ``degrees_of_freedom``, ``importance`` (chi-square less degrees of freedom), ``p``.

    Raises:
        InputDataError: if a group is empty or names a covariate that the model does not have.
    """
    effects = model.coefficients["log_hazard_ratio"].to_numpy(dtype=np.float64)
    rows = []
    for group, members in groups.items():
        for member in members:
            if member not in model.covariates:
                raise InputDataError(
                    f"group {group!r}: the model has no covariate {member!r}."
                    f"{did_you_mean(member, model.covariates)}"
                )
        if not members:
            raise InputDataError(f"group {group!r} has no covariate; leave it out.")
        chosen = [model.covariates.index(member) for member in members]
        effect = effects[chosen]
        chi_square = float(
            effect @ np.linalg.solve(model.covariance[np.ix_(chosen, chosen)], effect)
        )
        rows.append(
            {
                "group": group,
                "covariates": "; ".join(members),
                "chi_square": chi_square,
                "degrees_of_freedom": len(members),
                "importance": chi_square - len(members),
                "p": float(stats.chi2.sf(chi_square, len(members))),
            }
        )
    return pd.DataFrame(rows)
