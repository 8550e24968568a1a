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

import numpy as np
import pydicom
from pydicom.pixels.decoders.base import get_decoder
from pydicom.uid import (
    UID,
    DeflatedExplicitVRLittleEndian,
    ExplicitVRBigEndian,
    ExplicitVRLittleEndian,
    ImplicitVRLittleEndian,
)

from petct_ext.arrays import FloatArray
from petct_ext.dicom.files.slice_file import SliceFile, decimal_numbers
from petct_ext.dicom.files.stored_bits import StoredArray, used_bits
from petct_ext.errors import InputDataError

__all__ = ["AIR_HU", "StoredFrames", "rescale"]

AIR_HU = -1024.0
"""What stands where a CT measured nothing; its smallest value."""

_JPEG = "1.2.840.10008.1.2.4."
_PLUGINS = {
    **{_JPEG + end: "gdcm" for end in ("51", "57", "70", "80", "81")},
    **{_JPEG + end: "pylibjpeg" for end in ("90", "91", "201", "202", "203")},
    "1.2.840.10008.1.2.5": "pydicom",
}
_LOSSY = frozenset(_JPEG + end for end in ("50", "51", "81", "91", "203"))
_NATIVE = (
    ImplicitVRLittleEndian,
    ExplicitVRLittleEndian,
    ExplicitVRBigEndian,
    DeflatedExplicitVRLittleEndian,
)
_PADDING, _BITS = 0x00280120, (8, 16, 32)


class StoredFrames:
    """The stored values of one file, read and decoded frame by frame.

    Args:
        file: header and place of the pixels.

    Raises:
        InputDataError: if the image is not of one gray channel, its transfer syntax is not
            supported, or it is cut.
    """

    def __init__(self, file: SliceFile) -> None:
        self._file = file
        _require_gray(file.header)
        self._shape = _shape(file.header)
        self._whole: pydicom.Dataset | None = None  # of a compressed file of several frames
        if file.pixels_at is not None:
            _require_all(file.pixels_at[1], _dtype(file.header), self._shape)
        elif file.header.file_meta.TransferSyntaxUID not in (*_PLUGINS, *_NATIVE):
            raise _unsupported(file.header.file_meta.TransferSyntaxUID)

    def __len__(self) -> int:
        """Returns the number of frames."""
        return self._shape[0]

    def read(self, number: int) -> StoredArray:
        """Reads one frame.

        Args:
            number: from 0.

        Returns:
            Shape (rows, columns), integers as stored, signed if Pixel Representation (0028,0103)
            says so; Bits Stored (0028,0101) below High Bit (0028,0102) are used, see
            :func:`~petct_ext.dicom.files.stored_bits.used_bits`.

        Raises:
            InputDataError: if it cannot be decoded, is cut, or its values do not fit its bits.
        """
        header, shape = self._file.header, self._shape
        if header.file_meta.TransferSyntaxUID not in _NATIVE:
            whole = self._whole or self._file.read_whole()
            if len(self) > 1:
                self._whole = whole
            return used_bits(_decode(whole, number if len(self) > 1 else None), header)
        if self._file.pixels_at is not None:
            size = int(np.prod(shape[1:])) * _dtype(header).itemsize
            content = self._file.read_bytes(number * size, size)
            stored = _native(content, header, (1, *shape[1:]))[0]
        else:
            stored = _native(self._file.read_whole().PixelData, header, shape)[number]
        high_bit = header.get("HighBit")
        return used_bits(stored, header, high_bit=None if high_bit is None else int(high_bit))


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


def _dtype(header: pydicom.Dataset) -> np.dtype[np.integer]:
    allocated = int(header.get("BitsAllocated") or 0)
    if allocated not in _BITS:
        raise InputDataError(f"Bits Allocated (0028,0100) is {allocated}; 8, 16 or 32 are known.")
    kind = "i" if int(header.get("PixelRepresentation") or 0) else "u"
    order = ">" if header.file_meta.TransferSyntaxUID == ExplicitVRBigEndian else "<"
    return np.dtype(f"{order}{kind}{allocated // 8}")


def _require_all(size: int, dtype: np.dtype[np.integer], shape: tuple[int, int, int]) -> None:
    expected = int(np.prod(shape)) * dtype.itemsize
    if size < expected:
        raise InputDataError(f"its pixel data has {size} of {expected} bytes; the file is cut.")


def _native(pixels: bytes, header: pydicom.Dataset, shape: tuple[int, int, int]) -> StoredArray:
    dtype = _dtype(header)
    _require_all(len(pixels), dtype, shape)
    return np.frombuffer(pixels, dtype, int(np.prod(shape))).reshape(shape)


def _unsupported(syntax: UID) -> InputDataError:
    return InputDataError(
        f"its transfer syntax {syntax} ({syntax.name}) is not supported; convert the series to "
        "Explicit VR Little Endian, for example with dcmdjpeg or gdcmconv."
    )


def _decode(whole: pydicom.Dataset, number: int | None) -> StoredArray:
    syntax = UID(whole.file_meta.TransferSyntaxUID)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            plugin = _PLUGINS[str(syntax)]
            found, _ = get_decoder(syntax).as_array(whole, index=number, decoding_plugin=plugin)
    except Exception as error:
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise InputDataError(
            f"its pixels ({syntax.name}) cannot be decoded: {reason[:120]}. It may be cut."
        ) from None
    stored: StoredArray = np.asarray(found)
    return stored.reshape(stored.shape[-2:])


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
