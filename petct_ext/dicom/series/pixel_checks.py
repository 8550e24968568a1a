"""What the stored values of a whole series say about themselves: wrong sign, cut-off tops.

A slice alone rarely tells: each has a scale of its own. Slices are counted one by one as they are
decoded, and judged together.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace

import numpy as np
import pydicom
from pydicom.dataelem import DataElement, RawDataElement

from petct_ext.dicom.checking.check import Check, CheckState
from petct_ext.dicom.files.decoding import AIR_HU
from petct_ext.dicom.files.slice_file import decimal_numbers
from petct_ext.dicom.files.stored_bits import StoredArray

__all__ = ["PixelCounts"]

# Slices whose scale is below this share of the largest may hold noise only, whose negative values
# are as large as its positive ones; where the sign is wrong, it is so in the hottest slice too.
_NOISE_SCALE = 0.5
_LEAST_SHARE_WRAPPED = 0.02
_LEAST_SHARE_NEAR_TOP = 1e-3  # noise fills the air; the hottest eighth of a range is a few voxels
# The largest value of a slice is reached once, by scaling to it; in a plateau of more than nine
# voxels (3 x 3) on average the tops were cut off.
_MOST_AT_LIMIT = 9.0
# Air of a low dose is -1000 with noise of 100; a constant below that is the filling of the circle.
_FAR_BELOW_AIR_HU = AIR_HU - 100.0
_LARGEST_SHARE_BELOW_AIR = 0.01


@dataclass(frozen=True, slots=True)
class _SliceCounts:
    scale: float  # the largest value that can be stored, in the units of the series
    wrapped: int = 0  # negative among hot ones
    deep: int = 0  # of them, those just beyond the largest signed value
    hot: int = 0  # from half of the largest signed value on
    near_top: int = 0  # in the highest eighth of the range
    below_top: int = 0  # between the near top and half of the range
    isolated: int = 0  # near the top with a neighbor near zero
    contradiction: str = ""
    at_limit: int = 0
    top: int = 0  # largest stored value
    at_top: int = 0  # voxels that hold it; 0 if the slice is constant
    below_plateau: int = 0  # voxels from 0.8 of it on, without those
    below_air: int = 0


@dataclass(slots=True)
class PixelCounts:
    """Counts of the slices of one series.

    Attributes:
        modality: ``PT`` or ``CT``.
        num_voxels: of one slice.
        slices: by number; a slice that is read again is counted once.
    """

    modality: str
    num_voxels: int = 0
    slices: dict[int, _SliceCounts] = field(default_factory=dict)

    def add(self, number: int, stored: StoredArray, header: pydicom.Dataset) -> None:
        """Counts one slice.

        Args:
            number: of the slice.
            stored: (rows, columns), as stored.
            header: of the slice.
        """
        self.num_voxels = stored.size
        slope = decimal_numbers(header, "RescaleSlope")[0]
        if self.modality == "CT":
            intercept = decimal_numbers(header, "RescaleIntercept")[0]
            self.slices[number] = _SliceCounts(
                0.0, below_air=_count_below_air(stored, slope, intercept)
            )
        elif self.modality == "PT":
            counts = _count_pet(stored, header, slope=abs(slope))
            top = int(stored.max())
            at_top = int((stored == top).sum()) if top > int(stored.min()) else 0
            below = int((stored >= 0.8 * top).sum()) - at_top if at_top else 0
            self.slices[number] = replace(counts, top=top, at_top=at_top, below_plateau=below)

    def checks(self) -> list[Check]:
        """Judges the slices that were counted.

        Returns:
            For a PET ``pet_stored_sign`` (hard) and ``pet_saturated``, for a CT ``ct_below_air``.
        """
        if not self.slices:
            return []
        if self.modality == "PT":
            return [self._sign_check(), self._saturation_check()]
        return [self._air_check()] if self.modality == "CT" else []

    def _sign_check(self) -> Check:
        name, counts = "pet_stored_sign", self.slices.values()
        for one in counts:
            if one.contradiction:
                return Check(name, CheckState.NOT_FINE, one.contradiction, is_hard=True)
        largest = max(one.scale for one in counts)
        hottest = [one for one in counts if one.scale >= _NOISE_SCALE * largest]
        wrapped = sum(one.wrapped for one in hottest)
        # Strong noise has a few small negative values beside its maxima.
        is_clear = wrapped >= _LEAST_SHARE_WRAPPED * sum(one.hot for one in hottest)
        if wrapped and (is_clear or any(one.deep for one in hottest)):
            text = (
                f"{wrapped} negative values of the PET lie among its hottest; Pixel Representation "
                "(0028,0103) is 1, and the values look unsigned (0): the hottest voxels would be "
                "0; export the PET again or correct the element"
            )
            return Check(name, CheckState.NOT_FINE, text, is_hard=True, value=float(wrapped))
        near_top = sum(one.near_top for one in counts)
        is_many = near_top > _LEAST_SHARE_NEAR_TOP * self.num_voxels * len(counts)
        is_gap = sum(one.below_top for one in counts) < near_top / 10
        if is_many and is_gap and sum(one.isolated for one in counts) > near_top / 2:
            text = (
                f"{near_top} values of the PET lie at the end of the range of Bits Stored "
                "(0028,0101) beside values near 0; Pixel Representation (0028,0103) is 0, and the "
                "values look signed (1): noise below 0 would be the hottest; export the PET again "
                "or correct the element"
            )
            return Check(name, CheckState.NOT_FINE, text, is_hard=True, value=float(near_top))
        return Check(
            name, CheckState.FINE, "no stored value of the PET looks as if its sign were wrong"
        )

    def _saturation_check(self) -> Check:
        name = "pet_saturated"
        found = [one.at_limit for one in self.slices.values() if one.at_limit]
        mean = sum(found) / len(found) if found else 0.0
        if mean > _MOST_AT_LIMIT:
            text = (
                f"{sum(found)} voxels in {len(found)} PET slices hold the largest value that can "
                f"be stored ({mean:.0f} a slice, more than {_MOST_AT_LIMIT:g}): the hottest were "
                "cut off, and SUVmax is too low"
            )
            return Check(name, CheckState.NOT_FINE, text, value=mean, unit="voxels a slice")
        top = max(one.top for one in self.slices.values())
        highest = [one for one in self.slices.values() if one.top == top]
        plateaus = [one.at_top for one in highest]
        mean = sum(plateaus) / len(plateaus)
        # A hill that was cut has slopes; a test object whose hot part is uniform has none.
        has_slopes = sum(one.below_plateau for one in highest) >= sum(plateaus) / 10
        if mean > _MOST_AT_LIMIT and has_slopes:
            text = (
                f"{sum(plateaus)} voxels in {len(plateaus)} PET slices hold the same largest value "
                f"({mean:.0f} a slice, more than {_MOST_AT_LIMIT:g}): the hottest seem to be cut "
                "off, and SUVmax is too low"
            )
            return Check(name, CheckState.NOT_FINE, text, value=mean, unit="voxels a slice")
        text = "no plateau at the largest value"
        return Check(name, CheckState.FINE, text, value=mean, unit="voxels a slice")

    def _air_check(self) -> Check:
        name = "ct_below_air"
        count = sum(one.below_air for one in self.slices.values())
        share = count / (self.num_voxels * len(self.slices))
        found = f"{share:.2%} of the CT lies below {_FAR_BELOW_AIR_HU:.0f} HU"
        if share > _LARGEST_SHARE_BELOW_AIR:
            text = (
                f"{found} (limit {_LARGEST_SHARE_BELOW_AIR:.0%}), less than air, and was set to "
                f"{AIR_HU:.0f} HU; Rescale Intercept (0028,1052) may be wrong"
            )
            return Check(name, CheckState.NOT_FINE, text, value=share, unit="share")
        return Check(name, CheckState.FINE, found, value=share, unit="share")


def _count_below_air(stored: StoredArray, slope: float, intercept: float) -> int:
    lowest = int(stored.min())
    if slope <= 0 or lowest * slope + intercept >= _FAR_BELOW_AIR_HU:
        return 0
    limit = (_FAR_BELOW_AIR_HU - intercept) / slope
    return int(((stored < limit) & (stored != lowest)).sum())


def _count_pet(stored: StoredArray, header: pydicom.Dataset, *, slope: float) -> _SliceCounts:
    bits = min(int(header.get("BitsStored") or 16), 8 * stored.dtype.itemsize)
    is_signed = np.issubdtype(stored.dtype, np.signedinteger)
    low, high, full = int(stored.min()), int(stored.max()), 1 << bits
    limit = (full // 2 if is_signed else full) - 1
    at_limit = int((stored == limit).sum()) if high == limit else 0
    if is_signed and low < 0:
        wrapped, deep = _count_wrapped(stored, full)
        return _SliceCounts(
            slope * limit,
            wrapped=wrapped,
            deep=deep,
            hot=int((stored >= full // 4).sum()),
            contradiction=_contradiction(stored, header, full),
            at_limit=at_limit,
        )
    if not is_signed and high >= full // 8 * 7:
        # Small negative values of a wrong sign lie at the end of the range, beside values near 0.
        top = stored >= full // 8 * 7
        return _SliceCounts(
            slope * limit,
            near_top=int(top.sum()),
            below_top=int(((stored >= full // 2) & ~top).sum()),
            isolated=int((top & _beside(stored < full // 8)).sum()),
            at_limit=at_limit,
        )
    return _SliceCounts(slope * limit, at_limit=at_limit)


def _count_wrapped(stored: StoredArray, full: int) -> tuple[int, int]:
    """Counts negative values beside one higher by half the range, or with hot ones all around.

    An image is smooth: next to a voxel beyond the largest signed value lies one a little below it,
    and a step from there to the smallest is larger than any that the image has.

    Returns:
        Their number, and that of those a little beyond the largest signed value, which are the most
        negative: noise has none beside a value near the largest.
    """
    wide = np.pad(stored.astype(np.int64), 1, mode="edge")
    center = wide[1:-1, 1:-1]
    around = (wide[:-2, 1:-1], wide[2:, 1:-1], wide[1:-1, :-2], wide[1:-1, 2:])
    steps = [neighbor - center > full // 2 for neighbor in around]
    hot = [(neighbor >= full // 4) | (neighbor < -full // 4) for neighbor in around]
    is_wrapped = np.logical_or.reduce(steps) | np.logical_and.reduce(hot)
    near_top = np.logical_or.reduce([neighbor >= 3 * full // 8 for neighbor in around])
    deep = (center < -3 * full // 8) & near_top
    return int(((center < 0) & is_wrapped).sum()), int(deep.sum())


def _beside(mask: np.ndarray) -> np.ndarray:
    wide = np.pad(mask, 1)
    found: np.ndarray = wide[:-2, 1:-1] | wide[2:, 1:-1] | wide[1:-1, :-2] | wide[1:-1, 2:]
    return found


def _contradiction(stored: StoredArray, header: pydicom.Dataset, full: int) -> str:
    """Says if Largest Image Pixel Value is that of the values as unsigned ones."""
    said = _pixel_limit(header, 0x00280107)
    unsigned = stored.astype(np.int64) & (full - 1)
    if said is None or said < full // 2 or int(unsigned.max()) != said:
        return ""
    return (
        f"Largest Image Pixel Value (0028,0107) of the PET is {said}, as its values are if they "
        "are unsigned; Pixel Representation (0028,0103) is 1: the hottest voxels would be 0; "
        "export the PET again or correct the element"
    )


def _pixel_limit(header: pydicom.Dataset, tag: int) -> int | None:
    element: DataElement | RawDataElement | None = header.get_item(tag)
    if element is None:
        return None
    value = element.value
    if isinstance(element, RawDataElement) and isinstance(value, bytes):
        if len(value) != 2:
            return None
        return int.from_bytes(value, "little" if element.is_little_endian else "big")
    return int(value) & 0xFFFF if isinstance(value, int) else None
