"""How the exams of a cohort were made: scanner, reconstruction, sizes, times and doses."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import pandas as pd
from nibabel.affines import voxel_sizes

__all__ = ["OUTLIER_NOTE", "count_series_choices", "find_outliers", "protocol_facts", "protocols"]

_IQR_FACTOR: Final = 1.5
_FEWEST = 8  # exams; quartiles of fewer say little
_GUIDELINE_MIN = (55.0, 75.0)

OUTLIER_NOTE: Final = (
    "Outliers lie beyond the quartiles of this cohort by more than 1.5 times their distance "
    "(Tukey's fences, from 8 exams on), and by at least 5 min, 0.5 MBq/kg or 0.5 mm, since where "
    "nearly all exams are alike any difference would be one. Groups differ in their protocols, so "
    "that fixed limits would flag whole hospitals. Uptake time is also held against the 55 to 75 "
    "min of the EANM guideline (Boellaard et al., Eur J Nucl Med Mol Imaging 2015;42:328-354), "
    "which is a remark and not a finding."
)


@dataclass(frozen=True, slots=True)
class _Fact:
    title: str
    unit: str
    least: float  # smaller distances from the quartiles are no outliers


_MEASURED: Final = {
    "uptake_min": _Fact("uptake time", "min", 5.0),
    "dose_per_kg": _Fact("dose per kg", "MBq/kg", 0.5),
    "pet_slice_mm": _Fact("PET slice distance", "mm", 0.5),
    "ct_slice_mm": _Fact("CT slice distance", "mm", 0.5),
}
_OF_PROTOCOL: Final = (
    *("scanner", "tracer", "reconstruction", "pet_slice_mm", "pet_pixel_mm"),
    *("ct_kernel", "ct_slice_mm", "ct_pixel_mm"),
)


def protocol_facts(
    exams: pd.DataFrame, series: pd.DataFrame | None, records: Mapping[str, Mapping[str, Any]]
) -> pd.DataFrame:
    """Collects what is known of how each prepared exam was made.

    Args:
        exams: schema EXAMS.
        series: schema SERIES; its columns ``reconstruction`` and ``choice_rule`` are read where
            they are there.
        records: ``exam.json`` by exam, of those that could be read.

    Returns:
        One row per record: ``exam_id``, ``scanner``, ``tracer``, ``reconstruction``,
        ``choice_rule`` and ``ct_kernel`` as text, "not stated" where nothing says it; sizes in mm
        and ``uptake_min``, ``dose_per_kg`` in MBq/kg, NaN where unknown.
    """
    chosen = _chosen(series)
    rows = []
    for exam in exams[exams.exam_id.isin(list(records))].to_dict("records"):
        record, name = records[exam["exam_id"]], str(exam["exam_id"])
        scanner = " ".join(str(exam[part]) for part in ("manufacturer", "model") if exam[part])
        rows.append(
            {
                "exam_id": name,
                "scanner": scanner,
                "tracer": exam["tracer"],
                "reconstruction": chosen.get((name, "PT", "reconstruction"), ""),
                "choice_rule": chosen.get((name, "PT", "choice_rule"), ""),
                "ct_kernel": chosen.get((name, "CT", "reconstruction"), ""),
                "uptake_min": exam["uptake_min"],
                "dose_per_kg": _dose_per_kg(exam, record),
                **_sizes(record),
            }
        )
    names = ["exam_id", *_OF_PROTOCOL, "choice_rule", "uptake_min", "dose_per_kg"]
    facts = pd.DataFrame(rows, columns=names)
    texts = ["scanner", "tracer", "reconstruction", "choice_rule", "ct_kernel"]
    facts[texts] = facts[texts].astype(str).replace("", "not stated")
    numbers = [name for name in names if name.endswith(("_mm", "_min", "_kg"))]
    return facts.astype(dict.fromkeys(numbers, float))


def _chosen(series: pd.DataFrame | None) -> dict[tuple[str, str, str], str]:
    """Returns what the chosen series say, by exam, modality and column."""
    if series is None:
        return {}
    rows = series[series.chosen == 1].to_dict("records")
    return {
        (str(row["exam_id"]), str(row["modality"]), name): str(row[name])
        for row in rows
        for name in ("reconstruction", "choice_rule")
        if name in row and not pd.isna(row[name])
    }


def _dose_per_kg(exam: Mapping[Any, Any], record: Mapping[str, Any]) -> float:
    """Returns MBq/kg: as the preparation checked it, with its overrides, or else by the index."""
    for check in record.get("checks", []):
        if check["name"] == "dose_per_kg" and check["value"] is not None:
            return float(check["value"])
    return float(exam["injected_dose_bq"]) / float(exam["weight_kg"]) / 1e6


def _sizes(record: Mapping[str, Any]) -> dict[str, float]:
    found: dict[str, float] = {}
    for name, grid in record["original_grids"].items():
        x, _, z = voxel_sizes(np.array(grid["affine"]))
        found |= {f"{name}_slice_mm": round(float(z), 2), f"{name}_pixel_mm": round(float(x), 2)}
    return found


def protocols(facts: pd.DataFrame) -> list[dict[str, Any]]:
    """Returns each distinct protocol, the most frequent first.

    Args:
        facts: see :func:`protocol_facts`.

    Returns:
        Rows with the facts that make a protocol, ``exams``, and as text with median and range
        ``uptake_min`` and ``dose_per_kg``; ``outside_guideline`` counts exams whose uptake time is
        outside 55 to 75 min.
    """
    low, high = _GUIDELINE_MIN
    rows = []
    for key, group in facts.groupby(list(_OF_PROTOCOL), dropna=False, sort=True):
        uptake = group.uptake_min.dropna()
        rows.append(
            {
                "exams": len(group),
                **dict(zip(_OF_PROTOCOL, key, strict=True)),
                "uptake_min": _range(group.uptake_min, 0),
                "dose_per_kg": _range(group.dose_per_kg, 1),
                "outside_guideline": int((~uptake.between(low, high)).sum()),
            }
        )
    return sorted(rows, key=lambda row: -int(row["exams"]))


def _range(values: pd.Series, digits: int) -> str:
    known = values.dropna()
    missing = len(values) - len(known)
    said = f"{missing} not stated" if missing else ""
    if known.empty:
        return "not stated"
    ends = f"{known.min():.{digits}f} to {known.max():.{digits}f}"
    return f"{known.median():.{digits}f} ({ends})" + (f", {said}" if said else "")


def find_outliers(facts: pd.DataFrame) -> list[dict[str, Any]]:
    """Returns the exams whose uptake time, dose or slice distance is unlike the others'.

    Args:
        facts: see :func:`protocol_facts`.

    Returns:
        Rows with ``exam``, ``fact``, ``value`` as text, and ``usual``, the limits.

    Example:
        >>> facts = pd.DataFrame({"exam_id": list("abcdefgh"), "uptake_min": [60.0] * 7 + [140.0]})
        >>> [(row["exam"], row["value"]) for row in find_outliers(facts)]
        [('h', '140 min')]
    """
    rows = []
    for name, fact in _MEASURED.items():
        if name not in facts or facts[name].notna().sum() < _FEWEST:
            continue
        low, high = (float(q) for q in facts[name].quantile([0.25, 0.75]))
        reach = max(_IQR_FACTOR * (high - low), fact.least)
        beyond = facts[(facts[name] < low - reach) | (facts[name] > high + reach)]
        rows += [
            {
                "exam": row["exam_id"],
                "fact": fact.title,
                "value": f"{row[name]:.3g} {fact.unit}",
                "usual": f"{max(low - reach, 0):.3g} to {high + reach:.3g} {fact.unit}",
            }
            for row in beyond.to_dict("records")
        ]
    return rows


def count_series_choices(facts: pd.DataFrame) -> list[dict[str, Any]]:
    """Returns how many exams use which PET reconstruction, and by which rule it was chosen."""
    counts = Counter(zip(facts["reconstruction"], facts["choice_rule"], strict=True))
    return [
        {"exams": number, "reconstruction": reconstruction, "chosen by": rule}
        for (reconstruction, rule), number in counts.most_common()
    ]
