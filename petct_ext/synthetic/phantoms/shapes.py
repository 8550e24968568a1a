"""Analytic shapes of which digital patients are made.

Every shape answers how deep a point lies inside it: in mm, positive inside, negative outside,
exact near the surface only. Positions are RAS+ in mm. Arrays of coordinates broadcast, so a shape
is evaluated on the small part of a grid that its bounds cover.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import numpy as np

from petct_ext.arrays import FloatArray

__all__ = ["Ellipsoid", "Outline", "Shape", "Tube"]


class Shape(Protocol):
    """What painting and sampling need of a shape."""

    def bounds(self) -> tuple[FloatArray, FloatArray]:
        """Returns the lowest and highest corner of a box around the shape, (3,) each, in mm."""

    def depth(self, x: FloatArray, y: FloatArray, z: FloatArray) -> FloatArray:
        """Returns the depth in mm at positions whose coordinates broadcast together."""

    def sample(self, rng: np.random.Generator, num_points: int) -> FloatArray:
        """Returns random positions inside, away from the surface, (num_points, 3) in mm."""

    def volume_mm3(self) -> float:
        """Returns the volume in mm^3 (approximately)."""


@dataclass(frozen=True, slots=True)
class Ellipsoid:
    """An ellipsoid, or with ``power`` above 2 a rounded box.

    Attributes:
        center: center in mm, (3,).
        semi_axes: half lengths in mm, (3,).
        rotation: rows are the directions of the axes, (3, 3); None if they are x, y and z.
        power: exponent of the superellipsoid; 2 for a true ellipsoid.
    """

    center: FloatArray
    semi_axes: FloatArray
    rotation: FloatArray | None = None
    power: float = 2.0

    def bounds(self) -> tuple[FloatArray, FloatArray]:
        """Returns the corners of a box around the shape."""
        if self.rotation is None:
            reach = self.semi_axes
        else:
            reach = np.sqrt(((self.rotation * self.semi_axes[:, None]) ** 2).sum(axis=0))
        return self.center - reach, self.center + reach

    def depth(self, x: FloatArray, y: FloatArray, z: FloatArray) -> FloatArray:
        """Returns the depth in mm; right to first order at the surface."""
        offsets = [x - self.center[0], y - self.center[1], z - self.center[2]]
        if self.rotation is not None:
            offsets = [
                a * offsets[0] + b * offsets[1] + c * offsets[2] for a, b, c in self.rotation
            ]
        if self.power == 2.0:
            terms = [np.square(o / r) for o, r in zip(offsets, self.semi_axes, strict=True)]
        else:
            terms = [
                np.abs(o / r) ** np.float32(self.power)
                for o, r in zip(offsets, self.semi_axes, strict=True)
            ]
        radius = np.float32(np.prod(self.semi_axes) ** (1 / 3) / self.power)
        depth: FloatArray = (1 - (terms[0] + terms[1] + terms[2])) * radius
        return depth

    def sample(self, rng: np.random.Generator, num_points: int) -> FloatArray:
        """Returns positions within 80 % of the way from the center to the surface."""
        directions = rng.standard_normal((num_points, 3))
        directions /= np.linalg.norm(directions, axis=1, keepdims=True)
        points = directions * (0.8 * rng.random((num_points, 1)) ** (1 / 3)) * self.semi_axes
        if self.rotation is not None:
            points = points @ self.rotation
        return (points + self.center).astype(np.float32)

    def volume_mm3(self) -> float:
        """Returns the volume of the ellipsoid (of the inscribed one if ``power`` is above 2)."""
        return float(4 / 3 * np.pi * np.prod(self.semi_axes))


@dataclass(frozen=True, slots=True)
class Tube:
    """A chain of capsules along a path, as of vessels, bowel and long bones.

    Attributes:
        path: corners in mm, (N, 3), N at least 2.
        radii: radius at each corner in mm, (N,).
    """

    path: FloatArray
    radii: FloatArray

    def segments(self) -> list[Tube]:
        """Returns the straight pieces, each with a small box of its own."""
        return [
            Tube(self.path[i : i + 2], self.radii[i : i + 2]) for i in range(len(self.path) - 1)
        ]

    def bounds(self) -> tuple[FloatArray, FloatArray]:
        """Returns the corners of a box around the shape."""
        reach = self.radii[:, None]
        return (self.path - reach).min(axis=0), (self.path + reach).max(axis=0)

    def depth(self, x: FloatArray, y: FloatArray, z: FloatArray) -> FloatArray:
        """Returns the depth in mm below the surface of the nearest piece."""
        pieces = range(len(self.path) - 1)
        depth = self._segment_depth(0, x, y, z)
        for i in pieces[1:]:
            depth = np.maximum(depth, self._segment_depth(i, x, y, z))
        return depth

    def _segment_depth(self, i: int, x: FloatArray, y: FloatArray, z: FloatArray) -> FloatArray:
        start, along = self.path[i], self.path[i + 1] - self.path[i]
        length2 = np.float32(max(float(along @ along), 1e-6))
        px, py, pz = x - start[0], y - start[1], z - start[2]
        t = (px * along[0] + py * along[1] + pz * along[2]) / length2
        np.clip(t, 0, 1, out=t)
        squared = np.square(px - t * along[0]) + np.square(py - t * along[1])
        squared += np.square(pz - t * along[2])
        depth: FloatArray = self.radii[i] + t * (self.radii[i + 1] - self.radii[i])
        depth -= np.sqrt(squared)
        return depth

    def sample(self, rng: np.random.Generator, num_points: int) -> FloatArray:
        """Returns positions around the path, within 60 % of the radius."""
        lengths = np.linalg.norm(np.diff(self.path, axis=0), axis=1)
        along = rng.random(num_points) * lengths.sum()
        corners = np.concatenate([[0.0], np.cumsum(lengths)])
        points = np.stack([np.interp(along, corners, self.path[:, k]) for k in range(3)], axis=1)
        reach = 0.6 * np.interp(along, corners, self.radii)[:, None]
        directions = rng.standard_normal((num_points, 3))
        directions /= np.linalg.norm(directions, axis=1, keepdims=True)
        points += directions * reach * rng.random((num_points, 1)) ** (1 / 3)
        return points.astype(np.float32)

    def volume_mm3(self) -> float:
        """Returns the volume of the pieces, without their round ends."""
        lengths = np.linalg.norm(np.diff(self.path, axis=0), axis=1)
        middle = (self.radii[1:] + self.radii[:-1]) / 2
        return float(np.pi * (lengths * middle**2).sum())


@dataclass(frozen=True, slots=True)
class Outline:
    """A stack of superellipses whose size changes along z: the outline of the trunk and head.

    Attributes:
        heights: z in mm, rising, (N,).
        half_widths: half width at each height in mm, (N,).
        half_depths: half depth (anterior-posterior) in mm, (N,).
        centers_y: y of the middle in mm, (N,).
        center_x: x of the middle in mm.
        power: exponent of the superellipses.
    """

    heights: FloatArray
    half_widths: FloatArray
    half_depths: FloatArray
    centers_y: FloatArray
    center_x: float
    power: float = 2.4

    def bounds(self) -> tuple[FloatArray, FloatArray]:
        """Returns the corners of a box around the shape."""
        width = self.half_widths.max()
        low = (self.centers_y - self.half_depths).min()
        high = (self.centers_y + self.half_depths).max()
        return (
            np.array([self.center_x - width, low, self.heights[0]], np.float32),
            np.array([self.center_x + width, high, self.heights[-1]], np.float32),
        )

    def depth(self, x: FloatArray, y: FloatArray, z: FloatArray) -> FloatArray:
        """Returns the depth in mm below the side; far negative above and below the stack."""
        width = np.interp(z, self.heights, self.half_widths).astype(np.float32)
        length = np.interp(z, self.heights, self.half_depths).astype(np.float32)
        middle = np.interp(z, self.heights, self.centers_y).astype(np.float32)
        power = np.float32(self.power)
        across = np.abs(x - np.float32(self.center_x)) ** power * width**-power
        forward = (np.abs(y - middle) / length) ** power
        depth: FloatArray = (1 - (across + forward)) * (np.minimum(width, length) / power)
        outside = (z < self.heights[0]) | (z > self.heights[-1])
        return np.where(outside, np.float32(-1e3), depth).astype(np.float32)

    def sample(self, rng: np.random.Generator, num_points: int) -> FloatArray:
        """Returns positions inside the middle of the stack."""
        z = rng.uniform(self.heights[0], self.heights[-1], num_points)
        x = rng.uniform(-0.6, 0.6, num_points) * np.interp(z, self.heights, self.half_widths)
        y = rng.uniform(-0.6, 0.6, num_points) * np.interp(z, self.heights, self.half_depths)
        y += np.interp(z, self.heights, self.centers_y)
        return np.stack([x + self.center_x, y, z], axis=1).astype(np.float32)

    def volume_mm3(self) -> float:
        """Returns the volume between the lowest and the highest section."""
        area = np.pi * self.half_widths * self.half_depths
        return float(np.trapezoid(area, self.heights))
