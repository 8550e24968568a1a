"""Pictures that become part of the page (base64)."""

from __future__ import annotations

import base64
import io
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import matplotlib as mpl
from matplotlib.figure import Figure

from petct_ext.errors import InputDataError
from petct_ext.figures.style import STYLE

__all__ = ["Picture", "embed", "embed_figure", "find_figures", "read_figure", "read_picture"]

_MEDIA: Final = {".svg": "image/svg+xml", ".png": "image/png"}
_LARGEST_SVG: Final = 400_000
"""Bytes from which on the PNG is inlined instead."""


@dataclass(frozen=True, slots=True)
class Picture:
    """The address that holds the picture itself, and what tells it from others of its kind."""

    source: str
    label: str = ""


def embed(content: bytes, media: str) -> str:
    """Returns an address that holds the picture; ``media`` is its type, e.g. ``image/png``."""
    return f"data:{media};base64,{base64.b64encode(content).decode('ascii')}"


def embed_figure(figure: Figure) -> str:
    """Returns an address that holds a drawn figure as SVG."""
    file = io.BytesIO()
    with mpl.rc_context(STYLE):
        figure.savefig(file, format="svg", metadata={"Date": None})
    return embed(file.getvalue(), _MEDIA[".svg"])


def read_picture(path: str | Path, label: str = "") -> Picture:
    """Reads an SVG or PNG file.

    Raises:
        InputDataError: if the file is missing or has another type.
    """
    path = Path(path)
    if path.suffix.lower() not in _MEDIA:
        raise InputDataError(f"{path} is neither SVG nor PNG; draw the figure again.")
    try:
        return Picture(embed(path.read_bytes(), _MEDIA[path.suffix.lower()]), label)
    except OSError as error:
        raise InputDataError(
            f"{path} cannot be read ({error.strerror}); run the step that draws it again."
        ) from None


def read_figure(svg: Path, label: str = "") -> Picture:
    """Reads a figure; if it is too large as SVG, the PNG beside it."""
    png = svg.with_suffix(".png")
    large = svg.stat().st_size > _LARGEST_SVG and png.is_file()
    return read_picture(png if large else svg, label)


def find_figures(folder: Path, name: str) -> list[Picture]:
    """Reads ``<name>.svg`` and ``<name>_<experiment>.svg``, whose label is the experiment."""
    return [
        read_figure(svg, svg.stem.removeprefix(name).strip("_"))
        for svg in sorted([*folder.glob(f"{name}.svg"), *folder.glob(f"{name}_*.svg")])
    ]
