"""The page of a comparison of designs, in Markdown."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

import numpy as np
import pandas as pd

from petct_ext.pipeline.design_tables import ALL_REGIONS, MIN_EXAMS
from petct_ext.pipeline.designs import ARTIFICIAL, REFERENCE_DESIGN

__all__ = ["designs_page"]

_ABOUT_MAPS: Final = (
    "Test exams in which the region holds a lesion. Mass: share of the map inside the boxes; "
    "chance: share of the volume inside them, which an even map would have; best: what a map with "
    "all of its mass at one position could have, since positions (16 x 16 x 4 voxels at demo size) "
    "are much larger than lesions. Hit: how often the "
    "largest value is at a position that touches a box, and how often by chance. Attention is "
    "where a head looks, evidence what a place adds to the logit. Ratio over all regions: "
    "median."
)


def designs_page(designs: pd.DataFrame, localization: pd.DataFrame | None, *, facts: str) -> str:
    """Returns both tables as Markdown, with what they are about.

    Args:
        designs: from :func:`design_table`.
        localization: from :func:`localization_table`, or None.
        facts: one paragraph: cohort, settings, command.
    """
    lines = ["# Designs of the scan model", "", ARTIFICIAL, "", facts, ""]
    for group, rows in designs.groupby("group", sort=False):
        lines += [
            f"## Detection: {group}",
            "",
            _about_group(rows.iloc[0]),
            "",
            "| design | AUROC (95 % CI) | seeds | difference (95 % CI) | p |",
            "|---|---|---|---|---|",
            *(_design_line(row) for row in rows.to_dict("records")),
            "",
        ]
    if localization is not None:
        lines += _localization_lines(localization)
    return "\n".join(lines)


def _about_group(row: pd.Series) -> str:
    return (
        f"Mean test AUROC against the phantoms' truth over {row['n_regions']} region(s) with at "
        f"least {row['min_positives']} positives ({row['n_positives']} positives in all), "
        f"{row['n_exams']} exams. 95 % CI: bootstrap over patients. Difference to "
        f"`{REFERENCE_DESIGN}`: same draws; p: permutation over patients."
    )


def _design_line(row: Mapping[Any, Any]) -> str:
    seeds = [v for k, v in row.items() if str(k).startswith("auroc_seed_") and not np.isnan(v)]
    area = f"{row['auroc']:.3f} ({row['auroc_ci_low']:.3f}-{row['auroc_ci_high']:.3f})"
    difference, p = "", ""
    if row["design"] != REFERENCE_DESIGN:
        low, high = row["difference_ci_low"], row["difference_ci_high"]
        difference = f"{row['difference']:+.3f} ({low:+.3f} to {high:+.3f})"
        p = f"{row['p_exams']:.4f}"
    of_seeds = " ".join(f"{value:.3f}" for value in seeds)
    return f"| `{row['design']}`: {row['title']} | {area} | {of_seeds} | {difference} | {p} |"


def _localization_lines(table: pd.DataFrame) -> list[str]:
    columns = (
        "| design | map | box | region | exams | mass | chance | best | ratio (95 % CI) | hit |"
    )
    lines = ["## Where the heads look", "", _ABOUT_MAPS, "", columns + " by chance |"]
    lines.append("|---" * 11 + "|")
    table = table[table["n"] >= MIN_EXAMS]
    overall = table[table["region"] == ALL_REGIONS]
    lines += [_localization_line(row) for row in overall.to_dict("records")]
    own = table[(table["design"] == REFERENCE_DESIGN) & (table["region"] != ALL_REGIONS)]
    own = own[(own["map"] == "attention") & (own["box"] == "lesion")]
    lines += [_localization_line(row) for row in own.to_dict("records")]
    return [*lines, ""]


def _localization_line(row: Mapping[Any, Any]) -> str:
    return (
        f"| `{row['design']}` | {row['map']} | {row['box']} | {row['region']} | {row['n']} "
        f"| {row['mass']:.4f} | {row['chance']:.4f} | {row['best']:.4f} | {row['ratio']:.2f} "
        f"({row['ratio_ci_low']:.2f}-{row['ratio_ci_high']:.2f}) | {row['hit']:.2f} "
        f"| {row['hit_chance']:.2f} |"
    )
