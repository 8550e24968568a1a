"""Covariates of the Cox models: age, indication, summary code, region predictions.

What depends on the data (which indications are frequent enough, mean and spread of a prediction) is
learned from the patients on whom the model is fitted and then applied unchanged to the others.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Final

import numpy as np
import pandas as pd

from petct_ext.errors import InputDataError, did_you_mean
from petct_ext.ontology import RegionOntology

__all__ = [
    "DEFAULT_REGIONS",
    "CovariateDesign",
    "choose_regions",
    "learn_design",
    "median_probabilities",
    "with_regions",
]

DEFAULT_REGIONS: Final = (
    "full",
    "liver",
    "lungs",
    "skeleton",
    "abdominal_lymph_node",
    "thoracic_lymph_node",
)
"""Regions that enter the Cox model, most wanted first: own choice, few and hardly overlapping."""

_NOT_STATED: Final = "not stated"
_POOLED: Final = "other"
_AGE: Final = "age (per decade)"
_PER_SD: Final = " (per SD)"
_CLIP: Final = 1e-3


@dataclass(frozen=True, slots=True)
class CovariateDesign:
    """How patients become numbers; made by :func:`learn_design`.

    Attributes:
        columns: names of the clinical covariates in order.
        regions: regions whose predictions enter, in order.
        indications: indications with a covariate of their own.
        reference: indication to which the others are compared.
        pools: whether all other indications form the group "other"; if not they count as the
            reference.
        summary_positive: summary codes that count as 1.
        center: mean logit of each region.
        spread: standard deviation of the logit of each region.
        ontology: tells the titles of regions.
        notes: what was left out and why, in sentences.
    """

    columns: tuple[str, ...]
    regions: tuple[str, ...]
    indications: tuple[str, ...]
    reference: str
    pools: bool
    summary_positive: tuple[str, ...]
    center: tuple[float, ...]
    spread: tuple[float, ...]
    ontology: RegionOntology
    notes: tuple[str, ...]

    @property
    def region_columns(self) -> tuple[str, ...]:
        """Names of the covariates made from predictions."""
        return tuple(_region_column(region, self.ontology) for region in self.regions)

    @property
    def groups(self) -> dict[str, list[str]]:
        """Covariates by what they say: age, indication (all of them), summary code, each region."""
        made: dict[str, list[str]] = {}
        for column in self.columns:
            made.setdefault(_group(column), []).append(column)
        for column in self.region_columns:
            made[column.removesuffix(_PER_SD)] = [column]
        return made

    def apply(self, table: pd.DataFrame) -> pd.DataFrame:
        """Returns the covariates of patients, NaN where age, code or prediction is missing.

        Args:
            table: survival table with one more column per region, the median probability.

        Returns:
            One column per covariate, clinical ones first, same index.
        """
        made = _clinical(
            table,
            indications=self.indications,
            reference=self.reference,
            pools=self.pools,
            summary_positive=self.summary_positive,
        )
        made = made[list(self.columns)]
        learned = zip(self.regions, self.region_columns, self.center, self.spread, strict=True)
        for region, column, center, spread in learned:
            made[column] = (_logit(table[region]) - center) / spread
        return made


def learn_design(
    table: pd.DataFrame,
    *,
    ontology: RegionOntology,
    regions: Sequence[str] = (),
    min_group: int = 8,
    summary_positive: Sequence[str] = ("4", "9"),
) -> CovariateDesign:
    """Learns the covariates from the patients on whom the model will be fitted.

    Age is counted per decade. An indication gets a covariate if at least ``min_group`` patients
    have it (the authors ask for 8); the most frequent one is the reference; the others together
    form "other", or join the reference if they are fewer than ``min_group``. The summary code is 1
    if it asks for action. A region enters as the logit of its probability, clipped to 0.001-0.999,
    less its mean, divided by its standard deviation: its hazard ratio is per standard deviation.
    Covariates that are constant here are left out, with a note.

    Args:
        table: survival table with one more column per region.
        ontology: tells the titles of regions.
        regions: regions to include.
        min_group: smallest number of patients that makes a group.
        summary_positive: codes that count as 1.

    Returns:
        The design.

    Raises:
        InputDataError: if no clinical covariate is left.
    """
    notes: list[str] = []
    indications, reference, pools = _indication_groups(table, min_group, notes)
    clinical = _clinical(
        table,
        indications=indications,
        reference=reference,
        pools=pools,
        summary_positive=summary_positive,
    )
    columns = tuple(
        c for c in map(str, clinical.columns) if not _is_constant(clinical[c], c, notes)
    )
    if not columns:
        raise InputDataError(
            "no clinical covariate differs between the patients; a Cox model needs age, indication "
            "or summary code that vary. Fit on more patients (--fit-splits)."
        )
    clinical_design = CovariateDesign(
        columns=columns,
        regions=(),
        indications=indications,
        reference=reference,
        pools=pools,
        summary_positive=tuple(summary_positive),
        center=(),
        spread=(),
        ontology=ontology,
        notes=tuple(notes),
    )
    return with_regions(clinical_design, table, regions)


def with_regions(
    design: CovariateDesign, table: pd.DataFrame, regions: Sequence[str]
) -> CovariateDesign:
    """Returns the design with other regions, whose mean and spread are learned from these patients.

    Args:
        design: the clinical covariates; they stay what they are.
        table: one column per region, the median probability.
        regions: regions to include; those that are constant here are left out, with a note.
    """
    notes = list(design.notes)
    logits = {region: _logit(table[region]) for region in regions}
    columns = {region: _region_column(region, design.ontology) for region in regions}
    kept = [r for r in regions if not _is_constant(logits[r], columns[r], notes)]
    return replace(
        design,
        regions=tuple(kept),
        center=tuple(float(logits[region].mean()) for region in kept),
        spread=tuple(float(logits[region].std(ddof=1)) for region in kept),
        notes=tuple(notes),
    )


def median_probabilities(predictions: pd.DataFrame, regions: Sequence[str]) -> pd.DataFrame:
    """Returns the median probability over seeds, as in the paper.

    Args:
        predictions: table in the form of ``PREDICTIONS``, of one experiment.
        regions: wanted regions.

    Returns:
        One row per exam (index ``exam_id``), one column per region.

    Raises:
        InputDataError: if a region has no prediction.
    """
    known = set(predictions["task"])
    for region in regions:
        if region not in known:
            raise InputDataError(
                f"there is no prediction of region {region!r}; predicted are {len(known)} "
                f"tasks.{did_you_mean(region, known)}"
            )
    wanted = predictions[predictions["task"].isin(regions)]
    medians = wanted.pivot_table(index="exam_id", columns="task", values="prob", aggfunc="median")
    return medians.reindex(columns=list(regions))


def choose_regions(
    available: Sequence[str], *, num_events: int, num_clinical: int, events_per_covariate: int = 5
) -> tuple[str, ...]:
    """Chooses as many of ``DEFAULT_REGIONS`` as the number of deaths carries, at least one.

    Args:
        available: regions with predictions.
        num_events: deaths among the patients on whom the model is fitted.
        num_clinical: number of other covariates.
        events_per_covariate: deaths wanted for each covariate (Vittinghoff & McCulloch 2007 find 5
            to 9 mostly enough).

    Returns:
        Regions in the order of ``DEFAULT_REGIONS``; the first available ones if none of them is.

    Example:
        >>> choose_regions(["lungs", "liver", "full"], num_events=25, num_clinical=3)
        ('full', 'liver')
    """
    wanted = [region for region in DEFAULT_REGIONS if region in available] or list(available)
    return tuple(wanted[: max(1, num_events // events_per_covariate - num_clinical)])


def _indication_groups(
    table: pd.DataFrame, min_group: int, notes: list[str]
) -> tuple[tuple[str, ...], str, bool]:
    counts = table["indication"].replace("", _NOT_STATED).value_counts()
    counts = counts[sorted(counts.index, key=lambda name: (-counts[name], str(name)))]
    reference, others = str(counts.index[0]), counts.iloc[1:]
    frequent = tuple(str(name) for name in others.index[others >= min_group])
    rare = others[others < min_group]
    pools = bool(rare.sum() >= min_group)
    if len(rare):
        where = f"form the group {_POOLED!r}" if pools else f"join the reference {reference!r}"
        notes.append(
            f"Indications with fewer than {min_group} patients ({', '.join(map(str, rare.index))}; "
            f"{int(rare.sum())} patients together) {where}."
        )
    return frequent, reference, pools


def _clinical(
    table: pd.DataFrame,
    *,
    indications: Sequence[str],
    reference: str,
    pools: bool,
    summary_positive: Sequence[str],
) -> pd.DataFrame:
    made = pd.DataFrame({_AGE: table["age_years"] / 10}, index=table.index)
    group = table["indication"].replace("", _NOT_STATED)
    for name in indications:
        made[f"{name} (vs {reference})"] = (group == name).astype("float64")
    if pools:
        rare = ~group.isin([*indications, reference])
        made[f"{_POOLED} indication (vs {reference})"] = rare.astype("float64")
    code = table["summary_code"]
    positive = code.isin(list(summary_positive)).astype("float64")
    made[f"summary code {' or '.join(summary_positive)}"] = positive.where(code != "")
    return made


def _is_constant(values: pd.Series, name: str, notes: list[str]) -> bool:
    known = values.dropna()
    if len(known) and not np.isclose(known.std(ddof=0), 0):
        return False
    why = "is the same for all patients" if len(known) else "is missing for all patients"
    notes.append(f"Covariate {name!r} {why} on whom the model is fitted: left out.")
    return True


def _logit(prob: pd.Series) -> pd.Series:
    clipped = prob.clip(_CLIP, 1 - _CLIP)
    return pd.Series(np.log(clipped / (1 - clipped)), index=prob.index)


def _region_column(region: str, ontology: RegionOntology) -> str:
    return f"predicted {ontology.in_words(region)}{_PER_SD}"


def _group(column: str) -> str:
    if column == _AGE:
        return "age"
    return "summary code" if column.startswith("summary code") else "indication"
