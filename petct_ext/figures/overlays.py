"""Pictures of an exam with the places that speak for each region being abnormal."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import matplotlib as mpl
import numpy as np
from matplotlib.figure import Figure

from petct_ext.arrays import FloatArray
from petct_ext.files import atomic_path

__all__ = ["ShownRegion", "draw_overlay", "overlay_figure"]


_SUV_WINDOW = (0.0, 8.0)
_HU_WINDOW = (-160.0, 240.0)  # soft tissue
_LEAST_EVIDENCE = 0.05  # logit; noise below it must not light up


class ShownRegion(NamedTuple):
    """One region of one exam.

    Attributes:
        title: the region, for people.
        probability: what the network says, in [0, 1].
        target: label to compare with, NaN if unknown.
        evidence: map (X, Y, Z), what each place adds to the logit.
    """

    title: str
    probability: float
    target: float
    evidence: FloatArray


def draw_overlay(
    path: Path,
    pet_suv: FloatArray,
    ct_hu: FloatArray,
    findings: Sequence[ShownRegion],
    *,
    spacing_mm: tuple[float, float, float],
    caption: str,
) -> None:
    """Writes the picture of :func:`overlay_figure` as PNG.

    Args:
        path: file to write.
        pet_suv: as there, as is the rest.
        ct_hu: see there.
        findings: see there.
        spacing_mm: see there.
        caption: see there.
    """
    figure = overlay_figure(pet_suv, ct_hu, findings, spacing_mm=spacing_mm, caption=caption)
    with atomic_path(path) as partial:
        figure.savefig(partial, dpi=110, format="png")


def overlay_figure(
    pet_suv: FloatArray,
    ct_hu: FloatArray,
    findings: Sequence[ShownRegion],
    *,
    spacing_mm: tuple[float, float, float],
    caption: str,
) -> Figure:
    """Draws coronal views: PET, PET on CT, and the evidence for some regions on PET.

    Evidence is drawn where it is positive, each region relative to its own largest value. Patient
    right is on the left of the picture, as radiologists look at it. Projections are
    maximum intensity along the anterior-posterior axis; the CT is the slice through the hottest
    voxel outside head and bladder.

    Args:
        pet_suv: shape (X, Y, Z), RAS+ axes, SUVbw in g/mL.
        ct_hu: same shape, HU.
        findings: the regions to show, one panel each.
        spacing_mm: voxel size along X, Y, Z.
        caption: one line below, without identity.
    """
    panels = 2 + len(findings)
    height = pet_suv.shape[2] * spacing_mm[2]
    width = pet_suv.shape[0] * spacing_mm[0]
    inches = 4.6
    figure = Figure(
        figsize=(max(6.0, panels * inches * min(width / height, 1.1) + 0.6), inches + 1.0),
        layout="constrained",
    )
    axes = figure.subplots(1, panels)
    extent = (-width / 2, width / 2, 0.0, height)
    projection = _coronal(pet_suv.max(axis=1))
    middle = _coronal_slice(pet_suv)
    image = _show(axes[0], projection, extent, "gray_r", _SUV_WINDOW, "PET, maximum projection")
    figure.colorbar(image, ax=axes[0], shrink=0.6, label="SUVbw (g/mL)", location="left")
    _show(axes[1], _coronal(ct_hu[:, middle]), extent, "gray", _HU_WINDOW, "CT with PET, one slice")
    slice_suv = _coronal(pet_suv[:, middle])
    hot = np.ma.masked_less(slice_suv, 2.0)
    axes[1].imshow(hot, cmap="hot", vmin=1.0, vmax=_SUV_WINDOW[1], alpha=0.6, **_place(extent))
    for axis, finding in zip(axes[2:], findings, strict=True):
        _show(axis, projection, extent, "gray_r", _SUV_WINDOW, _headline(finding))
        evidence = _coronal(finding.evidence.max(axis=1))
        largest = max(float(evidence.max()), _LEAST_EVIDENCE)
        colors = _transparent("viridis")
        axis.imshow(evidence, cmap=colors, vmin=0.0, vmax=largest, **_place(extent))
    figure.supxlabel(caption, fontsize=8)
    return figure


def _headline(finding: ShownRegion) -> str:
    label = "" if np.isnan(finding.target) else f", label {finding.target:.0f}"
    return f"{finding.title}\np = {finding.probability:.2f}{label}"


def _coronal(plane: FloatArray) -> FloatArray:
    """Turns (X, Z) with X to the right into rows from head to feet, patient right at the left."""
    return plane.T[::-1, ::-1]


def _coronal_slice(pet_suv: FloatArray) -> int:
    """Returns the Y index through the hottest voxel of the trunk."""
    low, high = int(0.2 * pet_suv.shape[2]), max(int(0.85 * pet_suv.shape[2]), 1)
    trunk = pet_suv[:, :, low:high]
    return int(np.unravel_index(int(trunk.argmax()), trunk.shape)[1])


def _place(extent: tuple[float, float, float, float]) -> dict[str, Any]:
    return {"extent": extent, "aspect": "equal", "interpolation": "bilinear"}


def _show(
    axis: Any,
    plane: FloatArray,
    extent: tuple[float, float, float, float],
    colors: str,
    window: tuple[float, float],
    title: str,
) -> Any:
    image = axis.imshow(plane, cmap=colors, vmin=window[0], vmax=window[1], **_place(extent))
    axis.set_title(title, fontsize=9)
    axis.set_axis_off()
    axis.text(0.02, 0.02, "R", transform=axis.transAxes, fontsize=8, color="tab:orange")
    axis.text(0.94, 0.02, "L", transform=axis.transAxes, fontsize=8, color="tab:orange")
    return image


def _transparent(name: str) -> Any:
    """Returns a color map that grows opaque with the value."""
    colors = mpl.colormaps[name](np.linspace(0, 1, 256))
    colors[:, 3] = np.linspace(0, 0.75, 256)
    return mpl.colors.ListedColormap(colors)
