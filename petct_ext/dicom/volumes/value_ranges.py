"""Whether the values of a volume file look like the units that a table says they are in.

Nothing in a NIfTI, MetaImage or NRRD file tells SUV from Bq/mL or HU from stored values. All limits
stand here. They are wide: what they refuse cannot be in the units that are said.

A CT in HU has air at -1000 (CT number of vacuum, by definition), lung above -950 and fat to muscle
from -150 to 150. Values below -1100 other than one constant, the padding outside of the
reconstruction circle, do not exist; more than a few percent of a scan at 850 to 1250, where only
dense bone lies, neither.
"""

from __future__ import annotations

from enum import StrEnum

import numpy as np

from petct_ext.arrays import FloatArray
from petct_ext.errors import InputDataError

__all__ = ["VolumeUnits", "require_units"]

# Noise and the ringing of a reconstruction are a few percent of the hottest voxel.
_LARGEST_UNDERSHOOT = 0.1
_LARGEST_SUV = 2000.0
_SMALLEST_PEAK_BQML = 200.0
# Air is 0 within the noise; a z-score puts it at minus a third of a standard deviation or lower.
_LOWEST_MEDIAN_SUV = -0.15
_ZERO_MEAN = 0.01  # of the standard deviation: what a z-score leaves by rounding

_SMALLEST_HU_SPAN = 100.0  # muscle alone spans more, with its noise
_PADDING_HU = -1150.0
_DEEP_SHARE = 0.05
_DENSE_HU, _DENSE_SHARE = (850.0, 1250.0), 0.03
_AIR_HU_RANGE, _AIR_SHARE = (-1100.0, -850.0), 0.005
_SOFT_HU, _SOFT_SHARE = (-250.0, 250.0), 0.005
_LIGHT_HU, _LIGHT_SHARE = -300.0, 0.05
_LIGHT_MEDIAN_HU = (-1100.0, -600.0)  # from air to inflamed lung
_CLIPPED_ABOVE_HU, _CLIPPED_SHARE = -900.0, 0.05

_SAMPLED = 4_000_000  # voxels that are looked at; shares do not need more


class VolumeUnits(StrEnum):
    """What the values of a file are."""

    SUVBW = "SUVbw"
    """PET, standardized uptake value by body weight, g/mL."""

    BQML = "BQML"
    """PET, activity concentration in Bq/mL."""

    HU = "HU"
    """CT, Hounsfield units."""


def require_units(array: FloatArray, units: VolumeUnits, name: str) -> None:
    """Refuses values that cannot be in the units that they are said to be in.

    Args:
        array: (X, Y, Z).
        units: what a table says.
        name: of the file, without its folder.

    Raises:
        InputDataError: if values are not finite, all the same, or in other units; says what they
            look like and what to do.
    """
    finite = np.isfinite(array)
    if not finite.all():
        raise InputDataError(
            f"{name} holds {int((~finite).sum())} values that are not finite (NaN or inf) of "
            f"{array.size}; they have no meaning in a scan. Convert it again."
        )
    low, high = float(array.min()), float(array.max())
    if low == high:
        raise InputDataError(f"{name} is constant ({low:g} everywhere); it is empty.")
    step = -(-array.size // _SAMPLED)
    sample = array[:, :, ::step].ravel(order="K")
    if units is VolumeUnits.HU:
        problem = _range_problem(low, high) or _tissue_problem(sample, low)
    else:
        problem = _pet_problem(low, high, units)
        if units is VolumeUnits.SUVBW:
            problem = problem or _suv_problem(sample)
    if problem:
        raise InputDataError(f"{name}, said to be {units}, {problem}")


def _range_problem(low: float, high: float) -> str:
    if low >= 0:
        return (
            f"has no value below 0 (from {low:.4g} to {high:.4g}), where air is -1000 HU; it was "
            "stored without rescale or is no CT. Subtract the intercept or check the paths."
        )
    if low >= -1 and high <= 1:
        return f"has values from {low:.4g} to {high:.4g}; it looks normalized. Give HU."
    if high - low < _SMALLEST_HU_SPAN:
        return (
            f"spans only {low:.4g} to {high:.4g}; it looks z-scored or normalized. Give the CT "
            "before normalization."
        )
    return ""


def _tissue_problem(sample: FloatArray, low: float) -> str:
    """Judges where air and soft tissue lie."""
    deep = (sample > low + 1) & (sample < _PADDING_HU)
    if deep.mean() >= _DEEP_SHARE:
        return (
            f"has {deep.mean():.0%} of its voxels below {_PADDING_HU:g} (median "
            f"{np.median(sample[deep]):.0f}), where nothing is; the intercept seems subtracted "
            "twice, or it is scaled. Convert it again."
        )
    clipped = float((sample == low).mean())
    if low > _CLIPPED_ABOVE_HU and clipped >= _CLIPPED_SHARE:
        return (
            f"has its lowest value {low:.4g} in {clipped:.0%} of its voxels; it looks windowed, "
            "and air is lost. Give the CT before windowing."
        )
    kept = sample[sample > _PADDING_HU]
    if kept.size == 0 or _share(kept, *_SOFT_HU) < _SOFT_SHARE:
        return (
            f"has next to nothing between {_SOFT_HU[0]:g} and {_SOFT_HU[1]:g}, where soft tissue "
            "lies; it is shifted, scaled or no CT. Convert it again."
        )
    if _share(kept, *_DENSE_HU) >= _DENSE_SHARE and _share(kept, *_AIR_HU_RANGE) < _AIR_SHARE:
        return (
            f"has {_share(kept, *_DENSE_HU):.0%} of its voxels at {_DENSE_HU[0]:g} to "
            f"{_DENSE_HU[1]:g} and no air at -1000; it looks 1000 or 1024 too high, as stored "
            "without rescale. Subtract the intercept."
        )
    light = kept[kept < _LIGHT_HU]
    if light.size >= _LIGHT_SHARE * kept.size:
        median = float(np.median(light))
        if not _LIGHT_MEDIAN_HU[0] <= median <= _LIGHT_MEDIAN_HU[1]:
            return (
                f"has air at {median:.0f}, where it is -1000; it looks scaled or shifted. "
                "Convert it again."
            )
    return ""


def _share(values: FloatArray, low: float, high: float) -> float:
    return float(((values >= low) & (values <= high)).mean())


def _pet_problem(low: float, high: float, units: VolumeUnits) -> str:
    if low < -_LARGEST_UNDERSHOOT * max(high, 0.0):
        return (
            f"goes down to {low:.4g} (largest {high:.4g}), beyond what noise does; it may be a CT "
            "or be normalized. Check the paths."
        )
    if units is VolumeUnits.SUVBW and high > _LARGEST_SUV:
        return (
            f"has values up to {high:.4g}, more than {_LARGEST_SUV:.0f}; it looks like Bq/mL. Set "
            "pet_units to BQML and give weight, dose and times."
        )
    if units is VolumeUnits.SUVBW and high <= 1:
        return f"has no value above 1 (largest {high:.4g}); it looks normalized. Give SUVbw."
    if units is VolumeUnits.BQML and high < _SMALLEST_PEAK_BQML:
        return (
            f"has no value above {high:.4g}; it looks like SUV or kBq/mL. Set pet_units to SUVbw "
            "or convert to Bq/mL."
        )
    return ""


def _suv_problem(sample: FloatArray) -> str:
    mean, spread = float(sample.mean(dtype=np.float64)), float(sample.std(dtype=np.float64))
    median = float(np.median(sample))
    is_centered = abs(mean) < _ZERO_MEAN * spread and median < 0
    if is_centered or median < _LOWEST_MEDIAN_SUV:
        return (
            f"has mean {mean:.3g} and median {median:.3g}, where air is 0; it looks z-scored. Give "
            "the PET before normalization."
        )
    if np.array_equal(sample, np.rint(sample)):
        return (
            f"holds whole numbers only ({np.unique(sample).size} different ones); it is rounded, "
            "or counts. Convert it again as floating point."
        )
    return ""
