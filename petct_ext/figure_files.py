"""How figures of all parts look, and how they are written."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Final

import matplotlib
from matplotlib.figure import Figure

from petct_ext.files import atomic_path

__all__ = ["STYLE", "save_figure"]

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
