"""Values are taken from the bits in use, whatever stands in the others."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pydicom
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from petct_ext.dicom.files.stored_bits import used_bits
from petct_ext.dicom.series.reader import read_series
from petct_ext.errors import InputDataError
from tests.dicom.slices import write_slices


def header(bits: int = 12, **elements: Any) -> pydicom.Dataset:
    dataset = pydicom.Dataset()
    dataset.BitsStored, dataset.BitsAllocated = bits, 16
    for keyword, value in elements.items():
        setattr(dataset, keyword, value)
    return dataset


def test_sign_of_twelve_bits_is_taken_from_the_high_bit(tmp_path: Path) -> None:
    values = np.full((4, 4, 5), -24)
    values[:, 1, 1:3] = 1000, -1000
    files = write_slices(tmp_path, values=values & 0x0FFF, BitsStored=12, HighBit=11)
    volume = read_series(files)
    assert pydicom.dcmread(files[0]).PixelData[:2] == b"\xe8\x0f"
    np.testing.assert_array_equal(volume.array.transpose(2, 1, 0), values)


@given(arrays(np.int16, (3, 4), elements=st.integers(-2048, 2047)))
def test_signs_are_the_same_whether_extended_or_not(values: np.ndarray) -> None:
    np.testing.assert_array_equal(used_bits(values & 0x0FFF, header(Modality="CT")), values)
    np.testing.assert_array_equal(used_bits(values, header()), values)


@given(
    arrays(np.int16, (3, 4), elements=st.integers(-2048, 2047)),
    st.sampled_from([12, 14, 15]),
    st.booleans(),
)
def test_values_at_the_upper_end_are_shifted(
    values: np.ndarray, high_bit: int, is_signed: bool
) -> None:
    expected = values if is_signed else (values & 0x0FFF).astype(np.uint16)
    stored = expected << (high_bit - 11)
    is_told = bool(np.abs(expected).max() >= 4096 >> (high_bit - 11)) or not expected.any()
    if not is_told:  # they fit either end
        return
    np.testing.assert_array_equal(used_bits(stored, header(), high_bit=high_bit), expected)


def test_values_that_fit_either_end_are_refused() -> None:
    values = np.array([[16, 4080], [0, 32]], np.uint16)
    with pytest.raises(InputDataError, match=r"High Bit \(0028,0102\) is 15 .* at which end"):
        used_bits(values, header(), high_bit=15)


def test_values_at_the_lower_end_are_kept_whatever_the_high_bit_says() -> None:
    values = np.array([[1001, 40], [3, 0]], np.uint16)
    np.testing.assert_array_equal(used_bits(values, header(), high_bit=15), values)


def test_unsigned_ct_marked_signed_is_refused() -> None:
    values = np.array([[24, 24, 24], [24, 3000, 24], [24, 24, 24]], np.int16)
    ct = header(Modality="CT", RescaleSlope=1.0, RescaleIntercept=-1024.0)
    with pytest.raises(InputDataError, match=r"down to -2120 HU, .*\(0028,0103\) is 1 and may"):
        used_bits(values, ct)


def test_filling_of_twelve_bits_outside_the_circle_is_read() -> None:
    values = np.full((4, 4), -2000, np.int16)
    values[1:3, 1:3] = 40
    ct = header(Modality="CT", RescaleSlope=1.0, RescaleIntercept=0.0)
    np.testing.assert_array_equal(used_bits(values & 0x0FFF, ct), values)


def test_overlay_in_the_upper_bits_is_masked_if_the_header_declares_it() -> None:
    values = np.array([[100, 200], [300, 4095]], np.uint16)
    stored = values | np.array([[0x8000, 0], [0, 0x8000]], np.uint16)
    with pytest.raises(InputDataError, match=r"beyond Bits Stored \(0028,0101\) of 12"):
        used_bits(stored, header())
    declared = header()
    declared.add_new(0x60000100, "US", 16)
    declared.add_new(0x60000102, "US", 15)
    np.testing.assert_array_equal(used_bits(stored, declared), values)


def test_metal_of_an_unsigned_ct_marked_signed_does_not_become_air() -> None:
    stored = np.full((6, 6), 1064, np.int16)  # tissue, intercept -1024
    stored[2:4, 2:4] = 4095
    facts = header(Modality="CT", RescaleSlope=1, RescaleIntercept=-1024)
    with pytest.raises(InputDataError, match=r"Pixel Representation \(0028,0103\) is 1 and may"):
        used_bits(stored, facts)


def test_pet_with_unused_upper_bits_is_refused_as_its_hottest_may_have_wrapped() -> None:
    stored = np.full((6, 6), 300, np.int16)
    stored[2:4, 2:4] = 4000
    with pytest.raises(InputDataError, match="beyond Bits Stored"):
        used_bits(stored, header(Modality="PT"))
