"""Figures of a comparison of designs."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from petct_ext.figures.style import (
    BLUE,
    COLORS,
    GRAY,
    MARKERS,
    ORANGE,
    figure_style,
    finish,
)
from petct_ext.ontology import RegionOntology
from petct_ext.pipeline.design_tables import ALL_REGIONS, MIN_EXAMS
from petct_ext.pipeline.designs import REFERENCE_DESIGN

__all__ = ["draw_designs", "draw_localization"]

_NOTE = "artificial patients, not clinical"


def draw_designs(table: pd.DataFrame) -> Figure:
    """Draws the mean AUROC per design, one panel per group of regions.

    Args:
        table: rows of ``design_table``. Bars are 95 % intervals over patients, dots are seeds.
    """
    groups = list(table.groupby("group", sort=False))
    counts = [len(rows) for _, rows in groups]
    with figure_style():
        figure = Figure(figsize=(8, 1.1 + 0.42 * sum(counts) + 0.9 * len(groups)))
        panels = figure.subplots(len(groups), 1, height_ratios=counts, sharex=True, squeeze=False)[
            :, 0
        ]
        for axes, (group, rows) in zip(panels, groups, strict=True):
            _draw_group(axes, str(group), rows)
        panels[-1].set_xlabel(
            "mean test AUROC against the truth (bar: 95 % CI over patients, dots: seeds)"
        )
        figure.suptitle(f"Designs of the scan model; {_NOTE}", fontsize=11, x=0.02, ha="left")
        figure.tight_layout()
    return figure


def draw_localization(
    table: pd.DataFrame, *, ontology: RegionOntology, design: str = REFERENCE_DESIGN
) -> Figure:
    """Draws, per region, how much more of a map lies inside the boxes than by chance.

    Args:
        table: rows of ``localization_table``.
        ontology: tells the titles of regions.
        design: whose rows.

    Returns:
        Two panels, boxes of lesions and of regions; bars are 95 % intervals over patients.
    """
    rows = table[(table["design"] == design) & (table["n"] >= MIN_EXAMS)]
    order = _by_ratio(rows)
    height = {region: i for i, region in enumerate(order)}
    with figure_style():
        figure = Figure(figsize=(10, 1.6 + 0.27 * len(order)))
        panels = figure.subplots(1, 2, sharey=True)
        for axes, box in zip(panels, ("lesion", "region"), strict=True):
            axes.axvline(1, color=GRAY, linewidth=1)
            for number, name in enumerate(("attention", "evidence")):
                part = rows[(rows["box"] == box) & (rows["map"] == name)]
                _draw_ratios(axes, part, height, number=number, name=name)
            axes.set_xscale("log")
            finish(axes, f"boxes around {box}s", grid="x")
        titles = [
            region if region == ALL_REGIONS else ontology.in_words(region) for region in order
        ]
        panels[0].set_yticks(range(len(order)), titles)
        panels[0].set_ylim(-0.7, len(order) - 0.3)
        panels[1].legend(fontsize=8, frameon=False, loc="upper left")
        figure.supxlabel(
            "share of the map inside the boxes over share of the volume inside them "
            "(bar: 95 % CI over patients)",
            fontsize=10,
        )
        figure.suptitle(
            f"Where the heads look against chance (line), design {design}; {_NOTE}",
            fontsize=11,
            x=0.02,
            ha="left",
        )
        figure.tight_layout()
    return figure


def _draw_group(axes: Axes, group: str, rows: pd.DataFrame) -> None:
    seeds = [name for name in rows.columns if str(name).startswith("auroc_seed_")]
    for i, (_, row) in enumerate(rows.iterrows()):
        height = len(rows) - 1 - i
        color = ORANGE if row["design"] == REFERENCE_DESIGN else BLUE
        limits = [row["auroc_ci_low"], row["auroc_ci_high"]]
        axes.plot(limits, [height, height], color=color, linewidth=3, alpha=0.4)
        of_seeds = row[seeds].dropna().to_numpy(dtype=np.float64)
        axes.plot(of_seeds, [height] * len(of_seeds), ".", color=color, markersize=6)
        axes.plot(row["auroc"], height, "|", color=color, markersize=14, markeredgewidth=2)
    axes.axvline(0.5, color=GRAY, linewidth=1, linestyle=":")
    names = [str(name) for name in rows["design"]]
    axes.set_yticks(range(len(rows)), [name.replace("_", " ") for name in reversed(names)])
    axes.set_ylim(-0.6, len(rows) - 0.4)
    first = rows.iloc[0]
    number = first["n_regions"]
    about = f"{number} region{'s' if number > 1 else ''}, {first['n_exams']} exams"
    finish(axes, f"{group}: {about}", grid="x")


def _by_ratio(rows: pd.DataFrame) -> list[str]:
    """Returns the regions with the mean over all at the bottom, then by rising ratio."""
    own = rows[(rows["box"] == "lesion") & (rows["map"] == "attention")].sort_values("ratio")
    regions = [str(region) for region in own["region"] if region != ALL_REGIONS]
    return [ALL_REGIONS, *regions] if (own["region"] == ALL_REGIONS).any() else regions


def _draw_ratios(
    axes: Axes, rows: pd.DataFrame, height: dict[str, int], *, number: int, name: str
) -> None:
    known = rows[rows["region"].isin(list(height)) & (rows["ratio"] > 0)]
    at = np.array([height[region] for region in known["region"]]) + (0.15 - 0.3 * number)
    ratio = known["ratio"].to_numpy(dtype=np.float64)
    low, high = (known[f"ratio_ci_{end}"].to_numpy(dtype=np.float64) for end in ("low", "high"))
    style: dict[str, Any] = {"fmt": MARKERS[number], "markersize": 4, "color": COLORS[number]}
    axes.errorbar(
        ratio,
        at,
        xerr=np.clip([ratio - low, high - ratio], 0, None),
        linewidth=1,
        label=name,
        **style,
    )
