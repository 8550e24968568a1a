"""How figures look, who judged what they show, and how they are written.

Colors are those of Okabe & Ito (2008), which people with color vision deficiency can tell apart;
nothing is told by color alone.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

import matplotlib
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from petct_ext.files import atomic_path
from petct_ext.statistics.predictions import TARGET_KINDS

__all__ = [
    "BLUE",
    "COLORS",
    "GRAY",
    "HATCHES",
    "MARKERS",
    "ORANGE",
    "STYLE",
    "figure_style",
    "finish",
    "judged_by",
    "save_figure",
]

STYLE: Final[dict[Any, Any]] = {
    "font.size": 10,
    "axes.titlelocation": "left",
    "axes.spines.top": False,
    "axes.spines.right": False,
    "figure.facecolor": "white",
    "svg.fonttype": "path",
    "svg.hashsalt": "petct_ext",
}
"""Settings of matplotlib; SVG text is drawn as paths and ids are the same in every run."""


def save_figure(figure: Figure, stem: str | Path) -> tuple[Path, Path]:
    """Writes ``<stem>.svg`` and ``<stem>.png`` (150 dpi), both atomically and without a date.

    Returns:
        The two paths.

    Raises:
        OutputError: if they cannot be written.
    """
    svg, png = Path(f"{stem}.svg"), Path(f"{stem}.png")
    with matplotlib.rc_context(STYLE):
        with atomic_path(svg) as partial:
            figure.savefig(partial, bbox_inches="tight", metadata={"Date": None})
        with atomic_path(png) as partial:
            figure.savefig(partial, bbox_inches="tight", dpi=150)
    return svg, png


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
