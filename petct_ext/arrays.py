"""Types of arrays, under one name each."""

from __future__ import annotations

from typing import TypeAlias

import numpy as np
import numpy.typing as npt

__all__ = ["Affine", "FloatArray", "Floats"]

Floats: TypeAlias = npt.NDArray[np.float64]
"""Numbers of a statistic, a table's column or a header."""

FloatArray: TypeAlias = npt.NDArray[np.float32]
"""Voxels of a volume: SUVbw in g/mL or CT in HU."""

Affine: TypeAlias = npt.NDArray[np.float64]
"""Matrix (4, 4) from voxel indices to RAS+ mm (LPS+ where a DICOM series says so)."""
