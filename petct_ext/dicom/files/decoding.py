"""Pixel Data of one file to physical values: decoded, checked, rescaled.

Decoders. Uncompressed syntaxes are read by NumPy. JPEG Lossless and JPEG-LS go to GDCM
(``python-gdcm``, BSD, 9 and 17 ms per 512 x 512 slice), the only decoder of JPEG Lossless for
pydicom that is not under the GPL (``pylibjpeg-libjpeg`` is). JPEG 2000 goes to OpenJPEG
(``pylibjpeg-openjpeg``, MIT, 26 to 42 ms; GDCM and Pillow take as long), RLE to pydicom (5 ms).
GDCM is given code streams only; headers, where its security holes were, are read by pydicom.

Source: DICOM PS3.5, section 8 and annex A; PS3.3, sections C.7.6.3 (image pixel), C.7.5.1.1.2
(padding), C.11.1 (modality LUT).
"""

from __future__ import annotations

import warnings
from typing import TypeAlias

import numpy as np
import numpy.typing as npt
import pydicom
from pydicom.pixels.decoders.base import get_decoder
from pydicom.uid import UID

from petct_ext.arrays import FloatArray
from petct_ext.dicom.files.slice_file import SliceFile, decimal_numbers
from petct_ext.errors import InputDataError

__all__ = ["AIR_HU", "rescale", "stored_frames"]

StoredArray: TypeAlias = npt.NDArray[np.integer]

AIR_HU = -1024.0
"""What stands where a CT measured nothing; its smallest value."""

_JPEG = "1.2.840.10008.1.2.4."
_PLUGINS = {
    **{_JPEG + end: "gdcm" for end in ("51", "57", "70", "80", "81")},
    **{_JPEG + end: "pylibjpeg" for end in ("90", "91", "201", "202", "203")},
    "1.2.840.10008.1.2.5": "pydicom",
}
_LOSSY = frozenset(_JPEG + end for end in ("50", "51", "81", "91", "203"))
_PADDING, _BITS = 0x00280120, (8, 16, 32)


def stored_frames(file: SliceFile) -> StoredArray:
    """Decodes the stored values of one file.

    Args:
        file: header and pixels.

    Returns:
        Shape (frames, rows, columns), integers as stored, signed if Pixel Representation
        (0028,0103) says so.

    Raises:
        InputDataError: if the image is not of one gray channel, its transfer syntax is not
            supported, it is cut, or its values do not fit Bits Stored (0028,0101).
    """
    header = file.header
    _require_gray(header)
    shape = _shape(header)
    pixels = file.pixels
    stored = _decode(header, shape) if pixels is None else _native(pixels, header, shape)
    bits = int(header.get("BitsStored") or header.BitsAllocated)
    _require_bits(stored, bits)
    return stored


def rescale(stored: StoredArray, header: pydicom.Dataset, out: FloatArray) -> list[str]:
    """Turns stored into physical values: HU for CT, the Units (0054,1001) of a PET.

    Pixels with Pixel Padding Value (0028,0120), outside of the reconstructed circle, become air
    (-1024 HU) or 0; where that value would mean tissue, only if the corners of the slice hold it.
    HU below air, such as GE's -3024 around the circle, become air as well.

    Args:
        stored: shape (rows, columns).
        header: of this slice, with its own Rescale Slope (0028,1053) and Intercept (0028,1052).
        out: float32 of the same shape, overwritten.

    Returns:
        Warnings, in words; empty as a rule.

    Raises:
        InputDataError: if slope or intercept is missing or not finite, the slope is 0 in a slice
            that is not empty, the values are given by a table (Modality LUT Sequence (0028,3000)),
            or a PET was compressed with loss.
    """
    if "ModalityLUTSequence" in header:
        raise InputDataError(
            "its values are given by a Modality LUT Sequence (0028,3000) instead of slope and "
            "intercept; this is not supported."
        )
    slope, intercept = (_single(header, key) for key in ("RescaleSlope", "RescaleIntercept"))
    # An empty PET slice may have a slope of 0, for want of a largest value.
    if not np.isfinite([slope, intercept]).all() or (slope == 0 and stored.any()):
        raise InputDataError(f"Rescale Slope is {slope:g}, Intercept {intercept:g}.")
    if slope == 1.0:
        np.add(stored, np.float32(intercept), out=out, dtype=np.float32, casting="unsafe")
    else:
        np.multiply(stored, np.float32(slope), out=out, dtype=np.float32, casting="unsafe")
        if intercept:
            out += np.float32(intercept)
    found = _fill_padding(stored, header, out, line=(slope, intercept))
    if str(header.get("Modality")) == "CT":
        np.maximum(out, np.float32(AIR_HU), out=out)
    return found + _lossy_warnings(header)


def _require_gray(header: pydicom.Dataset) -> None:
    kind = str(header.get("PhotometricInterpretation") or "missing")
    samples = int(header.get("SamplesPerPixel") or 1)
    if samples != 1 or kind not in ("MONOCHROME1", "MONOCHROME2"):
        raise InputDataError(
            f"Photometric Interpretation (0028,0004) is {kind} with {samples} sample(s) per pixel; "
            "it is a picture, not a measurement."
        )


def _shape(header: pydicom.Dataset) -> tuple[int, int, int]:
    frames = int(header.get("NumberOfFrames") or 1)
    shape = frames, int(header.get("Rows") or 0), int(header.get("Columns") or 0)
    if min(shape) < 1:
        raise InputDataError(f"it has {shape[0]} frame(s) of {shape[1]} x {shape[2]} pixels.")
    return shape


def _native(pixels: bytes, header: pydicom.Dataset, shape: tuple[int, int, int]) -> StoredArray:
    allocated = int(header.get("BitsAllocated") or 0)
    if allocated not in _BITS:
        raise InputDataError(f"Bits Allocated (0028,0100) is {allocated}; 8, 16 or 32 are known.")
    kind = "i" if int(header.get("PixelRepresentation") or 0) else "u"
    order = ">" if header.file_meta.TransferSyntaxUID == "1.2.840.10008.1.2.2" else "<"
    dtype = np.dtype(f"{order}{kind}{allocated // 8}")
    count = int(np.prod(shape))
    if len(pixels) < count * dtype.itemsize:
        raise InputDataError(
            f"its pixel data has {len(pixels)} of {count * dtype.itemsize} bytes; the file is cut."
        )
    return np.frombuffer(pixels, dtype, count).reshape(shape)


def _decode(header: pydicom.Dataset, shape: tuple[int, int, int]) -> StoredArray:
    syntax = UID(header.file_meta.TransferSyntaxUID)
    plugin = _PLUGINS.get(str(syntax))
    if plugin is None:
        raise InputDataError(
            f"its transfer syntax {syntax} ({syntax.name}) is not supported; convert the series to "
            "Explicit VR Little Endian, for example with dcmdjpeg or gdcmconv."
        )
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            stored, _ = get_decoder(syntax).as_array(header, decoding_plugin=plugin)
    except Exception as error:
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise InputDataError(
            f"its pixels ({syntax.name}) cannot be decoded: {reason[:120]}. It may be cut."
        ) from None
    return np.asarray(stored).reshape(shape)


def _require_bits(stored: StoredArray, bits: int) -> None:
    """Refuses values beyond Bits Stored: junk or overlays in the upper bits, or a false header."""
    if bits >= 8 * stored.dtype.itemsize:
        return
    is_signed = np.issubdtype(stored.dtype, np.signedinteger)
    low, high = (-(1 << (bits - 1)), (1 << (bits - 1)) - 1) if is_signed else (0, (1 << bits) - 1)
    found = int(stored.min()), int(stored.max())
    if found[0] < low or found[1] > high:
        raise InputDataError(
            f"its values run from {found[0]} to {found[1]}, beyond Bits Stored (0028,0101) of "
            f"{bits}; the upper bits may hold an overlay, or the header is wrong."
        )


def _single(header: pydicom.Dataset, keyword: str) -> float:
    found = decimal_numbers(header, keyword)
    if len(found) != 1:
        tag = "(0028,1053)" if keyword == "RescaleSlope" else "(0028,1052)"
        raise InputDataError(
            f"{keyword} {tag} has {len(found)} values instead of one; HU or activity is unknown."
        )
    return found[0]


def _fill_padding(
    stored: StoredArray, header: pydicom.Dataset, out: FloatArray, *, line: tuple[float, float]
) -> list[str]:
    padding = _padding_value(header, stored.dtype)
    if padding is None:
        return []
    is_ct = str(header.get("Modality")) == "CT"
    filler = AIR_HU if is_ct else 0.0
    value = padding * line[0] + line[1]
    if value != filler:
        padded = stored == padding
        in_corners = padded[[0, 0, -1, -1], [0, -1, 0, -1]].all()
        is_tissue = -1000.0 < value < 3000.0 if is_ct else value > 0.0
        if is_tissue and not in_corners and padded.any():
            return [f"padding (0028,0120) of {value:g} lies within the picture; kept as measured."]
        out[padded] = filler
    return []


def _padding_value(header: pydicom.Dataset, dtype: np.dtype[np.integer]) -> int | None:
    # Its VR is US or SS as Pixel Representation says, but files mix them up: 63536 for -2000.
    if _PADDING not in header:
        return None
    value = header[_PADDING].value
    if isinstance(value, bytes):
        value = int.from_bytes(value[:2], "little") if len(value) >= 2 else None
    if not isinstance(value, int):
        return None
    info = np.iinfo(dtype)
    if info.min <= value <= info.max:
        return value
    return int(np.array(value & 0xFFFF, np.uint16).astype(dtype))


def _lossy_warnings(header: pydicom.Dataset) -> list[str]:
    marked = str(header.get("LossyImageCompression") or "") == "01"
    if not marked and str(header.file_meta.TransferSyntaxUID) not in _LOSSY:
        return []
    if str(header.get("Modality")) != "CT":
        raise InputDataError(
            "Lossy Image Compression (0028,2110): the PET was compressed with loss; its values "
            "are no measurement any more. Export the original."
        )
    return ["the CT was compressed with loss (0028,2110)."]
