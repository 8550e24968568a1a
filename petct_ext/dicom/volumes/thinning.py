"""What is kept of a series whose slices are read and let go one by one."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

import numpy as np

from petct_ext.arrays import Affine, FloatArray

__all__ = ["ThinnedPlanes"]

_EVERY = 3  # voxel of a slice: no PET has structure between three of them


@dataclass(slots=True)
class ThinnedPlanes:
    """Hands planes on and keeps every third voxel of each along both of its axes.

    Attributes:
        planes: slices (X, Y) in their order.
        affine: (4, 4), voxel center to RAS+ mm, of the whole series.
    """

    planes: Iterable[FloatArray]
    affine: Affine
    _kept: list[FloatArray] = field(default_factory=list)

    def __iter__(self) -> Iterator[FloatArray]:
        for plane in self.planes:
            self._kept.append(plane[::_EVERY, ::_EVERY].copy())
            yield plane

    def series(self) -> tuple[FloatArray, Affine]:
        """Returns what was kept, (X / 3, Y / 3, Z), and its affine."""
        affine = self.affine.copy()
        affine[:3, :2] *= _EVERY
        return np.stack(self._kept, axis=2), affine
