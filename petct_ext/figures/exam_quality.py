"""How prepared exams look: small pictures side by side, and histograms of what was measured."""

from __future__ import annotations

import io
from typing import Final, NamedTuple, TypeAlias

import matplotlib as mpl
import numpy as np
import numpy.typing as npt
import pandas as pd
from matplotlib.figure import Figure
from PIL import Image, ImageDraw, ImageFont

from petct_ext.arrays import FloatArray
from petct_ext.dicom.checking.anatomy import ExamVolumes, body_mask
from petct_ext.figures.style import STYLE

__all__ = [
    "draw_histograms",
    "draw_thumbnails",
]

Color: TypeAlias = npt.NDArray[np.uint8]

_SUV_WINDOW = (0.0, 7.0)
_HU_WINDOW = (-160.0, 240.0)  # soft tissue
_LARGEST_PX = (300, 380)
_GAP_PX = 6
_HEADLINE_PX = 16
_INK = (235, 140, 30)


class _Panel(NamedTuple):
    title: str
    left: str
    right: str
    picture: Color  # (rows from head to feet, columns, 3)
    width_mm: float


def draw_thumbnails(volumes: ExamVolumes, *, is_suv: bool) -> bytes:
    """Draws coronal CT, PET projection, PET on CT, and sagittal CT.

    CT and fused views are the slices through the middle of the body; the projection is the maximum
    along the anterior-posterior axis, gray inverted, SUV 0 to 7 (if the PET is not in SUV, up to
    its 99.9th percentile).

    Args:
        volumes: one exam.
        is_suv: whether the PET is in SUV.

    Returns:
        A JPEG file. H is up, F down; the sides are R and L, or A and P.
    """
    pet, ct, (dx, dy, _) = volumes.pet, volumes.ct, volumes.spacing_mm
    window = _SUV_WINDOW if is_suv else (0.0, max(float(np.percentile(pet, 99.9)), 1e-6))
    x, y = _middle_of_body(volumes)
    ct_gray = _colored(_coronal(ct[:, y]), "gray", _HU_WINDOW)
    unit = "SUV 0-7" if is_suv else "own units"
    width, depth = pet.shape[0] * dx, pet.shape[1] * dy
    panels = [
        _Panel("CT", "R", "L", ct_gray, width),
        _Panel(
            f"PET {unit}", "R", "L", _colored(_coronal(pet.max(axis=1)), "gray_r", window), width
        ),
        _Panel("PET on CT", "R", "L", _fused(ct_gray, _coronal(pet[:, y]), window), width),
        _Panel("CT", "A", "P", _colored(_coronal(ct[x]), "gray", _HU_WINDOW), depth),
    ]
    return _join(panels, height_mm=pet.shape[2] * volumes.spacing_mm[2])


def _middle_of_body(volumes: ExamVolumes) -> tuple[int, int]:
    coarse = volumes.coarse()
    body = body_mask(coarse)
    if not body.any():
        return volumes.ct.shape[0] // 2, volumes.ct.shape[1] // 2
    found = []
    for axis in (0, 1):
        places = np.nonzero(body)[axis]
        share = (float(np.median(places)) + 0.5) / body.shape[axis]
        found.append(min(int(share * volumes.ct.shape[axis]), volumes.ct.shape[axis] - 1))
    return found[0], found[1]


def _coronal(plane: FloatArray) -> FloatArray:
    """Turns (X or Y, Z) into rows from head to feet, patient right or front at the left."""
    return plane.T[::-1, ::-1]


def _colored(plane: FloatArray, colors: str, window: tuple[float, float]) -> Color:
    shade = np.clip((plane - window[0]) / (window[1] - window[0]), 0.0, 1.0)
    colored: Color = (mpl.colormaps[colors](shade)[..., :3] * 255).astype(np.uint8)
    return colored


def _fused(ct: Color, pet: FloatArray, window: tuple[float, float]) -> Color:
    opacity = np.clip(pet / window[1], 0.0, 0.8)[..., None]
    mixed = (1 - opacity) * ct + opacity * _colored(pet, "hot", window)
    fused: Color = mixed.astype(np.uint8)
    return fused


def _join(panels: list[_Panel], *, height_mm: float) -> bytes:
    """Puts panels of one height side by side at one scale, with letters at their edges."""
    widest = max(panel.width_mm for panel in panels)
    scale = min(_LARGEST_PX[0] / widest, _LARGEST_PX[1] / height_mm)
    height = max(1, round(height_mm * scale))
    widths = [max(1, round(panel.width_mm * scale)) for panel in panels]
    size = sum(widths) + _GAP_PX * (len(panels) - 1), height + _HEADLINE_PX
    sheet = Image.new("RGB", size, "black")
    draw, font = ImageDraw.Draw(sheet), ImageFont.load_default(11)
    left, top = 0, _HEADLINE_PX
    for panel, width in zip(panels, widths, strict=True):
        picture = Image.fromarray(np.ascontiguousarray(panel.picture))
        sheet.paste(picture.resize((width, height), Image.Resampling.BILINEAR), (left, top))
        draw.text((left + 2, 1), panel.title, fill="white", font=font)
        middle, bottom = left + width / 2, top + height
        for letter, place, anchor in (
            (panel.left, (left + 2, top + height / 2), "lm"),
            (panel.right, (left + width - 2, top + height / 2), "rm"),
            ("H", (middle, top + 2), "ma"),
            ("F", (middle, bottom - 2), "md"),
        ):
            draw.text(place, letter, fill=_INK, font=font, anchor=anchor)
        left += width + _GAP_PX
    file = io.BytesIO()
    sheet.save(file, "JPEG", quality=82)
    return file.getvalue()


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
