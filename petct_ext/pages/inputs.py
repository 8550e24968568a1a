"""Reads what the pages show: tables and pictures; a file that is not there is None."""

from __future__ import annotations

import base64
import io
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import matplotlib as mpl
import pandas as pd
from matplotlib.figure import Figure

from petct_ext.errors import InputDataError, did_you_mean
from petct_ext.figures.style import STYLE
from petct_ext.tables.schemas import Schema, read_table

__all__ = [
    "Picture",
    "embed",
    "embed_figure",
    "find_figures",
    "not_written",
    "read_figure",
    "read_free_table",
    "read_if_there",
    "read_picture",
]

_IDENTITIES: Final = ("study_instance_uid", "raw_patient_id", "patient_name", "accession_number")


def read_if_there(path: Path, schema: Schema) -> pd.DataFrame | None:
    """Reads a table with a schema, or returns None if there is no such file.

    Raises:
        InputDataError: if it breaks its schema.
    """
    return read_table(path, schema) if path.is_file() else None


def read_free_table(path: Path, required: Sequence[str]) -> pd.DataFrame | None:
    """Reads a table that has no schema, without columns that hold raw identifiers.

    Args:
        path: the CSV file.
        required: columns that it must have.

    Returns:
        The rows with types guessed by pandas; text is missing as ``""``. None if there is no file.

    Raises:
        InputDataError: if it is unreadable, empty, or lacks a column.
    """
    if not path.is_file():
        return None
    try:
        table = pd.read_csv(path)
    except (pd.errors.ParserError, pd.errors.EmptyDataError, UnicodeDecodeError) as error:
        first = str(error).splitlines()[0]
        raise InputDataError(
            f"{path} cannot be read as CSV ({first}); run the step that writes it again."
        ) from None
    lacking = [name for name in required if name not in table.columns]
    if lacking:
        raise InputDataError(
            f"{path} lacks the column(s) {', '.join(lacking)}; run the step that writes it again."
            f"{did_you_mean(lacking[0], map(str, table.columns))}"
        )
    if table.empty:
        raise InputDataError(f"{path} has no rows; run the step that writes it again.")
    return table.drop(columns=[name for name in _IDENTITIES if name in table.columns])


def not_written(script: str) -> str:
    """Returns why a file is not there, with the script that writes it."""
    return f"not written: scripts/{script}.py has not run or did not finish"


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
