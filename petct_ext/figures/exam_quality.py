"""Draws what prepared exams measure, as histograms."""

from __future__ import annotations

from typing import Final

import matplotlib as mpl
import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from petct_ext.figures.style import STYLE

__all__ = ["draw_histograms"]

_HISTOGRAMS: Final = {
    "pet_slice_mm": "PET slice distance (mm)",
    "ct_slice_mm": "CT slice distance (mm)",
    "num_slices": "slices of the volume",
    "liver_suv": "liver-like SUV (g/mL)",
}


def draw_histograms(rows: pd.DataFrame) -> Figure:
    """Draws slice distances, numbers of slices and liver-like SUV over the exams."""
    with mpl.rc_context(STYLE):
        figure = Figure(figsize=(11, 2.6), layout="constrained")
        for axis, (column, title) in zip(figure.subplots(1, 4), _HISTOGRAMS.items(), strict=True):
            values = rows[column].dropna().astype(float).round(2)
            margin = 0.5 if values.nunique() < 2 else 0.0  # equal values have no range
            if len(values):
                edges = np.linspace(values.min() - margin, values.max() + margin, 21)
                axis.hist(values, bins=list(edges), color="#0a5f94")
            axis.set_xlabel(title)
            axis.set_ylabel("exams")
    return figure
