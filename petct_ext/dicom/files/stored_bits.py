"""Which bits of a stored value count: Bits Stored, High Bit and Pixel Representation.

Source: DICOM PS3.5, section 8.1.1: nothing may be assumed of the bits that a value does not use,
neither zero nor copies of the sign; retired overlays lie there, Overlay Bit Position (60xx,0102).
"""

from __future__ import annotations

from typing import TypeAlias

import numpy as np
import numpy.typing as npt
import pydicom

from petct_ext.errors import InputDataError

__all__ = ["StoredArray", "used_bits"]

StoredArray: TypeAlias = npt.NDArray[np.integer]

_OVERLAY_GROUPS = range(0x6000, 0x6020, 2)
_FAR_BELOW_AIR_HU = -1124.0  # air is -1000; noise of a low dose reaches down by 100
_UNSIGNED_INTERCEPT = -1000.0


def used_bits(
    stored: StoredArray, header: pydicom.Dataset, *, high_bit: int | None = None
) -> StoredArray:
    """Returns the values that the bits in use stand for.

    Values that fit Bits Stored (0028,0101) are returned as they are. Signed ones whose unused upper
    bits are all 0 get their sign from High Bit (0028,0102); overlays above it are masked if the
    header declares them; values at the upper end of their cell are shifted down.

    Args:
        stored: whole cells of Bits Allocated (0028,0100), signed if Pixel Representation
            (0028,0103) is 1.
        header: of the slice.
        high_bit: High Bit; None where the values lie at the lower end, as decoders put them.

    Returns:
        Values of the same shape and type.

    Raises:
        InputDataError: if values exceed their bits for another reason, High Bit does not tell where
            they lie, or a CT with its signs from High Bit would lie far below air: then it is
            unsigned.
    """
    bits = int(header.get("BitsStored") or header.BitsAllocated)
    if bits >= 8 * stored.dtype.itemsize:
        return stored
    is_signed = np.issubdtype(stored.dtype, np.signedinteger)
    low, top = (-(1 << (bits - 1)), (1 << (bits - 1)) - 1) if is_signed else (0, (1 << bits) - 1)
    found = int(stored.min()), int(stored.max())
    fits = low <= found[0] and found[1] <= top
    if high_bit is not None and bits <= high_bit < 8 * stored.dtype.itemsize:
        shift = high_bit - bits + 1
        is_low_used = bool((stored & np.array((1 << shift) - 1, stored.dtype)).any())
        if fits == is_low_used or not any(found):
            return stored if fits else used_bits(stored >> shift, header)
        raise InputDataError(
            f"High Bit (0028,0102) is {high_bit} with {bits} Bits Stored (0028,0101), and its "
            f"values run from {found[0]} to {found[1]}; at which end of their "
            f"{8 * stored.dtype.itemsize} bits they lie is unknown."
        )
    if fits:
        return stored
    is_ct = str(header.get("Modality")) == "CT"
    if is_ct and is_signed and found[0] >= 0 and found[1] < 1 << bits:
        return _with_sign(stored, bits, header)
    if _has_overlay_bits(header, bits, 8 * stored.dtype.itemsize):
        return _sign_extended(stored, bits) if is_signed else stored & np.array(top, stored.dtype)
    raise InputDataError(
        f"its values run from {found[0]} to {found[1]}, beyond Bits Stored (0028,0101) of "
        f"{bits}; the upper bits may hold an overlay, or the header is wrong."
    )


def _with_sign(stored: StoredArray, bits: int, header: pydicom.Dataset) -> StoredArray:
    """Takes the sign of a CT from High Bit, unless that turns its tissue or metal to air.

    An intercept of air is that of unsigned values: there, the highest would become negative.
    """
    extended = _sign_extended(stored, bits)
    slope, intercept = (float(header.get(k) or 0) for k in ("RescaleSlope", "RescaleIntercept"))
    corners = extended[[0, 0, -1, -1], [0, -1, 0, -1]]
    has_filling = bool((corners == extended.min()).all())  # outside the circle
    inside = extended[extended != corners[0]] if has_filling else extended
    lowest = float(inside.min(initial=0))
    darkest = lowest * slope + intercept
    if darkest < _FAR_BELOW_AIR_HU or (lowest < 0 and intercept <= _UNSIGNED_INTERCEPT):
        raise InputDataError(
            f"its values run up to {int(stored.max())}, beyond {bits} signed bits (0028,0101); "
            f"with their sign from High Bit (0028,0102) they go down to {darkest:.0f} HU, "
            "below air. Pixel Representation (0028,0103) is 1 and may have to be 0."
        )
    return extended


def _sign_extended(stored: StoredArray, bits: int) -> StoredArray:
    unused = 8 * stored.dtype.itemsize - bits
    native = stored.astype(stored.dtype.newbyteorder("="))
    return (native << unused) >> unused


def _has_overlay_bits(header: pydicom.Dataset, bits: int, cell_bits: int) -> bool:
    """Returns whether the header says that an overlay lies in the unused bits of the pixels."""
    for group in _OVERLAY_GROUPS:
        allocated, position = (
            header[tag].value if (tag := (group, number)) in header else None
            for number in (0x0100, 0x0102)
        )
        if allocated == cell_bits and isinstance(position, int) and bits <= position < cell_bits:
            return True
    return False
