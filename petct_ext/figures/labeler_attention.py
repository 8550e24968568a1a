"""Figure of what the tokens of a mention attend to."""

from __future__ import annotations

import matplotlib
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.colors import Normalize, TwoSlopeNorm
from matplotlib.figure import Figure

from petct_ext.figures.style import STYLE
from petct_ext.labeler.attention import GROUPS

__all__ = ["draw_attention_by_group"]


def draw_attention_by_group(table: pd.DataFrame) -> Figure:
    """Draws shares of attention by group of words, and shares relative to chance.

    Args:
        table: of :func:`petct_ext.labeler.attention.attention_by_group`.
    """
    share = table.pivot(index="group", columns="layer", values="attention").loc[list(GROUPS)]
    ratio = table.pivot(index="group", columns="layer", values="ratio").loc[list(GROUPS)]
    num_layers = share.shape[1]
    with matplotlib.rc_context(STYLE):
        width = 4.6 + 0.9 * max(num_layers, 3)
        figure = Figure(figsize=(width, 4.4), layout="constrained")
        # The mention itself is in every sentence, so its count is that of all mentions.
        total = int(table["num_mentions"].max())
        figure.suptitle(f"Attention from the words of a mention, mean of {total} mentions")
        left, right = figure.subplots(1, 2, sharey=True)
        percent = 100 * share.to_numpy()
        _draw_grid(left, percent, cmap="Blues", form="{:.0f}", norm=Normalize(0, percent.max()))
        left.set_title("Share, %", fontsize=10)
        strength = np.log2(ratio.to_numpy())
        limit = max(1.0, float(np.nanmax(np.abs(strength[np.isfinite(strength)]), initial=1.0)))
        norm = TwoSlopeNorm(vmin=-limit, vcenter=0, vmax=limit)
        _draw_grid(right, strength, cmap="PuOr_r", form="{:.1f}", norm=norm, shown=ratio.to_numpy())
        right.set_title("Times chance", fontsize=10)
        left.set_yticks(range(len(GROUPS)), [_label(table, group) for group in GROUPS])
        for axes in (left, right):
            axes.set_xticks(range(num_layers), [str(n) for n in share.columns])
            axes.set_xlabel("layer")
            axes.tick_params(length=0)
    return figure


def _draw_grid(
    axes: Axes,
    values: np.ndarray,
    *,
    cmap: str,
    form: str,
    norm: Normalize,
    shown: np.ndarray | None = None,
) -> None:
    image = axes.imshow(values, cmap=cmap, norm=norm, aspect="auto")
    axes.spines[:].set_visible(False)
    for (row, column), value in np.ndenumerate(values if shown is None else shown):
        if np.isfinite(value):
            red, green, blue, _ = image.cmap(image.norm(values[row, column]))
            is_dark = 0.3 * red + 0.59 * green + 0.11 * blue < 0.5
            color = "white" if is_dark else "black"
            told = form.format(value)
            axes.text(column, row, told, ha="center", va="center", fontsize=8, color=color)


def _label(table: pd.DataFrame, group: str) -> str:
    rows = table[table["group"] == group]
    return f"{group} ({100 * float(rows['expected'].iloc[0]):.0f} % of tokens)"
