"""Why a Cox model would fail, said before the optimizer fails, with the covariates' names.

Letters in shapes: N patients, P covariates.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import numpy as np
import pandas as pd
from scipy import linalg

from petct_ext.arrays import Floats
from petct_ext.errors import InputDataError

__all__ = ["collinearity", "near_collinearity", "require_usable", "separation"]


_LARGEST_INFLATION: Final = 10.0


def require_usable(covariates: pd.DataFrame, time_days: Floats, event: Floats) -> None:
    """Refuses what cannot be fitted at all.

    Raises:
        InputDataError: if there is no patient, covariate or death, a time is negative or missing,
            an event is neither 0 nor 1, or a covariate is missing, infinite or constant.
    """
    values = covariates.to_numpy(dtype=np.float64)
    if covariates.empty:
        raise InputDataError("Cox model: there are no patients or no covariates.")
    if not bool((time_days >= 0).all()) or not bool(np.isin(event, [0, 1]).all()):
        raise InputDataError(
            "Cox model: every patient needs a time of at least 0 days and an event of 0 or 1; "
            "correct the survival table."
        )
    missing = ~np.isfinite(values).all(axis=0)
    if missing.any():
        name = covariates.columns[int(missing.argmax())]
        raise InputDataError(
            f"Cox model: covariate {name!r} has missing values; leave these patients out."
        )
    if event.sum() == 0:
        raise InputDataError(
            f"Cox model: none of {len(event)} patients died; a hazard cannot be estimated. Fit on "
            "more patients (--fit-splits) or with longer follow-up."
        )
    constant = np.isclose(values.std(axis=0), 0)
    if constant.any():
        name = covariates.columns[int(constant.argmax())]
        raise InputDataError(
            f"Cox model: covariate {name!r} is the same for all {len(values)} patients; leave it "
            "out."
        )


def collinearity(covariates: pd.DataFrame) -> Sequence[str]:
    """Names a covariate that is an exact linear combination of others, and those.

    Returns:
        One sentence without a capital and a full stop, or nothing.
    """
    values = covariates.to_numpy(dtype=np.float64)
    scaled = (values - values.mean(axis=0)) / values.std(axis=0)
    _, triangle, order = linalg.qr(scaled, mode="economic", pivoting=True)
    size = np.abs(np.diag(triangle))
    rank = int((size > 1e-8 * size[0]).sum())
    names = [str(covariates.columns[i]) for i in order]
    if rank == len(names):
        return ()
    # Coefficients that build the first dependent column from the independent ones.
    weights = linalg.solve_triangular(triangle[:rank, :rank], triangle[:rank, rank])
    partners = [name for name, w in zip(names[:rank], weights, strict=True) if abs(w) > 1e-6]
    return (f"covariate {names[rank]!r} follows from {', '.join(map(repr, partners))}",)


def near_collinearity(covariates: pd.DataFrame) -> Sequence[str]:
    """Names covariates that the others nearly determine (variance inflation factor above 10).

    Returns:
        Sentences for the notes of a model; nothing if covariates are exactly collinear.
    """
    values = covariates.to_numpy(dtype=np.float64)
    if values.shape[1] < 2 or len(collinearity(covariates)):
        return ()
    inflation = np.diag(np.linalg.inv(np.corrcoef(values, rowvar=False)))
    return tuple(
        f"Covariate {name!r} is nearly determined by the others (variance inflation factor "
        f"{factor:.0f}): its interval is wide; drop it or one of those that resemble it."
        for name, factor in zip(covariates.columns, inflation, strict=True)
        if factor > _LARGEST_INFLATION
    )


def separation(covariates: pd.DataFrame, time_days: Floats, event: Floats) -> list[str]:
    """Names covariates whose effect has no finite estimate (monotone likelihood).

    This is so if, at every death, who dies has the highest value of all who are at risk, or at
    every death the lowest: the likelihood then rises with the effect without end.

    Returns:
        Sentences without a capital and a full stop. Combinations of covariates that do so together
        are not found here; their standard errors give them away after the fit.
    """
    problems: list[str] = []
    for name in covariates.columns:
        levels = covariates[name].to_numpy(dtype=np.float64)
        direction = _monotone(levels, time_days, event)
        if not direction:
            continue
        distinct = np.unique(levels)
        if len(distinct) == 2:
            empty = distinct[0] if direction == "highest" else distinct[1]
            problems.append(_about_level(name, levels, float(empty), event=event))
        else:
            problems.append(
                f"covariate {name!r} separates the deaths: at every death, who dies has the "
                f"{direction} value of all who are at risk"
            )
    return problems


def _about_level(name: object, levels: Floats, level: float, *, event: Floats) -> str:
    count = int((levels == level).sum())
    if event[levels == level].sum() == 0:
        return (
            f"covariate {name!r} separates the deaths: none of the {count} patients with value "
            f"{level:g} died"
        )
    return (
        f"covariate {name!r} separates the deaths: the {count} patients with value {level:g} die "
        "only when nobody with the other value is left"
    )


def _monotone(levels: Floats, time_days: Floats, event: Floats) -> str:
    """Returns "highest", "lowest" or ""."""
    last_first = np.argsort(-time_days, kind="stable")
    deaths = np.flatnonzero(event == 1)
    at_risk = len(levels) - np.searchsorted(np.sort(time_days), time_days[deaths], side="left")
    highest = np.maximum.accumulate(levels[last_first])[at_risk - 1]
    lowest = np.minimum.accumulate(levels[last_first])[at_risk - 1]
    if not bool((highest > lowest).any()):
        return ""
    if bool((levels[deaths] == highest).all()):
        return "highest"
    return "lowest" if bool((levels[deaths] == lowest).all()) else ""
