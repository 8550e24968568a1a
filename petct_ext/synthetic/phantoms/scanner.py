"""What a PET/CT scanner makes of a patient: its grids, blur and noise.

The virtual scanner resembles a GE Discovery ST: PET field of view 700 mm, CT field of view 500 mm,
slices 3.27 mm apart, point spread of about 6 mm FWHM after reconstruction (NEMA NU 2 of that
scanner: 6.2 mm, Mawlawi et al., J Nucl Med 2004;45:1734-1742).
"""

from __future__ import annotations

from dataclasses import dataclass
from types import MappingProxyType

import numpy as np
from scipy.ndimage import distance_transform_edt, gaussian_filter, gaussian_filter1d

from petct_ext.arrays import FloatArray
from petct_ext.errors import InputDataError
from petct_ext.synthetic.phantoms.anatomy import Body
from petct_ext.synthetic.phantoms.images import VoxelGrid

__all__ = [
    "HALF_LIFE_S",
    "SCAN_SIZES",
    "ScanSize",
    "acquire_ct",
    "acquire_pet",
    "decayed_fraction",
    "scan_grids",
    "without_attenuation_correction",
]

HALF_LIFE_S = 6586.2
"""Half life of F-18 in s."""

_FWHM_TO_SIGMA = 1 / 2.3548
_PSF_FWHM_MM = 6.0
_BREATHING_FWHM_MM = 9.0
_DIAPHRAGM_Z = (1170.0, 1300.0)  # heights of the reference body that move with breathing
_LONGEST_MM = 1012.0
_LOWEST_Z = 790.0  # of the reference body: a hand's breadth below the groin
_ABOVE_VERTEX_MM = 10.0
# Variance of the SUV per SUV in a voxel of 98 mm^3 at a diameter of 280 mm, after 300 MBq in
# 70 kg have decayed for an hour and at 150 s per bed: 10 % noise in a liver of SUV 2.2.
_NOISE_VARIANCE = 0.022
_REFERENCE_BQ_PER_G = 300e6 / 70e3 * 2 ** (-3600 / HALF_LIFE_S)
_REFERENCE_VOXEL_MM3 = 98.0
_REFERENCE_DIAMETER_MM = 280.0
_ATTENUATION_PER_MM = 0.0096  # water at 511 keV
_BED_MM = 130.0
_CT_NOISE_HU = 9.0
_CT_OUTSIDE_HU = -1024.0


@dataclass(frozen=True, slots=True)
class ScanSize:
    """Matrix and voxel sizes of the two scans.

    Attributes:
        pet_matrix: voxels of the PET along x and along y.
        pet_spacing_mm: their size in mm.
        ct_matrix: voxels of the CT along x and along y.
        ct_spacing_mm: their size in mm.
        slice_spacing_mm: distance of the slices of both in mm.
    """

    pet_matrix: int
    pet_spacing_mm: float
    ct_matrix: int
    ct_spacing_mm: float
    slice_spacing_mm: float


SCAN_SIZES = MappingProxyType(
    {
        "full": ScanSize(128, 5.46875, 512, 0.976562, 3.27),
        "small": ScanSize(96, 7.291667, 128, 3.90625, 11.4),
    }
)
"""``full`` as a clinical scanner; ``small`` has the same fields of view in fewer voxels."""


def scan_grids(body: Body, *, size: str) -> tuple[VoxelGrid, VoxelGrid]:
    """Returns the grids of the PET and of the CT, from head to thighs, at most 1012 mm.

    Args:
        body: the patient in the scanner.
        size: a key of :data:`SCAN_SIZES`.

    Returns:
        PET grid, CT grid; same slices (77-89 if small, 268-310 if full), RAS+ mm.

    Raises:
        InputDataError: if the size is unknown.
    """
    if size not in SCAN_SIZES:
        raise InputDataError(f"size is {size!r}; it must be one of {', '.join(SCAN_SIZES)}.")
    chosen = SCAN_SIZES[size]
    step = chosen.slice_spacing_mm
    top = body.top_mm + _ABOVE_VERTEX_MM
    lowest = float(body.frame.heights(np.array([_LOWEST_Z], np.float32))[0])
    num_slices = int(min(_LONGEST_MM, top - lowest) / step) + 1
    bottom = top - (num_slices - 1) * step
    bottom = round(float(bottom), 2)

    def grid(matrix: int, spacing: float) -> VoxelGrid:
        corner = -(matrix - 1) * spacing / 2
        return VoxelGrid(
            (matrix, matrix, num_slices), (spacing, spacing, step), (corner, corner, bottom)
        )

    return (
        grid(chosen.pet_matrix, chosen.pet_spacing_mm),
        grid(chosen.ct_matrix, chosen.ct_spacing_mm),
    )


def decayed_fraction(seconds: float) -> float:
    """Returns the share of F-18 that is left after a time in s."""
    return float(2.0 ** (-seconds / HALF_LIFE_S))


def acquire_pet(
    suv: FloatArray,
    body: Body,
    *,
    grid: VoxelGrid,
    bq_per_g: float,
    frame_s: float,
    rng: np.random.Generator,
) -> FloatArray:
    """Blurs an uptake and adds noise as counting does.

    The variance is proportional to the uptake and to the attenuation by the slice, and inversely
    to the activity per body weight, to the time per bed and to the square root of the voxel
    volume (reconstruction smooths what counting leaves). It rises towards the edges of the beds.

    Args:
        suv: SUVbw of the patient in g/mL, (X, Y, Z).
        body: the patient; organs near the diaphragm are blurred by breathing.
        grid: the voxels of ``suv``.
        bq_per_g: activity left at the start of the scan over body weight, in Bq/g.
        frame_s: time per bed position in s.
        rng: source of the noise.

    Returns:
        Measured SUVbw in g/mL, (X, Y, Z), at least 0.
    """
    blurred = _breathe(suv, body, grid)
    sigma = [_PSF_FWHM_MM * _FWHM_TO_SIGMA / s for s in grid.spacing_mm]
    blurred = gaussian_filter(blurred, sigma, mode="nearest")
    counts = bq_per_g / _REFERENCE_BQ_PER_G * frame_s / 150.0
    voxel = float(np.prod(grid.spacing_mm)) / _REFERENCE_VOXEL_MM3
    variance = _NOISE_VARIANCE / (counts * np.sqrt(voxel)) * _slice_noise(blurred, grid)
    noise = gaussian_filter(rng.standard_normal(suv.shape, np.float32), (0.6, 0.6, 0.3))
    noise /= np.float32(noise.std())
    # Scatter and randoms leave a little noise where there is no activity.
    noise *= np.sqrt(variance[None, None, :] * (blurred + np.float32(0.02)))
    np.maximum(blurred + noise, 0, out=noise)
    return noise


def acquire_ct(hu: FloatArray, *, grid: VoxelGrid, rng: np.random.Generator) -> FloatArray:
    """Adds noise to CT numbers and cuts them to the round field of view.

    Args:
        hu: CT numbers of the patient and the table in HU, (X, Y, Z).
        grid: the voxels of ``hu``.
        rng: source of the noise.

    Returns:
        Measured HU, (X, Y, Z), at least -1024, which also fills what lies outside the field.
    """
    x, y, _ = grid.axes()
    wide = (hu > -500).mean(axis=(0, 1)) * np.prod(grid.shape[:2]) * np.prod(grid.spacing_mm[:2])
    diameter = 2 * np.sqrt(wide / np.pi)
    level = _CT_NOISE_HU * np.exp(0.0035 * (diameter - _REFERENCE_DIAMETER_MM))
    noise = rng.standard_normal(hu.shape, np.float32)
    if grid.spacing_mm[0] < 2:
        for axis in (0, 1):
            noise = gaussian_filter1d(noise, 0.7, axis=axis, truncate=2)
        noise /= np.float32(noise[..., :1].std())
    noise *= level.astype(np.float32)[None, None, :]
    noise += hu
    np.maximum(noise, _CT_OUTSIDE_HU, out=noise)
    radius = -min(grid.origin_mm[:2]) + grid.spacing_mm[0] / 2
    noise[np.hypot(x[:, None], y[None, :]) > radius] = _CT_OUTSIDE_HU
    return noise


def _breathe(suv: FloatArray, body: Body, grid: VoxelGrid) -> FloatArray:
    """Smears the slices around the diaphragm along z: a PET takes many breaths."""
    low, high = body.frame.heights(np.array(_DIAPHRAGM_Z, np.float32))
    _, _, z = grid.axes()
    margin = 3 * _BREATHING_FWHM_MM
    near = np.flatnonzero((z > low - margin) & (z < high + margin))
    if near.size < 3:
        return suv.copy()
    moved = suv.copy()
    slab = slice(int(near[0]), int(near[-1]) + 1)
    smeared = gaussian_filter1d(
        suv[:, :, slab], _BREATHING_FWHM_MM * _FWHM_TO_SIGMA / grid.spacing_mm[2], axis=2
    )
    weight = np.clip(1 - np.maximum(low - z[slab], z[slab] - high) / margin, 0, 1)
    moved[:, :, slab] += weight.astype(np.float32) * (smeared - suv[:, :, slab])
    return moved


def _slice_noise(suv: FloatArray, grid: VoxelGrid) -> FloatArray:
    """Returns the variance of each slice over that of a reference slice, (Z,)."""
    area = (suv > 0.15).sum(axis=(0, 1)) * np.prod(grid.spacing_mm[:2])
    diameter = 2 * np.sqrt(area / np.pi)
    attenuation = np.exp(_ATTENUATION_PER_MM * (diameter - _REFERENCE_DIAMETER_MM))
    _, _, z = grid.axes()
    # Fewer lines of response cross the first and last planes of a bed; neighbors overlap.
    beds = 1.15 + 0.25 * np.cos(2 * np.pi * (z - z[0]) / _BED_MM)
    ends = np.minimum(z - z[0], z[-1] - z)
    beds = beds * (1 + 2.0 * np.exp(-ends / 12.0))
    return np.asarray(attenuation * beds, np.float32)


def without_attenuation_correction(suv: FloatArray, *, grid: VoxelGrid) -> FloatArray:
    """Returns how a PET looks that is not corrected for attenuation: bright skin, dark inside.

    Args:
        suv: measured SUVbw in g/mL, (X, Y, Z).
        grid: the voxels of ``suv``.

    Returns:
        Uncorrected values in g/mL, (X, Y, Z); a rough picture, good for telling series apart only.
    """
    inside = gaussian_filter(suv, 1.0) > 0.1
    depth_mm = distance_transform_edt(inside, sampling=grid.spacing_mm)
    dimmed: FloatArray = suv * np.exp(-1.5 * _ATTENUATION_PER_MM * depth_mm).astype(np.float32)
    return dimmed * np.float32(0.5)
