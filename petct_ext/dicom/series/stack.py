"""Slice positions to a regular stack, or the reason why they are none.

Positions are DICOM's, LPS+ in mm. A stack is accepted only if every slice lies within a tenth of
the spacing of where the affine puts it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
import numpy.typing as npt

from petct_ext.errors import InputDataError

__all__ = ["SAME_PLACE_MM", "Stack", "fit_stack", "plane_normal"]

Vector: TypeAlias = npt.NDArray[np.float64]

SAME_PLACE_MM = 0.01
"""Slices closer than this along the normal lie at the same position."""

_OFF_PLACE = 0.1  # of the spacing: how far a slice may lie from its place on a regular stack
_MISSING = 1.5  # times the spacing: a wider gap means that a slice is missing
_INTENDED = 3  # wide gaps in a row, all alike, mean that the spacing was changed on purpose
_TILT_MM = 0.5  # in-plane shift over the whole stack that is worth a warning


@dataclass(frozen=True, slots=True)
class Stack:
    """A regular stack.

    Attributes:
        origin_mm: (3,), place of the first voxel of the first slice.
        step_mm: (3,), from a slice to the next; not along the normal if the gantry was tilted.
        places: for every slice of the stack its place between those that were read (1.5: halfway
            between the second and the third); None if it has just the slices that were read.
        warnings: what was done, in words.
    """

    origin_mm: Vector
    step_mm: Vector
    places: Vector | None
    warnings: list[str]


def plane_normal(orientation: Vector) -> Vector:
    """Returns the unit normal of the image plane.

    Args:
        orientation: (6,), direction of the rows, then of the columns.

    Raises:
        InputDataError: if the directions are not perpendicular unit vectors.
    """
    row, column = orientation[:3], orientation[3:]
    lengths = np.linalg.norm([row, column], axis=1)
    if not (np.abs(lengths - 1).max() < 1e-2 and abs(row @ column) < 1e-2):
        shown = ", ".join(f"{value:g}" for value in orientation)
        raise InputDataError(
            f"Image Orientation (0020,0037) is ({shown}); rows and columns are not perpendicular "
            "unit vectors."
        )
    normal = np.cross(row, column)
    return np.asarray(normal / np.linalg.norm(normal))


def fit_stack(
    positions: Vector, normal: Vector, *, pixel_mm: float, thickness_mm: float | None
) -> Stack:
    """Lays a regular stack through the slices.

    A jitter of the spacing (bed joins) of less than a tenth of it is evened out by a straight line;
    a larger one, or a change of the spacing on the way, asks for interpolation along the normal,
    of which the result gives the places. A sheared stack (gantry tilt) keeps its shear: the affine
    holds it exactly.

    Args:
        positions: (Z, 3), Image Position (0020,0032) of the slices, ordered along the normal and
            apart from each other.
        normal: (3,), unit normal of the image plane.
        pixel_mm: smaller side of a pixel.
        thickness_mm: step of a single slice; None if unknown.

    Returns:
        The stack.

    Raises:
        InputDataError: if a slice is missing (names where and how many), or the slices are shifted
            against each other in a way that no affine describes.
    """
    if len(positions) == 1:
        return Stack(
            positions[0], normal * (thickness_mm or 1.0), None, ["the series has a single slice."]
        )
    heights = positions @ normal
    gaps = np.diff(heights)
    spacing = float(np.sort(gaps)[(len(gaps) - 1) // 2])  # lower median: 5 of 5 and 10
    _require_complete(heights, gaps, spacing)
    direction = _direction(positions, heights, pixel_mm=pixel_mm)
    notes = _tilt_warnings(direction, normal, float(heights[-1] - heights[0]))
    numbers = np.arange(len(heights))
    first, even = float(heights[0]), float(heights[-1] - heights[0]) / (len(heights) - 1)
    if np.abs(heights - (first + even * numbers)).max() > 1e-3 * spacing:
        even, first = np.polyfit(numbers, heights, 1).tolist()
    places = None
    if np.abs(heights - (first + even * numbers)).max() > _OFF_PLACE * spacing:
        even, first = spacing, float(heights[0])
        count = int(np.floor((heights[-1] - first) / even + 1e-3)) + 1
        places = np.interp(first + even * np.arange(count), heights, numbers)
        notes.append(
            f"the spacing varies from {gaps.min():.2f} to {gaps.max():.2f} mm; the slices were "
            f"interpolated to one every {even:.2f} mm."
        )
    origin = positions[0] + direction * (first - heights[0])
    return Stack(origin, direction * even, places, notes)


def _require_complete(heights: Vector, gaps: Vector, spacing: float) -> None:
    wide = np.flatnonzero(gaps > _MISSING * spacing)
    holes = [
        gap
        for run in np.split(wide, np.flatnonzero(np.diff(wide) != 1) + 1)
        if len(run) < _INTENDED or np.ptp(gaps[run]) > 0.2 * gaps[run].min()
        for gap in run
    ]
    if not holes:
        return
    shown = "; ".join(
        f"gap of {gaps[hole]:.2f} mm after the slice at {heights[hole]:.2f} mm, expected "
        f"{spacing:.2f} mm ({round(gaps[hole] / spacing) - 1 or 1} missing)"
        for hole in holes[:3]
    )
    more = f" and {len(holes) - 3} more gaps" if len(holes) > 3 else ""
    raise InputDataError(
        f"slices are missing: {shown}{more}, along the normal. Export the series again."
    )


def _direction(positions: Vector, heights: Vector, *, pixel_mm: float) -> Vector:
    """Returns the way from slice to slice per mm along the normal; checks that it is straight."""
    direction = (positions[-1] - positions[0]) / (heights[-1] - heights[0])
    straight = positions[0] + np.outer(heights - heights[0], direction)
    aside = np.linalg.norm(positions - straight, axis=1)
    worst = int(aside.argmax())
    if aside[worst] > 0.25 * pixel_mm:
        raise InputDataError(
            f"the slice at {heights[worst]:.2f} mm along the normal lies {aside[worst]:.2f} mm "
            "beside the line of the others; the series may hold several acquisitions."
        )
    return np.asarray(direction)


def _tilt_warnings(direction: Vector, normal: Vector, length_mm: float) -> list[str]:
    aside = float(np.linalg.norm(direction - normal))
    if aside * length_mm <= _TILT_MM:
        return []
    found = f"sheared by {np.degrees(np.arctan(aside)):.1f} degrees (gantry tilt)"
    return [f"the slices are {found}; the affine keeps that exactly."]
