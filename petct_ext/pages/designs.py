"""The page of a comparison of designs, in Markdown."""

from __future__ import annotations

from typing import Any

import pandas as pd

from petct_ext.pages.rendering import templates
from petct_ext.pipeline.design_tables import ALL_REGIONS, MIN_EXAMS
from petct_ext.pipeline.designs import ARTIFICIAL, REFERENCE_DESIGN

__all__ = ["designs_page"]


def designs_page(designs: pd.DataFrame, localization: pd.DataFrame | None, *, facts: str) -> str:
    """Returns both tables as Markdown, with what they are about.

    Args:
        designs: from :func:`petct_ext.pipeline.design_tables.design_table`.
        localization: from :func:`petct_ext.pipeline.design_tables.localization_table`, or None.
        facts: one paragraph: cohort, settings, command.
    """
    groups = [(group, _design_rows(rows)) for group, rows in designs.groupby("group", sort=False)]
    return (
        templates()
        .get_template("designs.md")
        .render(
            artificial=ARTIFICIAL,
            reference=REFERENCE_DESIGN,
            facts=facts,
            groups=groups,
            places=None if localization is None else _place_rows(localization),
        )
    )


def _design_rows(rows: pd.DataFrame) -> list[dict[Any, Any]]:
    seeds = [str(name) for name in rows.columns if str(name).startswith("auroc_seed_")]
    return [
        {**row, "seeds": [f"{row[name]:.3f}" for name in seeds if pd.notna(row[name])]}
        for row in rows.to_dict("records")
    ]


def _place_rows(table: pd.DataFrame) -> list[dict[Any, Any]]:
    """All regions together, then the single ones of the default's attention in lesions."""
    table = table[table["n"] >= MIN_EXAMS]
    is_overall = table["region"] == ALL_REGIONS
    own = table[(table["design"] == REFERENCE_DESIGN) & ~is_overall]
    own = own[(own["map"] == "attention") & (own["box"] == "lesion")]
    return table[is_overall].to_dict("records") + own.to_dict("records")
