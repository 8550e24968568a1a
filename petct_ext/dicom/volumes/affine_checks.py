"""What shape and affine of a volume file must be, whatever its format."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from nibabel.affines import voxel_sizes

from petct_ext.arrays import Affine
from petct_ext.errors import InputDataError

__all__ = ["require_affine", "require_three_axes", "shear_degrees"]

_VOXEL_MM = (0.1, 20.0)
# A bed join or rounding turns an axis by hundredths of a degree, a gantry tilt by ten and more.
_LARGEST_SHEAR_DEGREES = 1.0


def require_three_axes(shape: Sequence[int], name: str) -> tuple[int, int, int]:
    """Returns the shape without trailing axes of length 1.

    Args:
        shape: voxels along each axis.
        name: of the file, without its folder.

    Raises:
        InputDataError: if there are not three axes, or one has a single voxel.
    """
    kept = tuple(int(n) for n in shape)
    while len(kept) > 3 and kept[-1] == 1:
        kept = kept[:-1]
    if len(kept) != 3:
        raise InputDataError(
            f"{name} has shape {kept}; one volume of three axes is needed. Extract the time "
            "point or channel first."
        )
    if min(kept) < 2:
        raise InputDataError(f"{name} has shape {kept}; it is a single slice, no volume.")
    return kept[0], kept[1], kept[2]


def require_affine(affine: Affine, name: str) -> None:
    """Refuses an affine that gives voxels no place, or not the place of a scan in mm.

    Args:
        affine: (4, 4), voxel center to RAS+ mm.
        name: of the file, without its folder.

    Raises:
        InputDataError: if it is singular, its voxels are no tenths to tens of mm, or it is sheared.
    """
    if not np.isfinite(affine).all() or abs(np.linalg.det(affine[:3, :3])) < 1e-9:
        raise InputDataError(
            f"{name} has a singular affine {np.round(affine[:3], 4).tolist()}; voxels have no "
            "place. Convert it again."
        )
    spacing = voxel_sizes(affine)
    if spacing.min() < _VOXEL_MM[0] or spacing.max() > _VOXEL_MM[1]:
        raise InputDataError(
            f"{name} has voxels of {' x '.join(f'{s:.4g}' for s in spacing)}, outside "
            f"{_VOXEL_MM[0]:g} to {_VOXEL_MM[1]:g} mm; its lengths may not be in mm."
        )
    if (shear := shear_degrees(affine)) > _LARGEST_SHEAR_DEGREES:
        raise InputDataError(
            f"{name} has axes {90 - shear:.1f} degrees apart instead of 90 (gantry tilt?); "
            "convert it again with the tilt corrected."
        )


def shear_degrees(affine: Affine) -> float:
    """Returns how far the angles between the axes of an affine are from 90 degrees at most."""
    axes = affine[:3, :3] / voxel_sizes(affine)
    cosines = np.abs(axes.T @ axes - np.eye(3)).max()
    return float(np.degrees(np.arcsin(min(float(cosines), 1.0))))
