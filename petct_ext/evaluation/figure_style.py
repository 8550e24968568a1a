"""Colors and captions that all figures of the evaluation share.

Colors are those of Okabe & Ito (2008), which people with color vision deficiency can tell apart;
nothing is told by color alone.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Final

import matplotlib
from matplotlib.axes import Axes

from petct_ext.evaluation.predictions import TARGET_KINDS
from petct_ext.figure_files import STYLE

__all__ = [
    "BLUE",
    "COLORS",
    "GRAY",
    "HATCHES",
    "MARKERS",
    "ORANGE",
    "figure_style",
    "finish",
    "judged_by",
]

BLUE: Final = "#0072B2"
ORANGE: Final = "#D55E00"
GRAY: Final = "#6b7280"
COLORS: Final = (BLUE, ORANGE, "#009E73", "#CC79A7", "#56B4E9", "#E69F00")
MARKERS: Final = ("o", "s", "^", "D", "v", "P")
HATCHES: Final = ("", "///", "...", "xxx", "\\\\\\", "++")
_STYLE: Final[dict[Any, Any]] = STYLE | {
    "font.family": "sans-serif",
    "axes.titlesize": 11,
    "axes.edgecolor": GRAY,
}


@contextmanager
def figure_style() -> Iterator[None]:
    """Sets the style of figures drawn inside the block."""
    with matplotlib.rc_context(_STYLE):
        yield


def judged_by(kind: str) -> str:
    """Returns how a figure says what its numbers were compared with."""
    return TARGET_KINDS[kind]


def finish(axes: Axes, title: str, *, grid: str = "y") -> None:
    """Sets the title (aligned with the figure's left edge) and a faint grid."""
    axes.set_title(title, fontsize=10)
    axes.grid(axis=grid, color="#e5e7eb", linewidth=0.6)  # type: ignore[arg-type]
    axes.set_axisbelow(True)
