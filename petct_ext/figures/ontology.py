"""A picture of the regions and how they nest."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Final

import matplotlib
from matplotlib.figure import Figure

from petct_ext.figures.style import STYLE, save_figure
from petct_ext.ontology.regions import RegionOntology

__all__ = ["draw_ontology"]

_ROW_INCHES: Final = 0.21
_COLUMN_INCHES: Final = 2.75
# Okabe and Ito's colors, told apart by color-blind readers and in gray.
_MAIN: Final = "#0072B2"
_OTHER: Final = "#000000"
_SECOND: Final = "#D55E00"


def draw_ontology(ontology: RegionOntology, stem: str | Path) -> tuple[Path, Path]:
    """Draws the graph from the outside (left) to the inside (right) and writes SVG and PNG.

    Each region stands in a row of its own, right of the first region that contains it. Lines are
    containment; further containers of a region are named behind it, in another color and after an
    arrow, as 94 regions with all their lines would be a thicket. Outputs of the scan model are
    bold and have a square.

    Args:
        ontology: the regions.
        stem: path without suffix.

    Returns:
        Paths of the SVG and the PNG file.
    """
    rows = _rows(ontology)
    depth = max(column for _, column in rows.values())
    with matplotlib.rc_context(STYLE):
        size = (_COLUMN_INCHES * (depth + 1.2), _ROW_INCHES * (len(rows) + 3))
        figure = Figure(figsize=size)
        axes = figure.add_axes((0.0, 0.0, 1.0, 1.0))
        axes.set_axis_off()
        axes.set_xlim(-0.1, depth + 1.1)
        axes.set_ylim(len(rows) + 0.5, -2.5)
        for name, place in rows.items():
            _draw(axes, ontology, name, place)
            for part in ontology:
                if ontology[part].within[:1] == (name,):
                    _connect(axes, place, rows[part])
        _legend(axes, ontology)
        return save_figure(figure, stem)


def _rows(ontology: RegionOntology) -> dict[str, tuple[int, int]]:
    """Row and column of each region: a walk from the roots, parts below what contains them."""
    rows: dict[str, tuple[int, int]] = {}

    def visit(name: str, column: int) -> None:
        rows[name] = (len(rows), column)
        for part in ontology:
            if ontology[part].within[:1] == (name,):
                visit(part, column + 1)

    for name in ontology:
        if not ontology[name].within:
            visit(name, 0)
    return rows


def _draw(axes: Any, ontology: RegionOntology, name: str, place: tuple[int, int]) -> None:
    row, column = place
    main = ontology[name].main
    marker, color = ("s", _MAIN) if main else ("o", _OTHER)
    axes.plot(column, row, marker=marker, markersize=6 if main else 3.5, color=color)
    label = axes.annotate(
        ontology.title(name),
        (column, row),
        xytext=(7, 0),
        textcoords="offset points",
        va="center",
        fontweight="bold" if main else "normal",
        color=color,
    )
    others = ontology[name].within[1:]
    if others:
        also = ", ".join(ontology.title(other) for other in others)
        axes.annotate(
            f"\u2192 {also}",
            (1, 0.5),
            xycoords=label,
            xytext=(6, 0),
            textcoords="offset points",
            va="center",
            fontsize=8.5,
            color=_SECOND,
        )


def _connect(axes: Any, outer: tuple[int, int], inner: tuple[int, int]) -> None:
    x = (outer[1] + 0.06, outer[1] + 0.06, inner[1] - 0.03)
    y = (outer[0] + 0.45, inner[0], inner[0])
    axes.plot(x, y, color="0.6", linewidth=0.9, zorder=0)


def _legend(axes: Any, ontology: RegionOntology) -> None:
    main = len(ontology.main_regions())
    texts = (
        (0.0, f"{len(ontology)} regions; a line leads from a region to its parts", _OTHER),
        (1.75, f"\u25a0 one of the {main} outputs of the scan model", _MAIN),
        (3.0, "\u2192 lies within this region as well", _SECOND),
    )
    for x, text, color in texts:
        axes.text(x, -1.6, text, color=color, va="center")
