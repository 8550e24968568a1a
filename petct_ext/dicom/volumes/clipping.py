"""What is cut off a volume, counted: HU beyond the range, PET values below zero."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import numpy as np

from petct_ext.arrays import FloatArray
from petct_ext.dicom.checking.check import Check, CheckState

__all__ = ["ClippedPlanes", "negative_uptake_check"]

# A hip prosthesis fills 0.1 % of a whole-body scan, two and the teeth 0.3 %.
_LARGEST_SHARE_ABOVE = 0.005
# OSEM has no values below 0. Noise of a filtered back-projection averages out around 0 in air;
# cutting off its negative half adds as much activity as is lost here.
_LARGEST_NEGATIVE_SHARE = 0.05


class ClippedPlanes:
    """Slices of a CT with their HU cut to a range, before they are averaged: metal must not spread.

    Args:
        planes: the slices, float32; overwritten.
        limits: smallest and largest HU.
    """

    def __init__(self, planes: Iterable[FloatArray], limits: tuple[float, float]) -> None:
        self._planes = planes
        self._limits = limits
        self._num_voxels = self._num_above = 0

    def __iter__(self) -> Iterator[FloatArray]:
        """Yields each slice, clipped."""
        low, high = self._limits
        for plane in self._planes:
            self._num_voxels += plane.size
            if plane.max() >= high:
                self._num_above += int((plane >= high).sum())
            yield np.clip(plane, low, high, out=plane)

    def check(self) -> Check:
        """Returns the check ``ct_above_range`` of the slices that were taken."""
        name, high = "ct_above_range", self._limits[1]
        share = self._num_above / max(self._num_voxels, 1)
        found = f"{share:.2%} of the CT lies at or above {high:.0f} HU"
        if share > _LARGEST_SHARE_ABOVE:
            text = (
                f"{found} (limit {_LARGEST_SHARE_ABOVE:.1%}, more than metal takes) and was cut "
                "off; Rescale Slope (0028,1053) and Intercept (0028,1052) may be wrong"
            )
            return Check(name, CheckState.NOT_FINE, text, value=share, unit="share")
        return Check(name, CheckState.FINE, found, value=share, unit="share")


def negative_uptake_check(uptake: FloatArray) -> Check:
    """Returns the check ``pet_negative``: how much activity is lost by setting values below 0 to 0.

    Args:
        uptake: PET, (X, Y, Z), before that.

    Returns:
        Value: the sum of what is below 0, as a share of what is above.
    """
    name, negative, positive = "pet_negative", 0.0, 0.0
    for plane in uptake.transpose(2, 1, 0):
        total = float(plane.sum(dtype=np.float64))
        below = float(np.minimum(plane, 0.0).sum(dtype=np.float64)) if plane.min() < 0.0 else 0.0
        negative, positive = negative - below, positive + total - below
    if not positive > 0.0:
        return Check(name, CheckState.NOT_MEASURED, "the PET has no value above 0")
    share = negative / positive
    found = f"PET values below 0 add up to {share:.1%} of those above"
    if share > _LARGEST_NEGATIVE_SHARE:
        text = (
            f"{found} (limit {_LARGEST_NEGATIVE_SHARE:.0%}, beyond noise) and were set to 0; is "
            "it corrected for decay and attenuation, and its intercept right"
        )
        return Check(name, CheckState.NOT_FINE, text, value=share, unit="share")
    return Check(name, CheckState.FINE, found, value=share, unit="share")
